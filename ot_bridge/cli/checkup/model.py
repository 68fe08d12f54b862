"""Rows and findings, which all checks return, and the functions that keep secrets out of them."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from ot_bridge import errors
from ot_bridge.sending.url import without_secrets

WRONG: Final = "wrong"
LOOK: Final = "look"
WELL: Final = "well"

_LOGGERS: Final = ("ot_bridge", "jaeger_tracing", "opentelemetry")
_SECRET: Final = re.compile(r"HEADERS|TOKEN|PASSWORD|SECRET|CREDENTIAL|_USER\b|_KEY_ID", re.IGNORECASE)


class Row(NamedTuple):
    """One effective value. source: an argument, a variable, a file and its key, or the default's owner."""

    name: str
    value: str
    source: str


class Finding(NamedTuple):
    """One result of a check. level: `wrong`, `look` or `well`. about: the part. mend: how to fix it."""

    level: str
    about: str
    text: str
    mend: str = ""


def is_secret(name: str) -> bool:
    """Whether the value of a variable with this name must not be shown."""
    return bool(_SECRET.search(name))


def variable(name: str) -> str:
    """A variable's value, without secrets."""
    value = os.environ.get(name, "").strip()
    return "…" if value and is_secret(name) else without_secrets(value)


def source(*names: str, default: str = "default") -> str:
    """The first of these variables that is set, else the owner of the default."""
    return next((name for name in names if os.environ.get(name, "").strip()), default)


class LogLines(logging.Handler):
    """A log handler that keeps the lines as (level, text)."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[tuple[int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.levelno, record.getMessage()))

    def take(self) -> list[tuple[int, str]]:
        taken, self.lines = self.lines, []
        return taken


@contextmanager
def collected_log() -> Iterator[LogLines]:
    """Collects the library's log lines while the block runs, after those that it logged at import."""
    log = LogLines()
    log.lines += [(logging.ERROR, text) for text in errors.logged()]
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [each.propagate for each in loggers]
    for each in loggers:
        each.addHandler(log)
        each.propagate = False
    try:
        yield log
    finally:
        for each, propagate in zip(loggers, before, strict=True):
            each.removeHandler(log)
            each.propagate = propagate
