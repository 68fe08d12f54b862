"""Two tracers in one process do not see each other's active spans; OpenTelemetry's are seen by both."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry import baggage, trace
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import TracerProvider
from opentracing.scope_managers import ThreadLocalScopeManager

from ot_bridge.bridge import create_tracer
from tests.jaeger.sides import OURS, Side, both, tags_of

SCOPES = {"the default": None, "thread-local": ThreadLocalScopeManager}


@pytest.mark.parametrize("manager", SCOPES.values(), ids=SCOPES)
def test_each_tracer_has_its_own_active_span(manager: Any) -> None:
    def program(side: Side) -> Any:
        options = [{} if manager is None else {"scope_manager": manager()} for _ in range(2)]
        (one, _), (two, _) = side.tracer(**options[0]), side.tracer(**options[1])
        with one.start_active_span("one") as outer:
            nobody = two.active_span
            with two.start_active_span("two") as inner:
                seen = one.active_span is outer.span, two.active_span is inner.span
                child = one.start_span("child")
                with one.start_active_span("below") as below:
                    deep = two.start_span("deep")
                    deeper = below.span.parent_id == outer.span.span_id
                still = one.active_span is outer.span, two.active_span is inner.span
            after = one.active_span is outer.span, two.active_span
        return (
            (nobody, seen, still, after, deeper, inner.span.parent_id),
            (child.parent_id == outer.span.span_id, deep.parent_id == inner.span.span_id),
        )

    both(program)


@pytest.mark.parametrize("sampled", [True, False])
def test_the_sampler_of_the_second_tracer_decides_inside_a_span_of_the_first(sampled: bool) -> None:
    def program(side: Side) -> Any:
        one, _ = side.tracer(side.package.ConstSampler(not sampled))
        two, _ = side.tracer(side.package.ConstSampler(sampled))
        with one.start_active_span("one") as scope:
            scope.span.set_baggage_item("k", "v")
            span = two.start_span("two", tags={"a": 1})
            later = two.start_span("two", start_time=1e9)
        return (
            span.is_sampled(),
            tags_of(span),
            dict(span.context.baggage),
            later.parent_id,
            later.is_sampled(),
        )

    both(program)


def test_a_span_of_opentelemetry_code_is_seen_by_both() -> None:
    (one, _), (two, _) = OURS.tracer(), OURS.tracer()
    otel = one.provider.get_tracer("somebody else")
    with one.start_active_span("one"), otel.start_as_current_span("theirs") as theirs:
        for tracer in (one, two):
            assert tracer.start_span("inner").parent_id == theirs.get_span_context().span_id
            assert tracer.active_span.operation_name == "theirs"


@pytest.mark.parametrize("format", ["text_map", "http_headers"])
def test_baggage_that_opentelemetry_code_has_set_is_sent(format: str) -> None:
    tracer, _ = OURS.tracer()
    with tracer.start_active_span("one") as scope:
        scope.span.set_baggage_item("own", "1")
        token = attach(baggage.set_baggage("theirs", "2"))
        carrier: dict[str, str] = {}
        tracer.inject(scope.span.context, format, carrier)
        detach(token)
    assert {name: carrier.get(f"uberctx-{name}") for name in ("own", "theirs")} == {"own": "1", "theirs": "2"}


def test_a_span_of_the_bridges_own_tracer_is_seen_by_both() -> None:
    (one, _), (two, _) = OURS.tracer(), OURS.tracer()
    bridge = create_tracer(TracerProvider(shutdown_on_exit=False))
    with one.start_active_span("one"), bridge.start_active_span("theirs") as scope:
        theirs: Any = scope
        for tracer in (one, two):
            assert tracer.start_span("inner").parent_id == theirs.span.unwrap().get_span_context().span_id


def test_opentelemetry_code_reads_the_baggage_of_the_innermost_span() -> None:
    (one, _), (two, _) = OURS.tracer(), OURS.tracer()
    with one.start_active_span("one") as outer:
        outer.span.set_baggage_item("user", "ann")
        assert dict(baggage.get_all()) == {"user": "ann"}
        with one.start_active_span("below"):
            assert baggage.get_baggage("user") == "ann"
        with two.start_active_span("two") as inner:
            inner.span.set_baggage_item("cart", "7")
            assert baggage.get_baggage("cart") == "7"
        assert baggage.get_baggage("cart") is None
    assert dict(baggage.get_all()) == {}


def test_baggage_that_opentelemetry_code_sets_is_injected_with_a_span_below_it() -> None:
    tracer, _ = OURS.tracer()
    with tracer.start_active_span("one"):
        token = attach(baggage.set_baggage("user", "ann"))
        with tracer.start_active_span("below") as scope:
            assert scope.span.get_baggage_item("user") == "ann"
        detach(token)


def test_for_opentelemetry_code_the_innermost_active_span_is_current() -> None:
    (one, _), (two, _) = OURS.tracer(), OURS.tracer()
    with one.start_active_span("one") as outer:
        with two.start_active_span("two") as inner:
            assert trace.get_current_span().get_span_context().span_id == inner.span.span_id
        assert trace.get_current_span().get_span_context().span_id == outer.span.span_id


def test_two_tracers_have_separate_active_spans_in_tasks() -> None:
    (one, _), (two, _) = OURS.tracer(), OURS.tracer()

    async def inside() -> None:
        with one.start_active_span("task") as scope:
            await asyncio.sleep(0)
            assert (one.active_span, two.active_span) == (scope.span, None)

    async def main() -> None:
        with one.start_active_span("one"):
            await asyncio.gather(*(inside() for _ in range(3)))

    asyncio.run(main())
