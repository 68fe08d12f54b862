"""The example gateway: HTTP in, gRPC out, and a stream as server-sent events, in one trace."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import Client

from ot_bridge.cli.gateway import greeter_pb2 as pb
from ot_bridge.cli.gateway import greeter_pb2_grpc as rpc
from ot_bridge.cli.gateway.gateway import Gateway, make_app
from ot_bridge.cli.gateway.service import serve
from ot_bridge.wsgi import TracingMiddleware
from tests.cli.programs import environment
from tests.conftest import Recorded
from tests.delivery.parts import until
from tests.grpc.conftest import Finished
from tests.receiver import HttpReceiver

SERVE = "ServeHTTP"
HELLO = "/greeter.v1.Greeter/SayHello"
KEEP = "/greeter.v1.Greeter/KeepGreeting"


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture
def gateway(otel: Recorded, monkeypatch: pytest.MonkeyPatch) -> Iterator[http.client.HTTPConnection]:
    """The gateway on a real HTTP server in front of the service, and a connection to it."""
    monkeypatch.setattr(trace, "get_tracer", otel.provider.get_tracer)  # what the service makes spans by
    server, port = serve(tracer=otel.tracer)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        app = TracingMiddleware(make_app(channel, otel.tracer), otel.tracer)
        front = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
        thread = threading.Thread(target=front.serve_forever, daemon=True)
        thread.start()
        try:
            with closing(
                http.client.HTTPConnection("127.0.0.1", front.server_port, timeout=10)
            ) as connection:
                yield connection
        finally:
            front.shutdown()
            front.server_close()
            thread.join()
            server.stop(None).wait()


def _get(connection: http.client.HTTPConnection, path: str, **headers: str) -> tuple[int, bytes]:
    connection.request(
        "GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    response = connection.getresponse()
    return response.status, response.read()


def chain(spans: Sequence[ReadableSpan]) -> list[tuple[str, str]]:
    """Names and kinds from the top down, where each has one child; checks that there is one trace."""
    assert len({span.context.trace_id for span in spans}) == 1
    below = {span.parent.span_id if span.parent else 0: span for span in spans}
    ids = {span.context.span_id for span in spans}
    (top,) = [span for span in spans if span.parent is None or span.parent.span_id not in ids]
    found = [top]
    while found[-1].context.span_id in below:
        found.append(below[found[-1].context.span_id])
    assert len(found) == len(spans)
    return [(span.name, span.kind.name) for span in found]


def test_the_http_span_is_the_parent_of_the_clients_and_that_of_the_servers(
    gateway: http.client.HTTPConnection, finished: Finished
) -> None:
    status, body = _get(gateway, "/v1/hello/ann", uber_trace_id="abc:def:0:1")
    assert (status, json.loads(body)["message"]) == (200, "Hello, ann!")
    spans = finished(4)
    assert chain(spans) == [
        (SERVE, "SERVER"),
        (HELLO, "CLIENT"),
        (HELLO, "SERVER"),
        ("compose greeting", "INTERNAL"),
    ]
    assert {span.context.trace_id for span in spans} == {0xABC}


@pytest.mark.parametrize(("query", "count"), [("", 3), ("?times=2", 2), ("?times=x", 3)])
def test_a_stream_is_sent_as_events_in_one_trace(
    query: str, count: int, gateway: http.client.HTTPConnection, finished: Finished
) -> None:
    gateway.request("GET", f"/v1/hello/ann/stream{query}")
    response = gateway.getresponse()
    assert response.getheader("Content-Type", "").startswith("text/event-stream")
    events = response.read().decode().split("\n\n")
    numbers = [json.loads(event.removeprefix("data: "))["number"] for event in events if event]
    assert numbers == [*range(1, count + 1)]
    assert chain(finished(3)) == [(SERVE, "SERVER"), (KEEP, "CLIENT"), (KEEP, "SERVER")]


def test_a_listener_that_disconnects_ends_the_stream_and_its_spans(
    gateway: http.client.HTTPConnection, finished: Finished
) -> None:
    gateway.request("GET", "/v1/hello/ann/stream?times=2000000")
    response = gateway.getresponse()
    assert response.fp.read(5)
    response.close()
    gateway.close()
    spans = finished(3)
    assert chain(spans) == [(SERVE, "SERVER"), (KEEP, "CLIENT"), (KEEP, "SERVER")]
    codes = {
        span.kind.name: span.attributes["rpc.grpc.status_code"]
        for span in spans
        if span.attributes and "rpc.grpc.status_code" in span.attributes
    }
    assert codes == {
        "CLIENT": grpc.StatusCode.CANCELLED.value[0],
        "SERVER": grpc.StatusCode.CANCELLED.value[0],
    }


def test_a_request_that_the_gateway_refuses_is_not_forwarded(
    gateway: http.client.HTTPConnection, finished: Finished
) -> None:
    assert _get(gateway, "/nowhere")[0] == 404
    gateway.request("POST", "/v1/hello", body=b"{")
    response = gateway.getresponse()
    response.read()
    assert response.status == 400
    assert [span.name for span in finished(2)] == [SERVE, SERVE]


#: gRPC's status -> the HTTP status
STATUSES = {
    **{code: 500 for code in grpc.StatusCode if code is not grpc.StatusCode.OK},
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}


class Failing(rpc.GreeterServicer):  # type: ignore[misc]
    """The name is the status that it fails with."""

    def SayHello(self, request: pb.HelloRequest, context: grpc.ServicerContext) -> pb.HelloReply:
        context.abort(grpc.StatusCode[request.name], "it fails")


def test_an_error_of_the_service_becomes_an_http_status() -> None:
    server = grpc.server(ThreadPoolExecutor(1))
    rpc.add_GreeterServicer_to_server(Failing(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        client = Client(Gateway(rpc.GreeterStub(channel)))
        responses = {code: client.get(f"/v1/hello/{code.name}") for code in STATUSES}
    server.stop(None).wait()
    assert {code: each.status_code for code, each in responses.items()} == STATUSES
    assert {each.data for each in responses.values()} == {b"it fails\n"}


def test_health_checks_have_no_span(gateway: http.client.HTTPConnection, finished: Finished) -> None:
    assert _get(gateway, "/healthz") == (200, b"ok\n")
    finished(0)


def _answers(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def test_the_gateway_alone_serves_and_sends_its_spans() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = (
        "import runpy; from werkzeug import serving; real = serving.run_simple\n"
        f"serving.run_simple = lambda host, port, *a, **more: real(host, port - 8080 + {port}, *a, **more)\n"
        "runpy.run_module('ot_bridge.cli.gateway.gateway', run_name='__main__')"
    )
    with HttpReceiver() as receiver:
        variables = environment(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.base)
        running = subprocess.Popen([sys.executable, "-c", program], env=variables, stderr=subprocess.DEVNULL)
        try:
            until(lambda: _answers(port))
            other = socket.create_connection(("127.0.0.1", port))  # one that sends nothing
            with other, closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
                assert _get(connection, "/v1/hello/ann")[0] == 200
            until(lambda: {span.name for span in receiver.spans} >= {SERVE, HELLO})
            attributes = [
                (each.key, each.value.string_value)
                for each in receiver.requests[0].resource_spans[0].resource.attributes
            ]
            assert ("service.name", "gateway") in attributes
        finally:
            running.kill()
            running.wait()
