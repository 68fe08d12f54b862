"""Jaeger's `uber-trace-id: {trace}:{span}:{parent}:{flags}`, and its headers for baggage and debugging.

Source: "Propagation Format" in the documentation of the Jaeger client libraries. Ids are written in hex
without padding, and read with or without it. Values are percent-encoded in HTTP headers, not in text maps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from struct import Struct
from typing import Any, TypeAlias
from urllib.parse import unquote

from ot_bridge.wire.items import (
    PARTS,
    Items,
    Room,
    items_to_write,
    merged,
    plain_items,
    prefixed_items,
    url_encoded_items,
)
from ot_bridge.wire.remote import (
    EMPTY,
    JAEGER_FLAGS,
    LIMITS,
    RANDOM_TRACE_ID,
    Decoder,
    Encoder,
    Format,
    Headers,
    Ids,
    Limits,
    Outgoing,
    Remote,
    Usual,
)
from ot_bridge.wire.text import Hex, cut, explain, text_of

SAMPLED, DEBUG = 1, 2
DEBUG_ID_CHARS = 1024

# `_read_usual` reads most values without this pattern, so it is compiled at its first use.
_IDS = r"([0-9a-fA-F]{1,32}):([0-9a-fA-F]{1,16}):([0-9a-fA-F]{1,16}):([0-9a-fA-F]{1,2})"
_FIELDS = (
    Hex("trace id", 1, 32, zero=False),
    Hex("span id", 1, 16, zero=False),
    Hex("parent id", 1, 16),
    Hex("flags", 1, 2),
)
_LAYOUT = "%x:%x:%x:%x"  # twice as fast as an f-string
_USUAL_CHARS = 32 + 16 + 16 + 2 + 3
_USUAL_FLAGS = {"0": 0, "1": SAMPLED, "00": 0, "01": SAMPLED}
_one_word, _three_words = Struct(">Q").unpack, Struct(">QQQ").unpack
_from_hex = bytes.fromhex
# Longer than any valid value with each character percent-encoded.
_ENCODED_CHARS = 3 * (32 + 16 + 16 + 2 + 3)


def flags_to_bits(bits: int) -> tuple[bool, bool, Mapping[str, str]]:
    """(sampled, debug, extras) of a flags byte."""
    rest = bits & ~(SAMPLED | DEBUG)
    return bool(bits & SAMPLED), bool(bits & DEBUG), {JAEGER_FLAGS: f"{rest:x}"} if rest else EMPTY


def bits_of(outgoing: Outgoing) -> int:
    """The flags byte for a context."""
    bits = SAMPLED if outgoing.sampled else 0
    if outgoing.debug:
        bits |= DEBUG
    extras = outgoing.extras
    if extras and JAEGER_FLAGS in extras:
        bits |= int(extras[JAEGER_FLAGS], 16)
    return bits


class _Flags(dict[str, tuple[bool, bool, Mapping[str, str]]]):
    """One or two hex digits of flags -> their meaning, which is computed at the first use of each."""

    def __missing__(self, digits: str) -> tuple[bool, bool, Mapping[str, str]]:
        return self.setdefault(digits, flags_to_bits(int(digits, 16)))


_FLAGS = _Flags()
_Names: TypeAlias = tuple[str, str, str, str]  # of trace id, debug id and baggage; the prefix of items


def _decoder(names: _Names, url_encoded: bool) -> Decoder:
    trace_header, debug_header, baggage_header, prefix = names

    def decode(headers: Headers, limits: Limits = LIMITS) -> Remote | None:
        value = headers.get(trace_header)
        baggage: Mapping[str, str] = prefixed_items(headers, prefix, limits, unquote if url_encoded else str)
        if baggage_header in headers:
            baggage = merged(baggage, _listed(headers[baggage_header], url_encoded, limits))
        debug_id = _debug_id(headers[debug_header], url_encoded) if debug_header in headers else None
        if value is None:
            return Remote(debug_id=debug_id, baggage=baggage) if debug_id or baggage else None
        match = re.fullmatch(_IDS, value) or (_match_encoded(value) if url_encoded else None)
        if match is None:
            raise explain(trace_header, value, ":", _FIELDS)
        trace, span, parent, flags = match.groups()
        trace_id, span_id = int(trace, 16), int(span, 16)
        if not (trace_id and span_id):
            raise explain(trace_header, match.string, ":", _FIELDS)
        sampled, debug, extras = _FLAGS[flags]
        return Remote(
            trace_id, span_id, int(parent, 16), sampled, debug, debug_id, baggage or EMPTY, extras=extras
        )

    return decode


def _read_usual(value: str) -> Ids:
    """`Format.usual` without a regular expression, at half the cost.

    `bytes.fromhex` skips blanks; `unpack` then raises, because there are too few bytes.
    """
    if len(value) > _USUAL_CHARS:
        raise ValueError(value)
    trace, span, parent, flags = value.split(":")
    if len(trace) != 32 or len(span) != 16:
        trace, span = _padded(trace, 32), _padded(span, 16)
    high, low, span_id = _three_words(_from_hex(trace + span))
    if parent == "0":
        return high << 64 | low, span_id, 0, _USUAL_FLAGS[flags]
    (parent_id,) = _one_word(_from_hex(_padded(parent, 16)))
    return high << 64 | low, span_id, parent_id, _USUAL_FLAGS[flags]


def _write_usual(trace_id: int, span_id: int, parent_id: int, flags: int) -> str:
    return _LAYOUT % (trace_id, span_id, parent_id, flags & SAMPLED)


def _padded(digits: str, length: int) -> str:
    if not 0 < len(digits) <= length:
        raise ValueError(digits)
    return digits.zfill(length)


def _match_encoded(value: str) -> re.Match[str] | None:
    if len(value) <= _ENCODED_CHARS and "%" in value:
        return re.fullmatch(_IDS, unquote(value))
    return None


def _debug_id(value: str, url_encoded: bool) -> str | None:
    value = text_of(value)[:DEBUG_ID_CHARS]
    return (unquote(value) if url_encoded else value) or None


def _listed(value: str, url_encoded: bool, limits: Limits) -> Mapping[str, str]:
    """The `jaeger-baggage` header: `k=v, k2=v2`, which people type after `curl -H`."""
    value = cut(text_of(value), PARTS * limits.baggage_bytes)
    if url_encoded:
        value = unquote(value)
    room, most = Room(limits), PARTS * limits.baggage_items
    pairs = (member.strip().split("=") for member in value.split(",", most)[:most])
    return {
        pair[0]: pair[1] for pair in pairs if len(pair) == 2 and room.takes(len(pair[0]) + len(pair[1]))
    } or EMPTY


def _encoder(names: _Names, items: Items) -> Encoder:
    trace_header, debug_header, _, prefix = names

    def encode(outgoing: Outgoing, headers: MutableMapping[str, Any], limits: Limits = LIMITS) -> None:
        trace_id, span_id = outgoing.trace_id, outgoing.span_id
        if trace_id and span_id:
            extras = outgoing.extras
            simple = (extras is RANDOM_TRACE_ID or not extras) and not outgoing.debug
            bits = (1 if outgoing.sampled else 0) if simple else bits_of(outgoing)
            headers[trace_header] = _LAYOUT % (trace_id, span_id, outgoing.parent_id, bits)
        elif outgoing.debug_id:
            for _, value in items({"id": outgoing.debug_id}):
                headers[debug_header] = value
        if outgoing.baggage:
            for key, value in items(items_to_write(outgoing, limits)):
                headers[prefix + key] = value

    return encode


def _format(names: _Names, url_encoded: bool, text_map: Format | None = None) -> Format:
    decode = _decoder(names, url_encoded)
    encode = _encoder(names, url_encoded_items if url_encoded else plain_items)
    return Format(
        "jaeger",
        names[:3],
        decode,
        encode,
        names[3:],
        Usual(names[0], _read_usual, _write_usual),
        text_map=text_map,
    )


def jaeger(
    *,
    trace_id_header: str = "uber-trace-id",
    baggage_header_prefix: str = "uberctx-",
    debug_id_header: str = "jaeger-debug-id",
    baggage_header: str = "jaeger-baggage",
    url_encoded: bool = True,
) -> Format:
    """The format with other header names. `url_encoded=False` gives jaeger-client's TEXT_MAP."""
    given = (trace_id_header, debug_id_header, baggage_header, baggage_header_prefix)
    lowered = [name.lower().replace("_", "-") for name in given]
    names = lowered[0], lowered[1], lowered[2], lowered[3]
    plain = _format(names, False)
    return _format(names, True, plain) if url_encoded else plain


JAEGER = jaeger()
