"""What the export thread shares with the threads that end spans: `Calls`, which wake it, and `Turn`.

Both use single operations in C (`SimpleQueue.put`, `deque.pop`, `deque.append`) in place of locks, because a
signal handler or a finalizer would wait for ever for a lock that its own thread holds.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from contextlib import suppress


class Calls:
    """Wakes the export thread. The value of a call is whether its caller waits for a flush."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def put(self, flush: bool) -> None:
        self._queue.put(flush)

    def wait(self, seconds: float) -> bool:
        """Waits for a call, at most for this time. Returns whether any call was for a flush.

        It first takes the calls that are in the queue already: in CPython 3.10, a `SimpleQueue` that was not
        empty computes the remaining time again, and may wait for ever if none remains.
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
        """Whether no thread has the turn."""
        return bool(self._tokens)

    def take(self) -> bool:
        """Takes the turn if it is free. Returns whether the caller has it now."""
        try:
            self._tokens.pop()
        except IndexError:
            return False
        return True

    def give_back(self) -> None:
        self._tokens.append(None)
