"""What the export thread and the threads that end spans share: calls that wake it, and the turn to export.

Both are single operations in C (`SimpleQueue.put`, `deque.pop`, `deque.append`), so neither needs a lock that
a signal handler or a finalizer could meet while it is held.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from contextlib import suppress


class Calls:
    """Wakes the export thread. A call's value is whether its caller waits for a flush."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def put(self, flush: bool) -> None:
        self._queue.put(flush)

    def wait(self, seconds: float) -> bool:
        """Waits for a call, for this time at most. Returns whether any call was for a flush.

        Calls that have come already are taken first: in CPython 3.10, a `SimpleQueue` that was not empty
        calculates anew how long it has to wait, and may treat a time that is over as no limit.
        """
        calls = self._taken()
        if not calls and seconds > 0:
            with suppress(queue.Empty):
                calls = [self._queue.get(timeout=min(seconds, threading.TIMEOUT_MAX)), *self._taken()]
        return any(calls)

    def _taken(self) -> list[bool]:
        calls: list[bool] = []
        with suppress(queue.Empty):
            while True:
                calls.append(self._queue.get_nowait())
        return calls


class Turn:
    """The right to take spans out of the queue, which one thread has at a time."""

    def __init__(self) -> None:
        self._tokens: deque[None] = deque([None])

    def __bool__(self) -> bool:
        """Whether it is free."""
        return bool(self._tokens)

    def take(self) -> bool:
        """Whether the caller has it now."""
        try:
            self._tokens.pop()
        except IndexError:
            return False
        return True

    def give_back(self) -> None:
        self._tokens.append(None)
