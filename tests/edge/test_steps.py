"""Steps at their edges: code that raises, tracers that fail, data of others beside a manager's, and tasks."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from typing import Any

import opentracing
import pytest
from opentelemetry import trace
from opentracing.mocktracer import MockTracer
from opentracing.scope_managers.asyncio import AsyncioScopeManager

from ot_bridge import bridge
from ot_bridge.bridge import Tracer
from ot_bridge.edge import Callers, activity, untraced_span
from ot_bridge.engine import TracerProvider
from tests.edge import managers
from tests.edge.managers import StackManager, Traced
from tests.edge.test_activity import Make, every_tracer, parents, working


def raising(*arguments: Any) -> Any:
    raise LookupError("of the program")


@every_tracer
def test_a_span_is_active_in_each_step_and_not_after_one_that_raises(make: Make) -> None:
    tracer = make().tracer
    span, other = tracer.start_span("request"), tracer.start_span("other")
    step = activity(tracer, span)
    for _ in range(2):
        with pytest.raises(LookupError):
            step(raising)
        assert tracer.scope_manager.active is None
        assert step(lambda: tracer.active_span) is span
        assert tracer.scope_manager.active is None
    with tracer.scope_manager.activate(other, False) as scope:
        with pytest.raises(LookupError):
            step(raising)
        assert tracer.scope_manager.active is scope
    assert tracer.scope_manager.active is None


def test_work_of_a_span_that_cannot_be_made_active_is_done_without_it(
    tracer: Tracer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    step = activity(tracer, tracer.start_span("request"))
    monkeypatch.setattr(sys.modules["ot_bridge.edge.activity"], "opened", raising)
    assert step(lambda: tracer.active_span) is None
    with pytest.raises(LookupError):
        step(raising)
    assert "activating a span failed" in caplog.text
    assert tracer.active_span is None
    open_ = step(tracer.start_active_span, "left open")
    assert tracer.active_span is None
    assert trace.get_current_span() is trace.INVALID_SPAN
    open_.close()


class Failing(StackManager):
    """Fails to make a span active, or to close its scope."""

    def __init__(self, activating: bool) -> None:
        super().__init__()
        self._activating = activating

    def activate(self, span: Any, finish_on_close: bool) -> opentracing.Scope:
        if self._activating:
            raise ValueError("no scope")
        scope = super().activate(span, finish_on_close)
        monkeyed: Any = scope
        monkeyed.close = raising
        return scope


@pytest.mark.parametrize(
    ("activating", "logged"), [(True, "scope_manager.activate failed"), (False, "scope.close failed")]
)
def test_the_work_is_done_although_a_manager_fails(
    activating: bool, logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    tracer = MockTracer(scope_manager=Failing(activating))
    step = activity(tracer, tracer.start_span("request"))
    for _ in range(2):
        assert step(lambda: 7) == 7
        assert tracer.scope_manager.active is None
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert record.message.startswith(logged)


class Counting(StackManager):
    """Keeps other data of the program beside its scopes."""

    def __init__(self) -> None:
        super().__init__()
        self._of_thread.count = 0
        self._of_thread.names = ["a"]

    def work(self) -> None:
        self._of_thread.count += 1
        self._of_thread.names = [*self._of_thread.names, "b"]

    @property
    def data(self) -> tuple[int, list[str]]:
        return self._of_thread.count, self._of_thread.names


def test_other_data_beside_the_scopes_of_a_manager_is_left_as_the_work_has_made_it() -> None:
    manager = Counting()
    tracer = MockTracer(scope_manager=manager)
    step, seen = activity(tracer, tracer.start_span("request")), list[Any]()
    work = working(tracer, seen)
    for count in range(1, 4):
        step(next, work)
        step(manager.work)
        assert manager.data == (count, ["a", *["b"] * count])
        assert manager.active is None
    assert seen == [True, True, True]


def _tasks(ours: bool) -> Traced:
    make = managers.ours(TracerProvider, AsyncioScopeManager) if ours else managers.mock(AsyncioScopeManager)
    return make()


@pytest.mark.parametrize("ours", [False, True], ids=["a mock", "ours"])
def test_scopes_left_open_in_a_task_are_active_in_its_next_step_and_not_in_between(ours: bool) -> None:
    traced = _tasks(ours)
    tracer, seen = traced.tracer, list[Any]()

    async def handle() -> None:
        span = tracer.start_span("request")
        step, work = activity(tracer, span), working(tracer, seen)
        for chunk in (b"0", b"1", b"2", None):
            assert step(next, work, None) == chunk
            assert tracer.scope_manager.active is None
            await asyncio.sleep(0)
        span.finish()

    async def both() -> None:
        await asyncio.gather(handle(), handle())

    asyncio.run(both())
    assert seen == [True] * 6
    assert parents(traced) == {"inner": "outer", "outer": "request", "request": None}


def test_an_untraced_request_has_a_span_of_its_own_that_is_not_sampled(tracer: Tracer) -> None:
    with tracer.start_active_span("outer") as outer:
        found, another = untraced_span(tracer), untraced_span(tracer)
    assert isinstance(found, bridge.Span)
    context = found.unwrap().get_span_context()
    assert (context.is_valid, context.is_remote, int(context.trace_flags)) == (True, False, 0)
    assert (
        len({context.trace_id, another.context.trace_id, outer.span.context.trace_id}) == 3  # type: ignore[attr-defined]
    )
    assert context.trace_id >> 64
    assert not found.unwrap().is_recording()


@pytest.mark.parametrize(
    "start",
    [untraced_span, lambda tracer: Callers("all", False, "root").parent(tracer, {})],
    ids=["untraced", "probe"],
)
def test_a_span_that_only_helps_on_another_tracer_is_no_child_and_asks_not_to_be_sampled(
    start: Callable[[Any], Any],
) -> None:
    started: list[tuple[Any, Any]] = []

    class Watched(MockTracer):
        def start_span(self, *arguments: Any, **named: Any) -> Any:
            span = super().start_span(*arguments, **named)
            started.append((span.parent_id, span.tags))
            return span

        def extract(self, format: str, carrier: Any) -> Any:
            raise opentracing.SpanContextCorruptedException("absent")

    tracer = Watched()
    with tracer.start_active_span("outer"):
        start(tracer)
    assert started[1:] == [(None, {"sampling.priority": 0})]


def test_headers_of_a_tracer_that_cannot_write_them_count_as_broken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Mute(MockTracer):
        inject: Any = raising
        extract: Any = raising

    callers = Callers("all", False, "root")
    for _ in range(2):
        assert callers.parent(Mute(), {})[1] is not None
    assert callers.corrupt == 2
    assert caplog.text.count("inject failed") == 1
