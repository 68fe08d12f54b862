"""`ScopeManager`: reads the active span from OpenTelemetry's context, and sets it there (see `scope`)."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import opentracing
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN
from opentelemetry.trace import Span as OtelSpan

from ot_bridge.bridge.bases import SHIM_SPAN, ScopeManagerBase
from ot_bridge.bridge.keys import BAGGAGE_KEY, REMOTE_KEY, SCOPE_KEY, SPAN_KEY
from ot_bridge.bridge.scope import NoSpanScope, Scope, opened, settled
from ot_bridge.bridge.span import LiveBaggage, Span
from ot_bridge.engine.identity import Identity
from ot_bridge.otel import current

if TYPE_CHECKING:
    from ot_bridge.bridge.tracer import Tracer


class ForeignScope(opentracing.Scope):
    """Stands for a span that OpenTelemetry code made active. Closing it does nothing to that span."""


class ScopeManager(ScopeManagerBase):
    """Reads and sets the active span in OpenTelemetry's context."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @property
    def tracer(self) -> Tracer:
        return self._tracer

    def activate(self, span: Any, finish_on_close: bool = False) -> Scope:
        """Makes `span`, its OpenTelemetry span and its baggage current; None means that no span is active.

        finish_on_close: whether closing the scope finishes the span. A span of another tracer becomes
        `active`, and OpenTelemetry's current span stays the same, except for a span of the shim.
        """
        before = current()
        if isinstance(span, Span):
            span._live_baggage()
            return opened(Scope, self, span, finish_on_close, before, self.held(span))
        if span is None:
            no_span = self._tracer.wrapper_class(self._tracer, INVALID_SPAN)
            # The caller's `Remote` belongs to the caller's trace, so it is removed.
            held: dict[str, object]
            held = {SPAN_KEY: INVALID_SPAN, BAGGAGE_KEY: no_span._live_baggage(), REMOTE_KEY: None}
            return opened(NoSpanScope, self, no_span, False, before, held)
        foreign = span._otel_span if isinstance(span, SHIM_SPAN) else before.get(SPAN_KEY, INVALID_SPAN)
        return opened(Scope, self, span, finish_on_close, before, {SPAN_KEY: foreign})

    @staticmethod
    def held(span: Span) -> dict[str, object]:
        """What `activate(span)` changes in the context, for a span that no other thread has yet."""
        if span._baggage is None:  # `_live_baggage` is safe with other threads, but takes much longer
            span._baggage = LiveBaggage()
        otel_span = span if isinstance(span, Identity) else span._otel_span
        if span.origin is None:
            return {SPAN_KEY: otel_span, BAGGAGE_KEY: span._baggage}
        return {SPAN_KEY: otel_span, BAGGAGE_KEY: span._baggage, REMOTE_KEY: span.origin}

    @property
    def active(self) -> opentracing.Scope | None:
        """The innermost scope, or one that stands for OpenTelemetry's current span or baggage, or None."""
        return self.active_in(current())

    def active_in(self, context: Context) -> opentracing.Scope | None:
        """What `active` would return if `context` were the current context."""
        scope = context.get(SCOPE_KEY)
        if isinstance(scope, Scope) and scope._closed_elsewhere:
            context = settled(Context(context))
            scope = context.get(SCOPE_KEY)
        otel_span = context.get(SPAN_KEY, INVALID_SPAN)
        ours = isinstance(scope, Scope) and scope._otel_span is otel_span and scope._manager is self
        if ours and (not isinstance(scope, NoSpanScope) or scope._span._baggage):
            return scope  # type: ignore[return-value]
        if not isinstance(otel_span, OtelSpan):
            otel_span = INVALID_SPAN
        return self._foreign(context, otel_span)

    def _foreign(self, context: Context, otel_span: OtelSpan) -> opentracing.Scope | None:
        baggage: Any = context.get(BAGGAGE_KEY)
        if otel_span.get_span_context().is_valid:
            return self._wrapper(context, otel_span)
        if baggage:
            return ForeignScope(self, self._tracer.wrapper_class(self._tracer, INVALID_SPAN, baggage))
        return None

    def _wrapper(self, context: Context, otel_span: OtelSpan) -> opentracing.Scope:
        # The scope is kept on the span, so that the span has one wrapper, with its baggage, for all its life.
        slot = self._tracer.wrapper_slot
        scope: opentracing.Scope | None = getattr(otel_span, slot, None)
        if scope is None:
            wrapper = self._tracer.wrapper_class(self._tracer, otel_span)
            wrapper.origin = context.get(REMOTE_KEY)  # type: ignore[assignment]
            scope = ForeignScope(self, wrapper)
            with contextlib.suppress(AttributeError):
                setattr(otel_span, slot, scope)
        return scope
