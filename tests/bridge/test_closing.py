"""R22: `close()` and `flush()` of a tracer."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import opentracing
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from ot_bridge.bridge import Tracer, create_tracer
from tests.conftest import Recorded


class Counting(SpanProcessor):
    def __init__(self) -> None:
        self.flushed = self.closed = 0
        self.thread = ""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        self.flushed += 1
        return True

    def shutdown(self) -> None:
        self.closed += 1
        self.thread = threading.current_thread().name


class Stubborn(SpanProcessor):
    def force_flush(self, timeout_millis: int = 30000) -> bool:
        raise RuntimeError("no")

    def shutdown(self) -> None:
        raise RuntimeError("no")


def _closing(processor: SpanProcessor, provider_class: type[TracerProvider]) -> Tracer:
    provider = provider_class(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    return create_tracer(provider)


def test_R22_close_flushes_and_shuts_down_once(provider_class: type[TracerProvider]) -> None:
    tracer = _closing(counting := Counting(), provider_class)
    assert not tracer.closed
    first, second = tracer.close(), tracer.close()
    assert first.result(10) is True
    assert second is first
    assert tracer.closed
    assert (counting.flushed, counting.closed, counting.thread) == (1, 1, "ot_bridge-close")


def test_R22_the_future_that_close_returns_calls_callbacks(provider_class: type[TracerProvider]) -> None:
    seen: list[Any] = []
    closing = _closing(Counting(), provider_class).close()
    closing.result(10)
    closing.add_done_callback(seen.append)
    assert seen == [closing]


async def test_R22_the_future_that_close_returns_can_be_awaited(provider_class: type[TracerProvider]) -> None:
    assert await asyncio.wrap_future(_closing(Counting(), provider_class).close()) is True


def test_R22_tracer_flush_flushes_the_provider(provider_class: type[TracerProvider]) -> None:
    tracer = _closing(counting := Counting(), provider_class)
    assert tracer.flush() is True
    assert (counting.flushed, counting.closed) == (1, 0)


def test_R22_flush_and_close_do_not_raise_when_a_processor_raises(
    caplog: pytest.LogCaptureFixture, provider_class: type[TracerProvider]
) -> None:
    tracer = _closing(Stubborn(), provider_class)
    assert tracer.flush() is False
    assert tracer.close().result(10) is False
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_R22_starting_a_span_after_close_does_not_raise(otel: Recorded) -> None:
    otel.tracer.close().result(10)
    with otel.tracer.start_active_span("late") as scope:
        scope.span.set_tag("a", 1)
    assert isinstance(otel.tracer, opentracing.Tracer)


def test_R22_a_provider_that_only_implements_the_api_is_closed_too() -> None:
    tracer = create_tracer(trace.NoOpTracerProvider())
    assert tracer.flush() is True
    assert tracer.close().result(10) is True
