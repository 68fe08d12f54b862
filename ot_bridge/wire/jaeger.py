"""Jaeger's `uber-trace-id: {trace}:{span}:{parent}:{flags}`, and its headers for baggage and debugging.

After the "Propagation Format" section of the Jaeger client libraries' documentation. Ids are hex without
padding going out, padded or not coming in. Over HTTP, values are percent-encoded; in text maps they are not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from typing import Any
from urllib.parse import unquote

from .remote import EMPTY, JAEGER_FLAGS, LIMITS, Format, Headers, Limits, Outgoing, Remote
from .text import Hex, explain, plain_items, url_encoded_items

SAMPLED, DEBUG = 1, 2
DEBUG_ID_CHARS = 1024

_match = re.compile(
    r"([0-9a-fA-F]{1,32}):([0-9a-fA-F]{1,16}):([0-9a-fA-F]{1,16}):([0-9a-fA-F]{1,2})"
).fullmatch
_FIELDS = (
    Hex("trace id", 1, 32, zero=False),
    Hex("span id", 1, 16, zero=False),
    Hex("parent id", 1, 16),
    Hex("flags", 1, 2),
)
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


_FLAGS = {text: flags_to_bits(n) for n in range(256) for text in {f"{n:x}", f"{n:X}", f"{n:02x}", f"{n:02X}"}}
# Digits of mixed case; there are so few that the table is still the shortest way to say it.
_FLAGS.update({a + b: _FLAGS[(a + b).lower()] for a in "abcdefABCDEF" for b in "abcdefABCDEF"})


class _Jaeger:
    """The codec for one choice of header names."""

    __slots__ = ("_baggage_header", "_debug_header", "_items", "_prefix", "_trace_header", "_url_encoded")

    def __init__(self, trace_id: str, prefix: str, debug_id: str, baggage: str, url_encoded: bool) -> None:
        self._trace_header = trace_id
        self._prefix = prefix
        self._debug_header = debug_id
        self._baggage_header = baggage
        self._url_encoded = url_encoded
        self._items = url_encoded_items if url_encoded else plain_items

    def decode(self, headers: Headers, limits: Limits = LIMITS) -> Remote | None:
        value = headers.get(self._trace_header)
        if value is None:
            if not headers:
                return None
            debug_id, baggage = self._debug_id(headers), self._baggage(headers, limits)
            return Remote(debug_id=debug_id, baggage=baggage) if debug_id or baggage else None
        match = _match(value) or self._match_encoded(value)
        if match is None:
            raise explain(self._trace_header, value, ":", _FIELDS)
        trace, span, parent, flags = match.groups()
        trace_id, span_id = int(trace, 16), int(span, 16)
        if not (trace_id and span_id):
            raise explain(self._trace_header, match.string, ":", _FIELDS)
        sampled, debug, extras = _FLAGS[flags]
        if len(headers) == 1:
            return Remote(trace_id, span_id, int(parent, 16), sampled, debug, None, EMPTY, "", extras)
        baggage, debug_id = self._baggage(headers, limits), self._debug_id(headers)
        return Remote(trace_id, span_id, int(parent, 16), sampled, debug, debug_id, baggage, "", extras)

    def _match_encoded(self, value: str) -> re.Match[str] | None:
        if self._url_encoded and "%" in value[:_ENCODED_CHARS] and len(value) <= _ENCODED_CHARS:
            return _match(unquote(value))
        return None

    def _debug_id(self, headers: Headers) -> str | None:
        value = headers.get(self._debug_header)
        if not value:
            return None
        value = value[:DEBUG_ID_CHARS]
        return unquote(value) if self._url_encoded else value

    def _baggage(self, headers: Headers, limits: Limits) -> Mapping[str, str]:
        prefix = self._prefix
        baggage = (
            self._listed(headers[self._baggage_header], limits) if self._baggage_header in headers else {}
        )
        room = limits.baggage_bytes - sum(map(len, baggage)) - sum(map(len, baggage.values()))
        for name, value in headers.items():
            if not name.startswith(prefix):
                continue
            room -= len(name) - len(prefix) + len(value)
            if room < 0 or len(baggage) >= limits.baggage_items:
                break
            baggage[name[len(prefix) :]] = unquote(value) if self._url_encoded else value
        return baggage or EMPTY

    def _listed(self, value: str, limits: Limits) -> dict[str, str]:
        """`k=v, k2=v2`, as a person types it after `curl -H`."""
        if len(value) > limits.baggage_bytes:
            value = value[: limits.baggage_bytes].rpartition(",")[0]
        if self._url_encoded:
            value = unquote(value)
        pairs = (member.strip().split("=") for member in value.split(",", limits.baggage_items))
        return dict([pair for pair in pairs if len(pair) == 2][: limits.baggage_items])

    def encode(self, outgoing: Outgoing, headers: MutableMapping[str, Any], limits: Limits = LIMITS) -> None:
        trace_id, span_id = outgoing.trace_id, outgoing.span_id
        if trace_id and span_id:
            ids = (trace_id, span_id, outgoing.parent_id, bits_of(outgoing))
            headers[self._trace_header] = "%x:%x:%x:%x" % ids  # noqa: UP031 (twice as fast as an f-string)
        elif outgoing.debug_id:
            debug_id = dict(
                (url_encoded_items if self._url_encoded else plain_items)({"id": outgoing.debug_id})
            )
            if debug_id:
                headers[self._debug_header] = debug_id["id"]
        baggage = outgoing.baggage
        if baggage:
            items = url_encoded_items(baggage) if self._url_encoded else plain_items(baggage)
            for key, value in items:
                headers[self._prefix + key] = value


def jaeger(
    *,
    trace_id_header: str = "uber-trace-id",
    baggage_header_prefix: str = "uberctx-",
    debug_id_header: str = "jaeger-debug-id",
    baggage_header: str = "jaeger-baggage",
    url_encoded: bool = True,
) -> Format:
    """The format under other header names. `url_encoded=False` is jaeger-client's TEXT_MAP."""
    names = [
        name.lower().replace("_", "-")
        for name in (trace_id_header, debug_id_header, baggage_header, baggage_header_prefix)
    ]
    *fields, prefix = names

    def build(url_encoded: bool, text_map: Format | None) -> Format:
        codec = _Jaeger(fields[0], prefix, fields[1], fields[2], url_encoded)
        return Format("jaeger", tuple(fields), codec.decode, codec.encode, (prefix,), text_map=text_map)

    return build(True, build(False, None)) if url_encoded else build(False, None)


JAEGER = jaeger()
