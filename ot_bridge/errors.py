"""Every exception that the package raises of its own, in one hierarchy; and `report`, for all others.

None of ours leaves the library on a request path: a codec raises `BadHeader`, the propagator catches
it. `ConfigurationError` comes out of constructors and `install()`, at start-up. What a program's own
hook, sampler or processor raises while a request is served is reported, and the request goes on.
"""

from __future__ import annotations

import logging
import time
from typing import Final

_log = logging.getLogger("ot_bridge")
_PAUSE: Final = 60.0  # seconds between two reports of the same failure
_MOST: Final = 1000  # texts that are remembered: a program that varies its texts must not fill the memory
_reported: dict[tuple[str, str], float] = {}
_said: set[str] = set()


def report(logger: logging.Logger, what: str) -> None:
    """Logs `what` with the exception being handled, at most once a minute for each text."""
    now = time.monotonic()
    if now - _reported.get((logger.name, what), -_PAUSE) >= _PAUSE:
        if len(_reported) >= _MOST:
            _reported.clear()
        _reported[logger.name, what] = now
        logger.warning("%s (said once a minute at most)", what, exc_info=True)


def say_once(logger: logging.Logger, level: int, what: str) -> None:
    """Logs `what` the first time in this process that it is said."""
    if what not in _said:
        if len(_said) >= _MOST:
            _said.clear()
        _said.add(what)
        logger.log(level, "%s", what)


def said() -> list[str]:
    """What `say_once` has said so far in this process, in no order."""
    return sorted(_said)


def bad_variable(name: str, value: str | None, problem: str, instead: str) -> None:
    """Says once, as an ERROR, that an environment variable cannot be used, and what is done instead.

    A bad variable never stops a program; a bad argument raises ConfigurationError. value: None for a secret.
    """
    given = name if value is None else f"{name}={value!r}"
    say_once(_log, logging.ERROR, f"{given}: {problem}; {instead}")


class OTBridgeError(Exception):
    """Base of all."""


class BadHeader(OTBridgeError, ValueError):
    """A tracing header that cannot be read.

    header: its lower-case name. value: as it came in. reason: what is wrong with it, in words.
    position: index into `value` of the first character that is wrong, or None if it is the whole.
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
    """An option or environment variable that cannot be used.

    option: its name. value: what was given. reason: what would do.
    """

    def __init__(self, option: str, value: object, reason: str) -> None:
        super().__init__(option, value, reason)
        self.option = option
        self.value = value
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.option}={_shown(self.value)}: {self.reason}"


def _shown(value: object) -> str:
    """The start of its `repr`, in ASCII, whatever its own code does."""
    try:
        return ascii(value[:80] if isinstance(value, str | bytes) else value)
    except Exception:
        return f"<unprintable {type.__dict__['__name__'].__get__(type(value))}>"
