from __future__ import annotations

import json
import math
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode

from ot_bridge.xray import segment, trimmed
from ot_bridge.xray.cause import traceback as parsed
from ot_bridge.xray.document import encoded
from ot_bridge.xray.segment import trace_id
from tests.xray.spans import ERROR, LOCAL, REMOTE, SHOP, raised, span

SERVER, CLIENT, PRODUCER = SpanKind.SERVER, SpanKind.CLIENT, SpanKind.PRODUCER


def test_a_trace_id_keeps_its_digits_and_is_never_too_old() -> None:
    context = SpanContext(0x00000001_00000000_00000000_0000000A, 1, is_remote=False)
    assert trace_id(context) == "1-00000001-00000000000000000000000a"


@pytest.mark.parametrize(
    ("kind", "parent", "type_"),
    [
        (SERVER, None, None),
        (SERVER, REMOTE, None),
        (SERVER, LOCAL, None),
        (SpanKind.INTERNAL, None, None),
        (SpanKind.CONSUMER, REMOTE, None),
        (SpanKind.INTERNAL, LOCAL, "subsegment"),
        (CLIENT, LOCAL, "subsegment"),
        (PRODUCER, LOCAL, "subsegment"),
    ],
)
def test_a_span_is_a_segment_if_it_serves_or_has_no_local_parent(
    kind: SpanKind, parent: Any, type_: Any
) -> None:
    found = segment(span(kind=kind, parent=parent))
    assert found.get("type") == type_
    assert found.get("parent_id") == (parent and f"{parent.span_id:016x}")


@pytest.mark.parametrize(
    ("kind", "attributes", "wanted"),
    [
        (SERVER, {"aws.local.service": "mine", "peer.service": "peer"}, "mine"),
        (SpanKind.INTERNAL, {"aws.local.service": "mine"}, "mine"),
        (CLIENT, {"aws.remote.service": "AWS.SDK.S3", "peer.service": "peer"}, "S3"),
        (CLIENT, {"aws.remote.service": "AWS::SQS"}, "SQS"),
        (CLIENT, {"aws.local.service": "mine", "peer.service": "peer"}, "peer"),
        (SERVER, {"peer.service": "peer"}, "peer"),
        (CLIENT, {"service.peer.name": "peer", "db.name": "db"}, "peer"),
        (CLIENT, {"aws.service": "S3", "db.name": "db"}, "S3"),
        (
            CLIENT,
            {"db.name": "db", "db.connection_string": "jdbc:mysql://db.example.com:3306"},
            "db@db.example.com",
        ),
        (CLIENT, {"db.name": "db", "db.connection_string": "Server=db;Port=1"}, "db"),
        (CLIENT, {"db.name": "db", "db.connection_string": "http://[broken"}, "db"),
        (CLIENT, {"db.namespace": "db", "net.peer.name": "host"}, "db@host"),
        (CLIENT, {"db.instance": "db", "peer.address": "mysql://127.0.0.1:3306"}, "db@127.0.0.1"),
        (SERVER, {"rpc.service": "pkg.Service"}, "shop"),
        (CLIENT, {"rpc.service": "pkg.Service", "http.host": "host"}, "pkg.Service"),
        (CLIENT, {"rpc.system": "grpc", "rpc.method": "pkg.Service/Get"}, "pkg.Service"),
        (CLIENT, {"rpc.system.name": "x", "rpc.method": "Get", "server.address": "host"}, "host"),
        (CLIENT, {"http.host": "host", "net.peer.name": "other"}, "host"),
        (CLIENT, {"net.peer.name": "host"}, "host"),
        (CLIENT, {"peer.hostname": "host"}, "host"),
        (CLIENT, {"peer.service": ""}, "operation"),
        (CLIENT, {"peer.service": "<>"}, "operation"),
        (CLIENT, {"peer.service": "Größe & 漢字 <b>\t\\x"}, "Größe & 漢字 bx"),
        (CLIENT, {"peer.service": "a" * 300}, "a" * 200),
        (SpanKind.INTERNAL, {}, "operation"),
    ],
    ids=str,
)
def test_the_name_is_that_of_the_service(kind: SpanKind, attributes: Any, wanted: str) -> None:
    assert segment(span("operation", kind, attributes))["name"] == wanted


