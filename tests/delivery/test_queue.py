"""The queue from `on_end` to the exporter: what it accepts, when it exports, what it does when full."""

from __future__ import annotations

import _thread
import ctypes
import signal
import sys
import threading
import time
from itertools import pairwise
from typing import Any

import pytest
from opentelemetry.context import get_current
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

from ot_bridge.delivery import Counts, DeliveryProcessor, calls
from ot_bridge.errors import ConfigurationError
from tests.delivery.parts import Keeping, spans, until, until_its_thread_ends


def _processor(exporter: Any, **options: Any) -> DeliveryProcessor:
    return DeliveryProcessor(exporter, **{"schedule_delay_millis": 60_000, **options})


def test_spans_are_exported_in_their_order_in_batches_and_counted() -> None:
    exporter = Keeping()
    processor = _processor(exporter, max_export_batch_size=3)
    end = spans(processor)
    end(*"abcdefgh")
    assert processor.force_flush(10_000)
    assert exporter.names == list("abcdefgh")
    assert max(map(len, exporter.batches)) == 3
    assert processor.counts() == Counts(8, 8, 0, {}, 0, 0)
    processor.shutdown()


def test_a_full_batch_is_exported_without_waiting_for_the_delay() -> None:
    exporter = Keeping()
    processor = _processor(exporter, max_export_batch_size=5)
    time.sleep(0.05)  # the thread sleeps
    spans(processor)(*"abcde", "f")
    until(lambda: len(exporter.names) >= 5)
    processor.shutdown()


def test_an_incomplete_batch_is_exported_after_the_delay() -> None:
    exporter = Keeping()
    processor = _processor(exporter, schedule_delay_millis=50)
    spans(processor)("a")
    until(lambda: exporter.names == ["a"])
    processor.shutdown()


