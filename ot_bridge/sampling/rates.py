"""A token bucket: a rate per second, with a reserve for bursts. Safe with threads and after a fork."""

from __future__ import annotations

import os
import threading
import time

# One lock for all buckets. It is held for some hundred nanoseconds, and a child process that was forked while
# another thread held it has only one lock to renew. It is reentrant: a signal handler or finalizer that runs
# while its thread holds the lock does not block, and at worst gets a token too many.
_lock = threading.RLock()


def _renew_lock() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


class TokenBucket:
    """Gives `rate` tokens a second and holds at most one second's worth, but never less than one.

    fill: how full it starts, from 0 to 1.
    """

    __slots__ = ("_balance", "_filled_at", "_size", "rate")

    def __init__(self, rate: float, fill: float) -> None:
        self.rate = rate
        self._size = max(rate, 1.0)
        self._balance = self._size * fill
        self._filled_at = time.monotonic()

    def take(self) -> bool:
        """Takes one token; False if there is none."""
        with _lock:
            self._refill()
            if self._balance < 1.0:
                return False
            self._balance -= 1.0
            return True

    def resize(self, rate: float) -> None:
        """Sets another rate; the bucket stays full in the same proportion."""
        with _lock:
            self._refill()
            size = max(rate, 1.0)
            self._balance *= size / self._size
            self.rate, self._size = rate, size

    def _refill(self) -> None:
        now = time.monotonic()
        self._balance = min(self._size, self._balance + (now - self._filled_at) * self.rate)
        self._filled_at = now
