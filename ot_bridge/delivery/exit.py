"""The end of a process: one deadline for all processors, and for what closes in the background.

1. The exit begins when the main thread runs `atexit` hooks. The sign of this is that code runs in the main
   thread although `threading` reports that this thread has ended. (As long as other threads run, the main
   thread only waits for them.) In a child of `multiprocessing` or billiard, the exit begins when the child
   has done its work. The first call of `deadline` fixes the deadline.
2. From then on no flush and no shutdown waits beyond the deadline: 5 s, or 1 s where the collector refuses.
   Shortly before the deadline the exporters are told to give up. They count and log what they lose, so that
   each span is reported once, with its reason.
3. A shutdown at the exit leaves the queue open. A span that ends in a later exit hook is exported at once,
   within the time that is left.
4. Nothing here starts a thread, since Python 3.12 starts none at the exit. The export threads are daemons
   that run until the last exit hook is over. Where a processor has none, the caller exports.

The tests, by number, in tests/delivery/:
1. test_exit.py::test_the_exit_begins_when_the_main_thread_runs_although_it_is_over
2. test_exits.py::test_a_program_ends_in_time_and_logs_the_spans_that_it_lost
3. test_one_process.py::test_the_exit_exports_waiting_spans_and_later_spans_immediately
4. test_one_process.py::test_if_no_thread_can_be_started_the_exit_exports_itself
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakSet

from ot_bridge.delivery import finalizers
from ot_bridge.delivery.log import target
from ot_bridge.errors import log_failure

_log = logging.getLogger("ot_bridge.delivery")

EXIT_SECONDS: Final = 5.0
REFUSED_SECONDS: Final = 1.0
GIVE_UP_SECONDS: Final = 0.3  # in which an exporter that is told to give up counts and logs its losses

#: All processors of this process that still exist.
PROCESSORS: Final[WeakSet[Any]] = WeakSet()

_began: float | None = None  # when the exit began
_closing: set[threading.Event] = set()


def leaving() -> bool:
    """Whether the process is about to end."""
    if _began is not None:
        return True
    main = threading.main_thread()
    return main.ident == threading.get_ident() and not main.is_alive()


def deadline() -> float:
    """The moment of `time.monotonic()` at which the exit has to be over. The first call fixes it."""
    global _began
    if _began is None:
        _began = time.monotonic()
    return _began + EXIT_SECONDS


def limited(moment: float) -> float:
    """`moment`, or the exit's own deadline if the exit has begun and that is earlier."""
    return min(moment, deadline()) if leaving() else moment


def flush_all(until: float, refused: float) -> list[Any]:
    """Has all processors export at the same time, and waits. Returns the workers that were late.

    until: the deadline. refused: the deadline for a worker whose collector refuses connections.
    """
    workers = [processor.worker for processor in list(PROCESSORS)]
    begun = [(worker, worker.begin(until)) for worker in workers if not worker.idle]
    begun.sort(key=lambda pair: pair[1] is None)  # workers without a thread last: the caller exports for them
    return [worker for worker, marker in begun if worker.finish(marker, until, refused) is None]


def finish() -> None:
    """Exports what is in the queues of all processors, and logs how many spans were left behind."""
    until = deadline()
    finalizers.drain()
    for processor in list(PROCESSORS):
        processor.worker.leave(until)
    late = flush_all(until - GIVE_UP_SECONDS, until - EXIT_SECONDS + REFUSED_SECONDS)
    for worker in late:
        _give_up(worker)
    given_up = time.monotonic() + GIVE_UP_SECONDS
    for worker in late:
        while not worker.idle and time.monotonic() < given_up:
            time.sleep(0.005)
        _log_left(worker)
    for processor in list(PROCESSORS):
        processor.worker.report(final=True)


def _give_up(worker: Any) -> None:
    """Makes the exporter of a late worker give up, and ends the flushes of other threads that wait for it."""
    worker.outlet.hurry(time.monotonic())
    for marker in tuple(worker.waiting):
        marker.set_result((worker.ledger.failed, False))


def _log_left(worker: Any) -> None:
    counts = worker.counts()
    number = counts.waiting + counts.in_flight
    if number and not worker.reported_left:
        worker.reported_left = True
        spans = "1 span" if number == 1 else f"{number} spans"
        why = "nothing listens there" if worker.outlet.refusing else "it did not take them in time"
        _log.warning("%s for %s left behind at exit: %s", spans, target(worker.outlet.made), why)


def at_exit() -> None:
    """Exports what is in the queues, and waits for what closes in the background, until the deadline."""
    finish()
    for event in list(_closing):
        event.wait(max(deadline() - time.monotonic(), 0))


def in_background(work: Callable[[], object], name: str) -> None:
    """Does `work` in a thread of its own, for which the exit waits. During the exit it is done at once."""
    if leaving():
        work()
        return
    over = threading.Event()

    def run() -> None:
        try:
            work()
        except Exception:
            log_failure(_log, f"{name} failed")
        finally:
            _closing.discard(over)
            over.set()

    _closing.add(over)
    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except RuntimeError:
        run()


def reset() -> None:
    """Resets the state in a forked child: its exit has not begun, and nothing closes in the background."""
    global _began
    _began = None
    _closing.clear()


atexit.register(at_exit)
