"""What the codecs share: saying why a value is refused, and making text safe to send."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import zip_longest
from typing import Any, NamedTuple
from urllib.parse import quote

from ..errors import BadHeader
from .remote import Ids

is_token = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
"""A header name as RFC 9110 section 5.6.2 has it."""

is_unsafe = re.compile(r"[\r\n\0]").search
"""Whether text could forge a line of a text protocol."""

_NOT_HEX = re.compile(r"[^0-9a-fA-F]")
_NOT_LOWER_HEX = re.compile(r"[^0-9a-f]")


class Hex(NamedTuple):
    """One field of hex digits in a header value."""

    name: str
    least: int
    most: int
    zero: bool = True
    lower: bool = False


def explain(header: str, value: str, separator: str, fields: Iterable[Hex]) -> BadHeader:
    """Why `value`, refused already, is not these fields with separators between. Looks at its start only."""
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
    """The number in a header that is one field of hex digits."""
    if field.least <= len(value) <= field.most and not _NOT_HEX.search(value):
        number = int(value, 16)
        if number or field.zero:
            return number
    raise explain(header, value, "-", (field,))


def is_zero(trace: str, span: str, trace_field: Hex, span_field: Hex) -> bool:
    """Whether these are well-formed ids of which one is zero."""
    ids = (trace, trace_field), (span, span_field)
    formed = all(f.least <= len(text) <= f.most and not _NOT_HEX.search(text) for text, f in ids)
    return formed and not all(text.strip("0") for text, _ in ids)


def read_three(fullmatch: Callable[[str], re.Match[str] | None]) -> Callable[[str], Ids]:
    """`Format.usual` for values that `fullmatch` finds a trace id, a span id and flags in, and no parent."""

    def read(value: str) -> Ids:
        trace, span, flags = fullmatch(value).groups()  # type: ignore[union-attr]
        return int(trace, 16), int(span, 16), 0, int(flags)

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
    """`value`, which must be text: what is not must not be read as if it were."""
    if type(value) is not str:
        raise TypeError(f"a header is {type(value).__name__}, not text")
    return value


def not_list(value: Any) -> Any:
    """`value`, for a `raw` format; a list of such is for the carrier to take apart."""
    if isinstance(value, list | tuple):
        raise TypeError("a list of values")
    return value


def cut(value: str, limit: int) -> str:
    """A list with commas between, without the members that pass the limit."""
    return value if len(value) <= limit else value[: limit + 1].rpartition(",")[0]


def as_text(value: object) -> str:
    """Baggage keys and values should be text; what applications put there instead is made into some."""
    if isinstance(value, str):
        return value
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def percent(value: str, safe: str = "/") -> str:
    return value if value.isalnum() and value.isascii() else quote(value, safe, errors="replace")
