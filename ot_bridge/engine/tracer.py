"""The lean tracer: `start` begins every span; `start_span` is OpenTelemetry's method, which calls it."""

from __future__ import annotations

from collections.abc import Sequence
from time import time_ns
from typing import Any, Final, TypeVar

from opentelemetry import trace as trace_api
from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import DEFAULT_TRACE_STATE, INVALID_SPAN_CONTEXT, Link, SpanContext, SpanKind
from opentelemetry.util.types import Attributes

from ot_bridge.engine.current import CurrentSpan, full_context
from ot_bridge.engine.identity import DroppedSpan, Identity
from ot_bridge.engine.notes import PLAIN
from ot_bridge.engine.settings import (
    DROP,
    FLAGS,
    ID_BITS,
    LOCAL,
    RANDOM,
    REMOTE,
    ROOT,
    SAMPLE,
    SAMPLED,
    Settings,
)
from ot_bridge.engine.span import Span
from ot_bridge.otel import SPAN_KEY, TRACER_SETTINGS, current

S = TypeVar("S", bound=Span)
D = TypeVar("D", bound=DroppedSpan)

_new: Final = object.__new__
_INTERNAL: Final = SpanKind.INTERNAL
_KINDS: Final = Span, DroppedSpan, False


class Tracer(sdk.Tracer):
    """An `opentelemetry.sdk.trace.Tracer` that starts spans faster. `TracerProvider.get_tracer` returns it.

    It sets all attributes of the spans that it makes, private ones included: their classes are not called.

    `copied = copy.copy(tracer)` and then `copied.sampler = other` make a tracer with another sampler.
    """

    _settings: Settings | None = None

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name in TRACER_SETTINGS:
            super().__setattr__("_settings", None)

    def _new_settings(self) -> Settings:
        settings = self._settings = Settings(self)
        return settings

    def start(
        self,
        kinds: tuple[type[S], type[D], bool],
        name: str,
        parent: Any = None,
        context: Context | tuple[SpanContext, Context] | None = None,
        kind: SpanKind = _INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] = (),
        start_time: int | None = None,
        clean: bool = False,
    ) -> S | D:
        """Starts a span.

        kinds: the class of a recorded span, the class of a dropped one, and whether a dropped span keeps its
        `_name`, `_start_time` and `parent_ids`. parent: a span or its context; anything else is no parent.
        context: for samplers and processors; (parent, context) stands for a context with that parent in it.
        start_time: nanoseconds since the epoch; None is now. clean: whether `attributes` is a dict of valid
        values that no other code will change. Raises what a sampler or processor raises.
        """
        settings = self._settings
        if settings is None:
            settings = self._new_settings()
        known: Any = None
        if parent is not None:
            if isinstance(parent, Identity):
                known = parent.ids
            else:
                known = parent if isinstance(parent, SpanContext) else _ids_of(parent)
        parent_ids = None if known is None or not known[5] else known
        if parent_ids is None:
            trace_id = 0
            random = settings.random
            state = DEFAULT_TRACE_STATE
            rule = settings.rules[ROOT]
        else:
            trace_id, _, remote, flags, state, _ = parent_ids
            random = flags & RANDOM
            rule = settings.rules[(REMOTE if remote else LOCAL) + (flags & SAMPLED)]
        if rule is None or (settings.exception_keys and _holds(context, settings.exception_keys)):
            ids, rule, attributes, counted = self._sample(
                settings, known, context, name, kind, attributes, links
            )
            clean = False
        else:
            counted = None
            if not trace_id:
                make_id = settings.trace_id
                trace_id = make_id() or 1
            if type(rule) is not Decision:
                if type(rule) is int:
                    rule = SAMPLE if trace_id & ID_BITS < rule else DROP
                else:
                    sampled, added = rule(trace_id, name)  # type: ignore[operator]
                    rule = SAMPLE if sampled else DROP
                    attributes = {**attributes, **added} if attributes and added else attributes or added
            flags = FLAGS[random | SAMPLED] if rule is SAMPLE else FLAGS[random]
            make_id = settings.span_id
            ids = (trace_id, make_id() or 1, False, flags, state, True)

        if rule is DROP:
            dropped = _new(kinds[1])
            dropped.ids = ids
            if kinds[2]:
                kept: Any = dropped
                kept._name, kept.parent_ids = name, parent_ids
                kept._start_time = time_ns() if start_time is None else start_time
            return dropped
        span = _recorded(kinds[0], settings, name, ids, parent_ids, start_time)
        if attributes:
            if clean:
                span._notes.append(attributes)
            else:
                span._note_attributes(attributes)
        if kind is not _INTERNAL:
            span._kind = kind
        if links or counted:
            span._set_rare(links, counted)
        listeners = settings.listeners
        if listeners.processors is not listeners.watched._span_processors:
            listeners.refresh()
        if listeners.at_start:
            listeners.call_on_start(span, context)
        return span

    def _sample(
        self,
        settings: Settings,
        parent: Any,
        context: Any,
        name: str,
        kind: SpanKind,
        attributes: Attributes,
        links: Sequence[Link],
    ) -> tuple[Any, Any, Attributes, Any]:
        """Calls the sampler. Returns ids, decision, attributes, and what to call at the end (or None)."""
        if not settings.enabled:
            return parent or INVALID_SPAN_CONTEXT, DROP, None, None
        if parent is None or not parent[5]:
            parent = None
            trace_id, random = settings.ids.generate_trace_id(), settings.random
        else:
            trace_id, random = parent[0], parent[3] & RANDOM
        result = settings.sampler.should_sample(
            full_context(context), trace_id, name, kind, attributes, links
        )
        rule, state = result.decision, result.trace_state
        span_id = settings.ids.generate_span_id()
        flags = FLAGS[random | SAMPLED if rule is SAMPLE else random]
        made = SpanContext(trace_id, span_id, False, flags, state)
        counted = settings.metrics and settings.metrics.start_span(_context(parent), rule)
        return tuple(made), rule, result.attributes, counted

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = _INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Any:
        parent = (current() if context is None else context).get(SPAN_KEY)
        span = self.start(_KINDS, name, parent, context, kind, attributes, links or (), start_time)
        if isinstance(span, Span) and not (record_exception and set_status_on_exception):
            span._record_exception = record_exception
            span._set_status_on_exception = set_status_on_exception
        return span

    def start_as_current_span(  # type: ignore[override]
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = _INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> CurrentSpan:
        flags = record_exception, set_status_on_exception
        arguments = name, context, kind, attributes, links, start_time, *flags
        return CurrentSpan(self, arguments, end_on_exit)


def _recorded(
    span_class: type[S], settings: Settings, name: str, ids: Any, parent_ids: Any, start_time: int | None
) -> S:
    span = _new(span_class)
    span._settings = settings
    span._name = name
    span.ids = ids
    span.parent_ids = parent_ids
    span._notes = []
    span._waits = PLAIN
    span._guard = None
    span._running = True
    span._end_time = None
    span._start_time = time_ns() if start_time is None else start_time
    return span


def _ids_of(parent: Any) -> SpanContext | None:
    """The context of a parent that is neither a span of this engine nor a context; None if it is no span."""
    if not isinstance(parent, trace_api.Span):
        return None
    ids = parent.get_span_context()
    if ids is not None and not isinstance(ids, SpanContext):
        raise TypeError("parent_span_context must be a SpanContext or None.")
    return ids


def _holds(context: Any, keys: Sequence[str]) -> bool:
    """Whether `context`, an argument of `start`, has one of the keys."""
    context = context[1] if type(context) is tuple else current() if context is None else context
    return any(key in context for key in keys)


def _context(ids: Any) -> SpanContext | None:
    return ids if ids is None or isinstance(ids, SpanContext) else SpanContext(*ids[:5])
