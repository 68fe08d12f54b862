"""S8: tasks, threads and executors: nobody sees another's span. The same on gevent and Tornado: see there."""

from __future__ import annotations

import asyncio
import contextvars
import random
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import opentracing
import pytest
from opentelemetry import baggage, trace
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentracing.scope_managers import ThreadLocalScopeManager
from opentracing.scope_managers.asyncio import AsyncioScopeManager
from opentracing.scope_managers.contextvars import ContextVarsScopeManager

from ot_bridge.bridge import Tracer, create_tracer
from tests.conftest import Recorded, recorded

REQUESTS = 200


def _parents(otel: Recorded) -> dict[str, str | None]:
    """Each finished span's name -> its parent's, None for roots."""
    spans = otel.exporter.get_finished_spans()
    names = {span.context.span_id: span.name for span in spans}
    assert len(spans) == len({span.name for span in spans})
    return {span.name: span.parent and names[span.parent.span_id] for span in spans}


def _expected(requests: int) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for number in range(requests):
        found |= {f"{number}": None, f"{number} work": f"{number}", f"{number} native": f"{number} work"}
    return found


class Service:
    """Handles a request with spans of both APIs, and looks around at each step."""

    def __init__(self, otel: Recorded) -> None:
        self.tracer, self.native = otel.tracer, otel.provider.get_tracer("native")

    def _active(self) -> Any:
        return self.tracer.active_span

    async def handle(self, number: int) -> None:
        assert self._active() is None
        with self.tracer.start_active_span(str(number)) as request:
            request.span.set_baggage_item("number", str(number))
            await self._pause()
            assert self._active() is request.span
            with self.tracer.start_active_span(f"{number} work") as work:
                await self._pause()
                assert self._active() is work.span
                with self.native.start_as_current_span(f"{number} native"):
                    await self._pause()
                    assert self._active().get_baggage_item("number") == str(number)
                    assert baggage.get_baggage("number") == str(number)
                assert self._active() is work.span
            await self._pause()
            assert self._active() is request.span
        assert self._active() is None

    async def _pause(self) -> None:
        await asyncio.sleep(random.random() / 200)

    def handle_in_thread(self, number: int) -> None:
        """The same without an event loop: every pause lets other threads run."""
        step = self.handle(number)
        pause = threading.Event()
        self._pause = self._yield  # type: ignore[method-assign]
        while True:
            try:
                step.send(None)
            except StopIteration:
                return
            pause.wait(random.random() / 200)

    async def _yield(self) -> None:
        class Once:
            def __await__(self) -> Any:
                yield

        await Once()


MANAGERS = {
    "own": None,
    "asyncio": AsyncioScopeManager,
    "contextvars": ContextVarsScopeManager,
    "threadlocal": ThreadLocalScopeManager,
}


def _recorded(manager: str) -> Recorded:
    made: Any = MANAGERS[manager]
    return recorded(scope_manager=made and made())


@pytest.mark.parametrize("manager", ["own", "asyncio", "contextvars"])
async def test_S8_of_200_concurrent_tasks_none_sees_anothers_span(manager: str) -> None:
    otel = _recorded(manager)
    service = Service(otel)
    await asyncio.gather(*(service.handle(number) for number in range(REQUESTS)))
    assert _parents(otel) == _expected(REQUESTS)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
async def test_S8_of_200_eager_tasks_none_sees_anothers_span(otel: Recorded) -> None:
    eager: Any = getattr(asyncio, "eager_task_factory")  # noqa: B009, Python 3.11 has none
    asyncio.get_running_loop().set_task_factory(eager)
    service = Service(otel)
    await asyncio.gather(*(service.handle(number) for number in range(REQUESTS)))
    assert _parents(otel) == _expected(REQUESTS)


@pytest.mark.parametrize("manager", ["own", "contextvars", "threadlocal", "asyncio"])
def test_S8_of_200_requests_in_threads_none_sees_anothers_span(manager: str) -> None:
    otel = _recorded(manager)
    service = Service(otel)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(service.handle_in_thread, range(REQUESTS)))
    assert _parents(otel) == _expected(REQUESTS)