def test_a_server_without_a_service_name_is_called_as_its_span_and_that_without_letters_span() -> None:
    nameless = Resource({})
    assert segment(span("GET /", SERVER, {"server.address": "me"}, resource=nameless))["name"] == "GET /"
    assert segment(span("<>", SERVER, resource=nameless))["name"] == "span"
    assert segment(span("", SERVER, resource=nameless))["name"] == "span"


@pytest.mark.parametrize(
    ("kind", "attributes", "wanted"),
    [
        (CLIENT, {}, "remote"),
        (CLIENT, {"rpc.system": "aws-api"}, "aws"),
        (CLIENT, {"rpc.system.name": "aws-api"}, "aws"),
        (PRODUCER, {"aws.service": "SQS"}, "aws"),
        (PRODUCER, {}, None),
        (SERVER, {}, None),
    ],
)
def test_the_namespace_says_whose_the_called_service_is(kind: SpanKind, attributes: Any, wanted: str) -> None:
    assert segment(span("s", kind, attributes, parent=LOCAL)).get("namespace") == wanted


def flags(attributes: Any, status: Status = Status(StatusCode.UNSET)) -> str:  # noqa: B008
    found = segment(span("s", SERVER, attributes, status=status))
    return " ".join(flag for flag in ("error", "fault", "throttle") if found.get(flag))


@pytest.mark.parametrize(
    ("attributes", "status", "wanted"),
    [
        ({}, StatusCode.UNSET, ""),
        ({}, StatusCode.OK, ""),
        ({}, StatusCode.ERROR, "fault"),
        ({"http.status_code": 200}, StatusCode.ERROR, "fault"),
        ({"http.response.status_code": 302}, StatusCode.UNSET, ""),
        ({"http.response.status_code": 400}, StatusCode.UNSET, "error"),
        ({"http.response.status_code": 499}, StatusCode.ERROR, "error"),
        ({"http.response.status_code": 429}, StatusCode.UNSET, "error throttle"),
        ({"http.response.status_code": 500}, StatusCode.UNSET, "fault"),
        ({"http.response.status_code": 599}, StatusCode.UNSET, "fault"),
        ({"http.response.status_code": 600}, StatusCode.UNSET, ""),
        ({"http.status_code": "404"}, StatusCode.UNSET, "error"),
        ({"http.status_code": "often"}, StatusCode.UNSET, ""),
        ({"rpc.grpc.status_code": 0}, StatusCode.UNSET, ""),
        ({"rpc.grpc.status_code": 1}, StatusCode.UNSET, "error"),
        ({"rpc.grpc.status_code": 2}, StatusCode.UNSET, "fault"),
        ({"rpc.grpc.status_code": 4}, StatusCode.ERROR, "fault"),
        ({"rpc.grpc.status_code": 5}, StatusCode.UNSET, "error"),
        ({"rpc.grpc.status_code": 8}, StatusCode.ERROR, "error throttle"),
        ({"rpc.grpc.status_code": 16}, StatusCode.ERROR, "error"),
        ({"rpc.grpc.status_code": 17}, StatusCode.UNSET, ""),
        ({"rpc.grpc.status_code": -1}, StatusCode.ERROR, "fault"),
        ({"rpc.response.status_code": "PERMISSION_DENIED"}, StatusCode.ERROR, "error"),
        ({"rpc.response.status_code": "14"}, StatusCode.ERROR, "fault"),
        ({"rpc.response.status_code": "NO_SUCH"}, StatusCode.UNSET, ""),
        ({"grpc.status_code": 3}, StatusCode.UNSET, "error"),
    ],
    ids=str,
)
def test_a_failure_is_the_callers_or_ours(attributes: Any, status: StatusCode, wanted: str) -> None:
    assert flags(attributes, Status(status)) == wanted


