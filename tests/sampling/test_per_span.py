from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags, set_span_in_context

from ot_bridge.sampling import PerSpanSampler, always_off, always_on, with_sampler

REMOTE = set_span_in_context(NonRecordingSpan(SpanContext(1, 2, True, TraceFlags(TraceFlags.SAMPLED))))


@pytest.fixture
def tracer() -> trace.Tracer:
    """On a provider that samples nothing by default."""
    return TracerProvider(sampler=PerSpanSampler(ParentBased(always_off)), shutdown_on_exit=False).get_tracer(
        "t"
    )


def test_a_span_can_bring_its_own_sampler(tracer: trace.Tracer) -> None:
    assert tracer.start_span("own", context=with_sampler(always_on)).is_recording()
    assert not tracer.start_span("without").is_recording()


def test_a_per_span_sampler_decides_even_below_a_local_parent(tracer: trace.Tracer) -> None:
    with tracer.start_as_current_span("parent") as parent:
        child = tracer.start_span("child", context=with_sampler(always_on))
    assert not parent.is_recording()
    assert child.is_recording()
    assert child.get_span_context().trace_id == parent.get_span_context().trace_id


def test_a_per_span_sampler_decides_below_a_remote_parent_too(tracer: trace.Tracer) -> None:
    assert tracer.start_span("as the caller says", context=REMOTE).is_recording()
    assert not tracer.start_span("own", context=with_sampler(always_off, REMOTE)).is_recording()


def test_spans_further_down_follow_their_parent(tracer: trace.Tracer) -> None:
    with tracer.start_as_current_span("own", context=with_sampler(always_on)) as own:
        child = tracer.start_span("child")
        with tracer.start_as_current_span("unsampled", context=with_sampler(always_off)) as unsampled:
            grandchild = tracer.start_span("grandchild")
    recording = [span.is_recording() for span in (child, unsampled, grandchild)]
    assert own.get_span_context().trace_flags.sampled
    assert recording == [True, False, False]


def test_a_context_with_a_sampler_applies_only_to_spans_started_directly_in_it(tracer: trace.Tracer) -> None:
    token = attach(with_sampler(always_on))
    try:
        siblings: list[Span] = [tracer.start_span("one"), tracer.start_span("two")]
        with trace.use_span(siblings[0]):
            below = tracer.start_span("below", context=with_sampler(always_off))
    finally:
        detach(token)
    assert [span.is_recording() for span in siblings] == [True, True]
    assert not below.is_recording()
    assert not tracer.start_span("after").is_recording()


def test_a_per_span_sampler_set_under_another_parent_is_ignored(tracer: trace.Tracer) -> None:
    elsewhere = with_sampler(always_on)
    assert not tracer.start_span("s", context=set_span_in_context(trace.INVALID_SPAN, REMOTE)).is_recording()
    moved = set_span_in_context(NonRecordingSpan(SpanContext(1, 2, True)), elsewhere)
    assert not tracer.start_span("s", context=moved).is_recording()


def test_a_per_span_sampler_has_no_effect_if_the_provider_has_another_sampler() -> None:
    plain = TracerProvider(sampler=always_off, shutdown_on_exit=False).get_tracer("t")
    assert not plain.start_span("s", context=with_sampler(always_on)).is_recording()


def test_the_per_span_sampler_has_a_description() -> None:
    assert PerSpanSampler(always_on).get_description() == "PerSpanSampler{AlwaysOnSampler}"
