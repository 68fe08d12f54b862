"""`Tracer`: OpenTracing's API on any OpenTelemetry `TracerProvider`.

Start, inject, extract (OpenTracing specification, "Tracer"; OpenTelemetry specification, "OpenTracing
Compatibility"). What a caller passes is never the cause of an exception, but for the three that
OpenTracing's API promises.
"""

from __future__ import annotations

import concurrent.futures
import itertools
import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import opentracing
from opentelemetry import trace
from opentelemetry.context import Context, get_current
from opentelemetry.propagate import get_global_textmap
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.shim.opentracing_shim import TracerShim
from opentracing import (
    InvalidCarrierException,
    SpanContextCorruptedException,
    UnsupportedFormatException,
)

from ot_bridge._version import __version__
from ot_bridge.bridge import context as contexts
from ot_bridge.bridge import convert
from ot_bridge.bridge.context import NO_BAGGAGE, SpanContext
from ot_bridge.bridge.formats import Codec, propagators_by_format
from ot_bridge.bridge.keys import BAGGAGE_KEY, REMOTE_KEY, SCOPE_KEY, SPAN_KEY
from ot_bridge.bridge.sampled import AsRoot, variant
from ot_bridge.bridge.scope import Scope, ScopeManager
from ot_bridge.bridge.span import Span
from ot_bridge.errors import BadHeader, report
from ot_bridge.wire import Remote

_log = logging.getLogger(__name__)
_numbers = itertools.count()

REFERENCE_TYPE: Final = "opentracing.ref_type"


class _Start(NamedTuple):
    """What a span begins with: its parent's OpenTelemetry context and what OpenTracing adds to it."""

    context: Context
    baggage: Mapping[str, str] = NO_BAGGAGE
    origin: Remote | None = None
    links: Sequence[trace.Link] = ()
    sampler: Sampler | type[AsRoot] | None = None
    trace_id: int = 0  # of a trace whose caller has no span in it


