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

    It logs at most one line a minute for each reason, with the number of spans since the last line, and a
    line when spans are delivered again. hints: reason -> advice for the user.
    """

    def __init__(self, logger: logging.Logger, target: str, hints: Mapping[str, str]) -> None:
        self._logger = logger
        self.target = target
        self._hints = hints
        self._counts = dict.fromkeys(REASONS, 0)
        self._unlogged = dict.fromkeys(REASONS, 0)
        self._texts: dict[str, object] = {}  # reason -> the latest explanation
        self._logged: dict[str, float] = {}
        self._failing = False

    @property
    def failed(self) -> Mapping[str, int]:
        """The numbers of lost spans, by reason, without reasons for which no span was lost."""
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
        self._texts[reason] = text
        if self._due(reason):
            self._failing = self._failing or reason in _FAILURES
            self._log(reason)

    def _log(self, reason: str) -> None:
        number, self._unlogged[reason] = self._unlogged[reason], 0
        spans = "1 span is" if number == 1 else f"{number} spans are"
        text, hint = self._texts[reason], self._hints.get(reason, "")
        self._logger.warning("%s lost on the way to %s: %s%s", spans, self.target, text, hint)

    def log_rest(self) -> None:
        """Logs the losses that the pauses have kept out of the log so far. For the end of a process."""
        for reason in REASONS:
            if self._unlogged[reason]:
                self._log(reason)

    def note(self, text: str) -> None:
        """Logs a message of a receiver that has accepted the spans."""
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
