"""S8: asyncio tasks, task groups, executors and callbacks do not see each other's spans."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import opentracing
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan

from ot_bridge.bridge import Tracer
from tests.bridge.service import REQUESTS, Service, expected, recorded_with
from tests.bridge.spans import parents
from tests.conftest import Recorded


@pytest.mark.parametrize("manager", ["own", "asyncio", "contextvars"])
async def test_S8_none_of_200_concurrent_tasks_sees_the_span_of_another(manager: str) -> None:
    otel = recorded_with(manager)
    service = Service(otel)
    await asyncio.gather(*(service.handle(number) for number in range(REQUESTS)))
    assert parents(otel) == expected(REQUESTS)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
async def test_S8_none_of_200_eager_tasks_sees_the_span_of_another(otel: Recorded) -> None:
    eager: Any = getattr(asyncio, "eager_task_factory")  # noqa: B009, Python 3.11 has none
    asyncio.get_running_loop().set_task_factory(eager)
    service = Service(otel)
    await asyncio.gather(*(service.handle(number) for number in range(REQUESTS)))
    assert parents(otel) == expected(REQUESTS)


async def _child(tracer: Tracer, name: str) -> None:
    await asyncio.sleep(0)
    with tracer.start_active_span(name):
        await asyncio.sleep(0)


async def test_S8_gather_passes_the_active_span_to_each_task(otel: Recorded) -> None:
    with otel.tracer.start_active_span("parent") as scope:
        await asyncio.gather(*(_child(otel.tracer, name) for name in "abc"))
        assert otel.tracer.active_span is scope.span
    assert parents(otel) == {"parent": None, "a": "parent", "b": "parent", "c": "parent"}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="task groups came with Python 3.11")
async def test_S8_a_task_group_passes_the_active_span_to_each_task(otel: Recorded) -> None:
    task_group: Any = getattr(asyncio, "TaskGroup")  # noqa: B009, Python 3.10 has none
    with otel.tracer.start_active_span("parent"):
        async with task_group() as group:
            for name in "abc":
                group.create_task(_child(otel.tracer, name))
    assert parents(otel) == {"parent": None, "a": "parent", "b": "parent", "c": "parent"}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="task groups came with Python 3.11")
async def test_S8_a_failing_task_of_a_group_does_not_damage_the_spans_of_the_others(otel: Recorded) -> None:
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
    assert parents(otel) == {"parent": None, "fails": "parent", "is cancelled": "parent"}
    assert _exceptions(otel.spans["is cancelled"]) == ["asyncio.exceptions.CancelledError"]
    assert _exceptions(otel.spans["fails"]) == ["ValueError"]


def _exceptions(span: ReadableSpan) -> list[Any]:
    return [(event.attributes or {})["exception.type"] for event in span.events]


async def test_S8_spans_of_a_task_that_outlives_its_request_stay_children_of_that_request(
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
    assert parents(otel) == {"request": None, "late": "request", "next request": None}


async def test_S8_to_thread_passes_the_active_span_to_the_thread(otel: Recorded) -> None:
    def work() -> None:
        with otel.tracer.start_active_span("work"):
            pass

    with otel.tracer.start_active_span("parent") as scope:
        await asyncio.gather(*(asyncio.to_thread(work) for _ in range(1)))
        assert otel.tracer.active_span is scope.span
    assert parents(otel) == {"parent": None, "work": "parent"}


async def test_S8_run_in_executor_does_not_pass_the_active_span_but_a_span_can_be_activated_there(
    otel: Recorded,
) -> None:
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
    assert parents(otel) == {
        "parent": None,
        "explicit": "parent",
        "implicit": None,
        "copied": "parent",
    }


def test_a_scope_that_is_closed_in_a_copy_of_its_context_is_over_there(otel: Recorded) -> None:
    tracer = otel.tracer
    with tracer.start_active_span("outer") as outer:
        around = trace.get_current_span()
        inner = tracer.start_active_span("inner")

        def close() -> None:
            inner.close()
            assert tracer.active_span is outer.span
            assert trace.get_current_span() is around

        contextvars.copy_context().run(close)
        assert tracer.active_span is outer.span
    assert trace.get_current_span() is trace.INVALID_SPAN


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


def _run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(coroutine)


def test_S8_event_loops_in_different_threads_do_not_share_spans(otel: Recorded) -> None:
    service = Service(otel)

    async def some(first: int) -> None:
        await asyncio.gather(*(service.handle(number) for number in range(first, first + 25)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(_run, map(some, range(0, 100, 25))))
    assert parents(otel) == expected(100)
