"""Helpers for all parts of a segment document: take attributes, convert them, leave out empty parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LONGEST = 250  # characters; X-Ray's limit for most strings


class Attributes:
    """A span's attributes. Each part of the document takes those that it contains. The rest is metadata."""

    __slots__ = ("rest",)

    def __init__(self, attributes: Mapping[str, Any] | None) -> None:
        self.rest = dict(attributes or ())

    def get(self, *names: str) -> Any:
        """The value of the first of these attributes that exists and is not empty, or None."""
        return first(self.rest, *names)

    def take(self, *names: str) -> Any:
        """Does what `get` does, and removes all of these attributes."""
        found = first(self.rest, *names)
        for name in names:
            self.rest.pop(name, None)
        return found


def first(attributes: Mapping[str, Any], *names: str) -> Any:
    """The value of the first of these attributes that exists and is not empty, or None."""
    for name in names:
        value = attributes.get(name)
        if value is not None and value != "":
            return value
    return None


def text(value: Any, longest: int = LONGEST) -> str | None:
    """The value as a string of a length that X-Ray accepts. None for None."""
    return None if value is None else str(value)[:longest]


def texts(value: Any) -> list[str]:
    """A list of strings, made from a list, from a single value or from None."""
    values = value if isinstance(value, (list, tuple)) else [value]
    return [str(item)[:LONGEST] for item in values if item is not None]


def number(value: Any) -> int | None:
    """The value as an integer, which may be in a string. None if it is none."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def filled(**parts: Any) -> dict[str, Any]:
    """The parts that are neither None nor False nor empty."""
    empty: tuple[object, ...] = (None, "", {}, [])
    return {name: part for name, part in parts.items() if part is not False and part not in empty}
