"""A token bucket: a rate per second, with a reserve for bursts. Safe with threads and after a fork.

1. One lock serves all buckets. It is held for some hundred nanoseconds. So a forked child has only one lock
   to renew, which another thread may have held at the fork.
2. It is reentrant. A signal handler or finalizer that runs while its thread holds the lock does not block,
   and at worst gets a token too many.

The tests, by number:
1. tests/sampling/test_remote.py::test_a_child_forked_while_a_thread_holds_the_buckets_lock_can_still_decide,
   tests/sampling/test_basic.py::test_no_two_threads_count_tokens_at_the_same_time
2. tests/bridge/test_signal_handlers.py::test_a_signal_handler_may_use_the_tracer_that_its_thread_is_using
"""

from __future__ import annotations

import os
import threading
import time

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
