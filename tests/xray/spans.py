"""Spans for the golden documents, by the document's name.

`python -m tests.xray.spans` writes the documents again; read them before you commit them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from ot_bridge.xray.document import trimmed
from ot_bridge.xray.segment import segment

GOLDEN = Path(__file__).parent / "golden"
START = 1_700_000_000_123_456_789
TRACE = 0x6553F100_A006649127E371903A2DE979
REMOTE = SpanContext(TRACE, 0xF0F0F0F0F0F0F0F0, is_remote=True, trace_flags=TraceFlags(1))
LOCAL = SpanContext(TRACE, 0xA1A1A1A1A1A1A1A1, is_remote=False, trace_flags=TraceFlags(1))
OTHER = SpanContext(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, is_remote=True)
SHOP = Resource({"service.name": "shop", "service.version": "1.4.2", "telemetry.sdk.language": "python"})

CHAIN = """Traceback (most recent call last):
  File "/app/stock.py", line 5, in reserve
    return shelf[item]
           ~~~~~^^^^^^
  File "/app/shelf.py", line 3, in __getitem__
    raise KeyError("k: v\\nsecond line")
KeyError: 'k: v\\nsecond line'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/app/orders.py", line 8, in place
    reserve(item)
  File "/app/stock.py", line 7, in reserve
    raise OutOfStock(item) from error
shop.stock.OutOfStock: Lamp: none left
ask again tomorrow

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/views.py", line 12, in post
    place(order)
  File "/app/orders.py", line 9, in <lambda>
    raise ValueError("bad order")
