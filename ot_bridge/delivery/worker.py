"""`Worker`: one process's half of a `DeliveryProcessor`: its queue, its export thread, its exporter.

How it works:

1. A span that ends is appended to a deque. `deque.append`, `len`, `SimpleQueue.put` and `next` of a count are
   single calls in C, so ending a span takes no lock: not in a signal handler, not in a finalizer.
2. `mark` is the length of the queue from which on a span asks (`admit`) before it is appended: one less than
   a batch while the thread sleeps, the queue's size while it is awake, 0 when every span has to ask. The span
   that fills a batch wakes the thread, by putting into `_calls`; the next ones find it awake.
3. One thread at a time takes spans out: whoever has the token in `_turn`. The export thread takes it for its
   life and gives it back whatever ends it, so an empty `_turn` means that a thread runs or is being started;
   the next span or flush after its death finds the token and starts another. Where none can be started (at
   the exit of Python 3.12), the caller takes the token and exports by itself.
4. `flush` appends a `Marker`. The queue is first in, first out, and a batch ends at a marker: when the marker
   is answered, all that had ended before the call has been exported or lost.
5. What a flush tells is kept for each thread: the number of lost spans that this thread was told of.
6. A worker belongs to the process that made it (`pid`). A forked child makes another one (see `processes`);
   what still runs on the old one, such as a frame that was on the stack, finds that the pid has changed.
"""

from __future__ import annotations

import _thread
import logging
import os
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from opentelemetry.sdk.trace import ReadableSpan

from ot_bridge.delivery.counts import Counts, Ledger
from ot_bridge.delivery.markers import Answer, Marker
from ot_bridge.delivery.outlet import Outlet, untraced
from ot_bridge.delivery.quiet import Losses
from ot_bridge.delivery.settings import Settings
from ot_bridge.errors import report, say_once

_log = logging.getLogger("ot_bridge.delivery")
_STEP: Final = 0.05  # seconds between two looks at whether a collector refuses


