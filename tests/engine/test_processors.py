"""Processors and exporters get the same spans from the engine as from the SDK."""

from __future__ import annotations

import io
import json
import sys
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import grpc
import pytest
from opentelemetry import trace as trace_api
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.exporter.zipkin.json import ZipkinExporter
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace import export, sampling
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from .sides import RESOURCE, Side, Sides
from .test_differential import snapshot


class Writing(sdk.SpanProcessor):
    """Records its calls, and changes the span at its start, as users' processors do."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def on_start(self, span: sdk.Span, parent_context: Any = None) -> None:
        self.calls.append(("start", span.name, parent_context is None, dict(span.attributes or {})))
        span.set_attribute("written", [1])
        span.set_attributes({"more": "text"})
        span.update_name(span.name + "!")

    def _on_ending(self, span: sdk.Span) -> None:
        self.calls.append(("ending", span.name, span.is_recording()))
        span.set_attribute("late", True)

    def on_end(self, span: sdk.ReadableSpan) -> None:
        self.calls.append(("end", span.name, dict(span.attributes or {}), isinstance(span, sdk.ReadableSpan)))


def run(side: Side) -> Any:
    context = trace_api.set_span_in_context(side.tracer.start_span("parent"))
    side.tracer.start_span("child", context, attributes={"a": 1}).end()


def test_a_processor_of_the_program_sees_every_start_and_end_and_can_change_spans() -> None:
    sides = Sides()

    def step(side: Side) -> Any:
        writing = Writing()
        side.provider.add_span_processor(writing)
        run(side)
        return writing.calls, [snapshot(span) for span in side.exported]

    calls, _ = sides.agree(step)
    assert ("start", "child", False, {"a": 1}) in calls


@pytest.mark.parametrize(
    "multi",
    [sdk.ConcurrentMultiSpanProcessor, type("Mine", (sdk.SynchronousMultiSpanProcessor,), {})],
    ids=["concurrent", "subclass"],
)
def test_another_multi_span_processor_can_be_used(multi: Any) -> None:
    sides = Sides()

    def step(side: Side) -> Any:
        side.tracer.span_processor = active = multi()
        writing = Writing()
        active.add_span_processor(writing)
        run(side)
        return writing.calls

    assert sides.agree(step)


def test_a_processor_added_while_a_span_runs_is_called_at_its_end() -> None:
    sides = Sides()

    def step(side: Side) -> Any:
        span = side.tracer.start_span("span")
        writing = Writing()
        side.provider.add_span_processor(writing)
        span.end()
        return writing.calls

    assert "end" in [each[0] for each in sides.agree(step)]


def test_a_processor_added_while_a_span_runs_is_called_at_the_start_of_the_next() -> None:
    sides = Sides()

    def step(side: Side) -> Any:
        side.tracer.start_span("before")
        writing = Writing()
        side.provider.add_span_processor(writing)
        side.tracer.start_span("span")
        return writing.calls

    assert sides.agree(step) == [("start", "span", True, {})]


def test_a_tracer_may_have_a_single_processor() -> None:
    sides = Sides()

    def step(side: Side) -> Any:
        side.tracer.span_processor = writing = Writing()
        run(side)
        return writing.calls

    calls = [each[:2] for each in sides.agree(step) if each[0] != "ending"]  # which older SDKs do not call
    assert calls == [("start", "parent"), ("start", "child"), ("end", "child!")]


def test_hooks_of_stock_processors_that_do_nothing_are_not_called() -> None:
    side = Sides().ours
    side.provider.add_span_processor(export.BatchSpanProcessor(InMemorySpanExporter()))
    called: list[str] = []
    sys.setprofile(lambda frame, event, _: called.append(frame.f_code.co_name) if event == "call" else None)
    try:
        side.tracer.start_span("span").end()
    finally:
        sys.setprofile(None)
    assert called.count("on_end") == 2
    assert not {"on_start", "_on_ending"}.intersection(called)
    side.provider.shutdown()


def test_an_exception_of_a_processor_is_raised_as_by_the_sdk() -> None:
    sides = Sides()

    class Raising(sdk.SpanProcessor):
        def on_end(self, span: sdk.ReadableSpan) -> None:
            raise LookupError(span.name)

    def step(side: Side) -> Any:
        side.provider.add_span_processor(Raising())
        side.tracer.start_span("span").end()

    assert sides.agree(step) is LookupError


def test_a_processor_may_be_any_object_with_the_methods() -> None:
    sides = Sides()

    class Slotted:
        __slots__ = ("ended",)

        def on_start(self, span: Any, parent_context: Any = None) -> None:
            span.set_attribute("slotted", True)

        def _on_ending(self, span: Any) -> None:
            pass

        def on_end(self, span: Any) -> None:
            self.ended = span.name

    def step(side: Side) -> Any:
        slotted = Slotted()
        side.provider.add_span_processor(slotted)  # type: ignore[arg-type]
        side.tracer.start_span("span").end()
        return slotted.ended, snapshot(side.exported[0])

    assert sides.agree(step)[0] == "span"


def test_a_hook_put_on_a_stock_processor_is_called() -> None:
    sides = Sides()

    def step(side: Side) -> Any:
        started: list[str] = []
        ended: list[str] = []
        processor: Any = export.BatchSpanProcessor(InMemorySpanExporter())
        processor.on_start = lambda span, parent_context=None: started.append(span.name)
        processor.on_end = lambda span: ended.append(span.name)
        side.provider.add_span_processor(processor)
        side.tracer.start_span("span").end()
        processor.shutdown()
        return started, ended

    assert sides.agree(step) == (["span"], ["span"])


@pytest.mark.parametrize("kind", [export.SimpleSpanProcessor, export.BatchSpanProcessor])
def test_stock_processors_export_what_is_sampled(kind: Any) -> None:
    sides = Sides()

    def step(side: Side) -> Any:
        exporter = InMemorySpanExporter()
        side.provider.add_span_processor(kind(exporter))
        side.tracer.start_span("sampled").end()
        side.tracer.sampler = sampling.StaticSampler(sampling.Decision.RECORD_ONLY)
        side.tracer.start_span("recorded").end()
        assert side.provider.force_flush()
        side.provider.shutdown()
        side.tracer.start_span("too late").end()
        return [snapshot(span) for span in exporter.get_finished_spans()]

    assert [span["name"] for span in sides.agree(step)] == ["sampled"]


def busy(side: Side) -> None:
    """A trace with something in every field."""
    with side.tracer.start_as_current_span(
        "outer", kind=trace_api.SpanKind.SERVER, attributes={"a": [1, 2], "b": "x"}, start_time=10
    ) as outer:
        link = trace_api.Link(outer.get_span_context(), {"l": 1})
        inner = side.tracer.start_span("inner", links=[link], start_time=20)
        inner.add_event("event", {"c": 1.5}, 25)
        inner.set_status(trace_api.StatusCode.ERROR, "because")
        inner.end(30)
        outer.set_attribute("d", True)
        outer.end(40)


def exports(make: Any, received: list[Any]) -> list[Any]:
    """What arrives where `make()` exports to, from the SDK and then from us."""
    sides = Sides()
    arrived = []

    def step(side: Side) -> None:
        side.provider.add_span_processor(export.BatchSpanProcessor(make()))
        busy(side)
        side.provider.shutdown()
        arrived.append(list(received))
        received.clear()

    sides.do(step)
    return arrived


@pytest.fixture
def http_server() -> Any:
    received: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", received
    server.shutdown()
    thread.join()
    server.server_close()


def test_otlp_over_http_carries_the_same_bytes(http_server: Any) -> None:
    url, received = http_server
    theirs, ours = exports(lambda: HttpExporter(url), received)
    parsed = [
        [trace_service_pb2.ExportTraceServiceRequest.FromString(body) for body in side]
        for side in (theirs, ours)
    ]
    assert len(parsed[0]) == 1
    assert parsed[0] == parsed[1]


def test_zipkin_gets_the_same_json(http_server: Any) -> None:
    url, received = http_server
    theirs, ours = exports(lambda: ZipkinExporter(endpoint=url), received)
    assert len(json.loads(theirs[0])) == 2
    assert [json.loads(body) for body in ours] == [json.loads(body) for body in theirs]


def test_otlp_over_grpc_carries_the_same_message() -> None:
    received: list[Any] = []

    class Service(trace_service_pb2_grpc.TraceServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:
            received.append(request)
            return trace_service_pb2.ExportTraceServiceResponse()

    server = grpc.server(futures.ThreadPoolExecutor(1))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Service(), server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        theirs, ours = exports(lambda: GrpcExporter(endpoint=f"127.0.0.1:{port}", insecure=True), received)
    finally:
        server.stop(None).wait()
    assert len(theirs) == 1
    assert ours == theirs


def test_the_console_shows_the_same_text() -> None:
    out = io.StringIO()
    received: list[str] = []

    class Console(export.ConsoleSpanExporter):
        def shutdown(self) -> None:
            received.append(out.getvalue())
            out.seek(0)
            out.truncate()

    theirs, ours = exports(lambda: Console(out=out), received)
    assert '"name": "inner"' in theirs[0]
    assert ours == theirs


def test_exports_come_from_the_same_resource(http_server: Any) -> None:
    url, received = http_server
    _, (body,) = exports(lambda: HttpExporter(url), received)
    message = trace_service_pb2.ExportTraceServiceRequest.FromString(body)
    (attribute,) = message.resource_spans[0].resource.attributes
    assert {attribute.key: attribute.value.string_value} == dict(RESOURCE.attributes)