ValueError: bad order
"""

DEEP = "Traceback (most recent call last):\n"
DEEP += "".join(f'  File "/app/deep.py", line {line}, in dig\n    dig()\n' for line in range(120))
DEEP += "RecursionError: too deep\n"


def span(
    name: str = "operation",
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, Any] | None = None,
    *,
    parent: SpanContext | None = None,
    status: Status = Status(StatusCode.UNSET),  # noqa: B008  # a value that never changes
    resource: Resource = SHOP,
    events: tuple[Event, ...] = (),
    links: tuple[Link, ...] = (),
    end_time: int | None = START + 250_000_000,
    span_id: int = 0x1122334455667788,
) -> ReadableSpan:
    return ReadableSpan(
        name,
        context=SpanContext(TRACE, span_id, is_remote=False, trace_flags=TraceFlags(1)),
        parent=parent,
        kind=kind,
        attributes=attributes,
        status=status,
        resource=resource,
        events=events,
        links=links,
        start_time=START,
        end_time=end_time,
    )


def raised(**attributes: str) -> Event:
    return Event(
        "exception", {f"exception.{name}": value for name, value in attributes.items()}, START + 1000
    )


ERROR = Status(StatusCode.ERROR)

CASES: dict[str, ReadableSpan] = {
    "http_server": span(
        "GET /users/{id}",
        SpanKind.SERVER,
        {
            "http.request.method": "GET",
            "url.scheme": "https",
            "url.path": "/users/42",
            "url.query": "full=1",
            "http.route": "/users/{id}",
            "server.address": "shop.example.com",
            "server.port": 8443,
            "client.address": "203.0.113.7",
            "network.peer.address": "10.0.0.9",
            "user_agent.original": "curl/8.0",
            "http.response.status_code": 200,
            "http.response.body.size": 512,
            "enduser.id": "u-42",
        },
    ),
    "http_server_former_names": span(
        "GET /users/{id}",
        SpanKind.SERVER,
        {
            "http.method": "GET",
            "http.scheme": "http",
            "http.host": "shop.example.com:8080",
            "http.target": "/users/42?full=1",
            "net.host.port": 8080,
            "net.peer.ip": "10.0.0.9",
            "net.peer.port": 51234,
            "http.user_agent": "curl/8.0",
            "http.status_code": 200,
            "http.response_content_length": 512,
        },
        parent=REMOTE,
    ),
    "http_server_opentracing_tags": span(
        "ServeHTTP",
        SpanKind.SERVER,
        {
            "component": "grpc-gateway",
            "http.method": "POST",
            "http.url": "http://shop.example.com/api/orders?x=1",
            "http.status_code": "201",
            "peer.ipv4": "10.0.0.9",
        },
        parent=REMOTE,
    ),
    "http_client": span(
        "GET",
        SpanKind.CLIENT,
        {
            "http.request.method": "GET",
            "url.full": "https://user:secret@api.example.com/v1/prices?q=lamp",
            "server.address": "api.example.com",
            "server.port": 443,
            "network.peer.address": "198.51.100.3",
            "http.response.status_code": 200,
        },
        parent=LOCAL,
    ),
    "grpc_server": span(
        "shop.Stock/Reserve",
        SpanKind.SERVER,
        {
            "rpc.system": "grpc",
            "rpc.service": "shop.Stock",
            "rpc.method": "Reserve",
            "rpc.grpc.status_code": 5,
            "network.peer.address": "10.0.0.9",
        },
        parent=REMOTE,
    ),
    "grpc_client": span(
        "shop.Stock/Reserve",
        SpanKind.CLIENT,
        {
            "rpc.system.name": "grpc",
            "rpc.method": "shop.Stock/Reserve",
            "rpc.response.status_code": "UNAVAILABLE",
            "server.address": "stock",
            "server.port": 50051,
        },
        parent=LOCAL,
        status=Status(StatusCode.ERROR, "connection refused"),
    ),
    "database": span(
        "SELECT users",
        SpanKind.CLIENT,
        {
            "db.system": "postgresql",
            "db.name": "users",
            "db.statement": "SELECT * FROM users WHERE id = ?",
            "db.user": "shop",
            "server.address": "db.example.com",
            "db.operation": "SELECT",
        },
        parent=LOCAL,
    ),
    "database_opentracing_tags": span(
        "query",
        SpanKind.CLIENT,
        {
            "db.type": "sql",
            "db.instance": "users",
            "db.statement": "SELECT 1",
            "peer.address": "mysql://shop:secret@db:3306",
            "component": "pymysql",
        },
        parent=LOCAL,
    ),
    "key_value_store": span(
        "GET",
        SpanKind.CLIENT,
        {"db.system": "redis", "db.statement": "GET ?", "net.peer.name": "cache"},
        parent=LOCAL,
    ),
    "aws_sdk_call": span(
        "DynamoDB.GetItem",
        SpanKind.CLIENT,
        {
            "rpc.system": "aws-api",
            "rpc.service": "DynamoDB",
            "rpc.method": "GetItem",
            "aws.region": "eu-west-1",
            "aws.request_id": "QF1",
            "aws.dynamodb.table_names": ["orders"],
            "retry_attempts": 1,
            "http.status_code": 200,
        },
        parent=LOCAL,
    ),
    "aws_queue": span(
        "SQS.SendMessage",
        SpanKind.PRODUCER,
        {
            "rpc.system": "aws-api",
            "rpc.service": "SQS",
            "rpc.method": "SendMessage",
            "messaging.system": "aws_sqs",
            "messaging.url": "https://sqs.eu-west-1.amazonaws.com/123/orders",
            "aws.dynamodb.table_names": ["a", "b"],
        },
        parent=LOCAL,
    ),
    "error_404": span(
        "GET", SpanKind.SERVER, {"http.request.method": "GET", "http.response.status_code": 404}
    ),
    "error_429": span("GET", SpanKind.SERVER, {"http.method": "GET", "http.status_code": 429}, status=ERROR),
    "error_503": span(
        "GET",
        SpanKind.CLIENT,
        {"http.method": "GET", "http.url": "http://api/", "http.status_code": 503},
        parent=LOCAL,
        status=Status(StatusCode.ERROR, "Service Unavailable"),
    ),
    "exception_chain": span(
        "POST /orders",
        SpanKind.SERVER,
        {"http.request.method": "POST", "http.response.status_code": 500},
        status=Status(StatusCode.ERROR, "ValueError: bad order"),
        events=(
            raised(type="ValueError", message="bad order", stacktrace=CHAIN, escaped="True"),
            raised(type="TimeoutError", message=""),
        ),
    ),
    "links": span(
        "settle",
        SpanKind.CONSUMER,
        {"messaging.system": "kafka"},
        links=(Link(OTHER, {"why": "batch", "n": 3}), Link(REMOTE)),
        parent=LOCAL,
    ),
    "messaging_producer": span(
        "orders publish",
        SpanKind.PRODUCER,
        {"messaging.system": "kafka", "messaging.destination.name": "orders", "server.address": "broker"},
        parent=LOCAL,
    ),
    "messaging_consumer": span(
        "orders process",
        SpanKind.CONSUMER,
        {
            "messaging.system": "kafka",
            "messaging.operation.type": "process",
            "messaging.batch.message_count": 2,
        },
        parent=REMOTE,
        events=(Event("retry", {"attempt": 1}, START + 5000), Event("done", None, START + 6000)),
    ),
    "internal_root": span("nightly/cleanup <job>", attributes={"rows": 7, "done": True, "ratio": 0.5}),
    "internal_child": span(
        "render", attributes={"peer.service": "templates", "enduser.id": "u-42"}, parent=LOCAL
    ),
    "still_open": span("long poll", SpanKind.SERVER, end_time=None),
    "ecs": span(
        "GET",
        SpanKind.SERVER,
        resource=Resource(
            {
                "service.name": "shop",
                "cloud.provider": "aws",
                "cloud.platform": "aws_ecs",
                "cloud.account.id": "123456789012",
                "cloud.availability_zone": "eu-west-1a",
                "aws.ecs.launchtype": "FARGATE",
                "aws.ecs.task.arn": "arn:aws:ecs:eu-west-1:123456789012:task/shop",
                "container.name": "web",
                "container.id": "c0ffee",
                "container.image.tags": ["2.0"],
                "aws.log.group.arns": "arn:aws:logs:eu-west-1:123456789012:log-group:shop&web",
                "telemetry.sdk.name": "opentelemetry",
                "telemetry.sdk.language": "python",
                "telemetry.sdk.version": "1.28.0",
                "telemetry.distro.name": "ot-bridge",
            }
        ),
    ),
    "ec2_and_eks": span(
        "GET",
        SpanKind.SERVER,
        resource=Resource(
            {
                "cloud.provider": "aws",
                "cloud.platform": "aws_eks",
                "host.id": "i-0abc",
                "host.type": "m5.large",
                "host.image.id": "ami-1",
                "k8s.cluster.name": "prod",
                "k8s.pod.name": "shop-1",
                "aws.log.group.names": ["shop", "web"],
            }
        ),
    ),
    "beanstalk": span(
        "GET",
        SpanKind.SERVER,
        resource=Resource(
            {
                "cloud.platform": "aws_elastic_beanstalk",
                "service.namespace": "shop-prod",
                "service.version": "v7",
                "service.instance.id": "32",
            }
        ),
    ),
    "another_cloud": span(
        "GET",
        SpanKind.SERVER,
        resource=Resource({"cloud.provider": "gcp", "cloud.platform": "gcp_cloud_run"}),
    ),
    "300_attributes": span("wide", attributes={f"key.{number}": number for number in range(300)}),
    "over_64_kb": span(
        "deep",
        SpanKind.SERVER,
        {"http.method": "GET", "body": "long " * 10_000, "reply": ["longer"] * 5_000, "short": "kept"},
        events=(raised(type="RecursionError", message="too deep", stacktrace=DEEP),),
    ),
}


def document(case: str) -> dict[str, Any]:
    annotate: Any = {"300_attributes": "all", "internal_root": ("rows", "done")}.get(case, ())
    found: dict[str, Any] = json.loads(trimmed(segment(CASES[case], annotate=annotate)))
    return found


if __name__ == "__main__":
    for case in CASES:
        (GOLDEN / f"{case}.json").write_text(json.dumps(document(case), indent=1, ensure_ascii=False) + "\n")
