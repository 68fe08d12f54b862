"""Differences in behaviour from jaeger-client and MockTracer, each with both tracers side by side."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from jaeger_client.constants import MAX_TAG_VALUE_LENGTH
from jaeger_client.reporter import InMemoryReporter
from jaeger_client.sampler import ConstSampler
from jaeger_client.tracer import Tracer as JaegerTracer
from opentelemetry.trace import StatusCode
from opentracing import Format, SpanContextCorruptedException, child_of, follows_from
from opentracing.mocktracer import MockTracer

from ot_bridge.testing import RecordingTracer
from tests.bridge.spans import parents
from tests.conftest import Recorded

# jaeger-client looks up the address of this host and leaves the socket open.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture
def jaeger() -> Any:
    return JaegerTracer("old", reporter=InMemoryReporter(), sampler=ConstSampler(True))


def test_the_first_child_of_reference_is_the_parent_even_if_it_is_not_the_first_reference(
    otel: Recorded, jaeger: Any
) -> None:
    tracers: list[tuple[Any, int]] = [(jaeger, 0), (MockTracer(), 0), (otel.tracer, 1)]
    for tracer, parent in tracers:
        spans = [tracer.start_span("a"), tracer.start_span("b")]
        references = [follows_from(spans[0].context), child_of(spans[1].context)]
        span = tracer.start_span("c", references=references)
        parent_id = span.context.parent_id if tracer is otel.tracer else span.parent_id
        assert parent_id == spans[parent].context.span_id


def test_a_priority_that_forces_sampling_sets_no_debug_flag(otel: Recorded, jaeger: Any) -> None:
    for tracer, flags in (jaeger, ":3"), (otel.tracer, ":1"):
        carrier: dict[str, str] = {}
        span = tracer.start_span("a")
        span.set_tag("sampling.priority", 1)
        tracer.inject(span.context, Format.HTTP_HEADERS, carrier)
        assert carrier["uber-trace-id"].endswith(flags)


def test_trace_ids_have_128_bits(otel: Recorded, jaeger: Any) -> None:
    ours = {otel.tracer.start_span("a").context.trace_id for _ in range(10)}
    theirs = {jaeger.start_span("a").context.trace_id for _ in range(10)}
    assert max(theirs) < 1 << 64 < min(ours)


def test_tag_values_longer_than_1024_characters_are_not_cut(otel: Recorded, jaeger: Any) -> None:
    theirs = jaeger.start_span("a")
    theirs.set_tag("long", "x" * 10_000)
    assert len(theirs.tags[-1].vStr) == MAX_TAG_VALUE_LENGTH == 1024
    otel.tracer.start_span("a").set_tag("long", "x" * 10_000).finish()
    assert len(str((otel.spans["a"].attributes or {})["long"])) == 10_000


def test_a_foreign_parent_is_ignored_where_jaeger_client_raises(otel: Recorded, jaeger: Any) -> None:
    foreign = MockTracer().start_span("a")
    with pytest.raises(AttributeError):
        jaeger.start_span("b", child_of=foreign)
    otel.tracer.start_span("b", child_of=foreign).finish()
    assert parents(otel) == {"b": None}


def test_the_error_tag_sets_the_status_and_is_not_an_attribute(otel: Recorded, jaeger: Any) -> None:
    for tracer in jaeger, otel.tracer:
        tracer.start_span("a", tags={"error": True}).finish()
    (theirs,) = jaeger.reporter.get_spans()
    assert [tag.key for tag in theirs.tags if tag.key == "error"] == ["error"]
    assert otel.spans["a"].status.status_code is StatusCode.ERROR
    assert "error" not in (otel.spans["a"].attributes or {})


def test_tasks_inherit_the_active_span_and_their_own_spans_are_not_active_outside(otel: Recorded) -> None:
    async def request(tracer: Any, name: str) -> None:
        with tracer.start_active_span(name):
            await asyncio.sleep(0)
            with tracer.start_active_span(f"{name} work"):
                await asyncio.sleep(0)

    async def two_at_once(tracer: Any) -> None:
        await asyncio.gather(request(tracer, "one"), request(tracer, "two"))

    mock = MockTracer()
    asyncio.run(two_at_once(mock))
    assert "two" not in [span.operation_name for span in mock.finished_spans() if span.parent_id is None]
    asyncio.run(two_at_once(otel.tracer))
    assert parents(otel) == {"one": None, "two": None, "one work": "one", "two work": "two"}


def test_an_outer_scope_that_was_closed_first_is_finished_with_the_inner(otel: Recorded) -> None:
    mock = MockTracer()
    for tracer in mock, otel.tracer:
        outer, inner = tracer.start_active_span("outer"), tracer.start_active_span("inner")
        outer.close()
        inner.close()
    assert [span.operation_name for span in mock.finished_spans()] == ["inner"]
    assert list(otel.spans) == ["inner", "outer"]


def test_extract_returns_none_for_an_empty_carrier_where_mock_tracer_raises() -> None:
    with pytest.raises(SpanContextCorruptedException):
        MockTracer().extract(Format.HTTP_HEADERS, {})
    assert RecordingTracer().extract(Format.HTTP_HEADERS, {}) is None


def test_a_finished_span_does_not_change() -> None:
    for tracer, changed in (MockTracer(), True), (RecordingTracer(), False):
        span: Any = tracer.start_span("a")
        span.finish()
        span.set_tag("late", 1).log_kv({"event": "late"}).set_operation_name("b")
        assert (span.tags == {"late": 1}) is changed
        assert (len(span.logs) == 1) is changed
        assert (span.operation_name == "b") is changed


def test_a_span_finished_twice_is_finished_once() -> None:
    for tracer, times in (MockTracer(), 2), (RecordingTracer(), 1):
        span = tracer.start_span("a")
        span.finish()
        span.finish()
        assert len(tracer.finished_spans()) == times


def test_an_exception_that_is_logged_and_then_leaves_the_scope_is_recorded_once() -> None:
    def logs_and_raises(scope: Any) -> None:
        error = ValueError("no")
        scope.span.log_kv({"event": "error", "error.object": error})
        raise error

    for tracer, times in (MockTracer(), 2), (RecordingTracer(), 1):
        with pytest.raises(ValueError, match="no"), tracer.start_active_span("a") as scope:
            logs_and_raises(scope)
        (span,) = tracer.finished_spans()
        assert len(span.logs) == times


def test_a_span_started_with_priority_zero_is_not_recorded() -> None:
    for tracer, spans in (MockTracer(), 1), (RecordingTracer(), 0):
        tracer.start_span("a", tags={"sampling.priority": 0}).finish()
        assert len(tracer.finished_spans()) == spans
