"""S8: threads do not see each other's active spans, and several threads may use one span."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry.sdk.trace import SpanLimits, TracerProvider

from ot_bridge.bridge import create_tracer
from tests.bridge.service import REQUESTS, Service, expected, recorded_with
from tests.bridge.spans import parents
from tests.conftest import Recorded


@pytest.mark.parametrize("manager", ["own", "contextvars", "threadlocal", "asyncio"])
def test_S8_none_of_200_requests_in_threads_sees_the_span_of_another(manager: str) -> None:
    otel = recorded_with(manager)
    service = Service(otel)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(service.handle_in_thread, range(REQUESTS)))
    assert parents(otel) == expected(REQUESTS)


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
    assert parents(otel) == {"shared": None, **{str(number): "shared" for number in range(8)}}


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


def test_a_span_that_many_threads_finish_is_exported_once(otel: Recorded) -> None:
    for _ in range(50):
        span = otel.tracer.start_span("shared")
        together = threading.Barrier(4)

        def finish(_: int, together: threading.Barrier = together, span: Any = span) -> None:
            together.wait()
            span.finish()

        _in_threads(finish, 4)
    assert len(otel.exporter.get_finished_spans()) == 50


def test_a_scope_that_many_threads_close_is_closed_once(otel: Recorded) -> None:
    for _ in range(50):
        scope = otel.tracer.start_active_span("shared")
        _in_threads(lambda _, scope=scope: scope.close(), 4)  # type: ignore[misc]
        assert otel.tracer.active_span is None
    assert len(otel.exporter.get_finished_spans()) == 50