class Tracer(TracerShim):
    """An OpenTracing tracer whose spans are OpenTelemetry spans.

    tracer: the OpenTelemetry tracer that makes them. provider: what `flush` and `close` act on.
    propagators: see `create_tracer`. scope_manager: a scope manager of the program's own, used as it is.
    maps_kind: whether a `span.kind` tag becomes the span's kind, or stays an attribute.
    """

    def __init__(
        self,
        tracer: trace.Tracer,
        provider: trace.TracerProvider | None = None,
        *,
        propagators: Any = None,
        scope_manager: opentracing.ScopeManager | None = None,
        maps_kind: bool = True,
    ) -> None:
        super().__init__(tracer)
        self.provider = provider
        self._formats = propagators_by_format(propagators)
        self._own_scopes = ScopeManager(self)
        self._scope_manager = self._own_scopes if scope_manager is None else scope_manager
        self.maps_kind = maps_kind
        self.debug_id_tag = "jaeger-debug-id"
        self.wrapper_slot = f"_ot_bridge_scope_{next(_numbers)}"
        self._closing: concurrent.futures.Future[bool] | None = None
        self._closing_lock = threading.Lock()

    @property
    def active_span(self) -> opentracing.Span | None:
        """The active span: ours, or a wrapper of the one that OpenTelemetry code made active."""
        scope = self._own_scopes.active
        if self._scope_manager is not self._own_scopes:
            given = self._scope_manager.active
            if given is not None and not self._is_inside(scope, given.span):
                scope = given
        return None if scope is None else scope.span

    def _is_inside(self, scope: opentracing.Scope | None, span: opentracing.Span) -> bool:
        """Whether OpenTelemetry code made `scope`'s span active inside the scope of `span`."""
        outer = get_current().get(SCOPE_KEY)
        return scope is not None and scope is not outer and isinstance(outer, Scope) and outer.span is span

    def start_active_span(  # type: ignore[override]
        self,
        operation_name: str,
        child_of: Any = None,
        references: Any = None,
        tags: Any = None,
        start_time: float | None = None,
        ignore_active_span: bool = False,
        finish_on_close: bool = True,
        *,
        sampler: Sampler | None = None,
    ) -> opentracing.Scope:
        """`start_span`, made active: the scope that is returned ends both unless `finish_on_close` is off."""
        span = self.start_span(
            operation_name, child_of, references, tags, start_time, ignore_active_span, sampler=sampler
        )
        if self._scope_manager is self._own_scopes:
            return self._own_scopes.activate(span, finish_on_close)
        scope = self._scope_manager.activate(span, finish_on_close)
        self._follow(scope, span)
        return scope

    def _follow(self, scope: opentracing.Scope, span: Span) -> None:
        """Makes OpenTelemetry's current span the same while a scope of the program's own manager is open."""
        if getattr(scope, "span", None) is not span:
            return  # a manager that does nothing, and has one scope for all
        shadow = self._own_scopes.activate(span, False)
        close = scope.close

        def close_both() -> None:
            shadow.close()
            close()

        try:
            scope.close = close_both  # type: ignore[method-assign]
        except AttributeError:
            shadow.close()

    def start_span(
        self,
        operation_name: str | None = None,
        child_of: Any = None,
        references: Any = None,
        tags: Any = None,
        start_time: float | None = None,
        ignore_active_span: bool = False,
        *,
        sampler: Sampler | None = None,
    ) -> Span:
        """Starts a span.

        child_of: a span or span context, the parent. references: one or a list of `Reference`s; without
        `child_of` the first CHILD_OF among them is the parent, else the first; each becomes a link.
        Without either the active span is the parent, unless `ignore_active_span`. tags: `error`,
        `span.kind` and `sampling.priority` mean what they mean to `set_tag`. start_time: seconds since
        the epoch. sampler: decides on this span in place of the provider's.
        """
        begin = self._explicit(child_of, references) if child_of is not None or references else None
        if begin is None:
            begin = self._implicit(ignore_active_span)
        start = convert.tags(tags, self.maps_kind)
        decide = sampler or begin.sampler
        if start.priority is not None:
            decide = ALWAYS_ON if start.priority else ALWAYS_OFF
        otel_span = self._start(begin, convert.key_name(operation_name or ""), start, start_time, decide)
        return self._made(otel_span, begin, start)

    def _start(
        self,
        begin: _Start,
        name: str,
        start: convert.Tags,
        start_time: float | None,
        decide: Sampler | type[AsRoot] | None,
    ) -> trace.Span:
        tracer: trace.Tracer = self._otel_tracer
        if decide is not None or begin.trace_id:
            other = variant(tracer, decide, begin.trace_id)
            if other is not None:
                tracer = other
            elif decide is ALWAYS_OFF:
                return trace.NonRecordingSpan(trace.get_current_span(begin.context).get_span_context())
        try:
            return tracer.start_span(
                name,
                begin.context,
                start.kind,
                start.attributes,
                begin.links,
                None if start_time is None else convert.nanoseconds(start_time),
            )
        except Exception:
            report(_log, "a sampler or span processor raised; the span is not recorded")
            return trace.NonRecordingSpan(trace.get_current_span(begin.context).get_span_context())

    def _made(self, otel_span: trace.Span, begin: _Start, start: convert.Tags) -> Span:
        if start.status is not None:
            otel_span.set_status(trace.Status(start.status))
        origin = begin.origin
        if origin is not None:
            trace_id = otel_span.get_span_context().trace_id
            if origin.debug_id and not origin.trace_id:
                otel_span.set_attribute(self.debug_id_tag, convert.text(origin.debug_id))
                origin = Remote(trace_id, sampled=True, debug=True)
            elif origin.trace_id != trace_id:
                origin = None
        return Span(self, otel_span, begin.baggage, origin)

    def _implicit(self, ignore_active_span: bool) -> _Start:
        """The active span as parent, with OpenTelemetry's current baggage; or no parent at all."""
        current = get_current()
        if ignore_active_span:
            return _Start(trace.set_span_in_context(trace.INVALID_SPAN, current))
        if self._scope_manager is not self._own_scopes:
            active = self.active_span
            if isinstance(active, Span) and active.tracer is self:
                begin = self._explicit(active, None)
                if begin is not None:
                    return begin
        scope: Any = current.get(SCOPE_KEY)
        if (
            scope is not None
            and getattr(scope.span, "_flags", None) is not None  # its `sampling.priority` was set later
            and scope._otel_span is current.get(SPAN_KEY)
        ):
            current = trace.set_span_in_context(trace.NonRecordingSpan(scope.span.context), current)
        baggage: Any = current.get(BAGGAGE_KEY)
        origin: Any = current.get(REMOTE_KEY)
        undecided = (
            origin is not None
            and origin.sampled is None
            and trace.get_current_span(current).get_span_context().is_remote
        )
        return _Start(current, baggage or NO_BAGGAGE, origin, (), AsRoot if undecided else None)

    def _explicit(self, child_of: Any, references: Any) -> _Start | None:
        """The parent that the caller names; None if there is none among what it names."""
        found = [("child_of", parent)] if (parent := contexts.of(child_of)) is not None else []
        links: list[trace.Link] = []
        for reference in _listed(references):
            context = contexts.of(getattr(reference, "referenced_context", None))
            if context is not None:
                found.append((reference.type, context))
                links.append(trace.Link(context, {REFERENCE_TYPE: convert.text(reference.type)}))
        if not found:
            return None
        if parent is None or not (parent.is_valid or parent.links or len(found) == 1):
            named = found[1:] if parent is not None else found
            parent = next((context for kind, context in named if kind == "child_of"), named[0][1])
        baggage = parent.baggage
        if len(found) > 1:
            baggage = contexts.Baggage(
                {k: v for _, context in reversed(found) for k, v in context.baggage.items()}
            )
        links.extend(trace.Link(context) for context in parent.links)
        around = trace.NonRecordingSpan(parent) if parent.is_valid else trace.INVALID_SPAN
        sampler: Any = None
        if parent.debug_id:
            sampler = ALWAYS_ON
        elif parent.sampled is None:
            sampler = AsRoot
        current = trace.set_span_in_context(around, get_current())
        trace_id = 0 if parent.is_valid else parent.trace_id
        return _Start(current, baggage, parent.origin, links, sampler, trace_id)

    def inject(self, span_context: Any, format: object, carrier: Any) -> None:
        """Writes `span_context` (or a span's) and its baggage into `carrier`.

        format: one of `opentracing.Format`, or one named to `create_tracer`. carrier: a mutable mapping
        of str to str, for BINARY a bytearray. Raises UnsupportedFormatException, InvalidCarrierException.
        """
        propagator = self._propagator(format)
        context = span_context if type(span_context) is SpanContext else contexts.of(span_context)
        if context is None:
            return
        held: Any = get_current().get(BAGGAGE_KEY)
        if held:
            context = _with_current_baggage(context, held)
        try:
            if isinstance(propagator, Codec):
                propagator.encode(context, carrier)
            else:
                propagator.inject(carrier, _otel_context(context))
        except (TypeError, AttributeError, KeyError) as error:
            raise InvalidCarrierException(f"{type(carrier).__name__} for {format}: {error}") from error

    def extract(  # type: ignore[override]
        self, format: object, carrier: Any
    ) -> SpanContext | None:
        """The context that `carrier` holds: a valid one, or one with only baggage or a debug id; else None.

        Raises UnsupportedFormatException, InvalidCarrierException, and SpanContextCorruptedException for
        a header that is there and cannot be read.
        """
        propagator = self._propagator(format)
        try:
            if isinstance(propagator, Codec):
                remote = propagator.decode(carrier)
                return None if remote is None else contexts.from_remote(remote)
            return _from_otel_context(propagator.extract(carrier, Context()))
        except BadHeader as error:
            raise SpanContextCorruptedException(str(error)) from error
        except (TypeError, AttributeError, KeyError) as error:
            raise InvalidCarrierException(f"{type(carrier).__name__} for {format}: {error}") from error

    def _propagator(self, format: object) -> Any:
        try:
            return self._formats[format] or get_global_textmap()
        except (KeyError, TypeError):
            raise UnsupportedFormatException(format) from None

    @property
    def closed(self) -> bool:
        return self._closing is not None

    def flush(self, timeout: float = 30.0) -> bool:
        """Exports what is finished; whether that was done within `timeout` seconds. Never raises."""
        flush = getattr(self.provider, "force_flush", None)
        try:
            return flush is None or bool(flush(int(timeout * 1000)))
        except Exception:
            report(_log, "flush failed")
            return False

    def close(self) -> concurrent.futures.Future[bool]:
        """Flushes and shuts the provider down, in the background; the future tells whether all was exported.

        The second call gives the same future. It works with `.result(timeout)`, `asyncio.wrap_future`
        and Tornado's `yield`.
        """
        with self._closing_lock:
            if self._closing is None:
                self._closing = concurrent.futures.Future()
                threading.Thread(target=self._close, args=(self._closing,), name="ot_bridge-close").start()
            return self._closing

    def _close(self, done: concurrent.futures.Future[bool]) -> None:
        flushed = self.flush()
        try:
            getattr(self.provider, "shutdown", lambda: None)()
        except Exception:
            report(_log, "shutdown failed")
            flushed = False
        done.set_result(flushed)


