"""The queue of a worker: spans, and `Marker`s at the places where flushes were asked for."""

from __future__ import annotations

import _thread
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan

from ot_bridge.delivery.counts import Ledger

#: What a flush learns: how many spans were lost until its marker, and whether the exporter flushed.
Answer = tuple[int, bool]


class Marker:
    """A place in the queue, which is answered when everything before it is gone.

    deadline: of the flush, in `time.monotonic()`. end: whether the exporter is to be shut down there.
    """

    __slots__ = ("_answer", "_unanswered", "deadline", "end")

    def __init__(self, deadline: float, end: bool = False) -> None:
        self.deadline = deadline
        self.end = end
        self._answer: Answer | None = None
        self._unanswered = _thread.allocate_lock()  # only the thread that flushes waits for it
        self._unanswered.acquire()

    def answer(self, answer: Answer) -> None:
        """The first answer counts."""
        if self._answer is None:
            self._answer = answer
            with suppress(RuntimeError):  # another thread answers at the same time
                self._unanswered.release()

    def wait(self, deadline: float) -> Answer | None:
        """The answer. None if it has not come by the deadline."""
        seconds = min(max(deadline - time.monotonic(), 0), threading.TIMEOUT_MAX)
        return self._answer if self._unanswered.acquire(timeout=seconds) else None


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
