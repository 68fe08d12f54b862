"""The fast door between bridge and engine: one object is both spans.

On the engine's provider a span of OpenTracing's needs no OpenTelemetry span beside it: it is one, and the
`ReadableSpan` that processors get. Everything that it does is said in `Span` and in the engine; here
stands only where the two meet. What this uses of the engine: `Tracer.start`, `Span.note`, `Span.end`,
`ids` and `parent_ids` of a span, and `in_context` (see `shown` in `engine.current`), which it offers.

Two shorter ways stand beside the long ones of `Tracer`. `_fast` skips the search for a parent and the
questions of `start_span` where a span has a name, perhaps a parent and tags, and nothing else; it returns
None for all that needs more thought. `client_span` skips `inject`'s look at the current baggage, which is
the span's own. tests/bridge/test_fast_starts.py holds them together with the long ways; the rows root,
child, unsampled and grpc pay for them.
"""

from __future__ import annotations

import logging
from time import time_ns
from typing import Any, Final

import opentracing
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace.span import DEFAULT_TRACE_STATE
from opentracing import Format

from ot_bridge import engine
from ot_bridge.bridge import convert
from ot_bridge.bridge.context import SpanContext, from_own
from ot_bridge.bridge.keys import BAGGAGE_KEY, REMOTE_KEY, SPAN_KEY
from ot_bridge.bridge.parent import Parent
from ot_bridge.bridge.scope import Scope
from ot_bridge.bridge.span import TAGS, Span, inherited
from ot_bridge.bridge.tracer import Tracer
from ot_bridge.errors import report
from ot_bridge.otel import current
from ot_bridge.propagation import MetadataHeaders

_log = logging.getLogger(__name__)
_MAX_TEXT: Final = convert.MAX_TEXT
_MOST: Final = 1 << 63
_Tags: Final = convert.Tags
_KNOWN: Final = convert.KNOWN
#: What a program may have put in place of a tracer's own methods.
_OWN: Final = frozenset({"start_span", "inject"})
_INTERNAL: Final = trace.SpanKind.INTERNAL


class _WhenAsked:
    """A span's context, made when first read; what is set on the instance hides this."""

    def __get__(self, span: Any, owner: type | None = None) -> SpanContext:
        ids = span.ids
        if span.origin is None and ids[4] is DEFAULT_TRACE_STATE:
            above = span.parent_ids
            context = from_own(ids, 0 if above is None else above[1])
            # No other thread comes between these and the next line; who sets them takes the context away.
            if not span._baggage and span.priority_flags is None:
                span._shown = context
                return context
        return span._freeze()  # type: ignore[no-any-return]


class _Fused(Span):
    """What a recorded span and a dropped one have in common."""

    ids: Any
    parent_ids: Any = None
    _shown = _WhenAsked()

    @property
    def _otel_span(self) -> Any:
        return self

    @property
    def context(self) -> SpanContext:
        return self._shown

    def _freeze(self) -> SpanContext:
        above = self.parent_ids
        return self._keep(self.ids, 0 if above is None else above[1])

    def _thaw(self) -> None:
        super()._thaw()
        self.__dict__.pop("_shown", None)


class FusedSpan(_Fused, engine.Span):
    """OpenTracing's span and the engine's. Its methods are `Span`'s; three know a shorter way."""

    _expected: tuple[str, ...] = (
        *engine.Span._expected,
        "_tracer",
        "finished",
        "_raised",
        "_shown",
        "_baggage",
    )

    def set_tag(self, key: str, value: Any) -> FusedSpan:
        if type(key) is not str or key in TAGS or not (key in _KNOWN or convert.is_clean(key)):
            return super().set_tag(key, value)
        if self._end_time is None:
            kind = type(value)
            if kind is int and -_MOST < value < _MOST:  # as status codes are
                pass
            elif kind is not str or not value.isascii() or len(value) > _MAX_TEXT:
                value = convert.attribute(value)
            self.note((key, value))
            return self
        return super().set_tag(key, value)

    def log_kv(self, key_values: Any, timestamp: float | None = None) -> FusedSpan:
        if timestamp is not None or self._end_time is not None:
            return super().log_kv(key_values, timestamp)
        name, attributes, exception = convert.event(key_values)
        if exception is None:
            self.note((name, attributes, time_ns()))
        else:
            self._record(exception, attributes, None)
        return self

    def end(self, end_time: int | None = None) -> None:
        if self.priority_flags is not None:
            # What a later priority decided is for others: to whom it is exported, the span is what it was.
            self.priority_flags = None
            self._thaw()
        _end(self, end_time)

    def finish(self, finish_time: float | None = None) -> None:
        if finish_time is not None or self.priority_flags is not None or self._end_time is not None:
            super().finish(finish_time)
            return
        self.finished = True
        self._raised = None  # which refers to frames, and they to this span
        try:
            _end(self)
        except Exception:
            report(_log, "a span processor raised at the end of a span")


