"""How long an exporter goes on. It holds no lock that a signal handler could meet:

1. A pause waits for a lock of its own, which its thread has taken before; who wants to wake it lets go of it.
2. Whoever changes a time (`give_up_at`, `end`) writes it first and wakes the pauses then; a pause that is
   woken looks at the times anew. So no change is missed, and a wake-up too many does no harm.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from typing import Any


class Patience:
    """The times after which no attempt and no pause is begun; for all exports of one exporter."""

    def __init__(self) -> None:
        self.moment = math.inf  # of time.monotonic()
        self.ended = False
        self._pauses: set[Any] = set()

    def give_up_at(self, moment: float | None) -> None:
        """No later than this moment of time.monotonic(); None: as long as an export may take."""
        self.moment = math.inf if moment is None else moment
        self._wake()

    def end(self) -> None:
        """No attempt and no pause from now on."""
        self.ended = True
        self._wake()

    def start(self, seconds: float) -> Clock:
        """The clock of one export."""
        return Clock(self, time.monotonic() + seconds)

    def over_at(self, deadline: float) -> float:
        return -math.inf if self.ended else min(deadline, self.moment)

    def _wake(self) -> None:
        for pause in tuple(self._pauses):
            with contextlib.suppress(RuntimeError):  # woken already
                pause.release()

    def wait(self, until: float, deadline: float) -> bool:
        """Waits until then; False, at once, as soon as that is later than an attempt may be made."""
        pause = threading.Lock()  # looked up now: gevent puts its own there
        pause.acquire()
        self._pauses.add(pause)
        try:
            while (now := time.monotonic()) < until < self.over_at(deadline):
                pause.acquire(timeout=until - now)
        finally:
            self._pauses.discard(pause)
        return until < self.over_at(deadline)


class Clock:
    """The time that one export has, with all its attempts and pauses."""

    def __init__(self, patience: Patience, deadline: float) -> None:
        self._patience = patience
        self._deadline = deadline

    def left(self) -> float:
        """Seconds, above 0. Raises TimeoutError if there are none.

        What is on its way may end after a shutdown; it has the time of `give_up_at`.
        """
        seconds = self._seconds()
        if seconds <= 0:
            raise TimeoutError("the time is over")
        return seconds

    @property
    def over(self) -> bool:
        return self._seconds() <= 0

    def _seconds(self) -> float:
        return min(self._deadline, self._patience.moment) - time.monotonic()

    def pause(self, seconds: float) -> bool:
        """Waits so long; False, at once, if no attempt may be made after it."""
        return self._patience.wait(time.monotonic() + seconds, self._deadline)
