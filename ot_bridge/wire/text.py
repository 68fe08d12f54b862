"""Helpers that all codecs share: explaining why a value is refused, and making text safe to send."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import zip_longest
from typing import Any
from urllib.parse import quote

from ot_bridge.errors import BadHeader
from ot_bridge.wire.remote import Ids

is_token = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
"""Matches a header name as defined in RFC 9110, section 5.6.2."""

is_unsafe = re.compile(r"[\r\n\0]").search
"""Finds a character that could forge a line of a text protocol."""

_NOT_HEX = re.compile(r"[^0-9a-fA-F]")
_NOT_LOWER_HEX = re.compile(r"[^0-9a-f]")


class Hex:
    """One field of hex digits in a header value."""

    def __init__(self, name: str, least: int, most: int, zero: bool = True, lower: bool = False) -> None:
        self.name = name
        self.least = least
        self.most = most
        self.zero = zero
        self.lower = lower


def explain(header: str, value: str, separator: str, fields: Iterable[Hex]) -> BadHeader:
    """The `BadHeader` for a value that is not `fields` joined by `separator`. Examines only its start."""
    position = 0
    for field, part in zip_longest(fields, value[:256].split(separator)):
        if field is None:
            return BadHeader(header, value, "goes on after its last field", position - 1)
        if part is None:
            return BadHeader(header, value, f"ends before the {field.name}", min(position, len(value)))
        wrong = _wrong(field, part)
        if wrong is not None:
            return BadHeader(header, value, f"{field.name} {wrong[0]}", position + wrong[1])
        position += len(part) + len(separator)
    return BadHeader(header, value, "is malformed")


def read_hex(header: str, value: str, field: Hex) -> int:
    """The number in a header whose value is a single hex field. Raises `BadHeader`."""
    if field.least <= len(value) <= field.most and not _NOT_HEX.search(value):
        number = int(value, 16)
        if number or field.zero:
            return number
    raise explain(header, value, "-", (field,))


def is_zero(trace: str, span: str, trace_field: Hex, span_field: Hex) -> bool:
    """Whether both ids are well formed and at least one of them is zero."""
    ids = (trace, trace_field), (span, span_field)
    formed = all(f.least <= len(text) <= f.most and not _NOT_HEX.search(text) for text, f in ids)
    return formed and not all(text.strip("0") for text, _ in ids)


def read_three(fullmatch: Callable[[str], re.Match[str] | None]) -> Callable[[str], Ids]:
    """Makes a `Usual.read` of a pattern with three groups: trace id, span id and flags in hex."""

    def read(value: str) -> Ids:
        trace, span, flags = fullmatch(value).groups()  # type: ignore[union-attr]
        return int(trace, 16), int(span, 16), 0, int(flags, 16) & 3

    return read


def _wrong(field: Hex, part: str) -> tuple[str, int] | None:
    odd = (_NOT_LOWER_HEX if field.lower else _NOT_HEX).search(part, 0, field.most)
    if odd is not None:
        return f"has a character that is not a {'lower-case ' * field.lower}hex digit", odd.start()
    if len(part) > field.most:
        return f"has more than {field.most} digits", field.most
    if len(part) < field.least:
        return ("is missing" if not part else f"has fewer than {field.least} digits"), len(part)
    if not field.zero and not part.strip("0"):
        return "is zero", 0
    return None


def text_of(value: object) -> str:
    """`value` if it is a string. Raises TypeError otherwise: bytes and numbers must not be read as text."""
    if type(value) is not str:
        raise TypeError(f"a header is {type(value).__name__}, not text")
    return value


def not_list(value: Any) -> Any:
    """`value` of a `raw` format. Raises TypeError for a list: the carrier has to choose one of its values."""
    if isinstance(value, list | tuple):
        raise TypeError("a list of values")
    return value


def cut(value: str, limit: int) -> str:
    """Cuts a comma-separated list after the last member that fits into `limit` characters."""
    return value if len(value) <= limit else value[: limit + 1].rpartition(",")[0]


def as_text(value: object) -> str:
    """A baggage key or value as text: bytes are decoded, any other object is converted by `str`.

    An object whose `__str__` raises gives its class.
    """
    if isinstance(value, str):
        return value
    try:
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    except Exception:
        return f"<{type(value).__name__}>"


def percent(value: str, safe: str = "/") -> str:
    return value if value.isalnum() and value.isascii() else quote(value, safe, errors="replace")
