"""Log lines about lost spans: their text, how often they come, and which loggers they affect (row D6)."""

from __future__ import annotations

import logging
from typing import Any
from weakref import WeakSet

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

import ot_bridge
from ot_bridge.delivery import DeliveryProcessor, exit, log
from ot_bridge.delivery.log import FILTER, Losses, OncePerMinute, target
from ot_bridge.otlp import OTLPSpanExporter
from tests.delivery.parts import Keeping, refusing, spans

NOBODY = "%d spans for %s are lost: nothing listens there (logged at most once a minute)"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, as the log sees it."""
    now = [1000.0]
    monkeypatch.setattr("ot_bridge.delivery.log.time.monotonic", lambda: now[0])
    return now


@pytest.fixture
def no_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    """The throttling has no owner that another test has left behind."""
    monkeypatch.setattr(log, "_open", WeakSet())


class _Exporter:
    target = "http://user:secret@collector:4318/v1/traces?key=secret"


def test_each_kind_of_loss_is_logged_once_a_minute_with_the_number_since_the_last_line(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    losses, exporter = Losses(), _Exporter()
    losses.note({"refused": 3}, exporter)
    losses.note({"refused": 10}, exporter)
    losses.note({"refused": 10, "timeout": 1}, exporter)
    clock[0] += 60
    losses.note({"refused": 12, "timeout": 1}, exporter)
    losses.note({"refused": 12, "timeout": 2}, exporter)
    losses.works(exporter)
    losses.works(exporter)
    where = "http://collector:4318/v1/traces"
    late = "it did not answer in time (logged at most once a minute)"
    assert caplog.messages == [
        NOBODY % (3, where),
        f"1 span for {where} is lost: {late}",
        NOBODY % (9, where),
        f"1 span for {where} is lost: {late}",
        f"spans reach {where} again",
    ]


@pytest.mark.parametrize("end", ["shutdown", "exit"])
def test_a_loss_is_logged_by_the_exporter_or_by_the_processor_and_the_rest_at_the_end(
    end: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(exit, "_began", None)
    with refusing() as address:
        ours = OTLPSpanExporter(endpoint=f"{address}/v1/traces", timeout=0.1)
        processors = [DeliveryProcessor(each) for each in (ours, Keeping(SpanExportResult.FAILURE))]
        for names in (["a"], ["b", "c"]):
            for processor in processors:
                spans(processor)(*names)
                assert processor.force_flush(10_000) is False
        if end == "exit":
            exit.finish()
        else:
            for processor in processors:
                processor.shutdown()
    monkeypatch.setattr(exit, "_began", None)
    heads = [text.partition(" (")[0] for text in caplog.messages]
    assert heads[:2] == [
        f"1 span is lost on the way to {address}/v1/traces: nothing listens there",
        "1 span for Keeping is lost: the exporter failed",
    ]
    assert sorted(heads[2:]) == [
        f"2 spans are lost on the way to {address}/v1/traces: nothing listens there",
        "2 spans for Keeping are lost: the exporter failed",
    ]


def test_the_remaining_losses_are_logged_at_shutdown(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    losses = Losses()
    losses.note({"refused": 3}, _Exporter())
    losses.note({"refused": 5}, _Exporter())
    losses.note({"refused": 5}, _Exporter(), final=True)
    losses.note({"refused": 5}, _Exporter(), final=True)
    assert [message.split()[0] for message in caplog.messages] == ["3", "2"]


@pytest.mark.parametrize(
    ("given", "printed"),
    [
        ("http://u:p@h:1/v1/traces?k=v#f", "http://h:1/v1/traces"),
        ("collector:4317", "collector:4317"),
        ("u:p@collector:4317", "collector:4317"),
        ("https://collector/", "https://collector/"),
        ("http://[::1", "Exporter"),
        ("", "Exporter"),
        (None, "Exporter"),
        (7, "Exporter"),
    ],
)
def test_the_target_is_shown_without_secrets(given: Any, printed: str) -> None:
    class Exporter:
        _endpoint = given

    assert target(Exporter()) == printed
    assert target(type("Ours", (Exporter,), {"target": "http://u:p@ours/"})()) == "http://ours/"


REASONS = {
    "dropped": "the queue was full, spans end faster than they can be exported",
    "refused": "nothing listens there",
    "timeout": "it did not answer in time",
    "status": "it answered with an error",
    "partial": "it refused these and took others",
    "too large": "they are larger than a request may be",
    "not encodable": "they could not be encoded",
    "shut down": "they ended after the shutdown",
    "other": "the exporter failed",
    "of the program": "of the program",
}


@pytest.mark.parametrize(("reason", "why"), REASONS.items(), ids=REASONS)
def test_each_reason_is_logged_in_words(reason: str, why: str, caplog: pytest.LogCaptureFixture) -> None:
    Losses().note({reason: 2}, _Exporter())
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("ot_bridge.delivery", logging.WARNING)
    assert record.getMessage() == (
        f"2 spans for http://collector:4318/v1/traces are lost: {why} (logged at most once a minute)"
    )
    assert set(log.WHY) == set(REASONS) - {"of the program"}


def test_a_line_comes_again_after_a_minute_and_not_before(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    clock[0] = 5.0  # the machine has just started
    losses = Losses()
    for moment, total in [(5.0, 1), (64.9, 2), (65.0, 3), (65.0, 3), (124.9, 4), (125.0, 4), (190.0, 4)]:
        clock[0] = moment
        losses.note({"status": total}, _Exporter())
    assert [message.split()[0] for message in caplog.messages] == ["1", "2", "1"]


def test_spans_that_only_the_queue_dropped_do_not_announce_that_others_arrive(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    losses = Losses()
    losses.works(_Exporter())
    losses.note({"dropped": 1}, _Exporter())
    losses.works(_Exporter())
    assert len(caplog.messages) == 1
    losses.note({"dropped": 1, "status": 1}, _Exporter())
    losses.note({"dropped": 2, "status": 1}, _Exporter(), final=True)
    losses.works(_Exporter())
    assert caplog.messages[-1] == "spans reach http://collector:4318/v1/traces again"


def test_log_lines_of_the_programs_own_exporter_are_not_throttled(caplog: pytest.LogCaptureFixture) -> None:
    mine, theirs = logging.getLogger("mine"), logging.getLogger("opentelemetry.exporter.some")

    class Mine(Keeping):
        def export(self, spans: Any) -> SpanExportResult:
            mine.error(f"batch {len(self.batches)}")
            theirs.error(f"batch {len(self.batches)}")
            return super().export(spans)

    tracer = ot_bridge.install(exporters=[Mine()], set_global=False)
    for _ in range(6):
        tracer.start_span("a").finish()
        tracer.flush(10)
    assert [record.name for record in caplog.records].count("mine") == 6
    assert [record.name for record in caplog.records].count(theirs.name) == 1
    ot_bridge.uninstall()


def test_uninstall_undoes_the_throttling(no_owner: None) -> None:
    logger = logging.getLogger("opentelemetry.exporter.some")
    tracer = ot_bridge.install(exporters=[Keeping()], set_global=False)
    assert FILTER in logger.filters
    assert tracer.flush(10)
    ot_bridge.uninstall()
    loggers = [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    assert not [logger for logger in loggers if FILTER in logger.filters]
    log.quieten()
    assert FILTER not in logger.filters


def test_loggers_that_are_created_later_are_throttled_too() -> None:
    def make() -> Any:
        logging.getLogger("opentelemetry.exporter.late")
        return Keeping()

    processor = DeliveryProcessor(make)
    assert FILTER in logging.getLogger("opentelemetry.exporter.late").filters
    processor.shutdown()


def test_the_throttle_identifies_a_log_statement_by_its_line_and_its_memory_is_bounded() -> None:
    throttle = OncePerMinute()

    def record(line: int, text: str) -> logging.LogRecord:
        return logging.LogRecord("name", logging.ERROR, "file.py", line, text, None, None)

    assert [throttle.filter(record(1, f"failed {number}")) for number in range(3)] == [True, False, False]
    assert all(throttle.filter(record(line, "failed")) for line in range(2, 3000))
    assert throttle.filter(record(1, "failed"))  # it has been forgotten


def test_a_log_statement_passes_the_throttle_once_a_minute(clock: list[float]) -> None:
    clock[0] = 5.0  # the machine has just started
    throttle = OncePerMinute()

    def passes(name: str, path: str, line: int) -> bool:
        return throttle.filter(logging.LogRecord(name, logging.ERROR, path, line, "failed", None, None))

    for moment, seen in [(5.0, True), (64.9, False), (65.0, True), (124.9, False), (125.0, True)]:
        clock[0] = moment
        assert passes("name", "file.py", 1) is seen
    assert [passes("name", "file.py", 2), passes("name", "other.py", 1), passes("other", "file.py", 1)] == [
        *[True] * 3
    ]
    assert not passes("name", "file.py", 1)


NOISY = {
    "opentelemetry.exporter.otlp": True,
    "opentelemetry.sdk.trace.export": True,
    "opentelemetry.sdk._shared_internal": True,
    "opentelemetry.sdk.trace": False,
    "mine.opentelemetry.exporter": False,
}


def test_only_loggers_of_exporters_are_throttled_until_the_last_owner_is_gone(no_owner: None) -> None:
    loggers = {name: logging.getLogger(name) for name in NOISY}

    def throttled() -> dict[str, bool]:
        return {name: FILTER in logger.filters for name, logger in loggers.items()}

    one, other = Keeping(), Keeping()
    log.quieten(one)
    log.quieten(other)
    assert throttled() == NOISY
    log.restore(one)
    assert throttled() == NOISY
    loggers["opentelemetry.exporter.otlp"].removeFilter(FILTER)
    log.quieten()  # loggers may have been added
    assert throttled() == NOISY
    log.restore(other)
    assert not any(throttled().values())


def test_a_processor_logs_once_that_spans_arrive_again(caplog: pytest.LogCaptureFixture) -> None:
    exporter = Keeping(SpanExportResult.FAILURE)
    processor = DeliveryProcessor(exporter)
    for result in (SpanExportResult.FAILURE, SpanExportResult.SUCCESS, SpanExportResult.SUCCESS):
        exporter.result = result
        spans(processor)("a")
        processor.force_flush(10_000)
    processor.shutdown()
    assert [text.partition(":")[0] for text in caplog.messages] == [
        "1 span for Keeping is lost",
        "spans reach Keeping again",
    ]


def test_losses_of_the_last_minute_are_logged_at_the_shutdown_of_the_processor(
    caplog: pytest.LogCaptureFixture,
) -> None:
    processor = DeliveryProcessor(Keeping(SpanExportResult.FAILURE), schedule_delay_millis=60_000)
    end = spans(processor)
    for _ in range(3):
        end("a", "b")
        assert processor.force_flush(10_000) is False
    processor.shutdown()
    numbers = [int(message.split()[0]) for message in caplog.messages]
    assert numbers == [2, 4]
