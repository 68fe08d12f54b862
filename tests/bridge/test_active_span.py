"""R40 to R45 and S1: which span is active."""

from __future__ import annotations

from typing import Any

import opentracing
import pytest
from opentelemetry import baggage, trace
from opentelemetry.context import attach, detach
from opentelemetry.trace import NonRecordingSpan, SpanContext, use_span

from ot_bridge.bridge import Scope, Span, Tracer
from tests.conftest import Recorded

pytestmark = pytest.mark.usefixtures("nothing_left_behind")


@pytest.mark.parametrize("how", ["activate", "start_active_span"])
def test_R40_activating_stores_the_same_span_the_otel_span_and_the_baggage(tracer: Tracer, how: str) -> None:
    span: Any
    if how == "activate":
        span = tracer.start_span("a").set_baggage_item("user", "ann")
        scope = tracer.scope_manager.activate(span, True)
    else:
        scope = tracer.start_active_span("a")
        span = scope.span.set_baggage_item("user", "ann")
    otel_span = span.unwrap()
    with scope:
        assert tracer.active_span is scope.span is span
        assert trace.get_current_span() is otel_span
        assert baggage.get_baggage("user") == "ann"


def test_R41_baggage_set_while_active_is_seen_by_opentelemetry_code(tracer: Tracer) -> None:
    with tracer.start_active_span("a") as outer, tracer.start_active_span("b") as inner:
        outer.span.set_baggage_item("outer", "1")
        inner.span.set_baggage_item("inner", "2")
        assert dict(baggage.get_all()) == {"inner": "2"}
        inner.close()
        assert dict(baggage.get_all()) == {"outer": "1"}


def test_R42_after_activating_none_no_span_is_active(tracer: Tracer) -> None:
    with tracer.start_active_span("a") as outer:
        outer.span.set_baggage_item("user", "ann")
        nobody: Any = None
        with tracer.scope_manager.activate(nobody, True) as nothing:
            assert tracer.active_span is None
            assert tracer.scope_manager.active is None
            assert trace.get_current_span() is trace.INVALID_SPAN
            assert tracer.start_span("root").context[0] != outer.span.context[0]  # type: ignore[index]
            assert tracer.start_span("root").context.baggage == {}
            nothing.span.set_tag("a", 1).finish()
        assert tracer.scope_manager.active is outer


def test_R43_no_span_is_active_without_a_valid_span_or_baggage(tracer: Tracer) -> None:
    assert tracer.scope_manager.active is None
    assert tracer.active_span is None
    with use_span(trace.INVALID_SPAN):
        assert tracer.scope_manager.active is None


def test_R43_an_object_that_is_not_an_opentelemetry_span_is_not_the_active_span(tracer: Tracer) -> None:
    with use_span(object()):  # type: ignore[arg-type]
        assert tracer.active_span is None
        tracer.start_span("a").finish()


def test_R44_if_only_baggage_is_set_the_active_span_is_a_no_op_span_with_that_baggage(tracer: Tracer) -> None:
    token = attach(baggage.set_baggage("user", "ann"))
    active: Any = tracer.active_span
    assert active.get_baggage_item("user") == "ann"
    assert active.context.baggage == {"user": "ann"}
    assert not active.unwrap().get_span_context().is_valid
    active.set_tag("a", 1).log_kv({"event": "e"}).finish()
    scope: Any = tracer.scope_manager.active
    scope.close()
    detach(token)


def test_R45_active_span_returns_the_same_object_if_our_span_is_current(tracer: Tracer) -> None:
    with tracer.start_active_span("a") as scope:
        assert tracer.scope_manager.active is scope
        assert tracer.active_span is tracer.active_span is scope.span
        with use_span(trace.INVALID_SPAN):
            assert tracer.active_span is not scope.span
        assert tracer.active_span is scope.span


def test_R45_active_span_is_a_working_wrapper_if_an_opentelemetry_span_is_current(otel: Recorded) -> None:
    native = otel.provider.get_tracer("native")
    with native.start_as_current_span("a") as span:
        active: Any = otel.tracer.active_span
        assert active is otel.tracer.active_span
        assert isinstance(active, Span)
        assert (active.unwrap(), active.tracer) == (span, otel.tracer)
        assert active.context[:2] == span.get_span_context()[:2]
        active.set_tag("who", "opentracing").log_kv({"event": "e"}).set_operation_name("renamed")
        scope: Any = otel.tracer.scope_manager.active
        scope.close()
        assert span.is_recording()
        with native.start_as_current_span("b"):
            assert otel.tracer.active_span is not active
        assert otel.tracer.active_span is active
    assert dict(otel.spans["renamed"].attributes or {}) == {"who": "opentracing"}
    assert [event.name for event in otel.spans["renamed"].events] == ["e"]


def test_R45_a_span_that_accepts_no_attributes_gets_a_new_wrapper_each_time(tracer: Tracer) -> None:
    class Slotted(NonRecordingSpan):
        __slots__ = ()
        __setattr__ = object.__setattr__

    class Closed(NonRecordingSpan):
        def __setattr__(self, name: str, value: object) -> None:
            if name != "_context":
                raise AttributeError(name)
            super().__setattr__(name, value)

    for span in Slotted(SpanContext(1, 2, False)), Closed(SpanContext(1, 2, False)):
        with use_span(span):
            active: Any = tracer.active_span
            assert active.unwrap() is span


def test_S1_span_scope_manager_and_tracer_refer_to_the_same_objects(tracer: Tracer) -> None:
    span = tracer.start_span("a")
    with tracer.scope_manager.activate(span, True) as scope:
        assert isinstance(scope, Scope)
        assert isinstance(scope, opentracing.Scope)
        assert scope.span is span
        assert scope.manager is tracer.scope_manager
        assert scope.manager.tracer is tracer  # type: ignore[attr-defined]
        assert tracer.active_span is span
        assert span.tracer is tracer


def test_S1_chaining_methods_return_the_span(tracer: Tracer) -> None:
    span: Any = tracer.start_span("a")
    for sampled in span, tracer.start_span("b", tags={"sampling.priority": 0}):
        chained = sampled.set_tag("a", 1).set_tag("error", True).set_operation_name("c").log_kv({"a": 1})
        assert chained.set_baggage_item("k", "v").log_event("e").log(event="e") is sampled
        with sampled as entered:
            assert entered is sampled
