"""Every exception that the package raises of its own, in one hierarchy.

None of them leaves the library on a request path: a codec raises `BadHeader`, the propagator
catches it. `ConfigurationError` comes out of constructors and `install()`, at start-up.
"""

from __future__ import annotations


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
        shown = ascii(self.value)
        if len(shown) > 80:
            shown = shown[:77] + "..."
        return f"{self.header}: {self.reason}: {shown}"


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
        return f"{self.option}={self.value!r}: {self.reason}"