HTTPS = {"net.host.port": 443}


@pytest.mark.parametrize(
    ("kind", "attributes", "wanted"),
    [
        (SERVER, {"http.method": "GET", "http.target": "/a?b=c", "http.host": "h:81"}, "http://h:81/a?b=c"),
        (
            SERVER,
            {"http.target": "/", "http.server_name": "h", "http.scheme": "https", **HTTPS},
            "https://h/",
        ),
        (
            SERVER,
            {"url.path": "/a", "url.query": "b", "net.host.name": "h", "server.port": 80},
            "http://h/a?b",
        ),
        (
            SERVER,
            {"url.path": "/", "url.query": "?b", "server.address": "h", "server.port": "81"},
            "http://h:81/?b",
        ),
        (SERVER, {"http.method": "GET", "server.address": "::1", "server.port": 81}, "http://[::1]:81/"),
        (SERVER, {"url.path": "/a"}, "/a"),
        (SERVER, {"http.method": "GET", "http.url": "/a?b"}, "/a?b"),
        (SERVER, {"http.method": "GET"}, None),
        (CLIENT, {"url.full": "https://u:p@h/a@b?c=d@e"}, "https://h/a@b?c=d@e"),
        (CLIENT, {"http.url": "http://h/" + "a" * 300}, "http://h/" + "a" * 241),
        (CLIENT, {"http.method": "GET", "net.peer.name": "h", "net.peer.port": 81}, "http://h:81/"),
        (CLIENT, {"http.method": "GET", "net.peer.ip": "10.0.0.1"}, "http://10.0.0.1/"),
        (
            CLIENT,
            {"http.method": "GET", "http.url": "/a", "peer.hostname": "h", "peer.port": 81},
            "http://h:81/a",
        ),
    ],
    ids=str,
)
def test_the_url_is_given_or_put_together(kind: SpanKind, attributes: Any, wanted: str | None) -> None:
    found = segment(span("s", kind, attributes, resource=Resource({})))
    assert found.get("http", {}).get("request", {}).get("url") == wanted


@pytest.mark.parametrize(
    ("attributes", "ip", "forwarded"),
    [
        ({"client.address": "1.1.1.1", "network.peer.address": "2.2.2.2"}, "1.1.1.1", True),
        ({"client.address": "1.1.1.1", "network.peer.address": "1.1.1.1"}, "1.1.1.1", None),
        ({"http.client_ip": "1.1.1.1"}, "1.1.1.1", True),
        ({"net.peer.ip": "2.2.2.2"}, "2.2.2.2", None),
        ({"net.sock.peer.addr": "2.2.2.2"}, "2.2.2.2", None),
        ({"peer.ipv4": "2.2.2.2"}, "2.2.2.2", None),
        ({}, None, None),
    ],
)
def test_the_caller_is_who_a_proxy_names_or_who_is_at_the_other_end(
    attributes: Any, ip: Any, forwarded: Any
) -> None:
    request = segment(span("s", SERVER, {"http.method": "GET", **attributes}))["http"]["request"]
    assert (request.get("client_ip"), request.get("x_forwarded_for")) == (ip, forwarded)
    calling = segment(span("s", CLIENT, {"http.method": "GET", **attributes}))["http"]["request"]
    assert "client_ip" not in calling


def test_addresses_alone_do_not_make_a_span_about_http() -> None:
    attributes = {
        "server.address": "h",
        "server.port": 1,
        "network.peer.address": "10.0.0.1",
        "client.address": "x",
    }
    found = segment(span("s", CLIENT, attributes, parent=LOCAL))
    assert "http" not in found
    assert found["metadata"]["default"] == attributes


