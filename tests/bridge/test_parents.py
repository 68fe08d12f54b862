"""R8 to R11 and R16: the parent of a new span, and the baggage that it inherits."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import baggage, trace
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import (
    SamplingResult,
)
from opentracing import ReferenceType, child_of, follows_from

from ot_bridge.bridge import create_tracer
from tests.bridge.test_starting_spans import Watching
from tests.conftest import Recorded


def _parent_of(otel: Recorded, name: str) -> int:
    parent = otel.spans[name].parent
    assert parent is not None
    return parent.span_id


def test_R8_the_first_child_of_reference_is_the_parent(otel: Recorded) -> None:
    a, b, c = (otel.tracer.start_span(name) for name in "abc")
    otel.tracer.start_span(
        "x", references=[follows_from(a.context), child_of(b.context), child_of(c.context)]
    ).finish()
    assert _parent_of(otel, "x") == b.context.span_id


def test_R8_without_a_child_of_reference_the_first_reference_is_the_parent(otel: Recorded) -> None:
    a, b = otel.tracer.start_span("a"), otel.tracer.start_span("b")
    otel.tracer.start_span("x", references=[follows_from(a.context), follows_from(b.context)]).finish()
    assert _parent_of(otel, "x") == a.context.span_id


def test_R8_an_explicit_parent_takes_precedence_over_references_and_the_active_span(otel: Recorded) -> None:
    a, b = otel.tracer.start_span("a"), otel.tracer.start_span("b")
    with otel.tracer.start_active_span("active"):
        otel.tracer.start_span("x", child_of=a, references=[child_of(b.context)]).finish()
        otel.tracer.start_active_span("y", child_of=b.context).close()
    assert _parent_of(otel, "x") == a.context.span_id
    assert _parent_of(otel, "y") == b.context.span_id


def test_R8_a_single_reference_is_accepted_in_place_of_a_list(otel: Recorded) -> None:
    a = otel.tracer.start_span("a")
    otel.tracer.start_span("x", references=child_of(a.context)).finish()
    assert _parent_of(otel, "x") == a.context.span_id


def test_R9_every_reference_becomes_a_link_with_its_type(otel: Recorded) -> None:
    a, b = otel.tracer.start_span("a"), otel.tracer.start_span("b")
    otel.tracer.start_span("x", references=[child_of(a.context), follows_from(b.context)]).finish()
    links = [(link.context.span_id, dict(link.attributes or {})) for link in otel.spans["x"].links]
    assert links == [
        (a.context.span_id, {"opentracing.ref_type": ReferenceType.CHILD_OF}),
        (b.context.span_id, {"opentracing.ref_type": ReferenceType.FOLLOWS_FROM}),
    ]


def test_R10_a_span_starts_with_the_baggage_of_all_its_references(otel: Recorded) -> None:
    a = otel.tracer.start_span("a").set_baggage_item("one", "1").set_baggage_item("both", "a")
    b = otel.tracer.start_span("b").set_baggage_item("two", "2").set_baggage_item("both", "b")
    span = otel.tracer.start_span("x", references=[child_of(a.context), follows_from(b.context)])
    assert span.context.baggage == {"one": "1", "two": "2", "both": "a"}


def test_R11_a_span_without_references_starts_with_opentelemetrys_current_baggage(otel: Recorded) -> None:
    token = attach(baggage.set_baggage("user", "ann"))
    span = otel.tracer.start_span("x")
    detach(token)
    assert span.get_baggage_item("user") == "ann"
    assert span.context.baggage == {"user": "ann"}


def test_R11_a_root_that_ignores_the_active_span_ignores_its_baggage(otel: Recorded) -> None:
    with otel.tracer.start_active_span("a") as scope:
        scope.span.set_baggage_item("user", "ann")
        assert otel.tracer.start_span("x", ignore_active_span=True).context.baggage == {}


@pytest.mark.parametrize("how", ["start_span", "start_active_span"])
def test_R16_ignoring_the_active_span_gives_a_root(otel: Recorded, how: str) -> None:
    with otel.tracer.start_active_span("active"):
        started = getattr(otel.tracer, how)("x", ignore_active_span=True)
        (started if how == "start_span" else started.span).finish()
    assert otel.spans["x"].parent is None
    assert otel.spans["x"].context.trace_id != otel.spans["active"].context.trace_id


def test_a_sampler_is_shown_the_context_of_an_explicit_parent(provider_class: type[TracerProvider]) -> None:
    class Looking(Watching):
        def should_sample(self, parent_context: Any, *args: Any, **kwargs: Any) -> SamplingResult:
            above.append(trace.get_current_span(parent_context).get_span_context().span_id)
            return super().should_sample(parent_context, *args, **kwargs)

    above: list[int] = []
    tracer = create_tracer(provider_class(Looking(), shutdown_on_exit=False))
    parent = tracer.start_span("parent")
    active = tracer.start_span("active")
    with tracer.scope_manager.activate(active, True):
        for child_of in parent, parent.context, None:
            tracer.start_span("child", child_of=child_of)
    outer, inner = parent.context.span_id, active.context.span_id
    assert above == [0, 0, outer, outer, inner]
