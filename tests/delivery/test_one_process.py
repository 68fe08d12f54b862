"""The functions that run at exits and forks, called in this process."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
import types
from typing import Any
from weakref import WeakSet

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from ot_bridge.delivery import DeliveryProcessor, exit, processes, signals
from tests.delivery.parts import Keeping, Util, spans, until, until_its_thread_ends


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No processor of another test, and an exit that has not begun."""
    monkeypatch.setattr(exit, "PROCESSORS", WeakSet())
    monkeypatch.setattr(exit, "_began", None)
    monkeypatch.setattr(processes, "_WATCH", processes._Watch())


def _processor(exporter: Any, **options: Any) -> DeliveryProcessor:
    return DeliveryProcessor(exporter, **{"schedule_delay_millis": 60_000, **options})


def test_the_exit_exports_waiting_spans_and_later_spans_immediately() -> None:
    exporter = Keeping()
    processor = _processor(lambda: exporter)
    end = spans(processor)
    end("a", "b")
    assert not exit.leaving()
    exit.finish()
    assert exit.leaving()
    end("c", "d")
    assert exporter.batches == [["a", "b"], ["c"], ["d"]]
    processor.shutdown()  # leaves the queue open
    end("e")
    assert exporter.names == list("abcde")
    assert exporter.shutdowns == 0


def test_an_exporter_that_the_program_supplied_is_shut_down_at_the_exit() -> None:
    exporter = Keeping()
    processor = _processor(exporter)
    end = spans(processor)
    end("a")
    exit.deadline()
    processor.shutdown()
    end("late")
    assert (exporter.names, exporter.shutdowns) == (["a"], 1)
    assert processor.counts().failed == {"shut down": 1}


class Refused(Keeping):
    refusing = True

    def __init__(self) -> None:
        super().__init__(SpanExportResult.FAILURE)
        self.gate.clear()


def test_spans_that_are_lost_at_the_exit_are_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(exit, "REFUSED_SECONDS", 0.1)
    exporter = Refused()
    processor = _processor(lambda: exporter, max_export_batch_size=2)
    end = spans(processor)
    end("a", "b", "c")
    began = time.monotonic()
    exit.finish()
    assert time.monotonic() - began < 4
    exit.finish()
    assert "3 spans for Refused left behind at exit: nothing listens there" in caplog.messages
    monkeypatch.setattr(exit, "_began", time.monotonic() - 60)
    exit.finish()
    end("late")
    assert "spans that ended while the program exited were left behind" in caplog.messages
    assert len([text for text in caplog.messages if "left behind" in text]) == 2
    exporter.gate.set()


def test_a_child_of_a_processor_that_was_shut_down_exports_nothing() -> None:
    exporter = Keeping()
    processor = _processor(lambda: exporter)
    processor.shutdown()
    processor.renew()  # as in a forked child
    spans(processor)("late")
    processor.force_flush(10_000)
    assert (exporter.names, processor.counts().failed) == ([], {"shut down": 1})


def test_if_no_thread_can_be_started_the_exit_exports_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(_thread, "start_new_thread", refuse)

    class Told(Keeping):
        told: tuple[float, ...] = ()

        def give_up_at(self, moment: float) -> None:
            self.told += (moment,)

    exporter = Told()
    processor = _processor(exporter)
    spans(processor)("a")
    exit.finish()
    assert exporter.names == ["a"]
    assert min(exporter.told) == exit.deadline() - exit.GIVE_UP_SECONDS


def test_the_exit_waits_for_background_tasks(caplog: pytest.LogCaptureFixture) -> None:
    go_on, done = threading.Event(), threading.Event()

    def work() -> None:
        go_on.wait(20)
        done.set()

    def fail() -> None:
        raise RuntimeError

    exit.in_background(work, "test")
    exit.in_background(fail, "failing")
    threading.Timer(0.05, go_on.set).start()
    exit.at_exit()
    assert done.is_set()
    assert "failing failed" in caplog.text
    here: list[int] = []
    exit.in_background(lambda: here.append(_thread.get_ident()), "at the exit")
    assert here == [_thread.get_ident()]


