"""`ot-tracer-traceid`, `-spanid`, `-sampled` and `ot-baggage-KEY`: the headers of basictracer and LightStep.

Ids have 64 bits: only the low half of a longer trace id is written. Baggage is written without encoding,
since readers do not decode it, and only if it is printable ASCII. Without a sampling decision `-sampled` is
left out, although basictracer requires it.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

from ot_bridge.errors import BadHeader
from ot_bridge.wire.items import items_to_write, plain_items, prefixed_items
from ot_bridge.wire.remote import LIMITS, NOT_SAMPLED, Format, Headers, Limits, Outgoing, Remote
from ot_bridge.wire.text import Hex, is_token, is_zero, read_hex, text_of

TRACE_ID, SPAN_ID, SAMPLED = FIELDS = ("ot-tracer-traceid", "ot-tracer-spanid", "ot-tracer-sampled")
PREFIX = "ot-baggage-"

_TRACE = Hex("trace id", 1, 32, zero=False)
_SPAN = Hex("span id", 1, 16, zero=False)
_is_sendable = re.compile(r"[\x20-\x7e]*").fullmatch
_DECISIONS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
_LOW = 0xFFFF_FFFF_FFFF_FFFF


def decode(headers: Headers, limits: Limits = LIMITS) -> Remote | None:
    remote = _read(headers)
    baggage = prefixed_items(headers, PREFIX, limits)
    if not baggage:
        return remote
    return Remote(baggage=baggage) if remote is None else remote._replace(baggage=baggage)


def _read(headers: Headers) -> Remote | None:
    trace, span = text_of(headers.get(TRACE_ID, "")), text_of(headers.get(SPAN_ID, ""))
    if TRACE_ID not in headers and SPAN_ID not in headers:
        return None
    decision = text_of(headers.get(SAMPLED, ""))
    sampled = _DECISIONS.get(decision[:6].lower())
    if decision and sampled is None:
        raise BadHeader(SAMPLED, decision, "is neither true nor false", 0)
    if sampled is False and is_zero(trace, span, _TRACE, _SPAN):
        return NOT_SAMPLED
    trace_id = read_hex(TRACE_ID, trace, _TRACE)
    span_id = read_hex(SPAN_ID, span, _SPAN)
    return Remote(trace_id, span_id, 0, sampled)


def encode(outgoing: Outgoing, headers: MutableMapping[str, Any], limits: Limits = LIMITS) -> None:
    trace_id, span_id = outgoing.trace_id & _LOW, outgoing.span_id
    if trace_id and span_id:
        headers[TRACE_ID] = "%016x" % trace_id  # noqa: UP031 (faster than an f-string)
        headers[SPAN_ID] = "%016x" % span_id  # noqa: UP031
        if outgoing.sampled is not None:
            headers[SAMPLED] = "true" if outgoing.sampled else "false"
    if outgoing.baggage:
        for key, value in plain_items(items_to_write(outgoing, limits)):
            if is_token(key) and _is_sendable(value):
                headers[PREFIX + key] = value


OTTRACE = Format("ottrace", FIELDS, decode, encode, (PREFIX,))
