"""The exceptions of this package, and how failures are logged.

No exception of this package reaches a request: a codec raises `BadHeader`, the propagator catches it.
Constructors and `install()` raise `ConfigurationError` at start-up. If a hook, sampler or processor of the
program raises while a request is served, `report` logs it and the request continues.
"""

from __future__ import annotations

import logging
import time
from typing import Final

_log = logging.getLogger("ot_bridge")
_PAUSE: Final = 60.0  # seconds between two log lines for the same failure
_MOST: Final = 1000  # remembered texts: a program whose texts vary must not fill the memory
_reported: dict[tuple[str, str], float] = {}
_said: set[str] = set()


def report(logger: logging.Logger, what: str) -> None:
    """Logs `what` with the exception that is being handled, at most once a minute for each text."""
    now = time.monotonic()
    if now - _reported.get((logger.name, what), -_PAUSE) >= _PAUSE:
        if len(_reported) >= _MOST:
            _reported.clear()
        _reported[logger.name, what] = now
        logger.warning("%s (said once a minute at most)", what, exc_info=True)


def say_once(logger: logging.Logger, level: int, what: str) -> None:
    """Logs `what` if this process has not logged the same text before."""
    if what not in _said:
        if len(_said) >= _MOST:
            _said.clear()
        _said.add(what)
        logger.log(level, "%s", what)


def said() -> list[str]:
    """The texts that `say_once` has logged in this process, sorted."""
    return sorted(_said)


def bad_variable(name: str, value: str | None, problem: str, instead: str) -> None:
    """Logs an ERROR, once: the environment variable `name` cannot be used, and what happens instead.

    A bad variable never stops a program; a bad argument raises ConfigurationError. value: None for a secret.
    """
    given = name if value is None else f"{name}={value!r}"
    say_once(_log, logging.ERROR, f"{given}: {problem}; {instead}")


class OTBridgeError(Exception):
    """Base class of the exceptions of this package."""


class BadHeader(OTBridgeError, ValueError):
    """A tracing header that cannot be read.

    header: its lower-case name. value: as received. reason: what is wrong with it, in words.
    position: index in `value` of the first wrong character, or None if the whole value is wrong.
    """

    def __init__(self, header: str, value: object, reason: str, position: int | None = None) -> None:
        super().__init__(header, value, reason, position)
        self.header = header
        self.value = value
        self.reason = reason
        self.position = position

    def __str__(self) -> str:
        shown = _shown(self.value)
        return f"{self.header}: {self.reason}: {shown if len(shown) <= 80 else shown[:77] + '...'}"


class ConfigurationError(OTBridgeError, ValueError):
    """An option that cannot be used.

    option: its name. value: as given. reason: what is wrong, and which values are accepted.
    """

    def __init__(self, option: str, value: object, reason: str) -> None:
        super().__init__(option, value, reason)
        self.option = option
        self.value = value
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.option}={_shown(self.value)}: {self.reason}"


def _shown(value: object) -> str:
    """The start of `ascii(value)`. Never raises, whatever the code of `value` does."""
    try:
        return ascii(value[:80] if isinstance(value, str | bytes) else value)
    except Exception:
        return f"<unprintable {type.__dict__['__name__'].__get__(type(value))}>"
