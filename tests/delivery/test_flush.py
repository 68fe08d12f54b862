"""`force_flush` tells each thread what was lost, ends in time, and leaves no thread behind (D5, D21, D22)."""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from ot_bridge.delivery import DeliveryProcessor
from tests.delivery.parts import Keeping, Raises, spans, until

FAILED, SUCCESS = SpanExportResult.FAILURE, SpanExportResult.SUCCESS


def _processor(exporter: Any, **options: Any) -> DeliveryProcessor:
    return DeliveryProcessor(exporter, **{"schedule_delay_millis": 60_000, **options})


def test_a_flush_ends_in_time_and_leaves_no_thread_behind_when_the_exporter_hangs() -> None:
    exporter = Keeping()
    exporter.gate.clear()
    processor = _processor(exporter)
    spans(processor)("a")
    processor.force_flush(1)
    threads = threading.active_count()
    began = time.monotonic()
    assert [processor.force_flush(50) for _ in range(20)] == [False] * 20
    assert time.monotonic() - began < 10
    assert threading.active_count() <= threads
    assert (len(processor.worker.queue), len(processor.worker.waiting)) == (0, 0)  # nothing of those flushes
    exporter.gate.set()
    assert processor.force_flush(10_000) is True
    processor.shutdown()


def test_any_number_of_threads_may_flush_at_the_same_time() -> None:
    exporter = Keeping()
    processor = _processor(exporter)
    end = spans(processor)

    def work(number: int) -> bool:
        end(f"{number}")
        flushed = processor.force_flush(20_000)
        return flushed and f"{number}" in exporter.names

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(work, range(200)))
    processor.shutdown()


def test_a_failed_export_is_reported_to_every_thread_that_flushes() -> None:
    exporter = Keeping(FAILED)
    processor = _processor(exporter)
    end = spans(processor)
    wait = threading.Barrier(4)
    results: list[list[bool]] = []

    def work() -> None:
        mine = []
        for _ in range(50):
            wait.wait(20)
            end("a")
            wait.wait(20)
            mine.append(processor.force_flush(20_000))
        results.append(mine)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[False] * 50] * 4
    exporter.result = SUCCESS
    assert processor.force_flush(10_000) is False  # this thread's first
    end("b")
    assert processor.force_flush(10_000) is True
    processor.shutdown()


def test_a_flush_waits_only_for_spans_that_ended_before_the_call() -> None:
    exporter = Keeping()
    exporter.gate.clear()
    processor = _processor(exporter, max_export_batch_size=10)
    end = spans(processor)
    end("before")
    with ThreadPoolExecutor(1) as pool:
        flushed = pool.submit(processor.force_flush, 20_000)
        assert exporter.entered.wait(20)
        end("after")
        assert not flushed.done()
        exporter.gate.set()
        assert flushed.result(20) is True
    assert exporter.batches == [["before"]]
    processor.shutdown()


def test_a_flush_that_timed_out_does_not_spoil_the_next() -> None:
    exporter = Keeping()
    exporter.gate.clear()
    processor = _processor(exporter)
    spans(processor)("a")
    assert processor.force_flush(20) is False
    exporter.gate.set()
    assert processor.force_flush(20_000) is True
    processor.shutdown()


def test_an_exporter_that_calls_flush_does_not_wait_for_itself() -> None:
    results: list[bool] = []

    class Flushes(Keeping):
        def export(self, spans: Any) -> SpanExportResult:
            results.append(processor.force_flush(20_000))
            return super().export(spans)

    processor = _processor(Flushes())
    spans(processor)("a")
    assert processor.force_flush(20_000) is True
    assert results == [False]
    processor.shutdown()


@pytest.mark.parametrize("result", [True, None, False, RuntimeError], ids=str)
def test_the_exporter_is_flushed_too(result: Any, caplog: pytest.LogCaptureFixture) -> None:
    flushes: list[None] = []

    class Buffers(Keeping):
        def force_flush(self, timeout_millis: int = 30000) -> Any:
            assert 0 < timeout_millis <= 20_000
            flushes.append(None)
            if result is RuntimeError:
                raise RuntimeError
            return result

    processor = _processor(Buffers())
    spans(processor)("a")
    for number in (1, 2):  # whether or not spans wait
        assert processor.force_flush(20_000) is (result in (True, None))
        assert len(flushes) == number
    processor.shutdown()


class Patient(Keeping):
    """Gives up at the moment given to `give_up_at`, or when it is shut down."""

    def __init__(self) -> None:
        super().__init__(FAILED)
        self.gate.clear()
        self.moment: float | None = None

    def give_up_at(self, moment: float | None) -> None:
        self.moment = moment
        if moment is not None and moment <= time.monotonic():
            self.gate.set()


def test_an_export_gets_a_deadline_and_shutdown_ends_it() -> None:
    exporter = Patient()
    processor = _processor(exporter, export_timeout_millis=50_000)
    spans(processor)("a")
    assert processor.force_flush(50) is False
    assert exporter.moment is not None
    assert 0 < exporter.moment - time.monotonic() <= 50  # a flush does not shorten the deadline of the export
    processor.shutdown(50)
    until(lambda: processor.counts().failed == {"other": 1})
    assert exporter.shutdowns == 1


def test_force_flush_and_shutdown_of_the_provider_reach_the_processor() -> None:
    from opentelemetry.sdk.trace import TracerProvider

    exporter = Keeping()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(_processor(exporter))
    provider.get_tracer("test").start_span("a").end()
    assert provider.force_flush(10_000)
    assert exporter.names == ["a"]
    provider.get_tracer("test").start_span("b").end()
    provider.shutdown()
    assert exporter.names == ["a", "b"]


def test_exporters_may_raise_in_every_method(caplog: pytest.LogCaptureFixture) -> None:
    processor = _processor(Raises())
    spans(processor)("a")
    assert processor.force_flush(10_000) is False
    processor.shutdown()
    assert processor.counts().failed == {"other": 1}


def test_a_flush_in_a_child_without_spans_makes_no_exporter_and_starts_no_thread() -> None:
    made: list[Keeping] = []

    def make() -> Keeping:
        made.append(Keeping())
        return made[-1]

    processor = _processor(make)
    processor.renew()  # as in a forked child
    threads = len(sys._current_frames())
    assert processor.force_flush(10_000) is True
    assert (len(sys._current_frames()), len(made)) == (threads, 1)
    processor.shutdown()
    assert (len(sys._current_frames()), len(made)) == (threads, 1)


def test_an_exporter_factory_that_fails_after_a_fork_loses_the_batch_and_is_called_again() -> None:
    made: list[Any] = []

    def make() -> Any:
        made.append(None)
        if len(made) == 2:
            raise OSError
        return Keeping()

    processor = _processor(make)
    processor.renew()  # as in a forked child
    end = spans(processor)
    end("a")
    assert processor.force_flush(10_000) is False
    end("b")
    assert processor.force_flush(10_000) is True
    assert (len(made), processor.exporter.names) == (3, ["b"])  # type: ignore[attr-defined]
    processor.shutdown()
