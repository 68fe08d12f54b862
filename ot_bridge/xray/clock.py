"""Until when an exporter may try, and its pauses between attempts.

1. Whatever may take time asks `left()` first, and takes no longer.
2. `give_up_at` and `close` wait for nothing and take no lock: a signal handler may call them while the very
   thread that it interrupted pauses.
3. A pause waits for the gate, a lock that is held from the beginning. Who releases it ends the pause, or the
   next one before it begins; a pause that need not end then goes on.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress

Left = Callable[[], float]


class Clock:
    """For one exporter in one process. closed: no attempt and no pause is made any more."""

    def __init__(self) -> None:
        self.closed = False
        self._moment = math.inf
        self._gate = threading.Lock()
        self._gate.acquire()

    def give_up_at(self, moment: float | None) -> None:
        """moment: of `time.monotonic()`; None takes it back."""
        self._moment = math.inf if moment is None else moment
        self._wake()

    def close(self) -> None:
        self.closed = True
        self._wake()

    def until(self, end: float) -> Left:
        """A function that tells how many seconds are left until `end`, or until all is to be given up."""
        return lambda: max(0.0, min(end, self._moment) - time.monotonic())

    def remaining(self) -> float:
        """Seconds until the moment that was given, or infinity."""
        return max(0.0, self._moment - time.monotonic())

    def pause(self, seconds: float, left: Left) -> bool:
        """Whether there is time for another attempt after so many seconds; if not, it returns at once."""
        end = time.monotonic() + seconds
        while not self.closed and (rest := end - time.monotonic()) < left():
            if rest <= 0:
                return True
            self._gate.acquire(timeout=rest)
        return False

    def _wake(self) -> None:
        with suppress(RuntimeError):  # the gate is open already
            self._gate.release()
