"""`Worker`: the part of a `DeliveryProcessor` in one process: a queue, an export thread and an exporter.

How it works:

1. A span that ends is appended to a deque. `deque.append`, `len`, `SimpleQueue.put` and `next` of a count are
   single calls in C, so ending a span takes no lock, and is safe in a signal handler and in a finalizer.
2. `mark` is a length of the queue. A span that finds the queue shorter is appended at once; any other span
   calls `admit` first. `mark` is one less than a batch while the thread sleeps, the queue's size while the
   thread is awake, and 0 when every span has to call `admit`. The span that fills a batch wakes the thread
   through `_calls`; the spans after it find the thread awake.
3. Only the thread that has `_turn` takes spans out. The export thread takes the turn for its life, and gives
   it back whatever ends it. So a turn that is taken means that a thread runs or is being started. The first
   span or flush after the thread's death finds the turn free and starts another thread. Where no thread can
   be started (at the exit of Python 3.12), the caller takes the turn and exports by itself.
4. `flush` appends a `Marker`. The queue is first in, first out, and a batch ends at a marker: when the marker
   is settled, every span that had ended before the call has been exported or lost.
5. For each thread that flushes, `_flushed` has the number of losses that its flushes have reported, so every
   thread learns of every loss.
6. A worker belongs to the process that made it (`pid`). A forked child makes another one (see `processes`).
   Code that still runs on the old one, such as a frame that was on the stack, finds that the pid has changed.

The tests, by number, in tests/delivery/ (benchmark rows whole and stalls need 1 and 2):
1. test_queue.py::test_a_signal_handler_ends_spans_while_its_thread_ends_them
2. test_queue.py::test_the_thread_is_woken_once_for_each_batch_and_not_for_each_span
3. test_queue.py::test_a_thread_that_is_killed_is_replaced_and_what_it_held_is_lost,
   test_queue.py::test_if_no_thread_can_be_started_the_caller_exports
4. test_parts.py::test_a_batch_ends_at_a_marker_or_when_it_is_full
5. test_flush.py::test_a_failed_export_is_reported_to_every_thread_that_flushes
6. test_one_process.py::test_a_forked_child_resets_its_counts_and_keeps_exporters_that_it_cannot_recreate,
   test_forks.py::test_children_that_are_forked_without_pythons_hooks_export_their_spans
"""

from __future__ import annotations

import _thread
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from opentelemetry.sdk.trace import ReadableSpan

from ot_bridge.delivery.calls import Calls, Turn
from ot_bridge.delivery.counts import Counts, Ledger
from ot_bridge.delivery.log import Losses
from ot_bridge.delivery.markers import FlushResult, Marker, has_marker, take
from ot_bridge.delivery.outlet import Outlet, untraced
from ot_bridge.delivery.settings import Settings
from ot_bridge.errors import log_failure, log_once

_log = logging.getLogger("ot_bridge.delivery")
_STEP: Final = 0.05  # seconds between two looks at whether a collector refuses


