"""How a span starts: whose child it is, who decides on it, and which tracer makes it.

1. `Starting._fast` starts what most programs start: a span with a name, perhaps a parent and tags. For
   anything else it returns None, and `_start` does it.
2. Both end in one call with the parameters of `engine.Tracer.start`, which it is on the engine. On any other
   tracer it is `_start_on`, which wraps what that tracer makes.
3. Neither raises. Where a sampler or a span processor does, the span is one that is not recorded.
4. A subclass with rules of its own overrides `_fast`, to return None where a rule might hold, and `_start`.
   The signatures of `start_span` and `start_active_span` then stay where they are, in `Tracer`.
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
from ot_bridge.errors import report
from ot_bridge.otel import current
from ot_bridge.wire import Remote
from ot_bridge.wire.baggage import properties

_log = logging.getLogger(__name__)
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
    _own_scopes: ScopeManager
    _scope_manager: opentracing.ScopeManager

    def _prepare(self, tracer: trace.Tracer) -> None:
        self._otel_tracer = tracer
        self._altered = AlteredTracers(tracer)
        self._on_engine = isinstance(tracer, engine.Tracer)
        self._kinds = self.span_class, self.dropped_class, self.dropped_class.remembers
        self._prepared = self._starter(tracer)

    def _fast(self, name: Any, child_of: Any, tags: Any, context: Context) -> Span | None:
        """`_start` for a root, or for the child of a span; None where there is more to think of.

        context: the current one. It skips making a `Parent`, and what follows from references, a caller's
        `Remote`, a scope manager of the program's own, priorities and names to clean. The tests of the bridge
        that run with options (test_fast_starts.py) hold the two together; the rows root, child, unsampled and
        stock pay for it. A subclass may override it, too: `None` is always right.
        """
        if type(name) is not str or not name.isascii() or len(name) > MAX_TEXT:
            return None
        if self._scope_manager is not self._own_scopes:
            return None
        above: Any = None
        baggage: Any = None
        seen_context: Any = context
        if child_of is not None:
            child_of = self._plain(child_of)
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
            report(_log, _RAISED)
            span = self._not_recorded(name, above)
        span._tracer = self
        if baggage:
            span._baggage = inherited(baggage)
            span._thaw()
        if kind is not _INTERNAL and type(tags) is not Tags:
            self._started_as_kind(span, tags)
        return span  # type: ignore[no-any-return]

    def prepared(self, tags: Any) -> convert.Tags:
        """`tags` for any number of starts, looked at and cleaned once."""
        return convert.tags(tags, self.maps_kind)

    def _plain(self, parent: Any) -> Any:
        """The context of a parent that a program names, or what else it has named."""
        return parent.context if issubclass(type(parent), Span) else parent

    def _started_as_kind(self, span: Any, tags: Any) -> None:
        """For a subclass that has to remember where `span.kind` stood among the tags of a start."""

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
        """`start_span`, whatever is asked for. A subclass that has rules of its own overrides this one."""
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
        moment = None if start_time is None else convert.nanoseconds(start_time)
        name = "" if name is None else convert.key_name(name)
        span = self._begin(tracer, name, parent, start, moment)
        if start.status is not None:
            span.unwrap().set_status(trace.Status(start.status))
        if parent.origin is not None:
            self._continue(span, parent.origin)
        return span

    def _named(self, child_of: Any, references: Any) -> Parent | None:
        try:
            return named(child_of, references)
        except Exception:  # out of an object of the program's own
            report(_log, "what was given as a parent cannot be asked; the span has none that is named")
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
        """Starts spans on an OpenTelemetry tracer: takes what `engine.Tracer.start` takes, from `name` on."""
        if isinstance(tracer, engine.Tracer):
            return tracer.start
        return partial(self._start_on, tracer)

    def _start_on(self, tracer: trace.Tracer, kinds: object, name: str, above: object, *more: Any) -> Span:
        context, kind, attributes, links, moment, _ = more
        made = tracer.start_span(name, engine.full_context(context), kind, attributes, links, moment)
        return self.wrapper_class(self, made)

    def _begin(
        self, tracer: trace.Tracer | None, name: str, parent: Parent, start: convert.Tags, moment: int | None
    ) -> Span:
        """Makes the span with `tracer`, or without one a span that is not recorded; never raises."""
        above: Any = parent.context.get(SPAN_KEY)
        more = parent.context, start.kind, start.attributes, parent.links, moment, True
        span: Any = None
        if tracer is not None:
            try:
                span = self._starter(tracer)(self._kinds, name, above, *more)
            except Exception:
                report(_log, _RAISED)
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
        """Hands on what a caller said beyond OpenTelemetry's span context, to spans of its trace only."""
        own = span.unwrap().get_span_context()
        if not origin.trace_id:  # then it is said of the trace that begins here
            if origin.debug_id:
                span.unwrap().set_attribute(self.debug_id_tag, convert.text(origin.debug_id))
            debug, extras = bool(origin.debug_id or origin.debug), properties(origin.extras)
            if not (debug or extras):
                return
            origin = Remote(own.trace_id, sampled=own.trace_flags.sampled, debug=debug, extras=extras)
        if origin.trace_id == own.trace_id:
            span.origin = origin
            span._thaw()