def _listed(references: Any) -> Sequence[Any]:
    """One reference is as good as a list of one; a `Reference` is itself a tuple."""
    if isinstance(references, opentracing.Reference) or not isinstance(references, Sequence):
        return (references,)
    return references


def _with_current_baggage(context: SpanContext, held: Mapping[str, Any]) -> SpanContext:
    """`context` with what OpenTelemetry code has added to the baggage while its span is active."""
    current = trace.get_current_span().get_span_context()
    if current.span_id != context.span_id or current.trace_id != context.trace_id:
        return context
    items = {name: value if type(value) is str else convert.text(value) for name, value in held.items()}
    if items == context.baggage:
        return context
    return SpanContext(context, {**context.baggage, **items}, context.origin, context.parent_id)


def _otel_context(context: SpanContext) -> Context:
    made = trace.set_span_in_context(trace.NonRecordingSpan(context), Context())
    values: dict[str, object] = {BAGGAGE_KEY: dict(context.baggage)}
    if context.origin is not None:
        values[REMOTE_KEY] = context.origin
    return Context({**made, **values})


def _from_otel_context(found: Context) -> SpanContext | None:
    otel = trace.get_current_span(found).get_span_context()
    baggage: Any = found.get(BAGGAGE_KEY) or NO_BAGGAGE
    origin: Any = found.get(REMOTE_KEY)
    if not (otel.is_valid or baggage or (origin is not None and origin.debug_id)):
        return None
    return SpanContext(otel, {name: convert.text(value) for name, value in baggage.items()}, origin)


def create_tracer(
    tracer_provider: trace.TracerProvider | None = None,
    *,
    propagators: Any = None,
    scope_manager: opentracing.ScopeManager | None = None,
    maps_kind: bool = True,
) -> Tracer:
    """An OpenTracing tracer on an OpenTelemetry provider (the global one if None).

    propagators: names (`"jaeger,b3"` or a list), formats of `ot_bridge.wire` or OpenTelemetry
    propagators; or a dict of such by `opentracing.Format` (or a format of your own). None: OpenTelemetry's
    global propagator, read at each call. Raises ConfigurationError for a name that nobody knows.
    scope_manager: an `opentracing.ScopeManager` to use in place of OpenTelemetry's context.
    maps_kind: whether `span.kind` tags set the kind of the OpenTelemetry span.
    """
    provider = trace.get_tracer_provider() if tracer_provider is None else tracer_provider
    tracer = provider.get_tracer("opentracing-shim", __version__)
    return Tracer(tracer, provider, propagators=propagators, scope_manager=scope_manager, maps_kind=maps_kind)
