"""Counts of exported, lost and waiting spans: `Counts` for readers; `Tally` and `Ledger` do the counting.

No lock is used, because signal handlers and finalizers end spans and read counts while their thread does so:

1. `Tally.add` is one call in C (`next` of an `itertools.count`), which nothing interrupts. Only the repr of
   the count gives its value and keeps it.
2. `_version` is odd while spans move from one number to another. A reader that finds it odd, or changed, may
   have seen a span twice or not at all, and reads again.
3. A thread that dies may leave `_version` odd and a batch in flight. `recover` corrects both.

The tests, by number, in tests/delivery/:
1. test_parts.py::test_no_signal_handler_can_interrupt_a_tally
2. test_parts.py::test_counts_are_read_again_while_spans_move,
   test_parts.py::test_counts_are_read_again_if_a_span_has_moved_meanwhile
3. test_parts.py::test_what_a_dead_thread_was_exporting_is_lost
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Counts(NamedTuple):
    """Numbers of sampled spans in this process, since its start or its fork.

    exported + dropped + the sum of failed + waiting + in_flight = ended. dropped: refused by the full queue.
    failed: by reason (`refused`, `timeout`, `status`, `partial`, `too large`, `not encodable`, `shut down`,
    `other`). in_flight: the batch that is being exported.
    """

    ended: int
    exported: int
    dropped: int
    failed: Mapping[str, int]
    waiting: int
    in_flight: int

    @property
    def lost(self) -> int:
        """The number of spans that were dropped or failed."""
        return self.dropped + sum(self.failed.values())


class Tally:
    """A number that any thread, signal handler or finalizer can increase by one without a lock."""

    __slots__ = ("_count", "add")

    def __init__(self) -> None:
        self._count = itertools.count()
        self.add = self._count.__next__

    @property
    def value(self) -> int:
        """How often `add` was called."""
        return int(repr(self._count)[len("count(") : -1])


class Ledger:
    """The numbers of one process. Except for the tallies, only the exporting thread writes them."""

    def __init__(self) -> None:
        self.dropped = Tally()  # by a full queue
        self.late = Tally()  # after the shutdown
        self.flying = 0
        self._exported = 0
        self._failed: dict[str, int] = {}
        self._version = 0

    @property
    def failed(self) -> int:
        return sum(self._failed.values())

    @property
    def refused(self) -> int:
        return self.dropped.value + self.late.value

    @property
    def lost(self) -> dict[str, int]:
        """The numbers of lost spans, by reason, for the log."""
        dropped = self.dropped.value
        return {"dropped": dropped, **self._failed} if dropped else self._failed

    @property
    def moving(self) -> bool:
        return bool(self._version % 2)

    def begin(self) -> None:
        """Begins to take spans out of the queue, each of which increases `flying` by one."""
        self._version += 1

    def end(self) -> None:
        self._version += 1

    def settle(self, lost: Mapping[str, int]) -> None:
        """Counts the batch in flight as exported, except for what is lost, by reason."""
        self.begin()
        try:
            self._exported += self.flying - sum(lost.values())
            for reason, number in lost.items():
                self._failed[reason] = self._failed.get(reason, 0) + number
            self.flying = 0
        finally:
            self.end()

    def recover(self) -> None:
        """Counts as lost the batch that a thread was exporting when it died."""
        if self.flying:
            self.settle({"other": self.flying})
        self._version += self._version % 2

    def counts(self, queue: deque[Any], kind: type) -> Counts:
        """The counts at one moment. kind: the class of those items of the queue that are not spans.

        If the numbers change all the time, it gives up after one second, and its result may be inexact.
        """
        made = Counts(0, 0, 0, MappingProxyType({}), 0, 0)
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            version = self._version
            try:
                made = self._counts(sum(type(item) is not kind for item in tuple(queue)))
            except RuntimeError:  # the queue changed while it was read
                continue
            if version == self._version and not self.moving:
                break
            time.sleep(0)
        return made

    def _counts(self, waiting: int) -> Counts:
        failed, late = dict(self._failed), self.late.value
        if late:
            failed["shut down"] = failed.get("shut down", 0) + late
        dropped, flying = self.dropped.value, self.flying
        ended = self._exported + dropped + sum(failed.values()) + waiting + flying
        return Counts(ended, self._exported, dropped, MappingProxyType(failed), waiting, flying)