async def _child(tracer: Tracer, name: str) -> None:
    await asyncio.sleep(0)
    with tracer.start_active_span(name):
        await asyncio.sleep(0)


async def test_S8_gather_hands_the_active_span_to_each(otel: Recorded) -> None:
    with otel.tracer.start_active_span("parent") as scope:
        await asyncio.gather(*(_child(otel.tracer, name) for name in "abc"))
        assert otel.tracer.active_span is scope.span
    assert _parents(otel) == {"parent": None, "a": "parent", "b": "parent", "c": "parent"}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="task groups came with Python 3.11")
async def test_S8_a_task_group_hands_the_active_span_to_each(otel: Recorded) -> None:
    task_group: Any = getattr(asyncio, "TaskGroup")  # noqa: B009, Python 3.10 has none
    with otel.tracer.start_active_span("parent"):
        async with task_group() as group:
            for name in "abc":
                group.create_task(_child(otel.tracer, name))
    assert _parents(otel) == {"parent": None, "a": "parent", "b": "parent", "c": "parent"}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="task groups came with Python 3.11")
async def test_S8_a_task_that_fails_in_a_group_leaves_its_siblings_spans_whole(otel: Recorded) -> None:
    async def fails() -> None:
        with otel.tracer.start_active_span("fails"):
            raise ValueError("no")

    async def is_cancelled() -> None:
        with otel.tracer.start_active_span("is cancelled"):
            await asyncio.sleep(10)

    async def both() -> None:
        task_group: Any = getattr(asyncio, "TaskGroup")  # noqa: B009, Python 3.10 has none
        async with task_group() as group:
            group.create_task(is_cancelled())
            await asyncio.sleep(0)
            group.create_task(fails())

    with otel.tracer.start_active_span("parent"):
        with pytest.raises(BaseException, match="unhandled errors"):
            await both()
        assert trace.get_current_span() is not trace.INVALID_SPAN
    assert _parents(otel) == {"parent": None, "fails": "parent", "is cancelled": "parent"}
    assert _exceptions(otel.spans["is cancelled"]) == ["asyncio.exceptions.CancelledError"]
    assert _exceptions(otel.spans["fails"]) == ["ValueError"]


def _exceptions(span: ReadableSpan) -> list[Any]:
    return [(event.attributes or {})["exception.type"] for event in span.events]


async def test_S8_a_task_that_outlives_the_request_is_still_its_child_and_nobody_elses(
    otel: Recorded,
) -> None:
    go = asyncio.Event()

    async def late() -> None:
        await go.wait()
        with otel.tracer.start_active_span("late"):
            pass

    with otel.tracer.start_active_span("request"):
        task = asyncio.create_task(late())
    with otel.tracer.start_active_span("next request"):
        go.set()
        await task
    assert _parents(otel) == {"request": None, "late": "request", "next request": None}


async def test_S8_to_thread_hands_the_active_span_on(otel: Recorded) -> None:
    def work() -> None:
        with otel.tracer.start_active_span("work"):
            pass

    with otel.tracer.start_active_span("parent") as scope:
        await asyncio.gather(*(asyncio.to_thread(work) for _ in range(1)))
        assert otel.tracer.active_span is scope.span
    assert _parents(otel) == {"parent": None, "work": "parent"}


async def test_S8_run_in_executor_hands_nothing_on_and_explicit_activation_does(otel: Recorded) -> None:
    loop = asyncio.get_running_loop()

    def work(name: str, span: opentracing.Span | None) -> None:
        assert otel.tracer.active_span is None
        if span is not None:
            with otel.tracer.scope_manager.activate(span, False):
                otel.tracer.start_active_span(name).close()
        else:
            otel.tracer.start_active_span(name).close()
        assert otel.tracer.active_span is None

    with ThreadPoolExecutor(1) as pool, otel.tracer.start_active_span("parent") as scope:
        await loop.run_in_executor(pool, work, "explicit", scope.span)
        await loop.run_in_executor(pool, work, "implicit", None)
        copied = contextvars.copy_context()
        await loop.run_in_executor(pool, copied.run, otel.tracer.start_active_span("copied").close)
    assert _parents(otel) == {
        "parent": None,
        "explicit": "parent",
        "implicit": None,
        "copied": "parent",
    }


