"""What the parts of a segment document share: taking attributes, and leaving out what is empty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LONGEST = 250  # characters; X-Ray's limit for most strings

# A call's status, as the semantic conventions name it since 1.45, from 1.38 to 1.44 and before, and as
# programs that speak OpenTracing do. The one list for whatever reads it.
RPC_STATUS = ("rpc.status_code", "rpc.response.status_code", "rpc.grpc.status_code", "grpc.status_code")


class Attributes:
    """A span's attributes. Each part of the document takes what it tells; `rest` becomes metadata."""

    __slots__ = ("rest",)

    def __init__(self, attributes: Mapping[str, Any] | None) -> None:
        self.rest = dict(attributes or ())

    def get(self, *names: str) -> Any:
        """The value of the first of these that there is, or None."""
        return first(self.rest, *names)

    def take(self, *names: str) -> Any:
        """As `get`, and none of these is left."""
        found = first(self.rest, *names)
        for name in names:
            self.rest.pop(name, None)
        return found


def first(attributes: Mapping[str, Any], *names: str) -> Any:
    """The value of the first of these names that is there and not empty, or None."""
    for name in names:
        value = attributes.get(name)
        if value is not None and value != "":
            return value
    return None


def text(value: Any, longest: int = LONGEST) -> str | None:
    """As a string that X-Ray takes, or None."""
    return None if value is None else str(value)[:longest]


def texts(value: Any) -> list[str]:
    """A list of strings, from one that should be that, or a single string, or None."""
    values = value if isinstance(value, (list, tuple)) else [value]
    return [str(item)[:LONGEST] for item in values if item is not None]


def number(value: Any) -> int | None:
    """As an integer, also from a string, or None."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def filled(**parts: Any) -> dict[str, Any]:
    """The parts that say something: neither None nor False nor empty."""
    empty: tuple[object, ...] = (None, "", {}, [])
    return {name: part for name, part in parts.items() if part is not False and part not in empty}
