"""Puts a decoded `Remote` into an OpenTelemetry context, and makes the `Remote` to send out of a context.

OpenTelemetry's span context has no place for a debug flag, an open sampling decision, or values of a single
header format. So the context holds the caller's `Remote` under a key of its own, beside the span, and
outgoing headers of the same trace take these values from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry import baggage, trace
from opentelemetry.context import Context, create_key, get_current, get_value, set_value

from ot_bridge.otel import state_of
from ot_bridge.wire import RANDOM_TRACE_ID, Remote
from ot_bridge.wire.baggage import properties
from ot_bridge.wire.items import merged
from ot_bridge.wire.remote import W3C_RANDOM

_REMOTE_KEY = create_key("ot-bridge-remote")
_SAMPLED, _RANDOM = 1, 2
_NOTHING = Remote()
_NO_STATE = trace.TraceState()


def get_remote(context: Context | None = None) -> Remote | None:
    """The caller's `Remote` that a `Propagator` put into the context (default: the current one), or None."""
    remote = get_value(_REMOTE_KEY, context)
    return remote if isinstance(remote, Remote) else None


def set_remote(remote: Remote, context: Context | None = None) -> Context:
    """A copy of `context` (default: the current one) with `remote`, but without its span and baggage."""
    return set_value(_REMOTE_KEY, remote, context)


def trace_state(text: str) -> trace.TraceState:
    """Converts the tracestate of a `Remote` to OpenTelemetry's class.

    A decoder has validated it by level 2 of W3C Trace Context. OpenTelemetry's own parser follows level 1 and
    would drop all of it, with a warning, for a key that begins with a digit.
    """
    if not text:
        return _NO_STATE
    return state_of(dict(member.split("=", 1) for member in text.split(",")))


def context_with(remote: Remote, context: Context) -> Context:
    """A copy of `context` with the caller's baggage and, if it has a trace id and a span id, its span."""
    context = set_remote(remote, context)
    if remote.baggage:
        context = _context_with_baggage(remote.baggage, context)
    if not (remote.trace_id and remote.span_id):
        return context
    flags = (_SAMPLED if remote.sampled else 0) | (_RANDOM if W3C_RANDOM in remote.extras else 0)
    state = trace_state(remote.tracestate)
    span_context = trace.SpanContext(remote.trace_id, remote.span_id, True, trace.TraceFlags(flags), state)
    return trace.set_span_in_context(trace.NonRecordingSpan(span_context), context)


def _context_with_baggage(items: Mapping[str, str], context: Context) -> Context:
    """Adds the items to the baggage that another propagator has read of the same carrier: see `merged`."""
    held: Mapping[str, Any] = baggage.get_all(context)
    items = merged(items, held)
    for key in held.keys() - items.keys():
        context = baggage.remove_baggage(key, context)
    for key, value in items.items():
        if held.get(key) is not value:
            context = baggage.set_baggage(key, value, context)
    return context


def undecided(state: trace.TraceState) -> trace.TraceState:
    """A caller's tracestate without the threshold of its sampling decision, for a span that ignores this.

    The threshold is `th` in OpenTelemetry's entry `ot` ("TraceState: Probability Sampling"). The rest of that
    entry and all other entries stay unchanged (W3C Trace Context, "tracestate").
    """
    entry = state.get("ot")
    if entry is None:
        return state
    parts = [part for part in entry.split(";") if not part.startswith("th:")]
    entries = {**state, "ot": ";".join(parts)}
    return trace_state(",".join(f"{key}={value}" for key, value in entries.items() if value))


def outgoing(context: Context | None) -> Remote:
    """The `Remote` to send for the span and the baggage of a context (default: the current one)."""
    context = get_current() if context is None else context
    items: Mapping[str, Any] = baggage.get_all(context)
    span = trace.get_current_span(context)
    ours = span.get_span_context()
    remote = context.get(_REMOTE_KEY)
    if not isinstance(remote, Remote):
        remote = _NOTHING
    same_trace = ours.trace_id == remote.trace_id
    if not ours.is_valid or (same_trace and ours.span_id == remote.span_id):
        return remote._replace(baggage=items)
    sampled = bool(ours.trace_flags & _SAMPLED)
    extras = remote.extras
    if extras and not same_trace:
        extras = properties(extras)
    if ours.trace_flags & _RANDOM:
        extras = {**extras, **RANDOM_TRACE_ID} if extras else RANDOM_TRACE_ID
    parent = getattr(span, "parent", None)
    parent_id = parent.span_id if isinstance(parent, trace.SpanContext) else 0
    debug = same_trace and sampled and remote.debug
    tracestate = ours.trace_state.to_header() if ours.trace_state else ""
    ids = ours.trace_id, ours.span_id, parent_id
    return Remote(*ids, sampled, debug, None, items, tracestate, extras)