def test_nothing_that_a_span_says_gets_lost_on_the_way() -> None:
    attributes = {
        "http.method": "GET",
        "component": "x",
        "net.peer.name": "caller",
        "db.statement": "SELECT 1",
    }
    found = segment(span("s", SERVER, attributes, resource=Resource({})))
    assert found["metadata"]["default"] == {key: attributes[key] for key in list(attributes)[1:]}


@pytest.mark.parametrize("system", ["postgresql", "mysql", "sqlite", "microsoft.sql_server", "sql", "MySQL"])
def test_sql_is_told_of_systems_that_speak_it(system: str) -> None:
    found = segment(span("query", CLIENT, {"db.system": system, "db.user": "me"}, parent=LOCAL))
    assert found["sql"] == {
        "url": "query",
        "connection_string": "localhost",
        "database_type": system,
        "user": "me",
    }


@pytest.mark.parametrize("system", ["redis", "mongodb", ""])
def test_of_other_databases_it_is_metadata(system: str) -> None:
    found = segment(span("query", CLIENT, {"db.system": system, "db.user": "me"}, parent=LOCAL))
    assert "sql" not in found
    assert found["metadata"]["default"]["db.user"] == "me"


def test_a_connection_string_loses_its_password() -> None:
    attributes = {
        "db.system": "mysql",
        "db.connection_string": "mysql://me:secret@db:3306",
        "db.name": "shop",
    }
    assert segment(span("q", CLIENT, attributes))["sql"]["connection_string"] == "mysql://db:3306/shop"


def annotated(annotate: Any, attributes: Any, resource: Resource = SHOP) -> dict[str, Any]:
    found = segment(span("s", SERVER, attributes, resource=resource), annotate=annotate)
    assert not set(found.get("annotations", {})) & set(found["metadata"]["default"])
    return found.get("annotations", {})  # type: ignore[no-any-return]


def test_annotations_are_what_was_asked_for() -> None:
    attributes = {"user.tier": "gold", "n": 1, "share": 0.5, "ok": True, "list": [1], "other": "x"}
    assert annotated((), attributes) == {}
    assert annotated(("user.tier", "list", "none"), attributes) == {"user_tier": "gold"}
    assert annotated(["otel.resource.service.name"], {}) == {"otel_resource_service_name": "shop"}
    assert set(annotated("all", attributes)) >= {
        "user_tier",
        "n",
        "share",
        "ok",
        "other",
        "otel_resource_service_name",
    }


def test_a_span_can_ask_for_annotations_itself() -> None:
    assert annotated((), {"a": 1, "b": 2, "aws.xray.annotations": ("a",)}) == {"a": 1}
    assert annotated((), {"a": 1, "aws.xray.annotations": "a"}) == {}


def test_what_another_part_has_told_can_be_an_annotation_too() -> None:
    found = segment(span("s", SERVER, {"http.method": "GET", "enduser.id": "u"}), annotate=("http.method",))
    assert found["annotations"] == {"http_method": "GET"}
    assert found["http"] == {"request": {"method": "GET"}}


def test_there_are_no_more_annotations_than_x_ray_takes_and_the_rest_is_metadata() -> None:
    attributes = {f"k{number}": number for number in range(60)} | {"a.b": 1}
    found = segment(span("s", attributes=attributes), annotate="all")
    assert len(found["annotations"]) == 50
    assert found["metadata"]["default"]["k59"] == 59


def test_of_two_names_that_x_ray_cannot_tell_apart_one_is_metadata() -> None:
    found = segment(span("s", attributes={"a.b": 1, "a_b": 2}), annotate="all")
    assert found["annotations"]["a_b"] == 1
    assert found["metadata"]["default"]["a_b"] == 2


def test_an_annotation_is_cut_and_a_number_that_is_none_is_metadata() -> None:
    found = segment(span("s", attributes={"long": "x" * 2000, "nan": math.nan}), annotate=("long", "nan"))
    assert found["annotations"] == {"long": "x" * 1000}
    assert "nan" in found["metadata"]["default"]


