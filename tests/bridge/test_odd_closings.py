"""Scopes that are closed late, out of order, by the thousand, or never because of an interrupt."""

from __future__ import annotations

import asyncio
import importlib
import random
import threading
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import baggage, trace
from opentelemetry.context import Context, attach, detach

from ot_bridge.bridge import Tracer
from tests.bridge.spans import traces
from tests.conftest import Recorded
from tests.interrupts import PACKAGE, interrupted


async def test_a_scope_in_an_async_generator_left_by_break_is_no_parent_of_later_requests(
    otel: Recorded,
) -> None:
    async def rows() -> AsyncIterator[int]:
        with otel.tracer.start_active_span("rows"):
            yield 1
            yield 2

    async def worker() -> None:
        for number in range(4):
            with otel.tracer.start_active_span(f"request {number}"):
                async for _ in rows():
                    break
            await asyncio.sleep(0)  # the loop closes the generator, in a task of its own
            await asyncio.sleep(0)
            assert otel.tracer.active_span is None

    await asyncio.create_task(worker())
    assert len({span.context.trace_id for span in otel.exporter.get_finished_spans()}) == 4


@pytest.mark.parametrize("inside_first", [True, False], ids=["inside first", "outside first"])
def test_two_nested_scopes_closed_in_another_thread_leave_no_active_span(
    otel: Recorded, inside_first: bool
) -> None:
    scopes = [otel.tracer.start_active_span("outer"), otel.tracer.start_active_span("inner")]
    for scope in reversed(scopes) if inside_first else scopes:
        thread = threading.Thread(target=scope.close)
        thread.start()
        thread.join()
    assert otel.tracer.active_span is None
    assert trace.get_current_span() is trace.INVALID_SPAN
    with otel.tracer.start_active_span("next"):
        pass
    assert traces(otel) == {frozenset({"outer", "inner"}), frozenset({"next"})}


def test_scopes_and_opentelemetry_spans_closed_out_of_order_leave_no_active_span(otel: Recorded) -> None:
    native = otel.provider.get_tracer("native")
    outer = otel.tracer.start_active_span("s0")
    inner = otel.tracer.start_active_span("s1")
    theirs = native.start_as_current_span("o2")
    with theirs as span:
        inner.close()
        outer.close()
        assert trace.get_current_span() is span
    assert otel.tracer.active_span is None
    assert trace.get_current_span() is trace.INVALID_SPAN


@pytest.mark.parametrize("name", ["next", "n\xe4chste"], ids=["fast", "long way"])
def test_a_closed_scope_is_no_parent_in_a_context_that_opentelemetry_restores(
    otel: Recorded, name: str
) -> None:
    scope = otel.tracer.start_active_span("closed")
    token = attach(baggage.set_baggage("own", "1"))
    theirs = otel.provider.get_tracer("native").start_as_current_span("theirs")
    theirs.__enter__()
    scope.close()
    detach(token)
    theirs.__exit__(None, None, None)  # the context with `own` is current again
    active: Any = otel.tracer.active_span
    assert active.context.trace_id == 0  # it has the baggage alone
    otel.tracer.start_active_span(name).close()
    assert otel.spans[name].parent is None


async def test_S8_a_task_keeps_its_inherited_span_before_and_after_its_own_scopes(otel: Recorded) -> None:
    request_is_over = asyncio.Event()

    async def background() -> None:
        await request_is_over.wait()
        for number in range(2):
            with otel.tracer.start_active_span(f"work {number}"):
                pass

    with otel.tracer.start_active_span("request"):
        task = asyncio.create_task(background())
        await asyncio.sleep(0)
    request_is_over.set()
    await task
    assert traces(otel) == {frozenset({"request", "work 0", "work 1"})}


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "another thread"])
@pytest.mark.parametrize("order", ["outermost first", "innermost first", "any"])
def test_many_scopes_can_be_closed_in_any_order(otel: Recorded, order: str, elsewhere: bool) -> None:
    scopes = [otel.tracer.start_active_span("deep") for _ in range(1500)]
    if order == "outermost first":
        scopes.reverse()
    elif order == "any":
        random.Random(1).shuffle(scopes)

    def close() -> None:
        while scopes:
            scopes.pop().close()

    if elsewhere:
        thread = threading.Thread(target=close)
        thread.start()
        thread.join()
    else:
        close()
    assert otel.tracer.active_span is None
    assert trace.get_current_span() is trace.INVALID_SPAN
    assert len(otel.exporter.get_finished_spans()) == 1500


def test_a_long_lived_scope_keeps_no_reference_to_scopes_that_were_closed_elsewhere(tracer: Tracer) -> None:
    server: Any
    with tracer.start_active_span("server") as server:
        for _ in range(100):
            scope = tracer.start_active_span("request")
            thread = threading.Thread(target=scope.close)
            thread.start()
            thread.join()
            attach(Context())
            del scope
        assert len(server._heirs or ()) < 5


def _share_left_active(tracer: Any, step: Callable[[], object], package: str) -> float:
    """Of all lines at which an interrupt can come: the share after which a span is still active."""
    left = lines = 0
    while interrupted(step, lines + 1, package):
        lines += 1
        active = tracer.scope_manager.active
        if active is not None:
            left += 1
            while (active := tracer.scope_manager.active) is not None:
                active.close()
    return left / lines


def _with(tracer: Any) -> Callable[[], None]:
    def step() -> None:
        with tracer.start_active_span("op") as scope:
            scope.span.set_tag("http.method", "GET")

    return step


def _try(tracer: Any) -> Callable[[], None]:
    def step() -> None:
        scope = tracer.start_active_span("op")
        try:
            scope.span.set_tag("http.method", "GET")
        finally:
            scope.close()

    return step


@pytest.fixture
def jaeger(monkeypatch: pytest.MonkeyPatch) -> Any:
    jaeger_client: Any = importlib.import_module("jaeger_client")

    # An interrupt may leave its lock held, and then it waits for ever.
    monkeypatch.setattr(jaeger_client.span, "threading", SimpleNamespace(Lock=threading.RLock))
    reporter = jaeger_client.reporter.NullReporter()
    sampler = jaeger_client.ConstSampler(True)
    # With a given address, it opens no sockets to look it up, which it would leave open.
    return jaeger_client.Tracer("test", reporter, sampler, tags={"ip": "127.0.0.1"})


@pytest.mark.timeout(20)
@pytest.mark.parametrize("program", [_with, _try], ids=["with", "try"])
def test_an_interrupt_leaves_a_scope_active_no_more_often_than_with_jaeger_client(
    tracer: Tracer, jaeger: Any, program: Callable[[Any], Callable[[], None]]
) -> None:
    jaeger_client = importlib.import_module("jaeger_client")
    libraries = jaeger_client.__path__[0].rpartition("/")[0]
    theirs = _share_left_active(jaeger, program(jaeger), libraries)
    ours = _share_left_active(tracer, program(tracer), PACKAGE)
    print(f"{theirs=:.3f} {ours=:.3f}")
    assert ours <= theirs
