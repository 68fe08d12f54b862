"""Jaeger's binary carrier, which `opentracing.Format.BINARY` selects.

Big-endian: trace id high and low, span id, parent id (64 bits each), flags (8), count of baggage items (32),
then for each item the length (32) and the UTF-8 bytes of its key and its value. Bytes after that are ignored.
"""

from __future__ import annotations

import struct
from collections.abc import MutableMapping
from typing import Any

from ot_bridge.errors import BadHeader
from ot_bridge.wire.items import PARTS, Room, items_to_write
from ot_bridge.wire.jaeger import bits_of, flags_to_bits
from ot_bridge.wire.remote import LIMITS, Format, Headers, Limits, Outgoing, Remote
from ot_bridge.wire.text import as_text, not_list

NAME = "binary"
_HEAD = struct.Struct(">QQQQBI")
_LENGTH = struct.Struct(">I")
_LOW = 0xFFFF_FFFF_FFFF_FFFF


def binary_decode(data: bytes | bytearray, limits: Limits = LIMITS) -> Remote | None:
    """The context in `data`, None if it is empty. Raises `BadHeader` if data is cut short or not UTF-8."""
    if len(data) < _HEAD.size:
        raise BadHeader(
            NAME, bytes(data[:256]), f"has {len(data)} bytes, not {_HEAD.size} or more", len(data)
        )
    high, low, span_id, parent_id, flags, count = _HEAD.unpack_from(data)
    sampled, debug, extras = flags_to_bits(flags)
    baggage: dict[str, str] = {}
    offset, room = _HEAD.size, Room(limits)
    for _ in range(min(count, PARTS * limits.baggage_items)):
        key = _piece(data, offset)
        value = _piece(data, key.stop)
        offset = value.stop
        if room.takes(key.stop - key.start + value.stop - value.start):
            baggage[_text(data[key])] = _text(data[value])
    trace_id = high << 64 | low
    if not trace_id:
        return Remote(baggage=baggage) if baggage else None
    return Remote(trace_id, span_id, parent_id, sampled, debug, baggage=baggage, extras=extras)


def _piece(data: bytes | bytearray, offset: int) -> slice:
    """The slice of the bytes that follow the length field at `offset`."""
    start = offset + _LENGTH.size
    if start > len(data):
        raise BadHeader(NAME, bytes(data[:256]), "ends before the length of a baggage item", offset)
    end = start + _LENGTH.unpack_from(data, offset)[0]
    if end > len(data):
        raise BadHeader(NAME, bytes(data[:256]), "ends inside a baggage item", offset)
    return slice(start, end)


def _text(piece: bytes | bytearray) -> str:
    try:
        return piece.decode("utf-8")
    except UnicodeDecodeError:
        raise BadHeader(NAME, bytes(piece[:256]), "baggage is not UTF-8") from None


def binary_encode(outgoing: Outgoing, limits: Limits = LIMITS) -> bytes:
    """The bytes of the carrier. Ids are zero if there is no trace."""
    trace_id, baggage = outgoing.trace_id, outgoing.baggage
    if baggage:
        baggage = items_to_write(outgoing, limits)
    ids = (trace_id >> 64, trace_id & _LOW, outgoing.span_id, outgoing.parent_id)
    head = _HEAD.pack(*ids, bits_of(outgoing), len(baggage))
    if not baggage:
        return head
    texts = [as_text(text).encode("utf-8", "replace") for item in baggage.items() for text in item]
    return head + b"".join(part for text in texts for part in (_LENGTH.pack(len(text)), text))


def _decode(headers: Headers, limits: Limits = LIMITS) -> Remote | None:
    data = not_list(headers.get(NAME))
    return binary_decode(data, limits) if isinstance(data, bytes | bytearray) else None


def _encode(outgoing: Outgoing, headers: MutableMapping[str, Any], limits: Limits = LIMITS) -> None:
    headers[NAME] = binary_encode(outgoing, limits)


BINARY = Format(NAME, (NAME,), _decode, _encode, raw=True)
