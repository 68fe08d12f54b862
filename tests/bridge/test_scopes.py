"""S2 and S3: how long a span is active, and when its scope ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import baggage, trace
from opentelemetry.context import attach, detach

from ot_bridge.bridge import Scope, Tracer
from tests.conftest import Recorded

pytestmark = pytest.mark.usefixtures("nothing_left_behind")


def test_S2_closing_twice_does_nothing_the_second_time(otel: Recorded) -> None:
    outer = otel.tracer.start_active_span("outer")
    inner = otel.tracer.start_active_span("inner")
    inner.close()
    inner.close()
    assert otel.tracer.active_span is outer.span
    outer.close()
    inner.close()
    outer.close()
    assert list(otel.spans) == ["inner", "outer"]


def test_S2_an_outer_scope_that_is_closed_first_ends_when_the_inner_scope_closes(otel: Recorded) -> None:
    outer = otel.tracer.start_active_span("outer")
    middle = otel.tracer.start_active_span("middle")
    inner = otel.tracer.start_active_span("inner")
    outer.close()
    middle.close()
    assert otel.tracer.active_span is inner.span
    assert otel.spans == {}
    inner.close()
    assert otel.tracer.active_span is None
    assert list(otel.spans) == ["inner", "middle", "outer"]


def test_S2_an_unclosed_inner_scope_does_not_keep_the_outer_scope_open_once_its_span_is_finished(
    otel: Recorded,
) -> None:
    with otel.tracer.start_active_span("outer"):
        forgotten = otel.tracer.start_active_span("inner")
        forgotten.span.finish()
    assert otel.tracer.active_span is None
    forgotten.close()
    assert otel.tracer.active_span is None


def test_S2_closed_below_an_open_opentelemetry_span_a_scope_is_no_longer_active(otel: Recorded) -> None:
    native = otel.provider.get_tracer("native")
    scope = otel.tracer.start_active_span("ours")
    with native.start_as_current_span("native") as span:
        scope.close()
        assert trace.get_current_span() is span
    assert otel.tracer.active_span is None
    assert list(otel.spans) == ["ours", "native"]


def test_S2_closed_below_opentelemetry_baggage_a_scope_is_no_longer_active(tracer: Tracer) -> None:
    scope = tracer.start_active_span("ours")
    token = attach(baggage.set_baggage("user", "ann"))
    scope.close()
    detach(token)
    assert tracer.active_span is None


def _thread(function: Callable[[], object]) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def test_S2_closed_in_another_thread_a_scope_is_no_longer_active(otel: Recorded) -> None:
    before = otel.tracer.start_active_span("before")
    scope = otel.tracer.start_active_span("request")
    _thread(scope.close)
    assert otel.tracer.active_span is before.span
    before.close()
    assert otel.tracer.active_span is None
    assert list(otel.spans) == ["request", "before"]


def test_S2_closed_in_another_thread_a_scope_does_not_end_the_active_scope_there(otel: Recorded) -> None:
    scope = otel.tracer.start_active_span("request")

    def elsewhere() -> None:
        with otel.tracer.start_active_span("own") as own:
            scope.close()
            assert otel.tracer.active_span is own.span
        assert otel.tracer.active_span is None

    _thread(elsewhere)
    assert otel.tracer.active_span is None


def test_S2_an_outer_scope_closed_in_another_thread_does_not_come_back_with_the_inner(otel: Recorded) -> None:
    outer = otel.tracer.start_active_span("outer")
    inner = otel.tracer.start_active_span("inner")
    _thread(outer.close)
    inner.close()
    assert otel.tracer.active_span is None


async def test_S2_closed_in_another_task_a_scope_is_no_longer_active(otel: Recorded) -> None:
    scope = otel.tracer.start_active_span("request")

    async def other() -> None:
        assert otel.tracer.active_span is scope.span
        scope.close()
        assert otel.tracer.active_span is None

    await asyncio.create_task(other())
    assert otel.tracer.active_span is None


async def test_S2_a_scope_opened_in_another_task_can_be_closed_here(otel: Recorded) -> None:
    async def opens() -> Scope:
        return otel.tracer.start_active_span("request")  # type: ignore[return-value]

    with otel.tracer.start_active_span("here") as here:
        scope = await asyncio.create_task(opens())
        assert otel.tracer.active_span is here.span
        scope.close()
        assert otel.tracer.active_span is here.span
    assert list(otel.spans) == ["request", "here"]


async def test_S2_an_abandoned_async_generator_leaves_no_parent(otel: Recorded) -> None:
    async def rows() -> Any:
        with otel.tracer.start_active_span("rows"):
            yield 1
            yield 2

    generator = rows()
    async for _ in generator:
        break
    await asyncio.create_task(generator.aclose())
    assert otel.tracer.active_span is None
    assert "rows" in otel.spans


def test_S2_a_generator_closed_late_leaves_no_parent(otel: Recorded) -> None:
    def rows() -> Iterator[int]:
        with otel.tracer.start_active_span("rows"):
            yield 1

    generator = rows()
    next(generator)
    del generator
    assert otel.tracer.active_span is None


@pytest.mark.parametrize("finish", [True, False])
def test_S3_finish_on_close_applies_whichever_reference_closes_the_scope(
    otel: Recorded, finish: bool
) -> None:
    handles: list[Callable[[Any], object]] = [
        lambda scope: scope.close(),
        lambda scope: scope.__exit__(None, None, None),
        lambda scope: otel.tracer.scope_manager.active.close(),  # type: ignore[union-attr]
        lambda scope: scope.manager.active.close(),
    ]
    for number, close in enumerate(handles):
        close(otel.tracer.start_active_span(str(number), finish_on_close=finish))
        close_again = otel.tracer.scope_manager.activate(otel.tracer.start_span(f"{number}b"), finish)
        close(close_again)
    assert len(otel.spans) == (2 * len(handles) if finish else 0)


def test_S3_a_span_that_is_made_active_is_not_finished_unless_that_is_said(otel: Recorded) -> None:
    span = otel.tracer.start_span("a")
    manager: Any = otel.tracer.scope_manager
    manager.activate(span).close()
    assert otel.spans == {}
    manager.activate(span, finish_on_close=True).close()
    assert list(otel.spans) == ["a"]


def test_S3_one_span_in_two_scopes_is_finished_once(otel: Recorded) -> None:
    with otel.tracer.start_active_span("a") as scope:
        with otel.tracer.scope_manager.activate(scope.span, False):
            assert otel.tracer.active_span is scope.span
        assert otel.spans == {}
    assert list(otel.spans) == ["a"]
