"""AWS X-Ray's `X-Amzn-Trace-Id: Root=1-{8 hex}-{24 hex};Parent={16 hex};Sampled={0|1|?};Lineage=...`.

Source: "Tracing header" in the AWS X-Ray developer guide. Fields may come in any order and case, with blanks
between; unknown fields are ignored. A load balancer sends a root without a parent: a trace without a span.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

from ot_bridge.errors import BadHeader
from ot_bridge.wire.remote import (
    EMPTY,
    LIMITS,
    NOT_SAMPLED,
    XRAY_LINEAGE,
    Format,
    Headers,
    Limits,
    Outgoing,
    Remote,
)
from ot_bridge.wire.text import Hex, explain

SPELLED = "X-Amzn-Trace-Id"
HEADER = SPELLED.lower()
CHARS = 2048
LINEAGE_CHARS = 255

_is_root = re.compile(r"1-([0-9a-fA-F]{8})-([0-9a-fA-F]{24})").fullmatch
_is_parent = re.compile(r"[0-9a-fA-F]{16}").fullmatch
_is_lineage = re.compile(rf"[\x21-\x7e]{{1,{LINEAGE_CHARS}}}").fullmatch
_ROOT = (Hex("Root's version", 1, 1, zero=False), Hex("Root's time", 8, 8), Hex("Root's random part", 24, 24))
_PARENT = (Hex("Parent", 16, 16, zero=False),)
_DECISIONS = {"1": True, "0": False}
_LOW = (1 << 96) - 1


def decode(headers: Headers, limits: Limits = LIMITS) -> Remote | None:
    value = headers.get(HEADER)
    if not value:
        return None
    if len(value) > CHARS:
        raise BadHeader(HEADER, value, f"has more than {CHARS} characters", CHARS)
    fields = _fields(value)
    sampled = _DECISIONS.get(fields["sampled"][0]) if "sampled" in fields else None
    if "root" not in fields:
        return None if sampled is None else Remote(sampled=sampled)
    root, at = fields["root"]
    match = _is_root(root)
    trace_id = int(match[1] + match[2], 16) if match else 0
    if not trace_id:
        if match and sampled is False:  # AWS's SDK sends this for a trace that it does not record
            return NOT_SAMPLED
        raise _explain(value, at, root, _ROOT)
    span_id = 0
    if "parent" in fields:
        parent, at = fields["parent"]
        span_id = int(parent, 16) if _is_parent(parent) else 0
        if not span_id and not (sampled is False and _is_parent(parent)):
            raise _explain(value, at, parent, _PARENT)
    lineage = fields["lineage"][0] if "lineage" in fields else ""
    extras = {XRAY_LINEAGE: lineage} if _is_lineage(lineage) else EMPTY
    return Remote(trace_id, span_id, 0, sampled, extras=extras)


def _fields(value: str) -> dict[str, tuple[str, int]]:
    """Lower-case name -> (text, index of its start in `value`); the first field of each name counts."""
    fields: dict[str, tuple[str, int]] = {}
    at = 0
    for part in value.split(";"):
        name, _, text = part.partition("=")
        start = at + len(part) - len(text.lstrip())
        fields.setdefault(name.strip().lower(), (text.strip(), start))
        at += len(part) + 1
    return fields


def _explain(value: str, at: int, text: str, expected: tuple[Hex, ...]) -> BadHeader:
    error = explain(HEADER, text, "-", expected)
    if error.position is None:
        return BadHeader(HEADER, value, "Root is not 1, a time and a random part, or is zero", at)
    return BadHeader(HEADER, value, error.reason, at + error.position)


def encode(outgoing: Outgoing, headers: MutableMapping[str, Any], limits: Limits = LIMITS) -> None:
    trace_id, span_id = outgoing.trace_id, outgoing.span_id
    fields = []
    if trace_id:
        fields.append("Root=1-%08x-%024x" % (trace_id >> 96, trace_id & _LOW))  # noqa: UP031 (speed)
        if span_id:
            fields.append("Parent=%016x" % span_id)  # noqa: UP031
    if outgoing.sampled is not None:
        fields.append("Sampled=1" if outgoing.sampled else "Sampled=0")
    extras = outgoing.extras
    if extras and XRAY_LINEAGE in extras:
        fields.append(f"Lineage={extras[XRAY_LINEAGE]}")
    if fields:
        headers[SPELLED] = ";".join(fields)


XRAY = Format("xray", (HEADER,), decode, encode, spelled=(SPELLED,))
