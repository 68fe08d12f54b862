"""Starts spans: finds the parent, the sampler that decides, and the tracer that makes the span.

1. `Starting._fast` starts what most programs start: a span with a name, and possibly a parent and tags. For
   anything else it returns None, and `_start` starts the span.
2. Both end in one call with the parameters of `engine.Tracer.start`. On the engine they call that method; on
   any other tracer they call `_start_on`, which wraps the span of that tracer.
3. Neither raises. If a sampler or a span processor raises, the span is not recorded.
4. A subclass with rules of its own overrides `_start`, and `_fast` to return None where a rule may apply, so
   that only `Tracer` has the signatures of `start_span` and `start_active_span`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import opentracing
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler

from ot_bridge import engine
from ot_bridge.bridge import convert
from ot_bridge.bridge.altered import AlteredTracers
from ot_bridge.bridge.convert import MAX_TEXT, Tags
from ot_bridge.bridge.engine_spans import EngineDroppedSpan, EngineSpan
from ot_bridge.bridge.keys import BAGGAGE_KEY, REMOTE_KEY, SCOPE_KEY, SPAN_KEY
from ot_bridge.bridge.parent import Parent, in_context, named, root
from ot_bridge.bridge.scope import Scope
from ot_bridge.bridge.scope_manager import ScopeManager
from ot_bridge.bridge.span import Span, inherited
from ot_bridge.bridge.span_context import SpanContext
from ot_bridge.errors import log_failure
from ot_bridge.otel import current, quietly
from ot_bridge.wire import Remote
from ot_bridge.wire.baggage import properties

_log = logging.getLogger("ot_bridge.bridge")
_INTERNAL: Final = trace.SpanKind.INTERNAL
_RAISED: Final = "a sampler or span processor raised; the span is not recorded"


class Starting:
    """The part of a tracer that starts spans."""

    #: Makes the span around an OpenTelemetry span: (tracer, OpenTelemetry span, baggage) -> Span.
    wrapper_class: Callable[..., Span] = Span
    span_class: type[EngineSpan] = EngineSpan
    dropped_class: type[EngineDroppedSpan] = EngineDroppedSpan
    debug_id_tag = "jaeger-debug-id"
    maps_kind: bool
    #: A method of a subclass that remembers the position of `span.kind` among the tags: (span, tags) -> None.
    _started_as_kind: Any = None
    #: A method of a subclass that converts a program's `child_of`, for example a span to its context.
    _plain: Any = None
    _own_scopes: ScopeManager
    _scope_manager: opentracing.ScopeManager

    def _prepare(self, tracer: trace.Tracer) -> None:
        self._otel_tracer = tracer
        self._altered = AlteredTracers(tracer)
        self._on_engine = isinstance(tracer, engine.Tracer)
        self._kinds = self.span_class, self.dropped_class, self.dropped_class.remembers
        self._prepared = self._starter(tracer)

    def _fast(self, name: Any, child_of: Any, tags: Any, context: Context) -> Span | None:
        """Starts a root or the child of a span faster than `_start`. None if `_start` has to start the span.

        context: the current one. This makes no `Parent`, and does not handle references, a caller's `Remote`,
        a scope manager of the program, priorities, and names that need cleaning.
        tests/bridge/test_fast_starts.py checks that both ways agree; benchmark rows root, child, unsampled
        and stock need this one. A subclass may override it: returning None is always correct.
        """
        if type(name) is not str or not name.isascii() or len(name) > MAX_TEXT:
            return None
        if self._scope_manager is not self._own_scopes:
            return None
        above: Any = None
        baggage: Any = None
        seen_context: Any = context
        if child_of is not None:
            if self._plain is not None:
                child_of = self._plain(child_of)
            elif issubclass(type(child_of), Span):
                child_of = child_of.context
            if not issubclass(type(child_of), SpanContext) or not child_of[5] or child_of.origin is not None:
                return None
            above = child_of
            baggage = child_of.baggage
            seen_context = child_of, context
        elif context:
            scope: Any = context.get(SCOPE_KEY)
            if REMOTE_KEY in context:
                return None
            if scope is not None and (
                scope._manager is not self._own_scopes
                or scope._closed_elsewhere
                or getattr(scope._span, "priority_flags", None) is not None
            ):
                return None
            above = context.get(SPAN_KEY)
            baggage = context.get(BAGGAGE_KEY)
        kind, attributes = _INTERNAL, None
        if tags is not None:
            attributes, kind, status, priority = tags if type(tags) is Tags else self.prepared(tags)
            if status is not None or priority is not None:
                return None
        try:
            start = self._prepared
            span: Any = start(self._kinds, name, above, seen_context, kind, attributes, (), None, True)
        except Exception:
            log_failure(_log, _RAISED)
            span = self._not_recorded(name, above)
        span._tracer = self
        if baggage:
            span._baggage = inherited(baggage)
            span._thaw()
        if kind is not _INTERNAL and type(tags) is not Tags and self._started_as_kind is not None:
            self._started_as_kind(span, tags)
        return span  # type: ignore[no-any-return]

    def prepared(self, tags: Any) -> convert.Tags:
        """Cleans `tags` once, for any number of starts."""
        return convert.tags(tags, self.maps_kind)

    def _start(
        self,
        name: Any,
        child_of: Any,
        references: Any,
        tags: Any,
        start_time: Any,
        ignore_active_span: bool,
        sampler: Sampler | None,
    ) -> Span:
        """`start_span` for all arguments. A subclass that has rules of its own overrides this method."""
        parent = None if child_of is None and references is None else self._named(child_of, references)
        if parent is None:
            parent = root() if ignore_active_span else self._implicit()
        start = convert.tags(tags, self.maps_kind)
        decide = parent.sampler if sampler is None else sampler
        if start.priority is not None:
            decide = ALWAYS_ON if start.priority else ALWAYS_OFF
        tracer: Any = self._otel_tracer
        if decide is not None or parent.trace_id:
            tracer = self._altered.get(decide, parent.trace_id) or (None if decide is ALWAYS_OFF else tracer)
        return self._begun(tracer, name, parent, start, start_time)

    def _begun(
        self, tracer: trace.Tracer | None, name: Any, parent: Parent, start: convert.Tags, start_time: Any
    ) -> Span:
        """Begins a span, and sets its tags' status and the values of the caller. start_time: seconds."""
        moment = None if start_time is None else convert.nanoseconds(start_time)
        span = self._begin(tracer, "" if name is None else convert.key_name(name), parent, start, moment)
        if start.status is not None:
            span.unwrap().set_status(trace.Status(start.status))
        if parent.origin is not None:
            self._continue(span, parent.origin)
        return span

    def _named(self, child_of: Any, references: Any) -> Parent | None:
        try:
            return named(child_of, references)
        except Exception:  # raised by an object of the program
            log_failure(_log, "child_of or references raised when read; the span starts without them")
            return None

    def _implicit(self) -> Parent:
        if self._scope_manager is not self._own_scopes:
            active: Any = self.active_span  # type: ignore[attr-defined]
            if isinstance(active, Span) and active.tracer is self and (parent := named(active, None)):
                return parent
            if active is None and isinstance(self._own_scopes.active, Scope):
                return root()
        return in_context(current())

    def _starter(self, tracer: Any) -> Callable[..., Any]:
        """The function that starts spans on `tracer`, with the parameters of `engine.Tracer.start`."""
        if isinstance(tracer, engine.Tracer):
            return tracer.start
        return partial(self._start_on, tracer)

    def _start_on(self, tracer: trace.Tracer, kinds: object, name: str, above: object, *more: Any) -> Span:
        context, kind, attributes, links, moment, _ = more
        made = quietly(tracer.start_span, name, engine.full_context(context), kind, attributes, links, moment)
        return self.wrapper_class(self, made)

    def _begin(
        self, tracer: trace.Tracer | None, name: str, parent: Parent, start: convert.Tags, moment: int | None
    ) -> Span:
        """Makes the span with `tracer`, or one that is not recorded if `tracer` is None. Never raises."""
        above: Any = parent.context.get(SPAN_KEY)
        more = parent.context, start.kind, start.attributes, parent.links, moment, True
        span: Any = None
        if tracer is not None:
            try:
                span = self._starter(tracer)(self._kinds, name, above, *more)
            except Exception:
                log_failure(_log, _RAISED)
        if span is None:
            span = self._not_recorded(name, above)
        span._tracer = self
        if parent.baggage:
            span._baggage = inherited(parent.baggage)
            span._thaw()
        return span  # type: ignore[no-any-return]

    def _not_recorded(self, name: str, above: Any) -> Any:
        if self._on_engine:
            return self._altered.get(ALWAYS_OFF).start(self._kinds, name, above)
        if isinstance(above, trace.Span):
            above = above.get_span_context()
        held = above if isinstance(above, trace.SpanContext) else trace.INVALID_SPAN_CONTEXT
        return self.wrapper_class(self, trace.NonRecordingSpan(held))

    def _continue(self, span: Span, origin: Remote) -> None:
        """Gives the span the caller's values for which OpenTelemetry's context has no place."""
        own = span.unwrap().get_span_context()
        if not origin.trace_id:  # the caller sent no trace id: its values are for the trace that begins here
            if origin.debug_id:
                span.unwrap().set_attribute(self.debug_id_tag, convert.text(origin.debug_id))
            debug, extras = bool(origin.debug_id or origin.debug), properties(origin.extras)
            if not (debug or extras):
                return
            origin = Remote(own.trace_id, sampled=own.trace_flags.sampled, debug=debug, extras=extras)
        if origin.trace_id == own.trace_id:
            span.origin = origin
            span._thaw()
