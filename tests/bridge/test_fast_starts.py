"""Starting a span and writing its headers in one step does what `start_span` and `inject` do."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from unittest.mock import Mock

import pytest
from opentelemetry import trace
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind
from opentracing import Format
from opentracing.scope_managers import ThreadLocalScopeManager

from ot_bridge.bridge import Tracer, create_tracer
from ot_bridge.engine import TracerProvider
from ot_bridge.wire import FORMATS

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
def test_span_and_headers_are_what_the_two_calls_make(around: Any, sampler: Any) -> None:
    tracer = _tracer(sampler=sampler)
    prepared = tracer.prepared(TAGS)
    with around(tracer):
        span, headers = tracer.client_span("call", prepared)
        other = tracer.start_span("call", tags=TAGS)
    injected: dict[str, str] = {}
    tracer.inject(span.context, Format.HTTP_HEADERS, injected)
    assert headers == injected
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
        tracer.client_span(name, prepared)[0].set_tag("own", name).finish()
    for span in exporter.get_finished_spans():
        assert dict(span.attributes or {}) == {"component": "grpc", "own": span.name}
        assert span.kind is SpanKind.CLIENT
    assert TAGS == {"component": "grpc", "span.kind": "client"}


def test_where_there_is_more_to_think_of_it_does_the_two() -> None:
    tracer = _tracer(scope_manager=ThreadLocalScopeManager())
    assert list(tracer.client_span("call", TAGS)[1]) == ["uber-trace-id", "traceparent"]
    tracer = _tracer()
    foreign = sdk.TracerProvider(shutdown_on_exit=False).get_tracer("foreign").start_span("foreign")
    with trace.use_span(foreign):
        span, headers = tracer.client_span("call", TAGS)
    assert span.context.trace_id == foreign.get_span_context().trace_id
    assert list(headers) == ["uber-trace-id", "traceparent"]
    assert tracer.client_span(None, {**TAGS, "error": "true"})[0].status.status_code.name == "ERROR"


class _Calls(Tracer):
    @property
    def called(self) -> list[str]:
        return self.__dict__.setdefault("calls", [])  # type: ignore[no-any-return]


class _Starting(_Calls):
    def start_span(self, *args: Any, **kwargs: Any) -> Any:
        self.called.append("start_span")
        return super().start_span(*args, **kwargs)


class _Writing(_Calls):
    def inject(self, *args: Any, **kwargs: Any) -> None:
        self.called.append("inject")
        super().inject(*args, **kwargs)


def test_a_tracer_that_does_either_its_own_way_is_asked_to() -> None:
    otel_tracer = TracerProvider(shutdown_on_exit=False).get_tracer("own")
    for kind, name in ((_Starting, "start_span"), (_Writing, "inject")):
        tracer = kind(otel_tracer, propagators="jaeger")
        tracer.client_span("call", TAGS)
        assert tracer.called == [name]
    patched = _tracer()
    patched.start_span = Mock()
    patched.client_span("call", TAGS)
    patched.start_span.assert_called_once()
    # The global propagator is asked at each call.
    assert list(_tracer(propagators=None).client_span("call", TAGS)[1]) == ["traceparent"]


def test_a_format_that_fails_costs_the_headers_only(caplog: pytest.LogCaptureFixture) -> None:
    broken = FORMATS["jaeger"]._replace(encode=Mock(side_effect=RuntimeError("out of order")))
    span, headers = _tracer([broken]).client_span("call", TAGS)
    assert headers == {}
    assert span.is_recording()
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