class Worker:
    """Delivers the spans of one process. make: makes the exporter. listener: gets the counts."""

    def __init__(
        self,
        settings: Settings,
        make: Callable[[], Any],
        listener: Callable[[Counts], object] | None = None,
        before: Worker | None = None,
    ) -> None:
        self.pid = os.getpid()
        self.settings = settings
        self.queue: deque[Any] = deque()
        self.mark = 0
        self.closed = False
        self.leaving: float | None = None  # the exit's deadline, once the exit has begun
        self.reported_left = False  # whether spans left behind at the exit were logged
        self.outlet = Outlet(make, settings.timeout)
        self.ledger = Ledger()
        self._make = make
        self._before = before  # kept, because the parent's exporter must not be finalized in this process
        self._listener = listener
        self._turn = Turn()
        self._calls = Calls()
        self._thread = 0
        self._flushed = threading.local()
        self.waiting: list[Marker] = []  # of the flushes that wait for their result
        self._losses = Losses()
        self._last_counts: Counts | None = None

    def for_child(self, keeps: bool) -> Worker:
        """Makes the worker for a forked child. keeps: whether it keeps the exporter (made by the program)."""
        worker = Worker(self.settings, self._make, self._listener, self)
        if keeps:
            worker.outlet.made = self.outlet.made
        worker.closed = self.closed
        self.queue.clear()  # the parent exports the spans that were waiting
        return worker

    # A span ends

    def admit(self, span: ReadableSpan) -> bool:
        """Whether the caller may append the span; if not, it has been counted or exported here."""
        waiting = len(self.queue)
        if self.closed:
            self.ledger.late.add()
            log_once(_log, logging.WARNING, "spans that end after the shutdown of their tracer are lost")
            return False
        if waiting >= self.settings.queue:
            self.ledger.dropped.add()
            self.ensure_thread()
            return False
        if self.leaving is not None:
            self._export_late(span, self.leaving)
            return False
        if self.ensure_thread() and waiting + 1 >= self.settings.batch:
            self.mark = self.settings.queue
            self._calls.put(False)
        return True

    def _export_late(self, span: ReadableSpan, deadline: float) -> None:
        """Exports a span that ends in one of the program's last exit hooks, after the export at the exit."""
        self.queue.append(span)
        if not self.flush(deadline):
            log_once(_log, logging.WARNING, "spans that ended while the program exited were left behind")

    # The thread

    def ensure_thread(self) -> bool:
        """Whether there is an export thread; starts one if there is none."""
        if not self._turn.take():
            return True
        try:
            self._calls = Calls()  # a new one, because gevent may have replaced `SimpleQueue` meanwhile
            _thread.start_new_thread(self._run, (threading.gettrace(), threading.getprofile()))
        except RuntimeError:  # at the interpreter's exit
            self._turn.give_back()
            return False
        return True

    def _run(self, trace: Any, profile: Any) -> None:
        if trace is not None:
            sys.settrace(trace)
        if profile is not None:
            sys.setprofile(profile)
        self._thread = _thread.get_ident()
        try:
            with untraced():
                self._work()
        except Exception:
            log_failure(_log, "the export thread failed; the next span starts another")
        finally:
            self._thread = 0
            self.mark = 0
            self._turn.give_back()

    def _work(self) -> None:
        self.ledger.recover()
        delay, full = self.settings.delay, self.settings.batch
        urgent, due = has_marker(self.queue), time.monotonic() + delay
        while self.pid == os.getpid():
            self._set_mark(self.settings.queue)
            if urgent or time.monotonic() >= due:
                self._drain(len(self.queue))
                due = time.monotonic() + delay
            while len(self.queue) >= full:
                self._round()
            self.report()
            if self.closed and not self.queue:
                return
            self._set_mark(full - 1)
            called = len(self.queue) < full and self._calls.wait(due - time.monotonic())
            urgent = called and (self.closed or has_marker(self.queue))  # False if the flush is done already

    def _set_mark(self, length: int) -> None:
        self.mark = 0 if self.closed or self.leaving is not None else length

    def _drain(self, count: int) -> None:
        """Exports the `count` items at the head of the queue."""
        while count > 0 and self.queue:
            count -= self._round()

    def _round(self) -> int:
        """Exports one batch and settles the marker that it ends with. Returns the number of items taken."""
        batch, marker = take(self.queue, self.settings.batch, self.ledger)
        taken = len(batch) + (marker is not None)
        if batch:
            lost = self.outlet.export(batch)
            self.ledger.settle(lost)
            if not lost:
                self._losses.works(self.outlet.exporter)
        if marker is not None:
            self.report()
            flushed = self._shut_exporter() if marker.end else self.outlet.flush(marker.deadline)
            marker.set_result((self.ledger.failed, flushed))
        return taken

    def _shut_exporter(self) -> bool:
        self.closed = True
        return self.outlet.shut()

    def report(self, final: bool = False) -> None:
        """Logs new losses, and passes changed counts to the listener. final: logs them at once.

        An exporter that has `log_rest` logs by itself what it has lost. Spans that were reported as left
        behind at the exit may still be lost.
        """
        lost = self.ledger.lost
        if self.outlet.logs or self.reported_left:
            lost = {reason: number for reason, number in lost.items() if reason == "dropped"}
        if final and self.outlet.logs:
            self.outlet.log_rest()
        if lost:
            self._losses.note(lost, self.outlet.made, final)
        if self._listener is not None:
            counts = self.counts()
            if counts != self._last_counts:
                self._last_counts = counts
                try:
                    self._listener(counts)
                except Exception:
                    log_failure(_log, "a listener to the counts raised")

    # Other threads wait

    def counts(self) -> Counts:
        return self.ledger.counts(self.queue, Marker)

    @property
    def idle(self) -> bool:
        """Whether no span waits and none is being exported."""
        return not (self.queue or self.ledger.moving or self.ledger.flying)

    def begin(self, deadline: float, end: bool = False) -> Marker | None:
        """Has the thread export what is in the queue. None if no thread runs or can be started."""
        marker = Marker(deadline, end)
        self.queue.append(marker)
        if self.ensure_thread():
            self._calls.put(True)
            return marker
        self._remove_marker(marker)
        return None

    def finish(
        self, marker: Marker | None, deadline: float, refused: float | None = None
    ) -> FlushResult | None:
        """Waits for the result of `begin`'s marker. None if the time is over before.

        refused: the deadline that holds in place of `deadline` where the collector refuses connections.
        """
        if marker is None:
            return self._export_here(deadline)
        result, until = None, deadline
        self.waiting.append(marker)
        try:
            while result is None and time.monotonic() < until:
                if refused is not None:
                    until = min(refused, deadline) if self.outlet.refusing else deadline
                result = marker.wait(until if refused is None else min(until, time.monotonic() + _STEP))
        finally:
            self.waiting.remove(marker)
        if result is None:
            self._remove_marker(marker)
        return result

    def _remove_marker(self, marker: Marker) -> None:
        with suppress(ValueError, IndexError):  # the marker was taken, or the queue changed, meanwhile
            self.queue.remove(marker)

    def flush(self, deadline: float) -> bool:
        """Whether all spans that had ended arrived in time, with no loss since this thread's last flush."""
        ledger = self.ledger
        refused = ledger.refused
        if self._thread == _thread.get_ident():
            return False  # an exporter calls this in the export thread, which cannot wait for itself
        result: FlushResult | None = ledger.failed, True
        if not self.idle or (self.outlet.made is not None and not self.closed):
            result = self.finish(self.begin(deadline), deadline)
        failed, flushed = result or (ledger.failed, False)
        known = getattr(self._flushed, "lost", 0)
        self._flushed.lost = failed + refused
        return flushed and failed + refused == known

    def _export_here(self, deadline: float) -> FlushResult | None:
        """Exports in the calling thread. None if that did not end in time."""
        if not self._turn.take():
            return None
        limit = self.outlet.limit
        self.outlet.hurry(deadline)
        try:
            with untraced():
                self.ledger.recover()
                while self.queue and time.monotonic() < deadline:
                    self._round()
        finally:
            self.outlet.limit = limit
            self._turn.give_back()
        return None if self.queue else (self.ledger.failed, True)

    def leave(self, deadline: float) -> None:
        """Begins the exit: spans that end from now on are exported at once, until the deadline."""
        self.leaving = deadline
        self.mark = 0

    def close(self, deadline: float) -> None:
        """Exports what waits, ends thread and exporter, and refuses later spans."""
        done = self.flush(deadline)
        if self.idle and not self._thread:
            self.outlet.shut()
        elif self.idle or done:
            self.finish(self.begin(deadline, end=True), deadline)
        self.closed, self.mark = True, 0
        self.outlet.shut()
        self._calls.put(True)
        self.report(final=True)

    def abandon(self) -> None:
        """Has the thread export what waits and end, because the processor was deleted."""
        self.closed = True
        self._calls.put(True)