@pytest.mark.parametrize(
    ("resource", "given_version", "wanted"),
    [
        ({"service.version": "1", "container.image.tag": "2"}, None, "1"),
        ({"service.version": "1"}, "9", "9"),
        ({"container.image.tag": "2"}, None, "2"),
        ({"container.image.tags": ("3", "4")}, None, "3"),
        ({"container.image.tags": ()}, None, None),
        ({}, None, None),
    ],
)
def test_the_version_is_the_services_or_its_images(resource: Any, given_version: Any, wanted: Any) -> None:
    found = segment(span("s", SERVER, resource=Resource(resource)), service_version=given_version)
    assert found.get("service") == (wanted and {"version": wanted})


@pytest.mark.parametrize(
    ("resource", "wanted"),
    [
        ({"cloud.platform": "aws_ec2"}, "AWS::EC2::Instance"),
        ({"cloud.platform": "aws_ecs"}, "AWS::ECS::Container"),
        ({"cloud.platform": "aws_ecs", "aws.ecs.launchtype": "ec2"}, "AWS::ECS::EC2"),
        ({"cloud.platform": "aws_ecs", "aws.ecs.launchtype": "fargate"}, "AWS::ECS::Fargate"),
        ({"cloud.platform": "aws_app_runner"}, "AWS::AppRunner::Service"),
        ({"cloud.platform": "aws_lambda"}, None),
        ({"cloud.provider": "gcp", "cloud.platform": "aws_ec2"}, None),
        ({}, None),
    ],
    ids=str,
)
def test_the_origin_is_what_the_program_runs_on(resource: Any, wanted: str | None) -> None:
    assert segment(span("s", SERVER, resource=Resource(resource))).get("origin") == wanted


def test_a_host_is_an_instance_only_where_aws_is_named() -> None:
    assert "aws" not in segment(span("s", SERVER, resource=Resource({"host.id": "laptop"})))
    there = segment(span("s", SERVER, resource=Resource({"host.id": "i-1", "cloud.provider": "aws"})))
    assert there["aws"] == {"ec2": {"instance_id": "i-1"}}


def printed(fail: Callable[[], object]) -> str:
    try:
        fail()
    except BaseException:
        return traceback.format_exc()
    raise AssertionError("it did not fail")


def dig(depth: int) -> None:
    if not depth:
        raise LookupError("ground")
    (dig if depth % 2 else dig_on)(depth - 1)


def dig_on(depth: int) -> None:
    dig(depth)


def test_the_traceback_of_this_python_is_read() -> None:
    def chained() -> None:
        try:
            dig(0)
        except LookupError as error:
            raise RuntimeError("a: b") from error

    outer, inner = parsed(printed(chained))
    assert (outer.type, outer.message) == ("RuntimeError", "a: b")
    assert [frame["label"] for frame in outer.frames][-1] == "printed"
    assert outer.frames[0]["label"].endswith("chained")
    assert (inner.type, inner.message, inner.frames[0]["label"]) == ("LookupError", "ground", "dig")
    assert inner.frames[0]["path"] == __file__
    assert inner.frames[0]["line"] == dig.__code__.co_firstlineno + 2


def test_of_many_frames_the_innermost_are_kept_and_the_rest_is_counted() -> None:
    event = raised(type="LookupError", message="ground", stacktrace=printed(lambda: dig(200)))
    (found,) = segment(span("s", events=(event,)))["cause"]["exceptions"]
    assert len(found["stack"]) == 100
    assert found["truncated"] > 100
    assert found["stack"][0]["line"] == dig.__code__.co_firstlineno + 2


