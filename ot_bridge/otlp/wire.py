"""Reading protobuf (protobuf.dev, "Encoding"), and the two answers of collectors that need no more.

A message is read as fields, each a tag and a value. A tag is the field's number and its wire type in one
number, as in the bytes: a field of an unexpected type has a tag that nobody looks for, and is passed over
like any unknown one. All errors are ValueError.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

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

    A value is a memoryview of the content for `BYTES` (texts, bytes, messages), else an int that is not
    negative (see `signed`). Raises ValueError where the message ends too early or is none. Groups, which
    OTLP does not have, are refused.
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
    """A varint and where it ends."""
    result = 0
    for shift, byte in enumerate(view[at : at + _LONGEST_VARINT]):
        result |= (byte & 127) << 7 * shift
        if byte < 128:
            return result & _64_BITS, at + shift + 1
    raise ValueError(f"a number without an end at byte {at}")


def signed(number: int) -> int:
    """An int64 or int32 field's value."""
    return number - (1 << 64) if number >> 63 else number


def text(content: memoryview) -> str:
    """A string field's value; raises ValueError where it is not UTF-8."""
    return str(content, "utf-8")


def last(message: bytes | memoryview, wanted: int, default: Any) -> Any:
    """The value of the field with this tag, the last if there are several."""
    found = default
    for each, value in fields(message):
        if each == wanted:
            found = value
    return found


_PARTIAL_SUCCESS: Final = tag(1, BYTES)
_REJECTED: Final = tag(1, VARINT)
_MESSAGE: Final = tag(2, BYTES)


def partial_success(body: bytes) -> tuple[int, str]:
    """`rejected_spans` and `error_message` of an `ExportTraceServiceResponse`; (0, "") without any.

    The number is as the collector gave it: it may be negative. Raises ValueError for no protobuf.
    """
    # A message that comes in parts is the parts laid end to end.
    partial = b"".join([value for each, value in fields(body) if each == _PARTIAL_SUCCESS])
    return signed(last(partial, _REJECTED, 0)), text(last(partial, _MESSAGE, memoryview(b"")))


def status_message(body: bytes) -> str:
    """The `message` of a google.rpc.Status; raises ValueError for no protobuf."""
    return text(last(body, _MESSAGE, memoryview(b"")))
