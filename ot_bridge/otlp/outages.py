"""Says what is lost, and that it works again, without filling a log."""

from __future__ import annotations

import logging
import time
from typing import Final

_log = logging.getLogger("ot_bridge.otlp")
PAUSE: Final = 60.0  # seconds between two lines of one kind


class Outages:
    """One line a minute and kind, with the number of spans since the last one; one when it works again."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._said: dict[str, float] = {}
        self._lost: dict[str, int] = {}
        self._ill = False

    def lost(self, kind: str, count: int, text: str) -> None:
        """`count` spans are lost for a reason of this kind; `text` says more."""
        number = self._lost[kind] = self._lost.get(kind, 0) + count
        if self._due(kind):
            self._lost[kind] = 0
            self._ill = self._ill or kind in _ILLNESSES
            spans = "1 span is" if number == 1 else f"{number} spans are"
            _log.warning("%s lost on the way to %s: %s%s", spans, self._target, text, _HINTS.get(kind, ""))

    def note(self, text: str) -> None:
        """Something that a collector says though it takes the spans."""
        if self._due("note"):
            _log.warning("%s: %s", self._target, text)

    def delivered(self) -> None:
        """A whole request was taken."""
        if self._ill:
            unsaid = sum(self._lost.pop(kind, 0) for kind in _ILLNESSES)
            more = f"; {unsaid} more were lost since that was said last" if unsaid else ""
            self._ill = False
            _log.warning("spans reach %s again%s", self._target, more)

    def _due(self, kind: str) -> bool:
        now = time.monotonic()
        due = now - self._said.get(kind, -PAUSE) >= PAUSE
        if due:
            self._said[kind] = now
        return due


_ILLNESSES: Final = ("refused", "timeout", "status", "other")
_HINTS: Final = {
    "refused": "; is a collector running? OTEL_EXPORTER_OTLP_ENDPOINT says where",
    "timeout": "; OTEL_EXPORTER_OTLP_TIMEOUT says how long an export may take",
    "too large": "; a smaller OTEL_BSP_MAX_EXPORT_BATCH_SIZE makes smaller requests",
}
