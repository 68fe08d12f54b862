"""Real libraries around and inside OpenTracing code: both APIs' instrumentations on one tracer.

django-opentracing runs in a process of its own, since Django can be set up only once in one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import grpc
import pytest
import requests
from flask import Flask
from grpc_opentracing import open_tracing_client_interceptor, open_tracing_server_interceptor
from grpc_opentracing.grpcext import intercept_channel, intercept_server
from opentelemetry import baggage, propagate, trace
from opentelemetry.instrumentation import grpc as grpc_instrumentation
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind, StatusCode
from opentracing import Format
from requests_opentracing import SessionTracing
from werkzeug.serving import make_server
from werkzeug.test import Client

from ot_bridge.propagation import parse_propagators
from tests.bridge.spans import parents
from tests.conftest import Recorded

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # that it is no longer supported
    from flask_opentracing import FlaskTracing


@pytest.fixture(autouse=True)
def _global_propagator() -> Iterator[None]:
    """What OpenTelemetry's instrumentations write their headers with."""
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(parse_propagators("tracecontext,baggage,jaeger"))
    yield
    propagate.set_global_textmap(before)


@pytest.fixture
def native(otel: Recorded) -> trace.Tracer:
    return otel.provider.get_tracer("native")


def _flask(otel: Recorded, native: trace.Tracer) -> Flask:
    app = Flask(__name__)
    tracing = FlaskTracing(otel.tracer, True, app)

    @app.route("/")
    def view() -> str:
        assert tracing.get_span() is otel.tracer.active_span
        with otel.tracer.start_active_span("opentracing"), native.start_as_current_span("opentelemetry"):
            active: Any = otel.tracer.active_span
            return f"{active.get_baggage_item('user')} {baggage.get_baggage('user')}"

    @app.route("/fail")
    def fail() -> str:
        raise LookupError("gone")

    return app


def _headers(otel: Recorded, name: str = "caller") -> dict[str, str]:
    caller = otel.tracer.start_span(name).set_baggage_item("user", "ann")
    headers: dict[str, str] = {}
    otel.tracer.inject(caller.context, Format.HTTP_HEADERS, headers)
    caller.finish()
    return headers


def test_flask_opentracing_continues_the_callers_trace(otel: Recorded, native: trace.Tracer) -> None:
    client = Client(_flask(otel, native))
    assert client.get("/", headers=_headers(otel)).text == "ann ann"
    assert parents(otel) == {
        "caller": None,
        "view": "caller",
        "opentracing": "view",
        "opentelemetry": "opentracing",
    }
    assert otel.spans["view"].kind is SpanKind.SERVER
    assert otel.tracer.active_span is None


def test_flask_opentracing_inside_opentelemetrys_middleware(otel: Recorded, native: trace.Tracer) -> None:
    client = Client(OpenTelemetryMiddleware(_flask(otel, native), tracer_provider=otel.provider))
    assert client.get("/").text == "None None"
    server = next(name for name, parent in parents(otel).items() if parent is None)
    assert server.startswith("GET")
    assert parents(otel) == {
        server: None,
        "view": server,
        "opentracing": "view",
        "opentelemetry": "opentracing",
    }


def test_flask_opentracing_records_the_exception_that_it_logs_once(
    otel: Recorded, native: trace.Tracer
) -> None:
    app = _flask(otel, native)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    assert Client(app).get("/fail").status_code == 500
    span = otel.spans["fail"]
    assert otel.tracer.active_span is None
    assert dict(span.attributes or {})["http.status_code"] == 500
    otel.exporter.clear()
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(LookupError, match="gone"):
        Client(app).get("/fail")
    span = otel.spans["fail"]
    assert [event.name for event in span.events] == ["exception"]
    assert span.status.status_code is StatusCode.ERROR
    assert otel.tracer.active_span is None


@pytest.mark.parametrize("provider_class", [TracerProvider], indirect=True)  # once is enough
def test_django_opentracing_inside_opentelemetrys_middleware() -> None:
    command = [sys.executable, "-m", "tests.bridge.programs.django_service"]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    answers = json.loads(ran.stdout)
    inside = {"opentracing": "view", "opentelemetry": "opentracing"}
    called, alone, failing = (answers[name] for name in ("called", "alone", "failing"))
    assert called["text"] == "ann"
    assert called["parents"] == {**inside, "view": "?", "GET /": "?"}  # "?": in the caller
    assert alone["parents"] == {**inside, "view": "GET /", "GET /": None}
    assert failing["parents"] == {"failing": "GET /fail", "GET /fail": None}
    assert (failing["status"], failing["events"]) == ("ERROR", ["exception"])
    assert not any(answer["active"] for answer in (called, alone, failing))