GROUP = """  + Exception Group Traceback (most recent call last):
  |   File "/app/x.py", line 16, in <module>
  |     raise ExceptionGroup("g",[ValueError(1),KeyError(2)])
  | ExceptionGroup: g (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/app/y.py", line 1, in inner
    | ValueError: 1
    +------------------------------------
"""
SYNTAX = """Traceback (most recent call last):
  File "/app/x.py", line 11, in run
    compile("a b","<s>","exec")
  File "<s>", line 1
    a b
      ^
SyntaxError: invalid syntax
"""


@pytest.mark.parametrize(
    ("text", "type_", "message", "labels"),
    [
        (GROUP, "ExceptionGroup", "g (2 sub-exceptions)", ["<module>"]),
        (SYNTAX, "SyntaxError", "invalid syntax", ["run"]),
        ("ValueError", "ValueError", "", []),
        ("ValueError: a\nb", "ValueError", "a\nb", []),
        ("KeyError: 'x'\n", "KeyError", "'x'", []),
        ("no traceback at all", "", "", []),
        ('  File "x", line 9999999999999999999999, in f\n', "", "", ["f"]),
    ],
)
def test_a_traceback_of_any_form_is_read_as_far_as_it_goes(
    text: str, type_: str, message: str, labels: list[str]
) -> None:
    outer = parsed(text)[0]
    assert (outer.type, [frame["label"] for frame in outer.frames]) == (type_, labels)
    assert outer.message.startswith(message)


def test_nothing_printed_is_no_exception() -> None:
    assert parsed("") == []
    assert parsed("\n\n") == []


def test_the_events_own_words_go_before_the_tracebacks() -> None:
    event = raised(type="shop.Error", message="as recorded", stacktrace="Error: as printed\n")
    (found,) = segment(span("s", events=(event,)))["cause"]["exceptions"]
    assert (found["type"], found["message"]) == ("shop.Error", "as recorded")
    (found,) = segment(span("s", events=(raised(stacktrace="Error: as printed\n"),)))["cause"]["exceptions"]
    assert (found["type"], found["message"]) == ("Error", "as printed")


@pytest.mark.parametrize(("kind", "remote"), [(CLIENT, True), (PRODUCER, True), (SERVER, None)])
def test_an_exception_of_a_call_is_remote(kind: SpanKind, remote: Any) -> None:
    (found,) = segment(span("s", kind, events=(raised(type="E"),)))["cause"]["exceptions"]
    assert found.get("remote") == remote


def test_an_error_without_an_exception_tells_its_description() -> None:
    assert "cause" not in segment(span("s", status=ERROR))
    assert "cause" not in segment(span("s", status=Status(StatusCode.OK)))
    (found,) = segment(span("s", status=Status(StatusCode.ERROR, "why")))["cause"]["exceptions"]
    assert found["message"] == "why"


def test_a_span_of_the_sdk_is_translated_with_the_exception_it_recorded() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("t")
    inside = tracer.start_as_current_span("inner", kind=CLIENT)
    with pytest.raises(LookupError), tracer.start_as_current_span("outer"), inside:
        dig(3)
    inner, outer = map(segment, exporter.get_finished_spans())
    assert inner["parent_id"] == outer["id"]
    assert inner["type"] == "subsegment"
    assert [frame["label"] for frame in inner["cause"]["exceptions"][0]["stack"]][:4] == [
        *("dig", "dig", "dig_on", "dig")
    ]
    assert outer["fault"] is True


def test_what_json_cannot_say_is_said_in_words() -> None:
    odd = {
        "nan": math.nan,
        "list": [math.inf, {"deep": -math.inf}],
        "bytes": b"\xff",
        "lone": "\ud800",
        "set": {1},
    }
    said = {"nan": "nan", "list": ["inf", {"deep": "-inf"}], "bytes": "\ufffd", "lone": "?", "set": "{1}"}
    assert json.loads(encoded(odd), parse_constant=pytest.fail) == said
    assert encoded({"a": 1.5}) == b'{"a":1.5}'
    assert encoded({"proxy": type(dig.__globals__["Resource"].__dict__)({"a": 1})}) == b'{"proxy":{"a":1}}'


