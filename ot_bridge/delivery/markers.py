"""`Marker`: where in the queue a flush begins, and the answer for who waits there."""

from __future__ import annotations

import _thread
import threading
import time

#: What a flush learns: how many spans were lost until its marker, and whether the exporter flushed.
Answer = tuple[int, bool]


class Marker:
    """A place in the queue: answered when all before it is gone. end: shut the exporter down there."""

    __slots__ = ("_answer", "_unanswered", "deadline", "end")

    def __init__(self, deadline: float, end: bool = False) -> None:
        self.deadline = deadline
        self.end = end
        self._answer: Answer | None = None
        self._unanswered = _thread.allocate_lock()  # nobody else ever waits for this one
        self._unanswered.acquire()

    def answer(self, answer: Answer) -> None:
        self._answer = answer
        self._unanswered.release()

    def wait(self, deadline: float) -> Answer | None:
        """The answer; None if time is over."""
        seconds = min(max(deadline - time.monotonic(), 0), threading.TIMEOUT_MAX)
        return self._answer if self._unanswered.acquire(timeout=seconds) else None
