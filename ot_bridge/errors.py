"""The exceptions of this package, and the functions that log its failures.

No exception of this package reaches a request: a codec raises `BadHeader` and the propagator catches it.
Constructors and `install()` raise `ConfigurationError` at start-up. If a hook, sampler or processor of the
program raises while a request is served, `log_failure` logs the exception and the request continues.
"""

from __future__ import annotations

import logging
import time
from typing import Final

__all__ = ["BadHeader", "ConfigurationError", "OTBridgeError"]

_log = logging.getLogger("ot_bridge")
_PAUSE: Final = 60.0  # seconds between two log lines for the same failure
_MOST: Final = 1000  # maximum number of texts in each of the next two, so that they do not fill the memory
_failures: dict[tuple[str, str], float] = {}  # logger and text -> when `log_failure` last logged it
_logged: set[str] = set()  # the texts of `log_once`


def log_failure(logger: logging.Logger, what: str) -> None:
    """Logs `what` with the exception that is being handled, at most once a minute for each text."""
    now = time.monotonic()
    if now - _failures.get((logger.name, what), -_PAUSE) >= _PAUSE:
        if len(_failures) >= _MOST:
            _failures.clear()
        _failures[logger.name, what] = now
        logger.warning("%s (logged at most once a minute)", what, exc_info=True)


def log_once(logger: logging.Logger, level: int, what: str) -> None:
    """Logs `what` if this process has not logged the same text before."""
    if what not in _logged:
        if len(_logged) >= _MOST:
            _logged.clear()
        _logged.add(what)
        logger.log(level, "%s", what)


def logged() -> list[str]:
    """The texts that `log_once` has logged in this process, sorted."""
    return sorted(_logged)


def bad_variable(name: str, value: str | None, problem: str, instead: str) -> None:
    """Logs one ERROR line: why the environment variable `name` cannot be used, and what is done `instead`.

    A bad variable never stops a program; a bad argument raises ConfigurationError.
    value: the variable's value; None keeps a secret out of the log.
    """
    given = name if value is None else f"{name}={value!r}"
    log_once(_log, logging.ERROR, f"{given}: {problem}; {instead}")


class OTBridgeError(Exception):
    """Base class of the exceptions of this package."""

    def __repr__(self) -> str:  # Exception's own calls the `__repr__` of each argument, which may raise
        return f"{type(self).__name__}({str(self)!r})"


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
        value = _ascii(self.value)
        return f"{self.header}: {self.reason}: {value if len(value) <= 80 else value[:77] + '...'}"


class ConfigurationError(OTBridgeError, ValueError):
    """An option that cannot be used.

    option: its name. value: as given. reason: `expected …`, which values are accepted; before that, where it
    helps, what is wrong.
    """

    def __init__(self, option: str, value: object, reason: str) -> None:
        super().__init__(option, value, reason)
        self.option = option
        self.value = value
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.option}={_ascii(self.value)}: {self.reason}"


def _ascii(value: object) -> str:
    """`ascii(value)`; for a text, of its first 80 characters. Never raises, even if `__repr__` does."""
    try:
        return ascii(value[:80] if isinstance(value, str | bytes) else value)
    except Exception:
        return f"<unprintable {type.__dict__['__name__'].__get__(type(value))}>"