@pytest.fixture
def site(otel: Recorded, native: trace.Tracer) -> Iterator[str]:
    """The Flask application behind a real server, which tells what it was sent."""
    server = make_server("127.0.0.1", 0, _flask(otel, native))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_requests_opentracing_sends_the_trace_on(otel: Recorded, site: str) -> None:
    with otel.tracer.start_active_span("client") as scope, SessionTracing(otel.tracer) as session:
        scope.span.set_baggage_item("user", "ann")
        assert session.get(site).text == "ann ann"
    assert parents(otel) == {
        "client": None,
        "requests.get": "client",
        "view": "requests.get",
        "opentracing": "view",
        "opentelemetry": "opentracing",
    }
    assert otel.spans["requests.get"].kind is SpanKind.CLIENT
    assert dict(otel.spans["requests.get"].attributes or {})["http.status_code"] == 200


def test_requests_opentracing_marks_what_fails(otel: Recorded) -> None:
    with pytest.raises(requests.ConnectionError), SessionTracing(otel.tracer) as session:
        session.get("http://127.0.0.1:1/")
    span = otel.spans["requests.get"]
    assert span.status.status_code is StatusCode.ERROR
    assert "ConnectionError" in str((span.attributes or {})["error.object"])
    assert len(span.events) == 1


@pytest.fixture
def _requests_instrumented(otel: Recorded) -> Iterator[None]:
    instrumentor = RequestsInstrumentor()
    instrumentor.instrument(tracer_provider=otel.provider)
    yield
    instrumentor.uninstrument()


@pytest.mark.usefixtures("_requests_instrumented")
def test_opentelemetrys_requests_inside_opentracing_code(otel: Recorded, site: str) -> None:
    with otel.tracer.start_active_span("client") as scope:
        scope.span.set_baggage_item("user", "ann")
        assert requests.get(site).text == "ann ann"
        assert otel.tracer.active_span is scope.span
    assert parents(otel) == {
        "client": None,
        "GET": "client",
        "view": "GET",
        "opentracing": "view",
        "opentelemetry": "opentracing",
    }


@pytest.mark.usefixtures("_requests_instrumented")
def test_both_requests_instrumentations_at_once_are_two_spans_of_one_trace(otel: Recorded, site: str) -> None:
    with SessionTracing(otel.tracer) as session:
        session.get(site)
    found = parents(otel)
    assert found["requests.get"] is None
    assert found["GET"] == "requests.get"
    assert found["view"] == "GET"


