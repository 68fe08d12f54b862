"""A span is active in the steps of its request and at no other time, on every scope manager."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from typing import Any

import opentracing
import pytest
from opentelemetry.context import get_current
from opentracing.mocktracer import MockTracer

from ot_bridge.edge import InSteps, activity, untraced_span
from tests.edge.managers import TRACERS, Traced

every_tracer = pytest.mark.parametrize("make", TRACERS.values(), ids=TRACERS)
Make = Callable[[], Traced]


def working(tracer: opentracing.Tracer, seen: list[Any]) -> Iterator[bytes]:
    """Opens two scopes, and yields inside each."""
    with tracer.start_active_span("outer") as outer:
        yield b"0"
        seen.append(tracer.active_span is outer.span)
        with tracer.start_active_span("inner") as inner:
            yield b"1"
            seen.append(tracer.active_span is inner.span)
        seen.append(tracer.active_span is outer.span)
        yield b"2"


def parents(traced: Traced) -> dict[str, str | None]:
    names = {span.span_id: span.name for span in traced.finished()}
    return {span.name: names.get(span.parent_id) for span in traced.finished()}


@every_tracer
def test_scopes_left_open_by_a_step_are_active_in_the_next_step_and_not_in_between(make: Make) -> None:
    traced = make()
    seen: list[Any] = []
    tracer = traced.tracer
    span = tracer.start_span("request")
    step, work = activity(tracer, span), working(tracer, seen)
    for chunk in (b"0", b"1", b"2", None):
        assert step(next, work, None) == chunk
        assert tracer.scope_manager.active is None
    span.finish()
    assert seen == [True, True, True]
    assert parents(traced) == {"inner": "outer", "outer": "request", "request": None}


@every_tracer
def test_no_step_leaves_its_context_behind(make: Make) -> None:
    tracer = make().tracer
    span = tracer.start_span("request")
    step, before = activity(tracer, span), get_current()

    def fail() -> None:
        raise OSError("by the program")

    for _ in range(2):
        step(lambda: None)
        assert get_current() is before
        with pytest.raises(OSError, match="by the program"):
            step(fail)
        assert get_current() is before
    span.finish()


@every_tracer
def test_a_generator_that_is_closed_half_way_ends_its_scopes(make: Make) -> None:
    traced = make()
    tracer = traced.tracer
    span = tracer.start_span("request")
    step, work = activity(tracer, span), working(tracer, [])
    for _ in range(2):
        step(next, work)
    step(work.close)  # type: ignore[attr-defined]
    assert tracer.scope_manager.active is None
    span.finish()
    assert parents(traced) == {"inner": "outer", "outer": "request", "request": None}


@every_tracer
def test_two_requests_interleaved_in_one_thread_do_not_share_scopes(make: Make) -> None:
    traced = make()
    tracer = traced.tracer
    spans = [tracer.start_span(f"request {number}", ignore_active_span=True) for number in range(2)]
    steps = [activity(tracer, span) for span in spans]
    works = [working(tracer, []) for _ in spans]
    for _ in range(4):
        for step, work in zip(steps, works, strict=True):
            step(next, work, None)
    for span in spans:
        span.finish()
    ids = {span.name: span.span_id for span in traced.finished() if span.name.startswith("request")}
    outer = sorted(span.parent_id for span in traced.finished() if span.name == "outer")
    assert outer == sorted(ids.values())
    assert tracer.scope_manager.active is None


@every_tracer
def test_the_span_that_was_active_before_a_step_is_active_after_it(make: Make) -> None:
    tracer = make().tracer
    around = tracer.start_active_span("around")
    step, work = activity(tracer, tracer.start_span("request")), working(tracer, [])
    for _ in range(4):
        step(next, work, None)
        assert tracer.active_span is around.span
    around.close()
    assert tracer.scope_manager.active is None


@every_tracer
def test_a_step_that_raises_leaves_no_scope_active(make: Make) -> None:
    tracer = make().tracer
    step = activity(tracer, tracer.start_span("request"))

    def fail() -> None:
        tracer.start_active_span("left open")
        raise LookupError

    with pytest.raises(LookupError):
        step(fail)
    assert tracer.scope_manager.active is None


@pytest.mark.parametrize(
    "name", [name for name in TRACERS if not name.endswith(("context variables", "a tuple"))]
)
def test_a_thread_may_take_over_between_two_steps(name: str) -> None:
    """On context variables, a scope can only be closed where it was opened, with tracing or without."""
    traced = TRACERS[name]()
    seen: list[Any] = []
    tracer = traced.tracer
    span = tracer.start_span("request")
    step, work = activity(tracer, span), working(tracer, seen)
    for _ in range(4):
        thread = threading.Thread(target=step, args=(next, work, None))
        thread.start()
        thread.join()
    span.finish()
    assert parents(traced) == {"inner": "outer", "outer": "request", "request": None}


class Hidden(opentracing.ScopeManager):
    """Keeps its scopes where nothing can find them."""

    def __init__(self) -> None:
        scopes: list[Any] = []
        self._get = lambda: scopes[-1] if scopes else None
        self._push, self._pop = scopes.append, scopes.pop

    def activate(self, span: Any, finish_on_close: bool) -> opentracing.Scope:
        manager = self

        class Scope(opentracing.Scope):
            def close(self) -> None:
                if manager.active is self:
                    manager._pop()

        scope = Scope(self, span)
        self._push(scope)
        return scope

    @property
    def active(self) -> Any:
        return self._get()  # type: ignore[no-untyped-call]


def test_a_scope_manager_of_unknown_type_is_used_through_its_public_methods() -> None:
    tracer = MockTracer(scope_manager=Hidden())
    span = tracer.start_span("request")
    step = activity(tracer, span)
    for _ in range(2):
        assert step(lambda: tracer.active_span) is span
        assert tracer.active_span is None


@every_tracer
def test_spans_below_an_untraced_request_are_never_recorded_roots(make: Make) -> None:
    traced = make()
    tracer = traced.tracer
    span = untraced_span(tracer)
    step = activity(tracer, span)
    step(lambda: tracer.start_active_span("below").close())
    assert tracer.scope_manager.active is None
    recorded = [below for below in traced.finished() if below.name == "below"]
    # MockTracer has no sampling.
    assert [bool(below.parent_id) for below in recorded] == [True] * ("Mock" in type(tracer).__name__)


class Turn:
    """Yields to the other coroutine once."""

    def __await__(self) -> Iterator[None]:
        yield


@every_tracer
def test_interleaved_coroutines_each_have_their_own_active_span(make: Make) -> None:
    traced = make()
    seen: list[Any] = []
    tracer = traced.tracer

    async def work(span: Any) -> str:
        with tracer.start_active_span("inner") as inner:
            await Turn()  # type: ignore[misc]
            seen.append(tracer.active_span is inner.span)
        await Turn()  # type: ignore[misc]
        seen.append(tracer.active_span is span)
        return "done"

    spans = [tracer.start_span("request", ignore_active_span=True) for _ in range(2)]
    running: list[Any] = [iter(InSteps(activity(tracer, span), work(span))) for span in spans]
    results = []
    for _ in range(3):
        for each in running:
            try:
                each.send(None)
            except StopIteration as stopped:
                results.append(stopped.value)
            assert tracer.scope_manager.active is None
    assert results == ["done", "done"]
    assert seen == [True] * 4
    assert sorted(span.parent_id for span in traced.finished()) == sorted(
        span.context.span_id  # type: ignore[attr-defined]
        for span in spans
    )


@every_tracer
def test_a_coroutine_that_is_thrown_into_or_closed_ends_its_scopes(make: Make) -> None:
    traced = make()
    tracer = traced.tracer

    async def work() -> None:
        with tracer.start_active_span("inner"):
            await Turn()  # type: ignore[misc]

    thrown, closed = (InSteps(activity(tracer, tracer.start_span("request")), work()) for _ in range(2))
    next(thrown)
    next(closed)
    with pytest.raises(LookupError):
        thrown.throw(LookupError())
    closed.close()
    gc.collect()
    assert [span.name for span in traced.finished()] == ["inner", "inner"]
    assert tracer.scope_manager.active is None