def oversized(**parts: Any) -> dict[str, Any]:
    return {"name": "n", "id": "0" * 16, "trace_id": "1-0-0", "start_time": 1.0, "end_time": 2.0, **parts}


LONG = "é" * 40_000
FRAME = {"path": "p" * 2000, "line": 1, "label": "f"}


@pytest.mark.parametrize(
    ("parts", "kept", "steps"),
    [
        ({"metadata": {"default": {"a": "x" * 10}}}, {"metadata": {"default": {"a": "x" * 10}}}, None),
        ({"metadata": {"default": {"a": LONG, "b": 1}}}, {}, ["metadata above 1000 characters"]),
        (
            {"metadata": {"default": {str(n): LONG[:999] for n in range(60)}}},
            {},
            ["metadata above 100 characters"],
        ),
        (
            {"metadata": {"default": {str(n): n for n in range(9000)}}},
            {"metadata": {"default": {"ot_bridge.trimmed": ["metadata"]}}},
            ["metadata"],
        ),
        (
            {"cause": {"exceptions": [{"id": "1", "stack": [FRAME] * 60, "truncated": 5}, {"id": "2"}]}},
            {"cause": {"exceptions": [{"id": "1", "stack": [FRAME] * 20, "truncated": 45}, {"id": "2"}]}},
            ["stack frames beyond 20"],
        ),
        (
            {"cause": {"exceptions": [{"id": "1", "stack": [FRAME] * 20}] * 2}},
            {"cause": {"exceptions": [{"id": "1", "stack": [], "truncated": 20}] * 2}},
            ["stack frames"],
        ),
        (
            {"cause": {"exceptions": [{"id": "1", "message": LONG}]}},
            {"cause": {"exceptions": [{"id": "1", "message": LONG[:1000]}]}},
            ["long messages"],
        ),
        ({"sql": {"sanitized_query": LONG}}, {"sql": {"sanitized_query": LONG[:1000]}}, ["long queries"]),
        ({"links": [{"id": str(n)} for n in range(9000)], "fault": True}, {"fault": True}, ["links"]),
        ({"cause": {"exceptions": [{"id": str(n)} for n in range(9000)]}}, {}, ["exceptions"]),
        ({"annotations": {str(n): LONG[:1000] for n in range(50)}}, {}, ["annotations"]),
        ({"aws": {"table_names": ["t" * 250] * 300}}, {}, ["http, aws, sql"]),
    ],
    ids=[
        *(
            "nothing",
            "long value",
            "many values",
            "very many",
            "frames",
            "all frames",
            "message",
            "query",
            "links",
        ),
        *("exceptions", "annotations", "aws"),
    ],
)
def test_a_document_too_large_is_trimmed_and_says_so(parts: Any, kept: Any, steps: list[str] | None) -> None:
    data = trimmed(oversized(**parts))
    found = json.loads(data)
    assert len(data) <= 64_000
    assert oversized().items() <= found.items()
    assert found.get("metadata", {}).get("default", {}).get("ot_bridge.trimmed") == steps
    for part, value in kept.items():
        assert found[part] == value


def test_everything_at_once_still_leaves_a_document() -> None:
    parts: dict[str, Any] = {
        "metadata": {"default": {str(n): n for n in range(9000)}},
        "cause": {
            "exceptions": [{"id": str(n), "message": LONG[:2000], "stack": [FRAME] * 9} for n in range(900)]
        },
        "sql": {"sanitized_query": LONG},
        "links": [{"id": str(n), "attributes": {"a": LONG[:1000]}} for n in range(90)],
        "annotations": {str(n): LONG[:1000] for n in range(50)},
        "aws": {"table_names": ["t" * 250] * 300},
    }
    found = json.loads(trimmed(oversized(**parts)))
    assert found == oversized(metadata=found["metadata"])
    assert len(found["metadata"]["default"]["ot_bridge.trimmed"]) >= 7
