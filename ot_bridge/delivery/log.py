"""Logs lost spans, at most one line a minute for each reason.

`Losses` writes the lines of this package. OpenTelemetry's exporters write a line for each batch that fails;
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
    "refused": "nothing listens there",
    "timeout": "it did not answer in time",
    "status": "it answered with an error",
    "partial": "it refused these and took others",
    "too large": "they are larger than a request may be",
    "not encodable": "they could not be encoded",
    "shut down": "they ended after the shutdown",
    "other": "the exporter failed",
}


class OncePerMinute(logging.Filter):
    """Lets each log statement of a logger through once a minute. A statement is a file and a line."""

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
    """Filters OpenTelemetry's loggers until every owner has called `restore`.

    A call without an owner filters loggers that were made since the last call, provided there is an owner.
    """
    if owner is not None:
        _open.add(owner)
    elif not _open:
        return
    for name in list(logging.root.manager.loggerDict):
        if name.startswith(_NOISY):
            logging.getLogger(name).addFilter(FILTER)


def restore(owner: object) -> None:
    """Removes the filter when its last owner calls this."""
    _open.discard(owner)
    if not _open:
        for logger in list(logging.root.manager.loggerDict.values()):
            if isinstance(logger, logging.Logger):
                logger.removeFilter(FILTER)


def address(exporter: object) -> str:
    """The address that an exporter sends to, without user, password and query; "" if it has none."""
    text = getattr(exporter, "target", None) or getattr(exporter, "_endpoint", None)
    if not isinstance(text, str):
        return ""
    if "://" not in text:
        return text.rpartition("@")[2]
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def target(exporter: object) -> str:
    """The address that an exporter sends to, or else the name of its class."""
    return address(exporter) or type(exporter).__name__


class Losses:
    """Logs losses, with the number since the last line of that reason. For one thread at a time."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}  # reason -> how many have been logged
        self._logged_at: dict[str, float] = {}  # reason -> when it was logged last
        self._away = False

    def note(self, lost: Mapping[str, int], exporter: object, final: bool = False) -> None:
        """Logs what is new.

        lost: all losses of this process, by reason. final: log before the minute is over.
        """
        now = time.monotonic()
        for reason, total in lost.items():
            new = total - self._known.get(reason, 0)
            if new and (final or now - self._logged_at.get(reason, -_PAUSE) >= _PAUSE):
                self._known[reason] = total
                self._logged_at[reason] = now
                self._away = self._away or reason != "dropped"
                span, verb = ("span", "is") if new == 1 else ("spans", "are")
                text = "%d %s for %s %s lost: %s (logged at most once a minute)"
                _log.warning(text, new, span, target(exporter), verb, WHY.get(reason, reason))

    def works(self, exporter: object) -> None:
        """Logs, once after a failure, that a batch has arrived."""
        if self._away:
            self._away = False
            _log.warning("spans reach %s again", target(exporter))