def _serving(otel: Recorded, native: trace.Tracer, interceptors: Any) -> Iterator[int]:
    """A server whose one method answers with the baggage that both APIs see; its port."""

    def method(request: bytes, context: Any) -> bytes:
        with otel.tracer.start_active_span("opentracing"), native.start_as_current_span("opentelemetry"):
            if request == b"fail":
                raise LookupError("gone")
            active: Any = otel.tracer.active_span
            return f"{active.get_baggage_item('user')} {baggage.get_baggage('user')}".encode()

    server = grpc.server(ThreadPoolExecutor(2), interceptors=interceptors)
    handler: Any = grpc.unary_unary_rpc_method_handler(method)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("of.Test", {"Call": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None)


@pytest.fixture
def old_grpc(otel: Recorded, native: trace.Tracer) -> Iterator[int]:
    """A server with grpcio-opentracing's interceptor, which makes its span active by hand."""

    def method(request: bytes, context: Any) -> bytes:
        span = context.get_active_span()
        with otel.tracer.scope_manager.activate(span, False):
            assert otel.tracer.active_span is span
            with native.start_as_current_span("opentelemetry"):
                if request == b"fail":
                    raise LookupError("gone")
                return str(baggage.get_baggage("user")).encode()

    server = intercept_server(
        grpc.server(ThreadPoolExecutor(2)), open_tracing_server_interceptor(otel.tracer, log_payloads=True)
    )
    handler: Any = grpc.unary_unary_rpc_method_handler(method)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("of.Test", {"Call": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None)


def _old_call(otel: Recorded, port: int) -> tuple[Any, Any]:
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    traced = intercept_channel(channel, open_tracing_client_interceptor(otel.tracer))
    return channel, traced.unary_unary("/of.Test/Call")


def _settled(otel: Recorded, spans: int) -> None:
    """Waits for the spans that the server ends after the client has its answer."""
    for _ in range(200):
        if len(otel.exporter.get_finished_spans()) >= spans:
            return
        threading.Event().wait(0.01)


def test_grpcio_opentracing_runs_unmodified(otel: Recorded, old_grpc: int) -> None:
    channel, call = _old_call(otel, old_grpc)
    with channel, otel.tracer.start_active_span("client") as scope:
        scope.span.set_baggage_item("user", "ann")
        assert call(b"ok") == b"ann"
        assert otel.tracer.active_span is scope.span
    _settled(otel, 4)
    spans = otel.exporter.get_finished_spans()
    called = [span for span in spans if span.name == "/of.Test/Call"]
    by_kind = {span.kind: span for span in called}
    client, server = by_kind[SpanKind.CLIENT], by_kind[SpanKind.SERVER]
    assert client.parent is not None
    assert client.parent.span_id == otel.spans["client"].context.span_id
    assert server.parent is not None
    assert server.parent.span_id == client.context.span_id
    native = otel.spans["opentelemetry"].parent
    assert native is not None
    assert native.span_id == server.context.span_id
    assert (server.attributes or {})["component"] == "grpc"
    assert [event.name for event in server.events] == ["log", "log"]


def test_grpcio_opentracing_says_what_failed_once(otel: Recorded, old_grpc: int) -> None:
    channel, call = _old_call(otel, old_grpc)
    with channel, pytest.raises(grpc.RpcError):
        call(b"fail")
    _settled(otel, 3)
    for span in otel.exporter.get_finished_spans():
        assert span.status.status_code is StatusCode.ERROR
        assert [event.name for event in span.events if event.name == "exception"] == ["exception"]
    assert otel.tracer.active_span is None


@pytest.fixture
def new_grpc(otel: Recorded, native: trace.Tracer) -> Iterator[int]:
    instrumentation: Any = grpc_instrumentation
    yield from _serving(otel, native, [instrumentation.server_interceptor(tracer_provider=otel.provider)])


def test_opentelemetrys_grpc_around_and_inside_opentracing_code(otel: Recorded, new_grpc: int) -> None:
    instrumentation: Any = grpc_instrumentation
    interceptor = instrumentation.client_interceptor(tracer_provider=otel.provider)
    with grpc.insecure_channel(f"127.0.0.1:{new_grpc}") as channel:
        traced = instrumentation.grpcext.intercept_channel(channel, interceptor)
        call = traced.unary_unary("/of.Test/Call")
        with otel.tracer.start_active_span("client") as scope:
            scope.span.set_baggage_item("user", "ann")
            assert call(b"ok") == b"ann ann"
            assert otel.tracer.active_span is scope.span
    _settled(otel, 5)
    spans = otel.exporter.get_finished_spans()
    by_kind = {span.kind: span for span in spans if span.name == "/of.Test/Call"}
    client, server = by_kind[SpanKind.CLIENT], by_kind[SpanKind.SERVER]
    chain = [otel.spans["opentelemetry"], otel.spans["opentracing"], server, client, otel.spans["client"]]
    for child, parent in pairwise(chain):
        assert child.parent is not None
        assert child.parent.span_id == parent.context.span_id
    assert len({span.context.trace_id for span in spans}) == 1


def test_grpcio_opentracing_on_one_side_and_opentelemetrys_on_the_other(
    otel: Recorded, new_grpc: int
) -> None:
    channel, call = _old_call(otel, new_grpc)
    with channel, otel.tracer.start_active_span("client") as scope:
        scope.span.set_baggage_item("user", "ann")
        assert call(b"ok") == b"ann ann"
    _settled(otel, 5)
    spans = otel.exporter.get_finished_spans()
    assert len(spans) == 5
    assert len({span.context.trace_id for span in spans}) == 1
