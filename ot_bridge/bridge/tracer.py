"""`Tracer`: OpenTracing's API on any OpenTelemetry `TracerProvider`.

Start, inject, extract (OpenTracing specification, "Tracer"; OpenTelemetry specification, "OpenTracing
Compatibility"). What a caller passes is never the cause of an exception, but for the three that
OpenTracing's API promises.
"""

from __future__ import annotations

import concurrent.futures
import itertools
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import opentracing
from opentelemetry import trace
from opentelemetry.context import get_current
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentracing import Format

from ot_bridge.bridge import convert
from ot_bridge.bridge.bases import TracerBase
from ot_bridge.bridge.formats import Carriers
from ot_bridge.bridge.keys import SCOPE_KEY
from ot_bridge.bridge.parent import Parent, current, named, root
from ot_bridge.bridge.scope import Scope, ScopeManager
from ot_bridge.bridge.span import Span
from ot_bridge.bridge.variants import Variants
from ot_bridge.delivery import in_background
from ot_bridge.errors import report
from ot_bridge.propagation import MetadataHeaders
from ot_bridge.wire import Remote
from ot_bridge.wire.baggage import properties

_log = logging.getLogger(__name__)
_numbers = itertools.count()


class Tracer(Carriers, TracerBase):  # type: ignore[misc]
    """An OpenTracing tracer whose spans are OpenTelemetry spans.

    tracer: the OpenTelemetry tracer that makes them. provider: what `flush` and `close` act on.
    propagators: see `create_tracer`. scope_manager: a scope manager of the program's own, used as it is.
    maps_kind: whether a `span.kind` tag becomes the span's kind, or stays an attribute.
    """

    #: Makes the span around an OpenTelemetry span: (tracer, OpenTelemetry span, baggage) -> Span.
    wrapper_class: Callable[..., Span] = Span
    _closing: concurrent.futures.Future[bool] | None = None

    def __init__(
        self,
        tracer: trace.Tracer,
        provider: trace.TracerProvider | None = None,
        *,
        propagators: Any = None,
        scope_manager: opentracing.ScopeManager | None = None,
        maps_kind: bool = True,
    ) -> None:
        Carriers.__init__(self, propagators)
        self._otel_tracer = tracer
        self.provider = provider
        self._variants = Variants(tracer)
        self._own_scopes = ScopeManager(self)
        self._scope_manager = self._own_scopes if scope_manager is None else scope_manager
        self.maps_kind = maps_kind
        self.debug_id_tag = "jaeger-debug-id"
        self.wrapper_slot = f"_ot_bridge_scope_{next(_numbers)}"

    def unwrap(self) -> trace.Tracer:
        """The OpenTelemetry tracer that makes the spans."""
        return self._otel_tracer

    @property
    def active_span(self) -> opentracing.Span | None:
        """The active span: ours, or a wrapper of the one that OpenTelemetry code made active."""
        scope = self._own_scopes.active
        if self._scope_manager is not self._own_scopes:
            given = self._scope_manager.active
            shadow = isinstance(scope, Scope)  # which may have been inherited by a task that `given` was not
            if shadow or (given is not None and not self._is_inside(scope, given.span)):
                scope = given
        return None if scope is None else scope.span

    def _is_inside(self, scope: opentracing.Scope | None, span: opentracing.Span) -> bool:
        """Whether OpenTelemetry code made `scope`'s span active inside the scope of `span`."""
        outer = get_current().get(SCOPE_KEY)
        return scope is not None and scope is not outer and isinstance(outer, Scope) and outer.span is span

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
        parent = None if child_of is None and references is None else self._named(child_of, references)
        if parent is None:
            parent = root() if ignore_active_span else self._implicit()
        start = convert.tags(tags, self.maps_kind)
        decide = parent.sampler if sampler is None else sampler
        if start.priority is not None:
            decide = ALWAYS_ON if start.priority else ALWAYS_OFF
        tracer: Any = self._otel_tracer
        if decide is not None or parent.trace_id:
            tracer = self._variants.get(decide, parent.trace_id) or (None if decide is ALWAYS_OFF else tracer)
        moment = None if start_time is None else convert.nanoseconds(start_time)
        name = "" if operation_name is None else convert.key_name(operation_name)
        span = self._begin(tracer, name, parent, start, moment)
        if start.status is not None:
            span.unwrap().set_status(trace.Status(start.status))
        if parent.origin is not None:
            self._continue(span, parent.origin)
        return span

    def prepared(self, tags: Any) -> convert.Tags:
        """`tags` for any number of starts, looked at and cleaned once."""
        return convert.tags(tags, self.maps_kind)

    def client_span(self, name: str, tags: Any) -> tuple[Span, dict[str, Any]]:
        """`start_span(name, tags=tags)`, and what `inject` writes for HTTP_HEADERS. Does not raise."""
        span = self.start_span(name, tags=tags)
        headers = MetadataHeaders()
        try:
            self.inject(span.context, Format.HTTP_HEADERS, headers)
        except Exception:
            report(_log, "inject failed, the trace ends at this client")
        return span, headers

    def _named(self, child_of: Any, references: Any) -> Parent | None:
        try:
            return named(child_of, references)
        except Exception:  # out of an object of the program's own
            report(_log, "what was given as a parent cannot be asked; the span has none that is named")
            return None

    def _implicit(self) -> Parent:
        if self._scope_manager is not self._own_scopes:
            active = self.active_span
            if isinstance(active, Span) and active.tracer is self and (parent := named(active, None)):
                return parent
            if active is None and isinstance(self._own_scopes.active, Scope):
                return root()
        return current()

    def _begin(
        self, tracer: trace.Tracer | None, name: str, parent: Parent, start: convert.Tags, moment: int | None
    ) -> Span:
        """Makes the span with `tracer`, or without one a span that is not recorded; never raises."""
        if tracer is not None:
            try:
                made = tracer.start_span(
                    name, parent.context, start.kind, start.attributes, parent.links, moment
                )
                return self.wrapper_class(self, made, parent.baggage)
            except Exception:
                report(_log, "a sampler or span processor raised; the span is not recorded")
        above = trace.get_current_span(parent.context).get_span_context()
        return self.wrapper_class(self, trace.NonRecordingSpan(above), parent.baggage)

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
        # Without a lock: a signal handler may come here while its thread is here.
        mine: concurrent.futures.Future[bool] = concurrent.futures.Future()
        closing = self.__dict__.setdefault("_closing", mine)
        if closing is mine:
            in_background(partial(self._close, mine), "ot_bridge-close")
        return closing  # type: ignore[no-any-return]

    def _close(self, done: concurrent.futures.Future[bool]) -> None:
        flushed = self.flush()
        try:
            getattr(self.provider, "shutdown", lambda: None)()
        except Exception:
            report(_log, "shutdown failed")
            flushed = False
        done.set_result(flushed)
