"""`Scope` and `ScopeManager`: the active span, kept in OpenTelemetry's context and nowhere else.

A scope that is closed where it was opened gives the context back as it found it. One that is closed
anywhere else (another task, thread or greenlet, or below an OpenTelemetry span that is still open)
cannot reach that context variable; it then takes itself out of the context object that it had put
there, so that nobody finds a finished span as the parent of the next request.
"""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import opentracing
from opentelemetry.context import Context
from opentelemetry.shim.opentracing_shim import ScopeManagerShim, ScopeShim, SpanShim
from opentelemetry.trace import INVALID_SPAN
from opentelemetry.trace import Span as OtelSpan

from ot_bridge.bridge.keys import BAGGAGE_KEY, REMOTE_KEY, SCOPE_KEY, SPAN_KEY
from ot_bridge.bridge.span import LiveBaggage, Span
from ot_bridge.engine.current import attach, current, reset

if TYPE_CHECKING:
    from ot_bridge.bridge.tracer import Tracer

# `Context` itself refuses changes; a scope changes only the one that it has made.
_put: Final = dict.__setitem__
_NOTHING: Final = Context()
_OURS: Final = (SPAN_KEY, BAGGAGE_KEY, SCOPE_KEY, REMOTE_KEY)


class Scope(ScopeShim):
    """The time for which a span is active (OpenTracing specification, "Scope").

    Only the innermost scope can be closed: an outer one waits for those inside it, unless their spans
    are finished already. Closing a second time does nothing.
    """

    _closed = False
    _waits = False
    _nobody = False  # "no span" was made active; any other span is active in its scope, valid or not

    def __init__(
        self,
        manager: ScopeManager,
        span: Any,
        otel_span: Any,
        finish_on_close: bool,
        before: Context,
        ours: bool = True,
    ) -> None:
        """Makes `span` active. otel_span: its OpenTelemetry span. before: the current context."""
        self._manager = manager
        self._span = span
        self._otel_span = otel_span
        self._finish_on_close = finish_on_close
        self._before = before
        if ours:
            baggage = span._baggage
            if baggage is None:
                span._baggage = baggage = LiveBaggage()
            if before:
                inside = Context({**before, SPAN_KEY: otel_span, SCOPE_KEY: self, BAGGAGE_KEY: baggage})
            else:
                inside = Context({SPAN_KEY: otel_span, SCOPE_KEY: self, BAGGAGE_KEY: baggage})
            if span.origin is not None:
                _put(inside, REMOTE_KEY, span.origin)
        else:
            inside = Context({**before, SPAN_KEY: otel_span, SCOPE_KEY: self})
        self._inside = inside
        self._token = attach(inside)

    def close(self) -> None:
        """Ends the active period, and the span if it was activated with `finish_on_close`."""
        if self._closed:
            return
        here = current()
        if here is self._inside:
            self._closed = True
            try:  # as `_restore`, without the call
                reset(self._token)
            except (ValueError, RuntimeError):
                self._restore()
        elif self._waits_for_others(here):
            return
        self._inside = _NOTHING  # which refers to this scope
        if self._finish_on_close:
            self._span.finish()
        if self._before:
            outer: Any = self._before.get(SCOPE_KEY)
            if outer is not None and outer._waits:
                outer.close()

    def _restore(self) -> None:
        """Gives the context variable its old value back."""
        try:
            reset(self._token)
        except (ValueError, RuntimeError):  # this is not the task or thread that set it
            attach(self._before)
            self._withdraw()

    def _waits_for_others(self, here: Context) -> bool:
        """Closes a scope that has other contexts above its own, unless it is another scope's that is open."""
        innermost = here.get(SCOPE_KEY)
        if innermost is self:
            reached = here.get(SPAN_KEY) is self._otel_span  # else OpenTelemetry code has one active above
        elif (reached := self._encloses(innermost)) and not _all_finished(innermost, self):
            self._waits = True
            return True
        self._closed = True
        if reached:
            self._restore()
        self._withdraw()  # who has put a context above this one will give it back
        return False

    def _encloses(self, inner: object) -> bool:
        while isinstance(inner, Scope):
            inner = inner._before.get(SCOPE_KEY)
            if inner is self:
                return True
        return False

    def _withdraw(self) -> None:
        inside, before = self._inside, self._before
        for key in _OURS:
            if key in before:
                _put(inside, key, before[key])
            else:
                dict.pop(inside, key, None)

    def __enter__(self) -> Scope:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        if exc_val is not None:
            Span._on_error(self._span, exc_type, exc_val, exc_tb)
        self.close()


def _all_finished(inner: Any, outer: Scope) -> bool:
    """Whether the spans of all scopes from `inner` up to `outer` are over, though nobody closed these."""
    while inner is not outer:
        if not getattr(inner._span, "finished", False):
            return False
        inner = inner._before.get(SCOPE_KEY)
    return True


class ForeignScope(opentracing.Scope):
    """Stands for a span that OpenTelemetry code made active: closing it is that code's business."""


class ScopeManager(ScopeManagerShim):
    """Reads and sets the active span in OpenTelemetry's context."""

    _tracer: Tracer

    @property
    def tracer(self) -> Tracer:
        return self._tracer

    def activate(self, span: Any, finish_on_close: bool = False) -> Scope:
        """Makes `span`, its OpenTelemetry span and its baggage current; None makes "no span" current.

        A span of another tracer's is what `active` then gives, and leaves OpenTelemetry's context as it is.
        """
        before = current()
        if isinstance(span, Span):
            return Scope(self, span, span._otel_span, finish_on_close, before)
        if span is None:
            nobody = self._tracer.wrapper_class(self._tracer, INVALID_SPAN)
            scope = Scope(self, nobody, INVALID_SPAN, False, before)
            scope._nobody = True
            dict.pop(scope._inside, REMOTE_KEY, None)  # what the caller said was said of its trace
            return scope
        foreign = span._otel_span if isinstance(span, SpanShim) else before.get(SPAN_KEY, INVALID_SPAN)
        return Scope(self, span, foreign, finish_on_close, before, ours=False)

    @property
    def active(self) -> opentracing.Scope | None:  # type: ignore[override]
        """The innermost scope, or one that stands for OpenTelemetry's current span or baggage, or None."""
        context = current()
        scope = context.get(SCOPE_KEY)
        otel_span = context.get(SPAN_KEY, INVALID_SPAN)
        ours = isinstance(scope, Scope) and scope._otel_span is otel_span and scope._manager is self
        if ours and (not scope._nobody or scope._span._baggage):  # type: ignore[attr-defined]
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
        # Kept on the span itself: it is the same wrapper, with what was set on it, as long as the span lives.
        slot = self._tracer.wrapper_slot
        scope: opentracing.Scope | None = getattr(otel_span, slot, None)
        if scope is None:
            wrapper = self._tracer.wrapper_class(self._tracer, otel_span)
            wrapper.origin = context.get(REMOTE_KEY)  # type: ignore[assignment]
            scope = ForeignScope(self, wrapper)
            with contextlib.suppress(AttributeError):
                setattr(otel_span, slot, scope)
        return scope
