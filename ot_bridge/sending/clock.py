"""The deadlines of an exporter, and its pauses. No lock is held that a signal handler could need.

1. Code that may wait calls `Clock.left()` first, and waits no longer than that.
2. A pause waits for its own lock, which its thread has taken before. Releasing the lock ends the wait.
3. `give_up_at` and `end` write the new time first, and then wake the pauses. A pause that is woken reads the
   times again. So no change is missed, and an unnecessary wake-up does no harm.

The tests, by number:
1. tests/sending/test_clock.py::test_no_time_is_left_at_the_deadline_itself
2. tests/xray/test_giving_up.py::test_a_signal_handler_can_end_the_pause_of_the_thread_that_it_interrupts
3. tests/sending/test_clock.py::test_pauses_end_at_once_when_there_is_no_time_left,
   tests/sending/test_parts.py::test_a_wake_up_without_a_new_deadline_does_not_end_a_pause
"""

from __future__ import annotations

import contextlib
import math
import random
import threading
import time
from typing import Any, Final

FIRST_PAUSE: Final = 1.0  # seconds; the pause doubles after each attempt, and varies at random by 20 %
LONGEST_PAUSE: Final = 5.0
_random: Final = random.SystemRandom()  # programs may seed `random`, and workers must not pause equally long


class Patience:
    """The times after which no attempt and no pause begins, for all exports of one exporter."""

    def __init__(self) -> None:
        self.moment = math.inf  # of time.monotonic()
        self.ended = False
        self._pauses: set[Any] = set()

    def give_up_at(self, moment: float | None) -> None:
        """Ends all exports at this moment of time.monotonic(). None: each export has its own time."""
        self.moment = math.inf if moment is None else moment
        self._wake()

    def end(self) -> None:
        """Allows no attempt and no pause from now on."""
        self.ended = True
        self._wake()

    def start(self, seconds: float) -> Clock:
        """The clock of one export."""
        return Clock(self, time.monotonic() + seconds)

    def remaining(self) -> float:
        """Seconds until the moment of `give_up_at`, or infinity."""
        return max(0.0, self.moment - time.monotonic())

    def _wake(self) -> None:
        for pause in tuple(self._pauses):
            with contextlib.suppress(RuntimeError):  # woken already
                pause.release()

    def wait(self, until: float, deadline: float) -> bool:
        """Waits until this moment. Returns False at once if no attempt may be made at that moment."""
        pause = threading.Lock()  # looked up at each call, because gevent may have replaced it
        pause.acquire()
        self._pauses.add(pause)
        try:
            while (now := time.monotonic()) < until < self._over_at(deadline):
                pause.acquire(timeout=until - now)
        finally:
            self._pauses.discard(pause)
        return until < self._over_at(deadline)

    def _over_at(self, deadline: float) -> float:
        return -math.inf if self.ended else min(deadline, self.moment)


class Clock:
    """The time that one export has for all its attempts and pauses."""

    def __init__(self, patience: Patience, deadline: float) -> None:
        self._patience = patience
        self._deadline = deadline

    def within(self, seconds: float) -> Clock:
        """A clock for a part of the export, which may take this number of seconds at most."""
        return Clock(self._patience, min(self._deadline, time.monotonic() + seconds))

    def left(self) -> float:
        """The seconds that are left, above 0. Raises TimeoutError if there are none.

        A shutdown does not shorten this time, because a running attempt may complete.
        """
        seconds = self._seconds()
        if seconds <= 0:
            raise TimeoutError("the time is over")
        return seconds

    @property
    def over(self) -> bool:
        return self._seconds() <= 0

    def forbids(self) -> tuple[str, str] | None:
        """Why no attempt may begin: the key in `failed` and a text. None if one may."""
        if self._patience.ended:
            return "shut down", "the exporter was shut down before"
        return ("timeout", "there was no time for an attempt") if self.over else None

    def pause(self, rounds: int, delay: float | None = None) -> bool:
        """Waits before the next attempt. Returns False at once if there is no time for it.

        rounds: the number of attempts before the last one. delay: the seconds that the receiver asks for; 0
        counts after the first attempt only.
        """
        if delay is None or (rounds and not delay):
            delay = min(FIRST_PAUSE * 2.0 ** min(rounds, 99) * _random.uniform(0.8, 1.2), LONGEST_PAUSE)
        return self._patience.wait(time.monotonic() + delay, self._deadline)

    def _seconds(self) -> float:
        return min(self._deadline, self._patience.moment) - time.monotonic()
