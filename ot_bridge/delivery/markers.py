"""The queue of a worker: spans, and `Marker`s at the places where flushes were requested.

1. A flush waits for a bare lock, which it has taken before; `set_result` releases it. A signal handler of the
   same thread may release it at any moment. An `Event` holds a lock of its own while it is set and read, at
   which the handler would wait for ever.
2. The export thread and the exit may both set a result. The first call counts.

The tests, by number, in tests/delivery/:
1. test_parts.py::test_a_signal_handler_may_set_the_result_for_which_its_thread_waits
2. test_parts.py::test_a_marker_gets_the_first_result_that_is_set
"""

from __future__ import annotations

import _thread
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan

from ot_bridge.delivery.counts import Ledger

#: The result of a flush: how many spans were lost until its marker, and whether the exporter flushed.
FlushResult = tuple[int, bool]


class Marker:
    """Marks a place in the queue. It gets its result when all spans before it have been exported or lost.

    deadline: of the flush, in `time.monotonic()`. end: whether to shut down the exporter at this place.
    """

    __slots__ = ("_pending", "_result", "deadline", "end")

    def __init__(self, deadline: float, end: bool = False) -> None:
        self.deadline = deadline
        self.end = end
        self._result: FlushResult | None = None
        self._pending = _thread.allocate_lock()  # only the thread that flushes waits for it
        self._pending.acquire()

    def set_result(self, result: FlushResult) -> None:
        """Sets the result of the flush. Only the first call counts."""
        if self._result is None:
            self._result = result
            with suppress(RuntimeError):  # another thread has set it at the same time
                self._pending.release()

    def wait(self, deadline: float) -> FlushResult | None:
        """The result. None if it has not come by the deadline."""
        seconds = min(max(deadline - time.monotonic(), 0), threading.TIMEOUT_MAX)
        return self._result if self._pending.acquire(timeout=seconds) else None


def has_marker(queue: deque[Any]) -> bool:
    """Whether a flush waits in the queue. True also where the queue changes while it is read."""
    try:
        return any(type(item) is Marker for item in tuple(queue))
    except RuntimeError:
        return True


def take(queue: deque[Any], most: int, ledger: Ledger) -> tuple[list[ReadableSpan], Marker | None]:
    """Takes a batch of at most `most` spans, and the marker that it ends with, if it meets one."""
    batch: list[ReadableSpan] = []
    marker: Marker | None = None
    ledger.begin()
    try:
        while len(batch) < most and marker is None:
            item = queue.popleft()
            if type(item) is Marker:
                marker = item
            else:
                batch.append(item)
                ledger.flying += 1
    except IndexError:
        pass
    finally:
        ledger.end()
    return batch, marker