_end: Final = engine.Span.end


class FusedDropped(_Fused, engine.DroppedSpan):
    """The same for what the sampler decided against."""

    def set_tag(self, key: str, value: Any) -> FusedDropped:
        if type(key) is str and key == "sampling.priority":
            super().set_tag(key, value)
        return self

    def log_kv(self, key_values: Any, timestamp: float | None = None) -> FusedDropped:
        return self

    def finish(self, finish_time: float | None = None) -> None:
        self.finished = True


class FusedTracer(Tracer):
    """A tracer on the engine."""

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
            span = self._fast(operation_name, child_of, tags, current())
            if span is not None:
                return span
        return super().start_span(
            operation_name, child_of, references, tags, start_time, ignore_active_span, sampler=sampler
        )

    def start_active_span(
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
            span = self._fast(operation_name, child_of, tags, context)
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

    def _fast(self, name: Any, child_of: Any, tags: Any, context: Context) -> Span | None:
        """A root, or the child of a span of this kind or of a caller; None if there is more to think of."""
        if type(name) is not str or not name.isascii() or len(name) > _MAX_TEXT:
            return None
        if self._scope_manager is not self._own_scopes:
            return None
        above: Any = None
        baggage: Any = None
        shown: Any = context
        if child_of is not None:
            child_of = self._plain(child_of)
            if not issubclass(type(child_of), SpanContext) or not child_of[5] or child_of.origin is not None:
                return None
            above = child_of
            baggage = child_of.baggage
            shown = child_of, context
        elif context:
            above = context.get(SPAN_KEY)
            if above is not None and not (
                issubclass(type(above), _Fused) and above._tracer is self and above.priority_flags is None
            ):
                return None
            if REMOTE_KEY in context:
                return None
            baggage = context.get(BAGGAGE_KEY)
        kind, attributes = _INTERNAL, None
        if tags is not None:
            start = tags if type(tags) is _Tags else self.prepared(tags)
            attributes, kind, status, priority = start
            if status is not None or priority is not None:
                return None
        try:
            span: Any = self._otel_tracer.start(
                self.span_class, self.dropped_class, name, above, shown, kind, attributes, (), None, True
            )
        except Exception:
            span = self._unrecorded(name, above)
        span._tracer = self
        if baggage:
            span._baggage = inherited(baggage)
            span._thaw()
        if kind is not _INTERNAL and type(tags) is not _Tags:
            self._started_as_kind(span, tags)
        return span  # type: ignore[no-any-return]

    def _plain(self, parent: Any) -> Any:
        """The context of a parent that a program names, or what else it has named."""
        return parent.context if issubclass(type(parent), _Fused) else parent

    def _started_as_kind(self, span: Any, tags: Any) -> None:
        """For a subclass that has to remember where `span.kind` stood among the tags of a start."""

    def _unrecorded(self, name: str, above: Any) -> Any:
        report(_log, "a sampler or span processor raised; the span is not recorded")
        return self._variants.get(ALWAYS_OFF).start(self.span_class, self.dropped_class, name, above)

    def client_span(self, name: str, tags: Any) -> tuple[Span, dict[str, Any]]:
        encode: Any = self._encode.get(Format.HTTP_HEADERS)
        span: Any = None
        if encode is not None and type(self) is FusedTracer and _OWN.isdisjoint(self.__dict__):
            span = self._fast(name, None, tags, current())
        if span is None:
            return super().client_span(name, tags)
        headers = MetadataHeaders()
        try:
            ids, above = span.ids, span.parent_ids
            if span._baggage or ids[4] is not DEFAULT_TRACE_STATE:
                encode(span.context, headers)
            else:
                encode(from_own(ids, 0 if above is None else above[1]), headers)
        except Exception:
            report(_log, "inject failed, the trace ends at this client")
        return span, headers

    def _begin(self, tracer: Any, name: str, parent: Parent, start: convert.Tags, moment: int | None) -> Span:
        above: Any = parent.context.get(SPAN_KEY)
        if above is not None and not isinstance(above, _Fused):
            above = trace.get_current_span(parent.context).get_span_context()
        classes = self.span_class, self.dropped_class
        try:
            span: Any = tracer.start(
                *classes,
                name,
                above,
                parent.context,
                start.kind,
                start.attributes,
                parent.links,
                moment,
                True,
            )
        except Exception:
            span = self._unrecorded(name, above)
        span._tracer = self
        if parent.baggage:
            span._baggage = inherited(parent.baggage)
            span._thaw()
        return span  # type: ignore[no-any-return]
