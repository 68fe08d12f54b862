"""Zipkin's B3 in both forms: five `X-B3-*` headers, or one `b3` header.

Source: the B3 propagation specification (openzipkin/b3-propagation). Ids without padding are accepted,
because some other programs write them. A sampling decision may come without ids. Debug implies sampled.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

from ot_bridge.errors import BadHeader
from ot_bridge.wire.remote import LIMITS, NOT_SAMPLED, Format, Headers, Limits, Outgoing, Remote, Usual
from ot_bridge.wire.text import Hex, explain, is_zero, read_hex, read_three, text_of

SPELLED = ("X-B3-TraceId", "X-B3-SpanId", "X-B3-ParentSpanId", "X-B3-Sampled", "X-B3-Flags")
TRACE_ID, SPAN_ID, PARENT_ID, SAMPLED, FLAGS = FIELDS = tuple(map(str.lower, SPELLED))

_TRACE = Hex("trace id", 1, 32, zero=False)
_SPAN = Hex("span id", 1, 16, zero=False)
_PARENT = Hex("parent id", 1, 16)
_match = re.compile(
    r"([0-9a-fA-F]{1,32})-([0-9a-fA-F]{1,16})(?:-([01d])(?:-([0-9a-fA-F]{1,16}))?)?"
).fullmatch
_usual = re.compile(r"([0-9a-fA-F]{1,32})-([0-9a-fA-F]{1,16})-([01])").fullmatch

# text -> (sampled, debug)
_DECISIONS: dict[str, tuple[bool | None, bool]] = {
    "": (None, False),
    "0": (False, False),
    "1": (True, False),
    "d": (True, True),
}
# Spellings from before the specification, in upper or lower case.
_SPELLINGS: dict[str, tuple[bool | None, bool]] = {
    "true": (True, False),
    "false": (False, False),
    "d": (True, True),
}


def decode_multi(headers: Headers, limits: Limits = LIMITS) -> Remote | None:
    sampled, debug = _decision(text_of(headers.get(SAMPLED, "")))
    if text_of(headers.get(FLAGS, "")) == "1":
        sampled = debug = True
    trace, span = text_of(headers.get(TRACE_ID, "")), text_of(headers.get(SPAN_ID, ""))
    if TRACE_ID not in headers and SPAN_ID not in headers:
        return None if sampled is None else Remote(sampled=sampled, debug=debug)
    if sampled is False and is_zero(trace, span, _TRACE, _SPAN):
        return NOT_SAMPLED
    parent = text_of(headers.get(PARENT_ID, ""))
    trace_id = read_hex(TRACE_ID, trace, _TRACE)
    span_id = read_hex(SPAN_ID, span, _SPAN)
    parent_id = read_hex(PARENT_ID, parent, _PARENT) if parent else 0
    return Remote(trace_id, span_id, parent_id, sampled, debug)


def _decision(value: str) -> tuple[bool | None, bool]:
    start = value[:6]
    decision = _DECISIONS.get(start) or _SPELLINGS.get(start.lower())
    if decision is None:
        raise BadHeader(SAMPLED, value, "is none of 0, 1, true, false, d", 0)
    return decision


def encode_multi(outgoing: Outgoing, headers: MutableMapping[str, Any], limits: Limits = LIMITS) -> None:
    trace_id, span_id = outgoing.trace_id, outgoing.span_id
    if trace_id and span_id:
        headers["X-B3-TraceId"] = ("%032x" if trace_id >> 64 else "%016x") % trace_id
        headers["X-B3-SpanId"] = "%016x" % span_id  # noqa: UP031 (faster than an f-string)
        if outgoing.parent_id:
            headers["X-B3-ParentSpanId"] = "%016x" % outgoing.parent_id  # noqa: UP031
    if outgoing.debug:
        headers["X-B3-Flags"] = "1"
    elif outgoing.sampled is not None:
        headers["X-B3-Sampled"] = "1" if outgoing.sampled else "0"


def decode_single(headers: Headers, limits: Limits = LIMITS) -> Remote | None:
    value = headers.get("b3")
    if value is None or value == "":
        return None
    match = _match(value)
    if match is None:
        if value[:2] not in _DECISIONS:
            raise _explain_single(value)
        sampled, debug = _DECISIONS[value[:2]]
        return Remote(sampled=sampled, debug=debug)
    trace, span, decision, parent = match.groups()
    trace_id, span_id = int(trace, 16), int(span, 16)
    sampled, debug = _DECISIONS[decision or ""]
    if not (trace_id and span_id):
        if sampled is False:
            return NOT_SAMPLED
        raise _explain_single(value)
    return Remote(trace_id, span_id, int(parent, 16) if parent else 0, sampled, debug)


def _explain_single(value: str) -> BadHeader:
    parts = value[:256].split("-", 3)
    if len(parts) > 2 and _match("-".join(parts[:2])) and parts[2] not in ("0", "1", "d"):
        at = len(parts[0]) + len(parts[1]) + 2
        return BadHeader("b3", value, "sampling state is none of 0, 1, d", at)
    middle = (Hex("sampling state", 1, 1),) if len(parts) > 2 else ()
    return explain("b3", value, "-", (_TRACE, _SPAN, *middle, *((_PARENT,) if len(parts) > 3 else ())))


def encode_single(outgoing: Outgoing, headers: MutableMapping[str, Any], limits: Limits = LIMITS) -> None:
    trace_id, span_id = outgoing.trace_id, outgoing.span_id
    sampled = outgoing.sampled
    decision = "d" if outgoing.debug else "" if sampled is None else "1" if sampled else "0"
    if not (trace_id and span_id):
        if decision:
            headers["b3"] = decision
        return
    parts = [("%032x-%016x" if trace_id >> 64 else "%016x-%016x") % (trace_id, span_id)]
    if decision:
        parts.append(decision)
        if outgoing.parent_id:
            parts.append("%016x" % outgoing.parent_id)  # noqa: UP031
    headers["b3"] = "-".join(parts)


B3MULTI = Format("b3multi", FIELDS, decode_multi, encode_multi, spelled=SPELLED)
B3 = Format("b3", ("b3",), decode_single, encode_single, usual=Usual("b3", read_three(_usual)))
