"""Prepared tags start the same span as plain tags, and it is injected in the same way."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind
from opentracing import Format

from ot_bridge.bridge import Tracer, create_tracer
from ot_bridge.engine import TracerProvider

TAGS = {"component": "grpc", "span.kind": "client"}
REMOTE = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01", "tracestate": "k=v"}


def _tracer(propagators: Any = "jaeger,tracecontext,baggage", **options: Any) -> Any:
    provider = TracerProvider(shutdown_on_exit=False, sampler=options.pop("sampler", None))
    return create_tracer(provider, propagators=propagators, **options)


def _root(tracer: Tracer) -> AbstractContextManager[Any]:
    return nullcontext()


def _child(tracer: Tracer) -> AbstractContextManager[Any]:
    return tracer.start_active_span("above")


def _with_baggage(tracer: Tracer) -> AbstractContextManager[Any]:
    scope = tracer.start_active_span("above")
    scope.span.set_baggage_item("user", "ann")
    return scope


def _with_tracestate(tracer: Tracer) -> AbstractContextManager[Any]:
    return tracer.start_active_span("above", child_of=tracer.extract(Format.HTTP_HEADERS, REMOTE))


@pytest.mark.parametrize("around", [_root, _child, _with_baggage, _with_tracestate])
@pytest.mark.parametrize("sampler", [None, ALWAYS_OFF], ids=["sampled", "dropped"])
def test_prepared_tags_make_the_same_span_as_plain_tags(around: Any, sampler: Any) -> None:
    tracer = _tracer(sampler=sampler)
    prepared = tracer.prepared(TAGS)
    with around(tracer):
        span = tracer.start_span("call", tags=prepared)
        other = tracer.start_span("call", tags=TAGS)
    headers: dict[str, str] = {}
    tracer.inject(span.context, Format.HTTP_HEADERS, headers)
    assert tracer.extract(Format.HTTP_HEADERS, headers).span_id == span.context.span_id
    assert type(span) is type(other)
    assert span.tracer is tracer
    for name in ("parent", "kind", "attributes"):
        assert getattr(span, name, None) == getattr(other, name, None)
    assert span.context.baggage == other.context.baggage
    assert span.context.parent_id == other.context.parent_id


def test_the_span_is_exported_with_its_tags() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = create_tracer(provider, propagators="jaeger")
    prepared = tracer.prepared(TAGS)
    for name in ("first", "second"):
        tracer.start_span(name, tags=prepared).set_tag("own", name).finish()
    spans = exporter.get_finished_spans()
    assert [span.name for span in spans] == ["first", "second"]
    for span in spans:
        assert dict(span.attributes or {}) == {"component": "grpc", "own": span.name}
        assert span.kind is SpanKind.CLIENT
    assert TAGS == {"component": "grpc", "span.kind": "client"}
