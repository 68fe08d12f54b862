"""The exit of a process and its limits, called in this process."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import types
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from ot_bridge.delivery import Counts, DeliveryProcessor, exit, processes, signals
from ot_bridge.delivery.markers import Marker
from tests.delivery.parts import Keeping, Util, spans, until


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No processor of another test, and an exit that has not begun."""
    monkeypatch.setattr(exit, "PROCESSORS", WeakSet())
    monkeypatch.setattr(exit, "_began", None)
    monkeypatch.setattr(exit, "_closing", set())
    monkeypatch.setattr(processes, "_WATCH", processes._Watch())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("ot_bridge.delivery.exit.time.monotonic", lambda: now[0])
    return now


def _processor(exporter: Any, **options: Any) -> DeliveryProcessor:
    return DeliveryProcessor(exporter, **{"schedule_delay_millis": 60_000, **options})


def test_the_exit_has_five_seconds_from_its_beginning(clock: list[float]) -> None:
    assert not exit.leaving()
    assert exit.limited(5000.0) == 5000.0  # the exit has not begun
    assert not exit.leaving()
    assert exit.deadline() == 1005.0
    assert exit.leaving()
    clock[0] += 3
    assert exit.deadline() == 1005.0
    assert exit.limited(5000.0) == 1005.0
    assert exit.limited(1004.0) == 1004.0
    assert (exit.EXIT_SECONDS, exit.REFUSED_SECONDS) == (5.0, 1.0)
    exit.reset()
    assert not exit.leaving()
    assert exit.deadline() == 1008.0


def test_another_thread_is_not_at_the_exit() -> None:
    """Python says of the main thread that it is over; of another, that it runs."""
    seen: list[bool] = []
    thread = threading.Thread(target=lambda: seen.append(exit.leaving()))
    thread.start()
    thread.join()
    assert seen == [False]


