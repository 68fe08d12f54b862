"""Finds the parent of a new span and what the span inherits from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import opentracing
from opentelemetry import trace
from opentelemetry.context import Context, get_current
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from ot_bridge.bridge import convert
from ot_bridge.bridge import span_context as contexts
from ot_bridge.bridge.altered import AsRoot, AsSampled, AsUnsampled, Decider
from ot_bridge.bridge.keys import BAGGAGE_KEY, REMOTE_KEY, SCOPE_KEY, SPAN_KEY
from ot_bridge.bridge.scope import settled
from ot_bridge.bridge.span_context import NO_BAGGAGE, SpanContext
from ot_bridge.wire import Remote

NOBODY: Final = SpanContext()
REFERENCE_TYPE: Final = "opentracing.ref_type"


class Parent(NamedTuple):
    """What a new span inherits.

    context: OpenTelemetry's context with the parent span, if there is one. baggage: str to str. origin: see
    `SpanContext`. links: for the new span. sampler: decides in place of the provider's sampler, if not None.
    trace_id: the id of the caller's trace if the caller named no span in it, else 0.
    """

    context: Context
    baggage: Mapping[str, str] = NO_BAGGAGE
    origin: Remote | None = None
    links: Sequence[trace.Link] = ()
    sampler: Decider = None
    trace_id: int = 0


def root() -> Parent:
    """No parent and no baggage, even if a span is active."""
    return Parent(NOBODY.in_context(get_current()))


def in_context(context: Context) -> Parent:
    """Takes the span in `context` as the parent, with the baggage in `context`."""
    scope: Any = context.get(SCOPE_KEY)
    if scope is not None and scope._closed_elsewhere:
        context = settled(Context(context))
        scope = context.get(SCOPE_KEY)
    changed = getattr(getattr(scope, "_span", None), "priority_flags", None) is not None
    if changed and scope._otel_span is context.get(SPAN_KEY):
        # Only `span.context` has the flags of a `sampling.priority` that was set after the start.
        context = trace.set_span_in_context(trace.NonRecordingSpan(scope.span.context), context)
    baggage: Any = context.get(BAGGAGE_KEY) or NO_BAGGAGE
    origin: Any = context.get(REMOTE_KEY)
    if origin is None:
        return Parent(context, baggage)
    above = trace.get_current_span(context).get_span_context()
    if above.is_valid:
        return Parent(context, baggage, origin, (), _decider(origin, True) if above.is_remote else None)
    return Parent(context, baggage, origin, (), _decider(origin, False), origin.trace_id)


def _decider(caller: Remote | SpanContext, valid: bool) -> Decider:
    """What decides on a span whose parent is in another process. valid: whether the caller named a span."""
    if not valid and (caller.debug_id or caller.debug):
        return ALWAYS_ON
    if caller.sampled is None:
        return AsRoot
    if valid:  # the sampler reads the caller's decision from the parent span
        return None
    return AsSampled if caller.sampled else AsUnsampled


def named(child_of: Any, references: Any) -> Parent | None:
    """The parent among `child_of` and `references`; None if none of them is a span or span context."""
    found: list[tuple[str, SpanContext]] = []
    if (parent := contexts.of(child_of)) is not None:
        found.append(("child_of", parent))
    links: list[trace.Link] = []
    for reference in _listed(references):
        context = contexts.of(getattr(reference, "referenced_context", None))
        if context is not None:
            found.append((reference.type, context))
            links.append(trace.Link(context, {REFERENCE_TYPE: convert.text(reference.type)}))
    if not found:
        return None
    if parent is None or not (parent.is_valid or parent.links or len(found) == 1):
        others = found[parent is not None :]
        parent = next((context for kind, context in others if kind == "child_of"), others[0][1])
    baggage = {k: v for _, context in reversed(found) for k, v in context.baggage.items()}
    links.extend(trace.Link(context) for context in parent.links)
    around = SpanContext(parent if parent.is_valid else trace.INVALID_SPAN_CONTEXT, baggage)
    return Parent(
        around.in_context(get_current()),
        baggage,
        parent.origin,
        links,
        _decider(parent, parent.is_valid) if parent.is_remote else None,
        0 if parent.is_valid else parent.trace_id,
    )


def _listed(references: Any) -> Sequence[Any]:
    """The references as a sequence. A single `Reference`, which is itself a tuple, is wrapped in one.

    A text is a sequence too, but of no references, so the result is empty.
    """
    if isinstance(references, str | bytes):
        return ()
    if isinstance(references, opentracing.Reference) or not isinstance(references, Sequence):
        return (references,)
    return references
