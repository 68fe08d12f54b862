"""Who a new span's parent is, and what the span inherits."""

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
from ot_bridge.bridge.span_context import NO_BAGGAGE, SpanContext
from ot_bridge.wire import Remote

NOBODY: Final = SpanContext()
REFERENCE_TYPE: Final = "opentracing.ref_type"


class Parent(NamedTuple):
    """context: OpenTelemetry's, with the parent's span in it or none. sampler: who decides, if not the
    provider's. trace_id: of a trace whose caller has no span in it, else 0.
    """

    context: Context
    baggage: Mapping[str, str] = NO_BAGGAGE
    origin: Remote | None = None
    links: Sequence[trace.Link] = ()
    sampler: Decider = None
    trace_id: int = 0


def has_priority(span: Any) -> bool:
    """Whether a `sampling.priority` has changed the flags of a span, which may be another tracer's."""
    return getattr(span, "priority_flags", None) is not None


def root() -> Parent:
    """No parent, whatever is active; nor the active span's baggage."""
    return Parent(NOBODY.in_context(get_current()))


def in_context(context: Context) -> Parent:
    """The span in `context` as parent, with the baggage there."""
    scope: Any = context.get(SCOPE_KEY)
    if scope is not None and has_priority(scope._span) and scope._otel_span is context.get(SPAN_KEY):
        # A `sampling.priority` that was set later is known to the span's context only.
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
    """Who decides on a span of a caller's from another process; valid: whether there is a span of its."""
    if not valid and (caller.debug_id or caller.debug):
        return ALWAYS_ON
    if caller.sampled is None:
        return AsRoot
    if valid:  # the sampler finds the caller's decision with its span
        return None
    return AsSampled if caller.sampled else AsUnsampled


def named(child_of: Any, references: Any) -> Parent | None:
    """The parent that the caller names; None if there is none among what it names."""
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
    """One reference is as good as a list of one; a `Reference` is itself a tuple."""
    if isinstance(references, opentracing.Reference) or not isinstance(references, Sequence):
        return (references,)
    return references
