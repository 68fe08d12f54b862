"""Counts lost spans, and logs losses and recoveries without filling the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Final

PAUSE: Final = 60.0  # seconds between two lines of one reason
#: The reasons why a span was not delivered.
REASONS: Final = (
    "refused",
    "timeout",
    "status",
    "partial",
    "too large",
    "not encodable",
    "shut down",
    "other",
)
_FAILURES: Final = ("refused", "timeout", "status", "other")


class Losses:
    """The losses of one exporter in one process.

    It logs one line a minute for each reason, with the number of spans since the last line, and one when
    spans are delivered again. hints: reason -> what a user can do.
    """

    def __init__(self, logger: logging.Logger, target: str, hints: Mapping[str, str]) -> None:
        self._logger = logger
        self.target = target
        self._hints = hints
        self._counts = dict.fromkeys(REASONS, 0)
        self._unlogged = dict.fromkeys(REASONS, 0)
        self._logged: dict[str, float] = {}
        self._failing = False

    @property
    def failed(self) -> Mapping[str, int]:
        """The numbers of lost spans, by reason; a reason without losses is left out."""
        return {reason: count for reason, count in self._counts.items() if count}

    @property
    def total(self) -> int:
        return sum(self._counts.values())

    def lose(self, count: int, reason: str, text: object) -> None:
        """Counts spans as lost for this reason. text: the explanation in the log."""
        # No other thread and no signal handler runs between the reading and the writing of a sum, since from
        # Python 3.10 on they run only at calls and at the ends of loops.
        self._counts[reason] += count
        self._unlogged[reason] += count
        if self._due(reason):
            number, self._unlogged[reason] = self._unlogged[reason], 0
            self._failing = self._failing or reason in _FAILURES
            spans = "1 span is" if number == 1 else f"{number} spans are"
            hint = self._hints.get(reason, "")
            self._logger.warning("%s lost on the way to %s: %s%s", spans, self.target, text, hint)

    def note(self, text: str) -> None:
        """Logs a message of a receiver that has taken the spans."""
        if self._due("note"):
            self._logger.warning("%s: %s", self.target, text)

    def delivered(self) -> None:
        """Logs, after a failure, that a request was delivered."""
        if self._failing:
            unlogged = 0
            for reason in _FAILURES:
                unlogged += self._unlogged[reason]
                self._unlogged[reason] = 0
            more = f"; {unlogged} more were lost since the last line about it" if unlogged else ""
            self._failing = False
            self._logger.warning("spans reach %s again%s", self.target, more)

    def _due(self, kind: str) -> bool:
        now = time.monotonic()
        due = now - self._logged.get(kind, -PAUSE) >= PAUSE
        if due:
            self._logged[kind] = now
        return due
