"""A typed program of a user's: OpenTracing code, of which mypy's strict mode has nothing to say."""

from __future__ import annotations

from collections.abc import Iterator

import opentracing
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentracing import Format, Reference, child_of, follows_from, tags
from opentracing.scope_managers import ThreadLocalScopeManager

import ot_bridge
from ot_bridge.testing import RecordedSpan, RecordingTracer


class Shop:
    """Written for OpenTracing: accepts any of its tracers."""

    def __init__(self, tracer: opentracing.Tracer | None = None) -> None:
        self.tracer = tracer or opentracing.global_tracer()

    def handle(self, headers: dict[str, str]) -> str | None:
        caller = self.tracer.extract(Format.HTTP_HEADERS, headers)
        with self.tracer.start_active_span(
            "handle",
            child_of=caller,
            tags={tags.SPAN_KIND: tags.SPAN_KIND_RPC_SERVER},
            start_time=1.5,
            ignore_active_span=True,
            finish_on_close=True,
        ) as scope:
            scope.span.set_tag("items", 3).set_operation_name("handled").set_baggage_item("user", "ann")
            scope.span.log_kv({"event": "paid", "amount": 3.5}, timestamp=2.5)
            self._call(scope.span)
            return scope.span.get_baggage_item("user")

    def _call(self, parent: opentracing.Span) -> None:
        references: list[Reference] = [child_of(parent.context), follows_from(parent.context)]
        span = self.tracer.start_span("call", references=references)
        carrier: dict[str, str] = {}
        self.tracer.inject(span.context, Format.HTTP_HEADERS, carrier)
        with self.tracer.scope_manager.activate(span, finish_on_close=True) as scope:
            active: opentracing.Span | None = self.tracer.active_span
            assert active is scope.span
        with self.tracer.start_span("inner", child_of=parent) as inner:
            inner.log_kv({"event": "done"})


def ours() -> ot_bridge.Tracer:
    """Uses what this package adds."""
    tracer = ot_bridge.create_tracer(
        TracerProvider(), propagators="jaeger,b3", scope_manager=ThreadLocalScopeManager(), maps_kind=False
    )
    span: ot_bridge.Span = tracer.start_span("ours", tags={"a": 1})
    native: trace.Span = span.set_tag("b", 2).log_kv({"event": "e"}).unwrap()
    context: ot_bridge.SpanContext = span.context
    ids: tuple[int, int, int] = context.trace_id, context.span_id, context.parent_id
    sampled: bool | None = context.sampled
    items: Iterator[tuple[str, str]] = iter(context.baggage.items())
    extracted: ot_bridge.SpanContext | None = tracer.extract(Format.TEXT_MAP, {})
    native.set_attribute("seen", str((ids, sampled, list(items), extracted)))
    closed: bool = tracer.flush(timeout=1.5) and tracer.close().result(1)
    if not closed:
        raise TimeoutError
    return tracer


def recorded() -> list[RecordedSpan]:
    tracer = RecordingTracer()
    Shop(tracer).handle({})
    spans = tracer.finished_spans()
    handled = spans[-1]
    parent: int | None = handled.parent_id
    moment: float = handled.start_time + handled.finish_time + handled.logs[0].timestamp
    tracer.reset()
    return [span for span in spans if span.operation_name == "handled" or parent or moment]
