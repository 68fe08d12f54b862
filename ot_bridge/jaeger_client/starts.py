"""Starts the spans of jaeger-client's `Tracer`: finds the parent and the sampler, and converts the tags.

The fast way is the bridge's `Tracer._fast` with three hooks: `plain_parent` converts parents, the tracer
converts tags, and the position of `span.kind` among them is kept. It skips the throttler, references and
`sampling.priority`. The programs in tests/jaeger run both ways and jaeger-client, and check that all agree;
benchmark rows dropin-* need the fast one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

import opentracing
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from ot_bridge import bridge
from ot_bridge.bridge import convert
from ot_bridge.bridge import span_context as contexts
from ot_bridge.bridge.altered import GivenTraceId
from ot_bridge.bridge.keys import SCOPE_KEY, SPAN_KEY
from ot_bridge.bridge.parent import Parent, named
from ot_bridge.bridge.parent import in_context as parent_in
from ot_bridge.bridge.scope import Scope
from ot_bridge.bridge.scope_manager import ScopeManager
from ot_bridge.jaeger_client import records
from ot_bridge.jaeger_client.recorded import RecordedSpan, UnsampledSpan, plain_parent
from ot_bridge.jaeger_client.sampler import Forced
from ot_bridge.jaeger_client.span import Span
from ot_bridge.jaeger_client.span_context import SpanContext
from ot_bridge.jaeger_client.throttler import is_allowed
from ot_bridge.otel import current

Reference = opentracing.Reference

_NO_TAGS: Final = convert.Tags({})


def _text(name: object) -> str:
    return "" if name is None else convert.key_name(name)


class Scopes(ScopeManager):
    """The bridge's scope manager, except that it ignores active spans of other tracers of jaeger-client."""

    _tracer: Starts

    @property
    def active(self) -> opentracing.Scope | None:
        return self.active_in(self._tracer.seen(current()))


