"""Reads protobuf (protobuf.dev, "Encoding"), and the two messages of a collector's responses.

A message is read as fields, each with a tag and a value. A tag is one number made of the field's number and
its wire type, as in the encoded bytes. So a field with an unexpected wire type has an unknown tag, and
unknown tags are ignored. All errors are ValueError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
FIXED32: Final = 5
_FIXED: Final = {FIXED64: 8, FIXED32: 4}
_LONGEST_VARINT: Final = 10  # bytes
_64_BITS: Final = (1 << 64) - 1


def tag(number: int, wire_type: int) -> int:
    return number << 3 | wire_type


def fields(message: bytes | memoryview) -> Iterator[tuple[int, Any]]:
    """The fields of a message, in their order: (tag, value).

    The value of a `BYTES` field (text, bytes or message) is a memoryview of its content; any other value is
    an int that is not negative (see `signed`). Raises ValueError if the message ends too early, is not
    protobuf, or contains a group, which OTLP does not use.
    """
    view = memoryview(message)
    at, end = 0, len(view)
    while at < end:
        found, at = _varint(view, at)
        wire_type = found & 7
        if not 8 <= found < 1 << 32:
            raise ValueError(f"no field has the tag {found}")
        if wire_type == VARINT:
            value, at = _varint(view, at)
            yield found, value
            continue
        if wire_type == BYTES:
            size, at = _varint(view, at)
        elif wire_type in _FIXED:
            size = _FIXED[wire_type]
        else:
            raise ValueError(f"wire type {wire_type} at byte {at}")
        if size > end - at:
            raise ValueError(f"{size} bytes are announced at byte {at}, {end - at} are left")
        content = view[at : at + size]
        at += size
        yield found, content if wire_type == BYTES else int.from_bytes(content, "little")


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    """A varint, and the position after it."""
    result = 0
    for shift, byte in enumerate(view[at : at + _LONGEST_VARINT]):
        result |= (byte & 127) << 7 * shift
        if byte < 128:
            return result & _64_BITS, at + shift + 1
    raise ValueError(f"a number without an end at byte {at}")


def signed(number: int) -> int:
    """The value of an int64 or int32 field, which may be negative."""
    return number - (1 << 64) if number >> 63 else number


def text(content: memoryview) -> str:
    """The value of a string field. Raises ValueError if it is not UTF-8."""
    return str(content, "utf-8")


def last(message: bytes | memoryview, wanted: int, default: Any) -> Any:
    """The last value of the field with this tag; `default` if the message has none."""
    found = default
    for each, value in fields(message):
        if each == wanted:
            found = value
    return found


#: How the fields of a message are read: tag -> (name, function of the value, whether it may be repeated).
Table: TypeAlias = Mapping[int, tuple[str, Callable[[Any], Any], bool]]


def one(name: str, number: int, wire_type: int, read: Callable[[Any], Any]) -> tuple[int, Any]:
    """A table's entry for a field that has one value: of several values the last one counts."""
    return tag(number, wire_type), (name, read, False)


def every(name: str, number: int, read: Callable[[Any], Any]) -> tuple[int, Any]:
    """A table's entry for a repeated field of texts, bytes or messages."""
    return tag(number, BYTES), (name, read, True)


def read(message: bytes | memoryview, table: Table) -> dict[str, Any]:
    """The fields that the table lists, by name; a repeated field is a list."""
    found: dict[str, Any] = {}
    for each, value in fields(message):
        known = table.get(each)
        if known is not None:
            name, converted, repeated = known
            if repeated:
                found.setdefault(name, []).append(converted(value))
            else:
                found[name] = converted(value)
    return found


_PARTIAL_SUCCESS: Final = tag(1, BYTES)
_REJECTED: Final = tag(1, VARINT)
_MESSAGE: Final = tag(2, BYTES)


def partial_success(body: bytes) -> tuple[int, str]:
    """`rejected_spans` and `error_message` of an `ExportTraceServiceResponse`; (0, "") if they are absent.

    The number is not checked: it may be negative. Raises ValueError if `body` is not protobuf.
    """
    # The parts of a message that is sent in parts are concatenated.
    partial = b"".join([value for each, value in fields(body) if each == _PARTIAL_SUCCESS])
    return signed(last(partial, _REJECTED, 0)), text(last(partial, _MESSAGE, memoryview(b"")))


def status_message(body: bytes) -> str:
    """The `message` of a google.rpc.Status. Raises ValueError if `body` is not protobuf."""
    return text(last(body, _MESSAGE, memoryview(b"")))
