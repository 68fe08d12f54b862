"""What the log says of lost spans, and how often: one line a minute for each kind.

`Losses` is what we say ourselves. OpenTelemetry's exporters write a line for each batch that nobody takes:
while a `DeliveryProcessor` is open, `FILTER` lets each of their log statements through once a minute.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit
from weakref import WeakSet

_PAUSE: Final = 60.0  # seconds
_MOST: Final = 1000  # log statements that are remembered
_NOISY: Final = (
    "opentelemetry.exporter",
    "opentelemetry.sdk.trace.export",
    "opentelemetry.sdk._shared_internal",
)

_log = logging.getLogger("ot_bridge.delivery")

WHY: Final = {
    "dropped": "the queue was full, spans end faster than they can be exported",
    "refused": "nobody listens there",
    "timeout": "it did not answer in time",
    "status": "it answered with an error",
    "partial": "it refused these and took others",
    "too large": "they are larger than a request may be",
    "not encodable": "they could not be encoded",
    "shut down": "they ended after the shutdown",
    "other": "the exporter failed",
}


class OncePerMinute(logging.Filter):
    """Lets each log statement (file and line, whatever its text) of a logger through once a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[str, str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now, key = time.monotonic(), (record.name, record.pathname, record.lineno)
        if now - self._seen.get(key, -_PAUSE) < _PAUSE:
            return False
        if len(self._seen) >= _MOST:
            self._seen.clear()
        self._seen[key] = now
        return True


FILTER: Final = OncePerMinute()
_open: WeakSet[Any] = WeakSet()


def quieten(owner: object | None = None) -> None:
    """Has OpenTelemetry's loggers speak once a minute, until every owner has called `restore`.

    Without an owner: looks for loggers that have come since.
    """
    if owner is not None:
        _open.add(owner)
    elif not _open:
        return
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(_NOISY):
            logging.getLogger(name).addFilter(FILTER)


def restore(owner: object) -> None:
    """Takes the filter away again, once nobody is left who wants it."""
    _open.discard(owner)
    if not _open:
        for logger in list(logging.root.manager.loggerDict.values()):
            if isinstance(logger, logging.Logger):
                logger.removeFilter(FILTER)


def target(exporter: object) -> str:
    """Where an exporter sends to, without user, password and query; else the name of its class."""
    told = getattr(exporter, "target", None) or getattr(exporter, "_endpoint", None)
    if not isinstance(told, str) or not told:
        return type(exporter).__name__
    if "://" not in told:
        return told.rpartition("@")[2]
    parts = urlsplit(told)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


class Losses:
    """Says what was lost, with the number since the last line of that kind. Used by one thread at a time."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}  # reason -> how many have been said
        self._said: dict[str, float] = {}  # reason -> when
        self._away = False

    def note(self, lost: Mapping[str, int], exporter: object, final: bool = False) -> None:
        """lost: all so far in this process, by reason. final: do not wait for the minute to be over."""
        now = time.monotonic()
        for reason, total in lost.items():
            new = total - self._known.get(reason, 0)
            if new and (final or now - self._said.get(reason, -_PAUSE) >= _PAUSE):
                self._known[reason] = total
                self._said[reason] = now
                self._away = self._away or reason != "dropped"
                why = WHY.get(reason, reason)
                _log.warning(
                    "%d spans for %s are lost: %s (said once a minute at most)", new, target(exporter), why
                )

    def works(self, exporter: object) -> None:
        """A batch has arrived; said once after one that has not."""
        if self._away:
            self._away = False
            _log.warning("spans reach %s again", target(exporter))
