"""S10: spans and contexts of other tracers and of OpenTelemetry, and objects that are neither."""

from __future__ import annotations

from typing import Any

import opentracing
import pytest
from opentelemetry import trace
from opentracing import Format, child_of, follows_from
from opentracing.mocktracer import MockTracer

from ot_bridge.bridge import Tracer
from tests.conftest import Recorded

pytestmark = pytest.mark.usefixtures("nothing_left_behind")


class Strange:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


def _foreigners() -> list[Any]:
    mock = MockTracer().start_span("mock")
    return [
        mock,
        mock.context,
        opentracing.Span(opentracing.Tracer(), opentracing.SpanContext()),
        opentracing.SpanContext(),
        object(),
        "span",
        7,
        Strange(),
    ]


@pytest.mark.parametrize("number", range(8))
def test_S10_a_foreign_parent_is_ignored(otel: Recorded, number: int) -> None:
    foreign = _foreigners()[number]
    otel.tracer.start_span("a", child_of=foreign).finish()
    assert otel.spans["a"].parent is None
    with otel.tracer.start_active_span("active"):
        otel.tracer.start_active_span("b", references=[child_of(foreign), follows_from(foreign)]).close()
    assert otel.spans["b"].parent is not None
    assert otel.spans["b"].links == ()


@pytest.mark.parametrize("references", [None, [], (), child_of(None), [None], [7], "ab", 7, {}], ids=repr)
def test_S10_invalid_references_are_ignored(otel: Recorded, references: Any) -> None:
    otel.tracer.start_span("a", references=references).finish()
    assert (otel.spans["a"].parent, otel.spans["a"].links) == (None, ())


def test_S10_a_single_reference_is_treated_as_a_list_of_one(otel: Recorded) -> None:
    parent = otel.tracer.start_span("parent")
    otel.tracer.start_span("a", references=follows_from(parent.context)).finish()
    assert len(otel.spans["a"].links) == 1


def test_S10_a_foreign_span_can_be_active_but_is_not_a_parent(otel: Recorded) -> None:
    for foreign in MockTracer().start_span("mock"), opentracing.Tracer().start_span("no-op"):
        with otel.tracer.start_active_span("ours") as ours:
            with otel.tracer.scope_manager.activate(foreign, True) as scope:
                assert otel.tracer.active_span is foreign
                assert otel.tracer.scope_manager.active is scope
                assert trace.get_current_span() is ours.span.unwrap()  # type: ignore[attr-defined]
            assert otel.tracer.active_span is ours.span


def test_S10_a_foreign_context_is_not_injected(tracer: Tracer) -> None:
    for foreign in [*_foreigners(), None]:
        carrier: dict[str, str] = {}
        tracer.inject(foreign, Format.TEXT_MAP, carrier)
        assert carrier == {}


def test_S10_opentelemetry_spans_and_span_contexts_are_accepted_as_parents(otel: Recorded) -> None:
    native = otel.provider.get_tracer("native").start_span("native")
    for parent in native, native.get_span_context():
        span = otel.tracer.start_span("a", child_of=parent)
        assert span.context.parent_id == native.get_span_context().span_id


def test_S10_another_tracer_can_activate_our_span(otel: Recorded) -> None:
    span: Any = otel.tracer.start_span("ours")
    assert isinstance(span, opentracing.Span)
    mock = MockTracer()
    with mock.scope_manager.activate(span, True):
        assert mock.active_span is span
    assert list(otel.spans) == ["ours"]