class Starts(bridge.Tracer):
    """The part of a tracer that starts spans."""

    span_class = RecordedSpan
    dropped_class = UnsampledSpan
    wrapper_class = staticmethod(Span.around)

    fit: Callable[[Any], Any]
    throttler: Any
    wrapped: WeakValueDictionary[int, Span]  # by span id, on a provider that is not the engine's
    one_span_per_rpc: bool
    _counts: bool
    _on_engine: bool
    _recording: Forced

    def is_debug_allowed(self, *args: Any, **kwargs: Any) -> bool:
        """Whether the throttler allows another debug span for this operation."""
        return is_allowed(self.throttler, *args, **kwargs)

    if TYPE_CHECKING:

        def start_span(self, *args: Any, **kwargs: Any) -> Span: ...

    def _start(
        self,
        operation_name: Any,
        child_of: Any,
        references: Any,
        tags: Any,
        start_time: Any,
        ignore_active_span: bool,
        sampler: Any,
    ) -> Span:
        start_time = records.moment(start_time)
        start = _NO_TAGS if tags is None else records.ready(tags, self.fit)
        server = start.kind is trace.SpanKind.SERVER
        listed: list[Any] = []
        if references is not None:
            references = references if type(references) is list else [references]
            listed = [each for each in references if getattr(each, "referenced_context", None) is not None]
            child_of = self._parent(child_of, listed, ignore_active_span)
        debug: bool | None = None
        if "sampling.priority" in start.attributes:
            start, debug, sampler = self._priority(operation_name, start, sampler)
        if self.throttler is not None:
            child_of, sampler = self._throttled(operation_name, child_of, sampler)
        joined = self._joined(child_of, ignore_active_span) if server and self.one_span_per_rpc else None
        if joined is not None:
            span: Any = self.span_with_ids(joined, operation_name, start_time, start)
        else:
            span = super()._start(
                operation_name,
                plain_parent(child_of),
                [Reference(each.type, plain_parent(each.referenced_context)) for each in listed],
                start,
                start_time,
                ignore_active_span,
                sampler,
            )
        if listed:
            span.references = listed
        if debug is not None:
            span.mark(debug, tags["sampling.priority"])
        return self._started(span, tags, start)

    def prepared(self, tags: Any) -> convert.Tags:
        return records.ready(tags, self.fit)

    def _plain(self, parent: Any) -> Any:
        return plain_parent(parent)

    def _started_as_kind(self, span: Any, tags: Any) -> None:
        if type(tags) is dict:
            span.keep_order(tags)

    def _fast_and_counted(self, name: Any, child_of: Any, tags: Any, context: Context) -> Any:
        """Replaces `_fast` in a tracer that counts its spans in metrics."""
        start = None if tags is None else self.prepared(tags)
        # The bridge's own, since this method replaces it in the instance.
        span: Any = bridge.Tracer._fast(self, name, child_of, start, context)
        return None if span is None else self._started(span, tags, start or _NO_TAGS)

    def _never_fast(self, *arguments: Any) -> None:
        """Replaces `_fast` on a provider that is not the engine's, and with `one_span_per_rpc`."""

    def _started(self, span: Span, tags: Any, start: convert.Tags) -> Span:
        if start.kind is not trace.SpanKind.INTERNAL or start.status is not None or not self._on_engine:
            self._started_as_kind(span, tags)
        if self._counts:
            self._count(span, start.kind is trace.SpanKind.SERVER)
        return span

    def seen(self, context: Context) -> Context:
        """`context` as it was before other tracers of jaeger-client made their spans active in it."""
        while True:
            span: Any = context.get(SPAN_KEY)
            if not isinstance(span, Span) or span.tracer is self:
                return context
            scope: Any = context.get(SCOPE_KEY)
            # These are private to `Scope`: nothing public gives the context before an open scope.
            if not isinstance(scope, Scope) or scope._otel_span is not span:
                return context
            context = scope._before

    def _parent(self, child_of: Any, references: list[Any], ignore_active: bool) -> Any:
        """The parent, in jaeger-client's order: `child_of`, the active span, the first reference."""
        if child_of is None and not ignore_active:
            child_of = self.active_span
        above = contexts.of(child_of)
        unfit = above is None or not above.is_valid
        return references[0].referenced_context if unfit and references else child_of

    def _priority(
        self, name: str | None, start: convert.Tags, sampler: Any
    ) -> tuple[convert.Tags, bool | None, Any]:
        """Removes `sampling.priority` from the tags of a start.

        Returns the other tags, whether the priority requests a debug span (None if it has no effect), and the
        sampler for the span.
        """
        attributes = {**start.attributes}
        debug = convert.priority(attributes.pop("sampling.priority"))
        start = start._replace(attributes=attributes, priority=None)
        if debug is None or (debug and not self.is_debug_allowed(_text(name))):
            return start, None, sampler
        return start, debug, self._recording if debug else ALWAYS_OFF

    def _throttled(self, name: str | None, child_of: Any, sampler: Any) -> tuple[Any, Any]:
        """The parent and the sampler. Drops a debug id if the throttler allows no debug trace."""
        context = contexts.of(child_of)
        if context is None or context.debug_id is None or self.is_debug_allowed(_text(name)):
            return child_of, sampler
        return SpanContext(baggage=context.baggage), ALWAYS_OFF

    def _joined(self, child_of: Any, ignore_active: bool) -> bridge.SpanContext | None:
        """The client's context, whose ids the server span shares with `one_span_per_rpc`, as in Zipkin."""
        context = contexts.of(child_of)
        if context is None and not ignore_active:
            context = contexts.of(self.active_span)
        return context if context is not None and context.is_valid else None

    def _implicit(self) -> Parent:
        here = current()
        seen = self.seen(here)
        scope: Any = seen.get(SCOPE_KEY)
        if scope is not None and getattr(scope.span, "priority_flags", None) is not None:
            active = self._own_scopes.active
            if active is not None and active is scope and isinstance(active.span, Span):
                return (
                    named(plain_parent(active.span), None) or super()._implicit()
                )  # the span became a debug span while it was active
        return super()._implicit() if seen is here else parent_in(seen)

    def span_with_ids(
        self, context: bridge.SpanContext, name: str | None, start_time: float | None = None, tags: Any = None
    ) -> Span:
        """Starts a span that has the ids and the sampling decision of `context`, not a child of it."""
        tracer: Any = copy.copy(self._otel_tracer)
        tracer.sampler = Forced(context.trace_flags.sampled, trace_state=context.trace_state)
        tracer.id_generator = GivenTraceId(context.trace_id, lambda: context.span_id)
        above = trace.SpanContext(context.trace_id, context.parent_id or 0, True, context.trace_flags)
        around = trace.set_span_in_context(trace.NonRecordingSpan(above), current())
        parent = Parent(around, context.baggage, context.origin)
        span: Any = self._begun(tracer, name, parent, convert.tags(tags), records.moment(start_time))
        return span  # type: ignore[no-any-return]

    def _begin(
        self, tracer: trace.Tracer | None, name: str, parent: Parent, start: convert.Tags, moment: int | None
    ) -> Span:
        span: Any = super()._begin(tracer, name, parent, start, moment)
        if not self._on_engine:
            made = span.unwrap()
            self.wrapped[made.get_span_context().span_id] = span
            if not made.is_recording():
                above = trace.get_current_span(parent.context).get_span_context()
                span.remember(name, above, moment)
        return span  # type: ignore[no-any-return]

    def _count(self, span: Span, joined: bool) -> None:
        raise NotImplementedError