def test_if_no_thread_can_be_started_a_background_task_runs_immediately(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError

    monkeypatch.setattr(threading.Thread, "start", refuse)
    done: list[int] = []
    exit.in_background(lambda: done.append(1), "test")
    assert done == [1]


def test_a_forked_child_resets_its_counts_and_keeps_exporters_that_it_cannot_recreate() -> None:
    made: list[Keeping] = []

    def make() -> Keeping:
        made.append(Keeping())
        return made[-1]

    factory, given = _processor(make), _processor(Keeping())
    end = spans(factory)
    end("the parent's")
    threads = [factory.worker, given.worker]
    exit.deadline()
    processes.in_child()
    assert not exit.leaving()
    assert [each.counts().ended for each in (factory, given)] == [0, 0]
    assert given.exporter is threads[1].outlet.made
    end("the child's")
    assert factory.force_flush(10_000)
    assert [exporter.names for exporter in made] == [[], ["the child's"]]
    for worker in threads:
        worker.pid = -1
        worker.begin(0)  # wakes the thread
        until_its_thread_ends(worker)
    factory.shutdown()
    given.shutdown()


def test_uwsgis_children_are_noticed_by_their_pid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uwsgi", types.ModuleType("uwsgi"))
    exporter = Keeping()
    processor = _processor(lambda: exporter)
    end = spans(processor)
    end("the parent's")
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    end("the child's")
    assert processor.counts().waiting == 1
    monkeypatch.setattr(os, "getpid", lambda: pid + 2)
    assert processor.counts().ended == 0
    assert processor.force_flush(10_000)
    monkeypatch.setattr(os, "getpid", lambda: pid)
    processor.renew()
    processor.shutdown()


def test_children_of_multiprocessing_and_of_billiards_pool_export_at_their_exit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    util, statuses = Util(), []

    class Target:
        def on_exit(self, pid: int, status: int) -> None:
            statuses.append((pid, status))

    target = Target()
    child = types.SimpleNamespace(_target=target)
    billiard = types.SimpleNamespace(current_process=lambda: child)
    monkeypatch.setitem(sys.modules, "multiprocessing.util", util)
    monkeypatch.setitem(sys.modules, "billiard.process", billiard)
    exporter = Keeping()
    processor = _processor(exporter)
    assert (len(util.after), len(util.finalizers)) == (1, 1)
    processes.watch()
    assert (len(util.after), len(util.finalizers)) == (1, 1)
    processes.in_child()
    util.after[0]()
    assert (len(util.after), len(util.finalizers)) == (1, 2)
    spans(processor)("a")
    target.on_exit(7, 0)
    assert (statuses, exporter.names) == ([(7, 0)], ["a"])
    processor.shutdown()


def test_the_sigterm_handler_stays_set_if_the_signal_does_not_end_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:

    killed: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: killed.append(number))
    before = signal.getsignal(signal.SIGTERM)
    exporter = Keeping()
    processor = _processor(exporter)
    spans(processor)("a")
    try:
        assert signals.flush_on_sigterm()
        handler = signal.getsignal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (exporter.names, killed) == (["a"], [signal.SIGTERM])
    processor.shutdown()


def test_an_exit_that_gives_up_ends_the_flushes_of_other_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exit, "_began", None)
    monkeypatch.setattr(exit, "EXIT_SECONDS", exit.GIVE_UP_SECONDS)
    exporter = Keeping()
    exporter.gate.clear()
    processor = _processor(exporter)
    spans(processor)("a")
    flushed: list[bool] = []
    thread = threading.Thread(target=lambda: flushed.append(processor.force_flush(60_000)), daemon=True)
    thread.start()
    until(lambda: processor.worker.waiting)
    exit.finish()
    thread.join(10)
    assert flushed == [False]
    monkeypatch.setattr(exit, "_began", None)
    exporter.gate.set()
    processor.shutdown()
