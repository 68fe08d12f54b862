"""W3C Trace Context (levels 1 and 2): `traceparent` and `tracestate`.

If tracestate is malformed, it is dropped and the trace continues. If traceparent is malformed, both are
dropped.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import Any

from ot_bridge.errors import BadHeader
from ot_bridge.wire.remote import (
    EMPTY,
    LIMITS,
    RANDOM_TRACE_ID,
    W3C_RANDOM,
    Format,
    Headers,
    Limits,
    Outgoing,
    Remote,
    Usual,
)
from ot_bridge.wire.text import Hex, cut, explain, read_three, text_of

SAMPLED, RANDOM = 1, 2
MEMBERS = 32
COMMAS = 256  # a value is split at this number of commas at most, so that reading takes bounded time
CHARS = 512

_match = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})").fullmatch
# A later version: the first 55 characters are read if the value ends there or a dash follows.
# Few callers send one, so this pattern is compiled at its first use.
_LATER = r"(?!00|ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?![^-])"
_FIELDS = (
    Hex("version", 2, 2, lower=True),
    Hex("trace id", 32, 32, zero=False, lower=True),
    Hex("parent id", 16, 16, zero=False, lower=True),
    Hex("flags", 2, 2, lower=True),
)
_FLAGS = {f"{n:02x}": (bool(n & SAMPLED), RANDOM_TRACE_ID if n & RANDOM else EMPTY) for n in range(256)}
_WRITTEN = ("00", "01", "02", "03")

# Level 2, section 3.3.1.3.1: level 1 separated tenant and system by the `@`.
_KEY = r"[a-z0-9][a-z0-9_\-*/@]{0,255}"
_VALUE = r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
_member = re.compile(f"{_KEY}={_VALUE}").fullmatch


def decode(headers: Headers, limits: Limits = LIMITS) -> Remote | None:
    value = headers.get("traceparent")
    if value is None:
        return None
    match = _match(value) or _match_padded(value)
    trace, span, flags = match.groups()
    trace_id, span_id = int(trace, 16), int(span, 16)
    if not (trace_id and span_id):
        raise explain("traceparent", match[0], "-", _FIELDS)
    sampled, extras = _FLAGS[flags]
    tracestate = ""
    if "tracestate" in headers:
        tracestate = read_tracestate(text_of(headers["tracestate"]), limits)
    return Remote(trace_id, span_id, sampled=sampled, tracestate=tracestate, extras=extras)


def _match_padded(value: str) -> re.Match[str]:
    """Matches values with blanks around them and values of later versions. Raises `BadHeader`."""
    if len(value) > CHARS:
        raise BadHeader("traceparent", value, f"has more than {CHARS} characters", CHARS)
    text = value.strip(" \t")
    match = _match(text) or re.match(_LATER, text)
    if match is None:
        if text.startswith("ff"):
            raise BadHeader("traceparent", text, "version ff is not allowed", 0)
        raise explain("traceparent", text, "-", _FIELDS)
    return match


def read_tracestate(value: str, limits: Limits = LIMITS) -> str:
    """Normalises the members, and keeps the first one of each key. An empty string if one is malformed."""
    value = shorten(value, limits.tracestate_bytes)
    members = [member for part in value.split(",", COMMAS) if (member := part.strip(" \t"))]
    if len(members) > MEMBERS or not all(map(_member, members)):
        return ""
    first: dict[str, str] = {}
    for member in members:
        first.setdefault(member.partition("=")[0], member)
    return ",".join(first.values())


def shorten(value: str, limit: int) -> str:
    """A tracestate cut to `limit` characters: members over 128 characters go first, then the last members.

    Source: W3C Trace Context, "tracestate Limits".
    """
    if len(value) <= limit:
        return value
    members = cut(value, 4 * limit).split(",", COMMAS)
    return cut(",".join(member for member in members if len(member) <= 128), limit)


def _write(trace_id: int, span_id: int, parent_id: int, flags: int) -> str:
    trace, span = trace_id.to_bytes(16, "big").hex(), span_id.to_bytes(8, "big").hex()
    return f"00-{trace}-{span}-{_WRITTEN[flags]}"


def encode(outgoing: Outgoing, headers: MutableMapping[str, Any], limits: Limits = LIMITS) -> None:
    trace_id, span_id = outgoing.trace_id, outgoing.span_id
    if not (trace_id and span_id):
        return
    flags = 1 if outgoing.sampled else 0
    extras = outgoing.extras
    if extras is RANDOM_TRACE_ID or (extras and W3C_RANDOM in extras):
        flags |= RANDOM
    try:
        headers["traceparent"] = _write(trace_id, span_id, 0, flags)
    except OverflowError:  # an id generator of the program made an id that is too large
        return
    tracestate = outgoing.tracestate
    if tracestate and tracestate.isprintable():
        headers["tracestate"] = tracestate


TRACECONTEXT = Format(
    "tracecontext",
    ("traceparent", "tracestate"),
    decode,
    encode,
    usual=Usual("traceparent", read_three(_match), _write),
)