class Worker:
    """See the module. make: gives the exporter, at first use. listener: is told of the counts."""

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
        self.told_left = False  # whether the log tells of spans left behind
        self.outlet = Outlet(make, settings.timeout)
        self.ledger = Ledger()
        self._make = make
        self._before = before  # the fork's other side: its exporter must not be finalized here
        self._listener = listener
        self._turn: deque[None] = deque([None])
        self._calls: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._thread = 0
        self._told = threading.local()
        self._losses = Losses()
        self._heard: Counts | None = None

    def heir(self, keeps: bool) -> Worker:
        """The worker of a forked child. keeps: the exporter, which the program made, is the same object."""
        heir = Worker(self.settings, self._make, self._listener, self)
        if keeps:
            heir.outlet.made = self.outlet.made
        heir.closed = self.closed
        self.queue.clear()  # the parent sends what waited
        return heir

    # A span ends

    def admit(self, span: ReadableSpan) -> bool:
        """Whether the queue takes one more, which the caller then appends."""
        waiting = len(self.queue)
        if self.closed:
            self.ledger.late.add()
            say_once(_log, logging.WARNING, "spans that end after the shutdown of their tracer are lost")
            return False
        if waiting >= self.settings.queue:
            self.ledger.dropped.add()
            self.ensure()
            return False
        if self.leaving is not None:
            self._export_late(span, self.leaving)
            return False
        if self.ensure() and waiting + 1 >= self.settings.batch:
            self.mark = self.settings.queue
            self._calls.put(False)
        return True

    def _export_late(self, span: ReadableSpan, deadline: float) -> None:
        """A span that ends in one of the program's last exit hooks: nobody comes after it."""
        self.queue.append(span)
        if not self.flush(deadline):
            say_once(_log, logging.WARNING, "spans that ended while the program exited were left behind")

    # The thread

    def ensure(self) -> bool:
        """Whether there is an export thread; starts one if there is none."""
        if not self._claim():
            return True
        try:
            self._calls = queue.SimpleQueue()  # here: gevent may have replaced the class since the import
            _thread.start_new_thread(self._run, (threading.gettrace(), threading.getprofile()))
        except RuntimeError:  # at the interpreter's exit
            self._turn.append(None)
            return False
        return True

    def _claim(self) -> bool:
        try:
            self._turn.pop()
        except IndexError:
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
            report(_log, "the export thread failed; the next span starts another")
        finally:
            self._thread = 0
            self.mark = 0
            self._turn.append(None)

    def _work(self) -> None:
        self.ledger.recover()
        delay, full = self.settings.delay, self.settings.batch
        urgent, due = self._awaited(), time.monotonic() + delay
        while self.pid == os.getpid():
            self._set_mark(self.settings.queue)
            if urgent or time.monotonic() >= due:
                self._drain(len(self.queue))
                due = time.monotonic() + delay
            while len(self.queue) >= full:
                self._round()
            self.tell()
            if self.closed and not self.queue:
                return
            self._set_mark(full - 1)
            urgent = len(self.queue) < full and self._sleep(due - time.monotonic())

    def _awaited(self) -> bool:
        """Whether somebody waits for a flush that began before this thread did."""
        try:
            return any(type(item) is Marker for item in tuple(self.queue))
        except RuntimeError:  # the queue changed under the look at it
            return True

    def _set_mark(self, length: int) -> None:
        self.mark = 0 if self.closed or self.leaving is not None else length

    def _sleep(self, seconds: float) -> bool:
        """Waits for a call, or for the time to be over. Whether somebody flushes.

        The calls are looked at first: a `SimpleQueue` of CPython 3.10 that has not been found empty works out
        anew how long it has to wait, and may take a time that is over for no limit.
        """
        calls = self._waiting_calls()
        if not calls and seconds > 0:
            with suppress(queue.Empty):
                calls = [self._calls.get(timeout=seconds), *self._waiting_calls()]
        return any(calls)

    def _waiting_calls(self) -> list[bool]:
        calls: list[bool] = []
        with suppress(queue.Empty):
            while True:
                calls.append(self._calls.get_nowait())
        return calls

    def _drain(self, count: int) -> None:
        """Exports the `count` items at the head of the queue."""
        while count > 0 and self.queue:
            count -= self._round()

    def _round(self) -> int:
        """Exports one batch, and answers the marker that it ends with. How many items were taken."""
        batch, marker = self._take()
        taken = len(batch) + (marker is not None)
        if batch:
            lost = self.outlet.export(batch)
            self.ledger.settle(lost)
            if not lost:
                self._losses.works(self.outlet.exporter)
        if marker is not None:
            self.tell()
            flushed = self._end() if marker.end else self.outlet.flush(marker.deadline)
            marker.answer((self.ledger.failed, flushed))
        return taken

    def _take(self) -> tuple[list[ReadableSpan], Marker | None]:
        batch: list[ReadableSpan] = []
        marker: Marker | None = None
        self.ledger.begin()
        try:
            while len(batch) < self.settings.batch and marker is None:
                item = self.queue.popleft()
                if type(item) is Marker:
                    marker = item
                else:
                    batch.append(item)
                    self.ledger.flying += 1
        except IndexError:
            pass
        finally:
            self.ledger.end()
        return batch, marker

    def _end(self) -> bool:
        self.closed = True
        return self.outlet.shut()

    def tell(self, final: bool = False) -> None:
        """Says in the log and to the listener what has changed."""
        lost = self.ledger.lost
        if lost:
            self._losses.note(lost, self.outlet.made, final)
        if self._listener is not None:
            counts = self.counts()
            if counts != self._heard:
                self._heard = counts
                try:
                    self._listener(counts)
                except Exception:
                    report(_log, "a listener to the counts raised")

    # Others wait

    def counts(self) -> Counts:
        return self.ledger.counts(self.queue, Marker)

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is in flight."""
        return not (self.queue or self.ledger.moving or self.ledger.flying)

    def begin(self, deadline: float, end: bool = False) -> Marker | None:
        """Has the thread export all that is here. None if there is no thread, and none can be started."""
        marker = Marker(deadline, end)
        self.queue.append(marker)
        if self.ensure():
            self._calls.put(True)
            return marker
        self._withdraw(marker)
        return None

    def finish(self, marker: Marker | None, deadline: float, refused: float | None = None) -> Answer | None:
        """Waits for what was begun; None if time is over. refused: the deadline if the collector refuses."""
        if marker is None:
            return self._export_here(deadline)
        answer, until = None, deadline
        while answer is None and time.monotonic() < until:
            if refused is not None:
                until = min(refused, deadline) if self.outlet.refusing else deadline
            answer = marker.wait(until if refused is None else min(until, time.monotonic() + _STEP))
        if answer is None:
            self._withdraw(marker)
        return answer

    def _withdraw(self, marker: Marker) -> None:
        with suppress(ValueError, IndexError):  # taken meanwhile, or the queue changed under the search
            self.queue.remove(marker)

    def flush(self, deadline: float) -> bool:
        """Whether all that had ended arrived in time, and nothing was lost since this thread's last flush."""
        ledger = self.ledger
        refused = ledger.refused
        if self._thread == _thread.get_ident():
            return False  # an exporter that flushes: it cannot wait for itself
        answer: Answer | None = ledger.failed, True
        if not self.idle or (self.outlet.made is not None and not self.closed):
            answer = self.finish(self.begin(deadline), deadline)
        failed, flushed = answer or (ledger.failed, False)
        told = getattr(self._told, "lost", 0)
        self._told.lost = failed + refused
        return flushed and failed + refused == told

    def _export_here(self, deadline: float) -> Answer | None:
        """Exports in the calling thread. None if it was not done in time."""
        if not self._claim():
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
            self._turn.append(None)
        return None if self.queue else (self.ledger.failed, True)

    def leave(self, deadline: float) -> None:
        """The exit has begun: spans that end from now on are exported at once, until the deadline."""
        self.leaving = deadline
        self.mark = 0

    def close(self, deadline: float) -> bool:
        """Exports what waits, ends thread and exporter, and takes no more. Whether that was done in time."""
        done = self.flush(deadline)
        if self.idle and not self._thread:
            self.outlet.shut()
        elif self.idle or done:
            done = self.finish(self.begin(deadline, end=True), deadline) is not None and done
        self.closed, self.mark = True, 0
        self.outlet.shut()
        self._calls.put(True)
        self.tell(final=True)
        return done

    def abandon(self) -> None:
        """Nobody has the processor any more: the thread exports what waits, and ends."""
        self.closed = True
        self._calls.put(True)