async def test_S8_callbacks_of_the_loop_have_the_span_that_was_active_when_they_were_scheduled(
    otel: Recorded,
) -> None:
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    seen: list[Any] = []

    def last() -> None:
        seen.append(otel.tracer.active_span)
        done.set()

    with otel.tracer.start_active_span("a") as a:
        loop.call_soon(lambda: seen.append(otel.tracer.active_span))
    with otel.tracer.start_active_span("b") as b:
        loop.call_later(0, last)
    await done.wait()
    assert seen == [a.span, b.span]


def test_S8_a_thread_starts_with_nothing_active(otel: Recorded) -> None:
    seen: list[Any] = []
    with otel.tracer.start_active_span("a"):
        thread = threading.Thread(target=lambda: seen.append(otel.tracer.active_span))
        thread.start()
        thread.join()
    assert seen == [None]


def test_S8_a_span_can_be_active_in_many_threads_at_once(otel: Recorded) -> None:
    span = otel.tracer.start_span("shared")
    together = threading.Barrier(8)

    def work(number: int) -> None:
        with otel.tracer.scope_manager.activate(span, False):
            together.wait()
            otel.tracer.start_active_span(str(number)).close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    span.finish()
    assert _parents(otel) == {"shared": None, **{str(number): "shared" for number in range(8)}}


def _in_threads(task: Callable[[int], None], count: int) -> None:
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(task, range(count)))


THREADS, UPDATES = 8, 10_000


def test_8_threads_update_one_span_10_000_times_each_and_nothing_is_lost(
    provider_class: type[TracerProvider],
) -> None:
    unlimited = SpanLimits(max_span_attributes=SpanLimits.UNSET, max_events=SpanLimits.UNSET)
    span = create_tracer(provider_class(span_limits=unlimited, shutdown_on_exit=False)).start_span("shared")
    together = threading.Barrier(THREADS)

    def update(thread: int) -> None:
        together.wait()
        for number in range(UPDATES // 3):
            name = f"{thread}.{number}"
            span.set_tag(name, number).log_kv({"event": name}).set_baggage_item(name, "x")

    _in_threads(update, THREADS)
    span.finish()
    names = {f"{thread}.{number}" for thread in range(THREADS) for number in range(UPDATES // 3)}
    assert set(span.context.baggage) == names
    kept: Any = span.unwrap()
    assert set(kept.attributes) == names
    assert {event.name for event in kept.events} == names
    assert len(kept.events) == len(names)


def test_one_of_many_threads_that_finish_a_span_finishes_it(otel: Recorded) -> None:
    for _ in range(50):
        span = otel.tracer.start_span("shared")
        together = threading.Barrier(4)

        def finish(_: int, together: threading.Barrier = together, span: Any = span) -> None:
            together.wait()
            span.finish()

        _in_threads(finish, 4)
    assert len(otel.exporter.get_finished_spans()) == 50


def test_one_of_many_threads_that_close_a_scope_closes_it(otel: Recorded) -> None:
    for _ in range(50):
        scope = otel.tracer.start_active_span("shared")
        _in_threads(lambda _, scope=scope: scope.close(), 4)  # type: ignore[misc]
        assert otel.tracer.active_span is None
    assert len(otel.exporter.get_finished_spans()) == 50


def _run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(coroutine)


def test_S8_many_loops_in_many_threads_do_not_meet(otel: Recorded) -> None:
    service = Service(otel)

    async def some(first: int) -> None:
        await asyncio.gather(*(service.handle(number) for number in range(first, first + 25)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(_run, map(some, range(0, 100, 25))))
    assert _parents(otel) == _expected(100)
