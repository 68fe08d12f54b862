"""Which parts of a `Remote` a format cannot carry, found by writing and reading it back."""

from __future__ import annotations

from typing import Any

from ot_bridge.wire.remote import LIMITS, Format, Remote

# Attribute -> its name for users.
_PARTS = {
    "trace_id": "trace id",
    "span_id": "span id",
    "parent_id": "parent id",
    "sampled": "sampling decision",
    "debug": "debug",
    "debug_id": "debug id",
    "baggage": "baggage",
    "tracestate": "tracestate",
}


def rewritten(remote: Remote, format: Format) -> Remote:
    """What the next process reads if this one writes `format`."""
    headers: dict[str, Any] = {}
    format.encode(remote, headers, LIMITS)
    read = format.decode({name.lower(): value for name, value in headers.items()}, LIMITS)
    return read or Remote()


def losses(remote: Remote, format: Format) -> tuple[str, ...]:
    """Names, for users, of the parts of `remote` that change when they are sent in `format`."""
    after = rewritten(remote, format)
    lost = [words for name, words in _PARTS.items() if getattr(after, name) != getattr(remote, name)]
    if after.trace_id and after.trace_id == remote.trace_id & (1 << 64) - 1 != remote.trace_id:
        lost[0] = "upper half of the trace id"
    lost += sorted(remote.extras.keys() - after.extras.keys())
    return tuple(lost)
