"""`zipkin-span-format`: jaeger-client's format for TChannel, integers under four names.

The carrier is a mapping or an object with `trace_id`, `span_id`, `parent_id` and `traceflags`; the last one
has the bits of Jaeger's flags.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from ot_bridge.errors import BadHeader
from ot_bridge.wire.jaeger import bits_of, flags_to_bits
from ot_bridge.wire.remote import LIMITS, Format, Headers, Limits, Outgoing, Remote
from ot_bridge.wire.text import not_list

NAME = "zipkin-span-format"
FIELDS = ("trace_id", "span_id", "parent_id", "traceflags")


def decode(headers: Headers, limits: Limits = LIMITS) -> Remote | None:
    if not not_list(headers.get("trace_id")):
        return None
    trace_id = _integer(headers, "trace_id", 1, 128)
    span_id = _integer(headers, "span_id", 1, 64)
    parent_id = _integer(headers, "parent_id", 0, 64)
    if headers.get("traceflags") is None:
        return Remote(trace_id, span_id, parent_id)
    sampled, debug, extras = flags_to_bits(_integer(headers, "traceflags", 0, 8))
    return Remote(trace_id, span_id, parent_id, sampled, debug, extras=extras)


def _integer(headers: Headers, name: str, least: int, bits: int) -> int:
    value = not_list(headers.get(name)) or 0
    if type(value) is not int or not least <= value < 1 << bits:
        printed = hex(value)[:80] if isinstance(value, int) else value
        raise BadHeader(name, printed, f"is not an integer of {bits} bits, {least} or more")
    return value


def encode(outgoing: Outgoing, headers: MutableMapping[str, Any], limits: Limits = LIMITS) -> None:
    trace_id, span_id = outgoing.trace_id, outgoing.span_id
    if not (trace_id and span_id):
        return
    headers["trace_id"] = trace_id
    headers["span_id"] = span_id
    headers["parent_id"] = outgoing.parent_id or None
    headers["traceflags"] = bits_of(outgoing)


ZIPKIN = Format(NAME, FIELDS, decode, encode, raw=True)
