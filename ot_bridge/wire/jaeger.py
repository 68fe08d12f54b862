"""Jaeger's `uber-trace-id: {trace}:{span}:{parent}:{flags}`, and its headers for baggage and debugging.

After the "Propagation Format" section of the Jaeger client libraries' documentation. Ids are hex without
padding going out, padded or not coming in. Over HTTP, values are percent-encoded; in text maps they are not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from typing import Any
from urllib.parse import unquote

from .remote import EMPTY, JAEGER_FLAGS, LIMITS, Format, Headers, Limits, Outgoing, Remote, new_remote
from .text import Hex, cut, explain, plain_items, prefixed_items, text_of, url_encoded_items

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
        remote = self.decode_fixed(headers, limits)
        baggage = prefixed_items(headers, self._prefix, limits, unquote if self._url_encoded else str)
        if not baggage:
            return remote
        if remote is None:
            return Remote(baggage=baggage)
        return remote._replace(baggage={**remote.baggage, **baggage})

    def decode_fixed(self, headers: Headers, limits: Limits = LIMITS) -> Remote | None:
        """As `decode`, but for the headers that begin with the prefix."""
        value = headers.get(self._trace_header)
        baggage = EMPTY
        debug_id = None
        if self._baggage_header in headers:
            baggage = self._listed(headers[self._baggage_header], limits)
        if self._debug_header in headers:
            debug_id = self._debug_id(headers[self._debug_header])
        if value is None:
            return Remote(debug_id=debug_id, baggage=baggage) if debug_id or baggage else None
        match = _match(value) or self._match_encoded(value)
        if match is None:
            raise explain(self._trace_header, value, ":", _FIELDS)
        trace, span, parent, flags = match.groups()
        trace_id, span_id = int(trace, 16), int(span, 16)
        if not (trace_id and span_id):
            raise explain(self._trace_header, match.string, ":", _FIELDS)
        sampled, debug, extras = _FLAGS[flags]
        parent_id = 0 if parent == "0" else int(parent, 16)
        return new_remote(
            Remote, (trace_id, span_id, parent_id, sampled, debug, debug_id, baggage, "", extras)
        )

    def _match_encoded(self, value: str) -> re.Match[str] | None:
        if self._url_encoded and "%" in value[:_ENCODED_CHARS] and len(value) <= _ENCODED_CHARS:
            return _match(unquote(value))
        return None

    def _debug_id(self, value: str) -> str | None:
        value = text_of(value)[:DEBUG_ID_CHARS]
        return (unquote(value) if self._url_encoded else value) or None

    def _listed(self, value: str, limits: Limits) -> Mapping[str, str]:
        """`k=v, k2=v2`, as a person types it after `curl -H`."""
        value = cut(text_of(value), limits.baggage_bytes)
        if self._url_encoded:
            value = unquote(value)
        members = value.split(",", limits.baggage_items)[: limits.baggage_items]
        pairs = (member.strip().split("=") for member in members)
        return dict(pair for pair in pairs if len(pair) == 2) or EMPTY

    def encode(self, outgoing: Outgoing, headers: MutableMapping[str, Any], limits: Limits = LIMITS) -> None:
        trace_id, span_id = outgoing.trace_id, outgoing.span_id
        if trace_id and span_id:
            bits = bits_of(outgoing) if outgoing.extras or outgoing.debug else 1 if outgoing.sampled else 0
            ids = (trace_id, span_id, outgoing.parent_id, bits)
            headers[self._trace_header] = "%x:%x:%x:%x" % ids  # noqa: UP031 (twice as fast as an f-string)
        elif outgoing.debug_id:
            for _, value in self._items({"id": outgoing.debug_id}):
                headers[self._debug_header] = value
        baggage = outgoing.baggage
        if baggage:
            for key, value in self._items(baggage):
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
        pair = codec.decode, codec.encode
        return Format("jaeger", tuple(fields), *pair, (prefix,), codec.decode_fixed, text_map=text_map)

    return build(True, build(False, None)) if url_encoded else build(False, None)


JAEGER = jaeger()
