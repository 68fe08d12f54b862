"""The fast door between bridge and engine: one object is both spans.

On the engine's provider a span of OpenTracing's needs no OpenTelemetry span beside it: it is one, and the
`ReadableSpan` that processors get. Everything that it does is said in `Span` and in the engine; here
stands only where the two meet.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from time import time_ns
from typing import Any, Final

import opentracing
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind
from opentelemetry.trace.span import DEFAULT_TRACE_STATE
from opentracing import Format

from ot_bridge import engine
from ot_bridge.bridge import convert
from ot_bridge.bridge.context import SpanContext, from_own
from ot_bridge.bridge.keys import BAGGAGE_KEY, REMOTE_KEY, SPAN_KEY
from ot_bridge.bridge.parent import Parent
from ot_bridge.bridge.scope import Scope
from ot_bridge.bridge.span import TAGS, Span, inherited
from ot_bridge.bridge.tracer import ClientSpans, Tracer
from ot_bridge.engine.current import current
from ot_bridge.engine.notes import MOST_NOTES, is_plain
from ot_bridge.errors import report
from ot_bridge.propagation import MetadataHeaders

_log = logging.getLogger(__name__)


class _WhenAsked:
    """A span's context, made when first read; what is set on the instance hides this."""

    def __get__(self, span: Any, owner: type | None = None) -> SpanContext:
        ids = span._ids
        if span.origin is None and ids[4] is DEFAULT_TRACE_STATE:
            above = span._parent_ids
            context = from_own(ids, 0 if above is None else above[1])
            # No other thread comes between these and the next line; who sets them takes the context away.
            if not span._baggage and span.priority_flags is None:
                span._context = context
                return context
        return span._freeze()  # type: ignore[no-any-return]


class _Fused(Span):
    """What a recorded span and a dropped one have in common."""

    _ids: Any
    _parent_ids: Any = None
    _context = _WhenAsked()

    @property
    def _otel_span(self) -> Any:
        return self

    @property
    def context(self) -> SpanContext:
        return self._context

    def _freeze(self) -> SpanContext:
        above = self._parent_ids
        return self._keep(self._ids, 0 if above is None else above[1])


class FusedSpan(_Fused, engine.Span):  # type: ignore[misc]
    """OpenTracing's span and the engine's. Its methods are `Span`'s; three take a shorter way."""

    def get_span_context(self) -> trace.SpanContext:
        if self._end_time is None or self.priority_flags is not None:
            return self._context
        # Exporters ask this of every span, and for no more than OpenTelemetry's part of it.
        return tuple.__new__(trace.SpanContext, self._ids)

    def set_tag(self, key: str, value: Any) -> FusedSpan:
        if type(value) in self._waits and type(key) is str and key not in TAGS and self._end_time is None:
            notes = self._notes
            notes.append((key, value))
            if len(notes) > MOST_NOTES:
                self._settle()
            return self
        return super().set_tag(key, value)

    def log_kv(self, key_values: Any, timestamp: float | None = None) -> FusedSpan:
        if type(key_values) is dict and timestamp is None and self._end_time is None:
            name = key_values.get("event", "log")
            if (
                type(name) is str
                and name != "error"
                and self._waits.issuperset(map(type, key_values.values()))
            ):
                self._notes.append((name or "log", key_values.copy(), time_ns()))
                if len(self._notes) > MOST_NOTES:
                    self._settle()
                return self
        return super().log_kv(key_values, timestamp)

    _fits = staticmethod(convert.fit)  # what was noted as it came can be exported as it is: mostly

    def _fit(self, note: Any) -> Any:
        """Makes it so, note by note, where not."""
        if type(note) is dict:
            return convert.attributes(note.items())
        if len(note) == 2:
            return (convert.key_name(note[0]), convert.attribute(note[1])) if note[0] else None
        if len(note) == 3 and note[1]:
            return convert.key_name(note[0]), convert.attributes(note[1].items()), note[2]
        return note

    def finish(self, finish_time: float | None = None) -> None:
        first = self._end_time is None and finish_time is None
        if not first or self.priority_flags is not None or self._raised is not None:
            # What a later priority decided is for others: to the processors the span is what it was.
            flags, self.priority_flags = self.priority_flags, None
            self._thaw()
            super().finish(finish_time)
            self.priority_flags = flags
            self._thaw()
            return
        self.finished = True
        try:
            _end(self)
        except Exception:
            report(_log, "a span processor raised at the end of a span")


_end: Final = engine.Span.end


class FusedDropped(_Fused, engine.DroppedSpan):  # type: ignore[misc]
    """The same for what the sampler decided against."""

    def set_tag(self, key: str, value: Any) -> FusedDropped:
        if key == "sampling.priority":
            super().set_tag(key, value)
        return self

    def log_kv(self, key_values: Any, timestamp: float | None = None) -> FusedDropped:
        return self

    def finish(self, finish_time: float | None = None) -> None:
        self.finished = True


_INTERNAL: Final = SpanKind.INTERNAL
_Tags: Final = convert.Tags
_new: Final[Any] = tuple.__new__


