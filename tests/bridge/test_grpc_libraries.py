"""grpcio-opentracing, unmodified, and OpenTelemetry's gRPC instrumentation on one tracer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import grpc
import pytest
from grpc_opentracing import open_tracing_client_interceptor, open_tracing_server_interceptor
from grpc_opentracing.grpcext import intercept_channel, intercept_server
from opentelemetry import baggage, trace
from opentelemetry.instrumentation import grpc as grpc_instrumentation
from opentelemetry.trace import SpanKind, StatusCode

from tests.conftest import Recorded

pytestmark = pytest.mark.usefixtures("our_propagator")


@pytest.fixture
def native(otel: Recorded) -> trace.Tracer:
    return otel.provider.get_tracer("native")


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
    """Waits for the spans that the server ends after the client has its response."""
    for _ in range(2000):
        if len(otel.exporter.get_finished_spans()) >= spans:
            return
        threading.Event().wait(0.01)
    pytest.fail(f"there are no {spans} spans: {list(otel.spans)}")


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


def test_grpcio_opentracing_records_a_failure_once(otel: Recorded, old_grpc: int) -> None:
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