def test_the_thread_is_woken_once_for_each_batch_and_not_for_each_span(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put: list[bool] = []

    class Noting(calls.Calls):
        def put(self, flush: bool) -> None:
            put.append(flush)
            super().put(flush)

    monkeypatch.setattr("ot_bridge.delivery.worker.Calls", Noting)
    exporter = Keeping()
    processor = _processor(exporter, max_export_batch_size=100)
    worker: Any = processor.worker
    spans(processor)("the span that starts the thread")
    until(lambda: worker.mark == 99)
    spans(processor)(*["a"] * 150)
    assert put == [False]
    processor.shutdown()


def test_the_thread_sleeps_until_the_delay_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    class Noting(calls.Calls):
        def wait(self, seconds: float) -> bool:
            waited.append(seconds)
            return super().wait(seconds)

    monkeypatch.setattr("ot_bridge.delivery.worker.Calls", Noting)
    processor = _processor(Keeping())
    spans(processor)("a")
    until(lambda: waited)
    assert 59 < waited[0] <= 60
    assert processor.force_flush(10_000)
    until(lambda: len(waited) == 2)
    assert 59 < waited[1] <= 60
    processor.shutdown()


def test_each_export_by_the_schedule_waits_for_the_whole_delay() -> None:
    exporter = Keeping()
    processor = _processor(exporter, schedule_delay_millis=1000)
    end = spans(processor)
    end("a")
    until(lambda: exporter.names == ["a"])
    end("b")
    time.sleep(0.1)
    end("c")
    until(lambda: len(exporter.names) == 3)
    processor.shutdown()
    assert exporter.batches == [["a"], ["b", "c"]]


def test_a_full_queue_drops_the_new_span_and_flush_says_so(caplog: pytest.LogCaptureFixture) -> None:
    exporter = Keeping()
    exporter.gate.clear()
    processor = _processor(exporter, max_queue_size=5, max_export_batch_size=2)
    end = spans(processor)
    end("a", "b")
    assert exporter.entered.wait(20)
    end(*"cdefghij")
    counts = processor.counts()
    assert (counts.ended, counts.in_flight, counts.waiting, counts.dropped) == (10, 2, 5, 3)
    exporter.gate.set()
    assert processor.force_flush(10_000) is False
    assert exporter.names == list("abcdefg")
    assert processor.counts() == Counts(10, 7, 3, {}, 0, 0)
    assert processor.force_flush(10_000) is True
    assert "3 spans for Keeping are lost: the queue was full" in caplog.text
    processor.shutdown()


def test_20000_spans_at_once_are_all_accounted_for() -> None:
    exporter = Keeping()
    processor = _processor(exporter)
    spans(processor)(*["a"] * 20_000)
    flushed = processor.force_flush(20_000)
    counts = processor.counts()
    assert counts.exported == len(exporter.names)
    assert (counts.ended, counts.exported + counts.dropped) == (20_000, 20_000)
    assert flushed is (counts.dropped == 0)
    processor.shutdown()


def test_every_span_of_many_threads_is_counted_once() -> None:
    exporter = Keeping()
    processor = _processor(exporter, max_queue_size=300, max_export_batch_size=50)
    end = spans(processor)
    threads = [threading.Thread(target=end, args=["a"] * 2000) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        counts = processor.counts()
        parts = counts.exported + counts.dropped + counts.waiting + counts.in_flight
        assert parts == counts.ended <= 16_000
    processor.force_flush(20_000)
    counts = processor.counts()
    assert (counts.ended, counts.waiting, counts.in_flight) == (16_000, 0, 0)
    assert counts.exported == len(exporter.names)
    processor.shutdown()


class _RecordOnly(Sampler):
    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        return SamplingResult(Decision.RECORD_ONLY)

    def get_description(self) -> str:
        return "record only"


@pytest.mark.parametrize("lean", [True, False], ids=["engine", "sdk"])
@pytest.mark.parametrize("sampled", [True, False], ids=["sampled", "recorded only"])
def test_spans_that_are_not_sampled_are_ignored(lean: bool, sampled: bool) -> None:
    from ot_bridge.engine import TracerProvider

    exporter = Keeping()
    processor = _processor(exporter)
    sampler = None if sampled else _RecordOnly()
    provider = (TracerProvider if lean else sdk.TracerProvider)(sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(processor)
    provider.get_tracer("test").start_span("a").end()
    processor.on_end(sdk.ReadableSpan("no context"))
    assert processor.force_flush(10_000)
    assert exporter.names == ["a"] * sampled
    assert processor.counts().ended == sampled
    processor.shutdown()


def test_a_signal_handler_ends_spans_while_its_thread_ends_them() -> None:
    exporter = Keeping()
    processor = _processor(exporter, max_queue_size=100_000, max_export_batch_size=10)
    end = spans(processor)
    handled = 0

    def handle(number: int, frame: Any) -> None:
        nonlocal handled
        handled += 1
        end("signal")
        processor.counts()

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        moment = time.monotonic() + 0.5
        number = 0
        while time.monotonic() < moment:
            end("main")
            number += 1
            if not number % 100:
                processor.force_flush(10_000)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    processor.force_flush(20_000)
    assert handled > 10
    assert processor.counts().exported == number + handled
    processor.shutdown()


class _Killed(SystemExit):
    pass


def test_a_thread_that_is_killed_is_replaced_and_what_it_held_is_lost() -> None:
    class Busy(Keeping):
        def export(self, spans: Any) -> SpanExportResult:
            self.thread = _thread.get_ident()
            self.entered.set()
            while not self.gate.is_set():
                time.sleep(0.001)
            return super().export(spans)

    exporter = Busy()
    exporter.gate.clear()
    processor = _processor(exporter, max_export_batch_size=1)
    end = spans(processor)
    end("a")
    assert exporter.entered.wait(20)
    killed = ctypes.c_ulong(exporter.thread)
    assert ctypes.pythonapi.PyThreadState_SetAsyncExc(killed, ctypes.py_object(_Killed)) == 1
    until_its_thread_ends(processor.worker)
    exporter.gate.set()
    end("b")
    assert processor.force_flush(10_000) is False
    assert processor.force_flush(10_000) is True
    counts = processor.counts()
    assert (counts.exported, counts.ended) == (1, 2)
    assert counts.failed == {"other": 1}
    processor.shutdown()


def test_a_thread_that_fails_is_logged_and_replaced(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = Keeping()
    processor = _processor(exporter)
    end = spans(processor)

    def fail(*args: Any) -> Any:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("ot_bridge.delivery.worker.take", fail)
        end("a")
        assert processor.force_flush(500) is False
        until_its_thread_ends(processor.worker)
    end("b")
    assert processor.force_flush(10_000)
    assert exporter.names == ["a", "b"]
    assert "the export thread failed" in caplog.text
    processor.shutdown()


def test_if_no_thread_can_be_started_the_caller_exports(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(_thread, "start_new_thread", refuse)

    class Told(Keeping):
        moment = 0.0

        def give_up_at(self, moment: float) -> None:
            self.moment = moment

    exporter = Told()
    processor = _processor(exporter)
    end = spans(processor)
    before = get_current()
    for name, millis in (("a", 1000), ("b", 20_000)):  # the first flush's end does not hold for the second
        end(name)
        assert processor.force_flush(millis)
        assert exporter.moment - time.monotonic() <= millis / 1000
    assert exporter.moment - time.monotonic() > 1
    assert exporter.names == ["a", "b"]
    assert get_current() == before  # instrumentations trace what the caller does next
    end("c")
    processor.shutdown()
    assert exporter.names == ["a", "b", "c"]
    assert exporter.shutdowns == 1


def test_a_full_queue_tries_again_to_start_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    start = _thread.start_new_thread

    def refuse(*args: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    exporter = Keeping()
    processor = _processor(exporter, max_queue_size=2, max_export_batch_size=2)
    end = spans(processor)
    end("a", "b", "c")
    monkeypatch.setattr(_thread, "start_new_thread", start)
    end("d")
    until(lambda: exporter.names == ["a", "b"])
    assert processor.counts().dropped == 2
    processor.shutdown()


def test_shutdown_exports_waiting_spans_once_and_later_spans_are_counted_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    exporter = Keeping()
    processor = _processor(exporter)
    end = spans(processor)
    end("a")
    processor.shutdown()
    processor.shutdown()
    end("late", "later")
    assert (exporter.names, exporter.shutdowns) == (["a"], 1)
    assert processor.counts() == Counts(3, 1, 0, {"shut down": 2}, 0, 0)
    assert processor.force_flush(1000) is False
    assert processor.force_flush(1000) is True
    assert [record.getMessage() for record in caplog.records] == [
        "spans that end after the shutdown of their tracer are lost"
    ]
    until_its_thread_ends(processor.worker)


def test_shutdown_does_not_wait_for_an_exporter_that_hangs() -> None:
    exporter = Keeping()
    exporter.gate.clear()
    processor = _processor(exporter, max_export_batch_size=1)
    spans(processor)("a", "b")
    began = time.monotonic()
    processor.shutdown(100)
    assert time.monotonic() - began < 5
    until_its_thread_ends(processor.worker)
    counts = processor.counts()
    assert counts.exported + counts.failed.get("shut down", 0) == 2


def test_a_span_that_ends_while_a_shutdown_waits_does_not_wait_for_the_schedule() -> None:
    exporter = Keeping()
    exporter.gate.clear()
    processor = _processor(exporter)
    end = spans(processor)
    end("a")
    ending = threading.Thread(target=processor.shutdown, args=(500,))
    ending.start()
    assert exporter.entered.wait(20)
    end("b")
    ending.join()
    until_its_thread_ends(processor.worker)
    assert processor.counts() == Counts(2, 1, 0, {"shut down": 1}, 0, 0)


def test_a_deleted_processor_exports_its_waiting_spans_and_its_thread_ends() -> None:
    exporter = Keeping()
    processor = _processor(exporter)
    worker = processor.worker
    processor.on_end(_ended())
    del processor
    until_its_thread_ends(worker)
    assert exporter.names == ["a"]


def _ended() -> Any:
    span: Any = sdk.TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("a")
    span.end()
    return span


class _Telling(Keeping):
    """Loses some spans of each batch, and counts them by reason."""

    failed: dict[str, int]

    def __init__(self, each: dict[str, int], result: SpanExportResult) -> None:
        super().__init__(result)
        self.failed = {}
        self._each = each

    def export(self, spans: Any) -> SpanExportResult:
        for reason, number in self._each.items():
            self.failed[reason] = self.failed.get(reason, 0) + number
        return super().export(spans)


OK, FAILED = SpanExportResult.SUCCESS, SpanExportResult.FAILURE


@pytest.mark.parametrize(
    ("exporter", "failed"),
    [
        (Keeping(FAILED), {"other": 3}),
        (_Telling({"partial": 2}, OK), {"partial": 2}),
        (_Telling({"refused": 3}, FAILED), {"refused": 3}),
        (_Telling({"status": 99}, FAILED), {"status": 3}),
        (_Telling({"status": 2, "partial": 2}, OK), {"status": 2, "partial": 1}),
        (_Telling({"status": 0}, FAILED), {"other": 3}),
        (_Telling({"status": 0}, OK), {}),
    ],
    ids=[
        "tells nothing",
        "some",
        "all",
        "more than there are",
        "more for two reasons",
        "fails and tells none",
        "none",
    ],
)
def test_spans_that_an_exporter_lost_are_counted_by_reason(exporter: Any, failed: dict[str, int]) -> None:
    processor = _processor(exporter)
    spans(processor)("a", "b", "c")
    assert processor.force_flush(10_000) is not bool(failed)
    counts = processor.counts()
    assert counts.failed == failed
    assert counts.exported == 3 - sum(failed.values())
    assert counts.lost == sum(failed.values())
    processor.shutdown()


def test_a_listener_is_called_at_every_change_and_may_raise(caplog: pytest.LogCaptureFixture) -> None:
    reported: list[Counts] = []

    def listen(counts: Counts) -> None:
        reported.append(counts)
        raise RuntimeError

    processor = _processor(Keeping(), listener=listen)
    spans(processor)("a", "b")
    assert processor.force_flush(10_000)
    assert reported[-1] == Counts(2, 2, 0, {}, 0, 0)
    assert "a listener to the counts raised" in caplog.text
    processor.force_flush(10_000)
    processor.shutdown()
    assert not any(counts == before for before, counts in pairwise(reported))


DEFAULTS = (2048, 512, 1.0, 30.0)


@pytest.mark.parametrize(
    ("options", "variables", "expected"),
    [
        ({}, {}, DEFAULTS),
        ({}, {"MAX_QUEUE_SIZE": "5"}, (5, 5, 1.0, 30.0)),
        ({}, {"MAX_QUEUE_SIZE": "70", "MAX_EXPORT_BATCH_SIZE": "7"}, (70, 7, 1.0, 30.0)),
        ({}, {"SCHEDULE_DELAY": " 250 ", "EXPORT_TIMEOUT": "100"}, (2048, 512, 0.25, 0.1)),
        ({}, {"MAX_QUEUE_SIZE": "many"}, DEFAULTS),
        ({}, {"MAX_EXPORT_BATCH_SIZE": "0"}, DEFAULTS),
        ({}, {"SCHEDULE_DELAY": "-5"}, DEFAULTS),
        ({}, {"EXPORT_TIMEOUT": "1.5s"}, DEFAULTS),
        ({}, {"EXPORT_TIMEOUT": ""}, DEFAULTS),
        ({}, {"MAX_QUEUE_SIZE": "7", "MAX_EXPORT_BATCH_SIZE": "70"}, (7, 7, 1.0, 30.0)),
        ({"max_queue_size": 8}, {"MAX_EXPORT_BATCH_SIZE": "70"}, (8, 8, 1.0, 30.0)),
        ({"max_queue_size": 9}, {"MAX_QUEUE_SIZE": "5"}, (9, 9, 1.0, 30.0)),
        ({"schedule_delay_millis": 0.5}, {}, (2048, 512, 0.0005, 30.0)),
    ],
)
def test_arguments_override_variables_and_invalid_variables_are_logged_once(
    options: Any,
    variables: dict[str, str],
    expected: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name, text in variables.items():
        monkeypatch.setenv(f"OTEL_BSP_{name}", text)
    for _ in range(2):
        processor = DeliveryProcessor(Keeping(), **options)
        assert tuple(vars(processor.worker.settings).values()) == expected
        processor.shutdown()
    bad = any(variables.values()) if expected == DEFAULTS else variables.get("MAX_EXPORT_BATCH_SIZE") == "70"
    assert [record.levelname for record in caplog.records] == ["ERROR"] * bad


@pytest.mark.parametrize("text", ["9" * 14, "9" * 30, "9" * 300], ids=["14", "30", "300"])
def test_very_large_delays_and_timeouts_do_not_end_the_thread(
    text: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("SCHEDULE_DELAY", "EXPORT_TIMEOUT"):
        monkeypatch.setenv(f"OTEL_BSP_{name}", text)
    exporter = Keeping()
    processor = DeliveryProcessor(exporter, max_export_batch_size=2)
    time.sleep(0.05)  # the thread sleeps
    spans(processor)("a", "b", "c")
    until(lambda: exporter.names[:2] == ["a", "b"])
    assert processor.force_flush(10_000)
    processor.shutdown()
    assert not caplog.records


NUMBER = "expected a number above 0"
#: The arguments, the last of which is bad, and why.
INVALID: list[tuple[dict[str, Any], str]] = [
    ({"max_queue_size": 0}, NUMBER),
    ({"max_queue_size": "5"}, NUMBER),
    ({"max_export_batch_size": -1}, NUMBER),
    ({"max_export_batch_size": True}, NUMBER),
    ({"schedule_delay_millis": 0}, NUMBER),
    ({"export_timeout_millis": float("nan")}, NUMBER),
    ({"max_queue_size": 0.5}, NUMBER),
    ({"max_queue_size": 5, "max_export_batch_size": 6}, "a batch is at most as large as the queue (5)"),
    ({"exporter": 3}, "expected an exporter, or a callable that makes one"),
]


@pytest.mark.parametrize(("options", "reason"), INVALID, ids=str)
def test_an_invalid_argument_raises(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        DeliveryProcessor(**{"exporter": Keeping(), **options})
    assert (raised.value.option, raised.value.reason) == ([*options][-1], reason)
    assert raised.value.value is [*options.values()][-1]


def test_spans_wait_for_the_delay_even_if_the_thread_has_just_been_started() -> None:
    exporter = Keeping()
    processor = DeliveryProcessor(exporter, schedule_delay_millis=60_000)
    end = spans(processor)
    end("a")
    until(lambda: processor.worker.mark == 511)  # one less than a batch: the thread waits
    assert exporter.batches == []
    end("b")
    assert processor.force_flush(10_000)
    assert exporter.batches == [["a", "b"]]
    processor.shutdown()


@pytest.mark.parametrize("kind", ["trace", "profile"])
@pytest.mark.parametrize("given", [None, lambda frame, event, argument: None], ids=["none", "one"])
def test_the_export_thread_is_traced_and_profiled_as_other_threads_are(kind: str, given: Any) -> None:
    seen: list[Any] = []

    class Looks(Keeping):
        def export(self, spans: Any) -> SpanExportResult:
            seen.append(getattr(sys, f"get{kind}")())
            return super().export(spans)

    processor = DeliveryProcessor(Looks())
    before = getattr(threading, f"get{kind}")()
    getattr(threading, f"set{kind}")(given)
    try:
        spans(processor)("a")
    finally:
        getattr(threading, f"set{kind}")(before)
    assert processor.force_flush(10_000)
    assert seen == [given]
    processor.shutdown()