class FusedTracer(Tracer):
    """A tracer on the engine. A span with a name, parent and tags, and nothing else, takes a shorter way."""

    _otel_tracer: Any
    span_class: type[FusedSpan] = FusedSpan
    dropped_class: type[FusedDropped] = FusedDropped

    def start_span(
        self,
        operation_name: str | None = None,
        child_of: Any = None,
        references: Any = None,
        tags: Any = None,
        start_time: float | None = None,
        ignore_active_span: bool = False,
        *,
        sampler: Any = None,
    ) -> Span:
        if references is start_time is sampler is None and not ignore_active_span:
            span = self._quick(operation_name, child_of, tags, current())
            if span is not None:
                return span
        return super().start_span(
            operation_name, child_of, references, tags, start_time, ignore_active_span, sampler=sampler
        )

    def start_active_span(  # type: ignore[override]
        self,
        operation_name: str | None = None,
        child_of: Any = None,
        references: Any = None,
        tags: Any = None,
        start_time: float | None = None,
        ignore_active_span: bool = False,
        finish_on_close: bool = True,
        *,
        sampler: Any = None,
    ) -> opentracing.Scope:
        if references is start_time is sampler is None and not ignore_active_span:
            context = current()
            span = self._quick(operation_name, child_of, tags, context)
            if span is not None:
                return Scope(self._own_scopes, span, span, finish_on_close, context)
        return super().start_active_span(
            operation_name,
            child_of,
            references,
            tags,
            start_time,
            ignore_active_span,
            finish_on_close,
            sampler=sampler,
        )

    def _quick(self, name: Any, child_of: Any, tags: Any, context: Context) -> Span | None:
        """A root, or the child of a span of this kind or of a caller; None if there is more to think of."""
        if type(name) is not str or self._scope_manager is not self._own_scopes:
            return None
        above: Any = None
        baggage: Any = None
        shown: Any = context
        if child_of is not None:
            if isinstance(child_of, _Fused):
                child_of = child_of.context
            if not isinstance(child_of, SpanContext) or not child_of[5] or child_of.origin is not None:
                return None
            above = child_of
            baggage = child_of.baggage
            shown = child_of, context
        elif context:
            above = context.get(SPAN_KEY)
            if REMOTE_KEY in context or not (
                above is None or (isinstance(above, _Fused) and above.priority_flags is None)
            ):
                return None
            baggage = context.get(BAGGAGE_KEY)
        try:
            start = self._otel_tracer.start
            if not tags:
                span: Any = start(self.span_class, self.dropped_class, name, above, shown)
            else:
                ready = tags if type(tags) is _Tags else self._looked_at(tags)
                if ready is None:
                    return None
                attributes, kind, status, priority = ready
                if status is not None or priority is not None:
                    return None
                span = start(
                    self.span_class, self.dropped_class, name, above, shown, kind, attributes, (), None, True
                )
        except Exception:
            return None  # the longer way reports it
        span._tracer = self
        if baggage:
            span._baggage = inherited(baggage)
            span._thaw()
        return span  # type: ignore[no-any-return]

    def client_spans(self, tags: Mapping[str, str]) -> ClientSpans | None:
        encode: Any = self._encode.get(Format.HTTP_HEADERS)
        ready = self._looked_at(tags)
        ours = (self.start_span, FusedTracer.start_span), (self.inject, FusedTracer.inject)
        if None in (encode, ready) or any(
            getattr(own, "__func__", None) is not as_ever for own, as_ever in ours
        ):
            return None
        quick = self._quick

        def start(name: str) -> tuple[Span, dict[str, Any]] | None:
            span: Any = quick(name, None, ready, current())
            if span is None:
                return None
            headers = MetadataHeaders()
            try:
                ids, above = span._ids, span._parent_ids
                if span._baggage or ids[4] is not DEFAULT_TRACE_STATE:
                    encode(span.context, headers)
                else:
                    encode(from_own(ids, 0 if above is None else above[1]), headers)
            except Exception:
                report(_log, "inject failed, the trace ends at this client")
            return span, headers

        return start

    def ready(self, tags: dict[str, Any]) -> Any:
        kind = convert.KINDS.get(tags.get("span.kind")) if self.maps_kind else None
        if kind is None:
            return _new(_Tags, (tags, _INTERNAL, None, None))
        del tags["span.kind"]
        return _new(_Tags, (tags, kind, None, None))

    def _looked_at(self, tags: Any) -> Any:
        """`ready` tags, if they need no more than a look and a copy."""
        if type(tags) is not dict or not is_plain(tags) or "error" in tags or "sampling.priority" in tags:
            return None
        return self.ready(tags.copy())

    def _begin(self, tracer: Any, name: str, parent: Parent, start: convert.Tags, moment: int | None) -> Span:
        above: Any = parent.context.get(SPAN_KEY)
        if above is not None and not isinstance(above, _Fused):
            above = trace.get_current_span(parent.context).get_span_context()
        classes = self.span_class, self.dropped_class
        try:
            span: Any = tracer.start(
                *classes, name, above, parent.context, start.kind, start.attributes, parent.links, moment
            )
        except Exception:
            report(_log, "a sampler or span processor raised; the span is not recorded")
            span = self._variants.get(ALWAYS_OFF).start(*classes, name, above)
        span._tracer = self
        if parent.baggage:
            span._baggage = inherited(parent.baggage)
            span._thaw()
        return span  # type: ignore[no-any-return]