@pytest.mark.parametrize(
    ("ident", "alive", "leaving"), [(0, False, True), (0, True, False), (1, False, False)]
)
def test_the_exit_begins_when_the_main_thread_runs_although_it_is_over(
    ident: int, alive: bool, leaving: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    main = types.SimpleNamespace(ident=threading.get_ident() + ident, is_alive=lambda: alive)
    monkeypatch.setattr("ot_bridge.delivery.exit.threading.main_thread", lambda: main)
    assert exit.leaving() is leaving


class Patient(Keeping):
    """Waits until it is told to give up. refusing: whether its collector refuses."""

    def __init__(self, refusing: bool) -> None:
        super().__init__(SpanExportResult.FAILURE)
        self.gate.clear()
        self.refusing = refusing

    def give_up_at(self, moment: float) -> None:
        if moment <= time.monotonic():
            self.gate.set()


def test_an_exporter_that_is_late_at_the_exit_gives_up_and_ends_the_flushes_that_wait(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(exit, "REFUSED_SECONDS", 0.05)
    exporter = Patient(refusing=True)
    processor = _processor(lambda: exporter, max_export_batch_size=1)
    end = spans(processor)
    end("a", "b")
    assert exporter.entered.wait(20)
    flushed: list[bool] = []
    thread = threading.Thread(target=lambda: flushed.append(processor.force_flush(60_000)))
    thread.start()
    until(lambda: processor.worker.waiting)
    exit.finish()
    assert exporter.gate.is_set()
    thread.join(10)
    assert flushed == [False]

    until(lambda: caplog.messages)  # the export thread may log it
    (late,) = caplog.messages
    assert late == "2 spans for Patient are lost: the exporter failed (logged at most once a minute)"


def test_only_a_collector_that_refuses_shortens_the_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both get until the exit's deadline; the one that refuses, a second at most."""
    given: list[tuple[Any, ...]] = []
    processor = _processor(Keeping())

    def finish(worker: Any, *deadlines: Any) -> tuple[int, bool]:
        given.append(deadlines)
        return 0, True

    monkeypatch.setattr(type(processor.worker), "finish", finish)
    spans(processor)("a")
    exit.finish()
    ((marker, until_, refused),) = given
    assert type(marker) is Marker
    assert marker.deadline == until_ == exit.deadline() - 0.3
    assert until_ - refused == pytest.approx(3.7)


def test_the_exit_logs_the_losses_of_the_last_minute(caplog: pytest.LogCaptureFixture) -> None:
    processor = _processor(lambda: Keeping(SpanExportResult.FAILURE))
    end = spans(processor)
    for _ in range(3):
        end("a", "b")
        assert processor.force_flush(10_000) is False
    assert [message.split()[0] for message in caplog.messages] == ["2"]
    exit.finish()
    assert [message.split()[0] for message in caplog.messages] == ["2", "4"]


def test_processors_without_a_thread_are_flushed_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller exports for those: the threads of the others work at the same time."""
    order: list[str] = []

    class Worker:
        idle = False

        def __init__(self, name: str, marker: Any, result: Any = (0, True)) -> None:
            self.name, self.marker, self.result = name, marker, result

        def begin(self, until: float) -> Any:
            order.append(f"begin {self.name}")
            return self.marker

        def finish(self, marker: Any, until: float, refused: float) -> Any:
            assert (marker, until, refused) == (self.marker, 2.0, 1.0)
            order.append(self.name)
            return self.result

    idle = Worker("idle", 1)
    idle.idle = True
    workers = [Worker("caller", None), Worker("thread", 1), Worker("late", 1, None), idle]
    monkeypatch.setattr(exit, "PROCESSORS", [types.SimpleNamespace(worker=each) for each in workers])
    assert exit.flush_all(2.0, 1.0) == [workers[2]]
    assert order == ["begin caller", "begin thread", "begin late", "thread", "late", "caller"]


def test_a_background_task_that_is_over_is_forgotten() -> None:
    go_on = threading.Event()
    exit.in_background(lambda: go_on.wait(20), "test")
    assert exit._closing
    go_on.set()
    until(lambda: not exit._closing)


def test_a_background_task_is_a_daemon_of_its_name() -> None:
    seen: list[tuple[str, bool]] = []

    def work() -> None:
        seen.append((threading.current_thread().name, threading.current_thread().daemon))

    exit.in_background(work, "its name")
    until(lambda: seen)
    assert seen == [("its name", True)]


def test_the_exit_waits_for_background_tasks_until_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    never: Any = types.SimpleNamespace(wait=waited.append)
    monkeypatch.setattr(exit, "_closing", [never])
    exit.at_exit()
    assert 4 < waited[0] <= 5
    monkeypatch.setattr(exit, "_began", time.monotonic() - 6)
    exit.at_exit()
    assert waited[1] == 0


def test_a_forked_child_waits_for_no_background_task_of_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    exit.in_background(lambda: go_on.wait(20), "test")
    exit.deadline()
    exit.reset()
    assert not exit._closing
    assert not exit.leaving()
    go_on.set()


def test_sigterm_gives_every_collector_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[float, float]] = []
    monkeypatch.setattr(exit, "flush_all", lambda *deadlines: given.append(deadlines))
    monkeypatch.setattr("ot_bridge.delivery.signals.time.monotonic", lambda: 1000.0)
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *each: killed.append(each))
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert signals.flush_on_sigterm()
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert given == [(1002.0, 1002.0)]
    assert killed == [(os.getpid(), signal.SIGTERM)]


# Processes of multiprocessing and billiard


@pytest.fixture
def util(monkeypatch: pytest.MonkeyPatch) -> Util:
    """The only module of `multiprocessing` and billiard that has been imported."""
    for name in ("multiprocessing.process", "billiard.process"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    util = Util()
    monkeypatch.setitem(sys.modules, "multiprocessing.util", util)
    return util


@pytest.mark.parametrize(
    ("parent", "billiard", "child"),
    [
        ("not imported", None, False),
        ("not imported", "_MainProcess", False),
        ("not imported", "ForkProcess", True),
        (None, None, False),
        ("a parent", None, True),
        (None, "_MainProcess", False),
        (None, "ForkProcess", True),
        ("a parent", "_MainProcess", True),
    ],
)
def test_a_child_is_recognized_by_the_package_that_started_it(
    parent: Any, billiard: str | None, child: bool, util: Util, monkeypatch: pytest.MonkeyPatch
) -> None:
    if parent != "not imported":
        ours = types.SimpleNamespace(parent_process=lambda: parent)
        monkeypatch.setitem(sys.modules, "multiprocessing.process", ours)
    if billiard is not None:
        process = type(billiard, (), {})()
        theirs = types.SimpleNamespace(current_process=lambda: process)
        monkeypatch.setitem(sys.modules, "billiard.process", theirs)
    processes.watch()
    assert bool(util.finalizers) is child


def test_a_child_has_one_finalizer_which_runs_after_all_others(
    util: Util, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = types.SimpleNamespace(parent_process=lambda: "a parent")
    monkeypatch.setitem(sys.modules, "multiprocessing.process", ours)
    processes.watch()
    processes.watch()
    assert util.finalizers == [(exit.finish, 0)]


@pytest.mark.parametrize("later", [processes.watch, processes.in_child])
def test_multiprocessing_is_watched_once_it_is_imported(
    later: Callable[[], None], monkeypatch: pytest.MonkeyPatch, util: Util
) -> None:
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "multiprocessing.util")
        processes.watch()
    later()
    assert len(util.after) == 1


@pytest.mark.parametrize("on_exit", [None, "fails", "works"])
def test_billiards_worker_exports_whatever_its_own_exit_does(
    on_exit: str | None, util: Util, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Any] = []
    monkeypatch.setattr(exit, "finish", lambda: done.append("exported"))

    def own(*args: Any) -> None:
        done.append(args)
        if on_exit == "fails":
            raise RuntimeError

    target: Any = types.SimpleNamespace(on_exit=own if on_exit else None)
    child = types.SimpleNamespace(_target=target)
    billiard = types.SimpleNamespace(current_process=lambda: child)
    monkeypatch.setitem(sys.modules, "billiard.process", billiard)
    processes.watch()
    if on_exit == "fails":
        with pytest.raises(RuntimeError):
            target.on_exit(1, 2)
    else:
        target.on_exit(1, 2)
    assert done == [(1, 2), "exported"][0 if on_exit else 1 :]


# The processor's own limits


@pytest.mark.parametrize("leaving", [True, False])
def test_a_flush_and_a_shutdown_have_their_limits(leaving: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []
    exporter = Keeping()
    processor = _processor(exporter)
    monkeypatch.setattr("ot_bridge.delivery.processor.time.monotonic", lambda: 1000.0)
    monkeypatch.setattr("ot_bridge.delivery.processor.exit.limited", lambda moment: moment + leaving)

    def note(worker: Any, moment: float) -> bool:
        given.append(moment)
        return True

    monkeypatch.setattr(type(processor.worker), "flush", note)
    monkeypatch.setattr(type(processor.worker), "close", note)
    assert processor.force_flush()
    assert processor.force_flush(1)
    assert processor.force_flush(0)
    processor.shutdown()
    processor.shutdown()
    other = _processor(Keeping())
    other.shutdown(250)
    expected = [1030.0, 1000.001, 1000.0, 1005.0, 1000.25]
    assert given == [moment + leaving for moment in expected]


def test_a_shutdown_at_the_exit_waits_no_longer_for_a_collector_that_refuses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[float] = []
    monkeypatch.setattr(exit, "finish", exit.deadline)
    exporters = [Patient(refusing) for refusing in (True, False)]
    processors = [_processor(exporter) for exporter in exporters]
    monkeypatch.setattr(type(processors[0].worker), "close", lambda worker, moment: given.append(moment))
    exit.deadline()
    for processor in processors:
        processor.shutdown()
    now = time.monotonic()
    assert given[0] <= now < given[1] <= exit.deadline()


def test_the_counts_are_those_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    processor = _processor(lambda: Keeping())
    spans(processor)("a")
    assert processor.force_flush(10_000)
    assert processor.counts() == Counts(1, 1, 0, {}, 0, 0)
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    assert processor.counts() == Counts(0, 0, 0, {}, 0, 0)
    monkeypatch.setattr(os, "getpid", lambda: pid)
    processor.renew()
