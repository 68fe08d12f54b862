"""`Tracer`: OpenTracing's API on any OpenTelemetry `TracerProvider`.

It starts, injects and extracts spans (OpenTracing specification, "Tracer"; OpenTelemetry specification,
"OpenTracing Compatibility"). No argument causes an exception, except for the three that OpenTracing's API
defines for `inject` and `extract`.
"""

from __future__ import annotations

import concurrent.futures
import itertools
import logging
from functools import partial
from typing import Any, Final

import opentracing
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import Sampler

from ot_bridge.bridge.bases import TracerBase
from ot_bridge.bridge.formats import Carriers
from ot_bridge.bridge.keys import BAGGAGE_KEY, SCOPE_KEY, SPAN_KEY
from ot_bridge.bridge.scope import Scope, opened
from ot_bridge.bridge.scope_manager import ScopeManager
from ot_bridge.bridge.span import LiveBaggage, Span
from ot_bridge.bridge.starting import Starting
from ot_bridge.delivery import in_background
from ot_bridge.errors import log_failure
from ot_bridge.instance import dict_of
from ot_bridge.otel import current

_log = logging.getLogger("ot_bridge.bridge")
_numbers = itertools.count()
_INTERNAL: Final = trace.SpanKind.INTERNAL


class Tracer(Starting, Carriers, TracerBase):  # type: ignore[misc]
    """An OpenTracing tracer whose spans are OpenTelemetry spans.

    tracer: the OpenTelemetry tracer that makes them. provider: the provider that `flush` and `close` act on.
    propagators: see `create_tracer`. scope_manager: replaces the scope manager on OpenTelemetry's context.
    maps_kind: whether a `span.kind` tag sets the span's kind, or stays an attribute.
    """

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
        self.provider = provider
        self._prepare(tracer)
        self._own_scopes = ScopeManager(self)
        self._scope_manager = self._own_scopes if scope_manager is None else scope_manager
        self.maps_kind = maps_kind
        self.wrapper_slot = f"_ot_bridge_scope_{next(_numbers)}"

    def unwrap(self) -> trace.Tracer:
        """The OpenTelemetry tracer that makes the spans."""
        return self._otel_tracer

    @property
    def active_span(self) -> opentracing.Span | None:
        """The active span: one of ours, or a wrapper of a span that OpenTelemetry code made active."""
        scope = self._own_scopes.active
        if self._scope_manager is not self._own_scopes:
            given = self._scope_manager.active
            is_shadow = isinstance(scope, Scope)  # made by `_follow`; a task may inherit it, but not `given`
            if is_shadow or (given is not None and not self._is_inside(scope, given.span)):
                scope = given
        return None if scope is None else scope.span

    def _is_inside(self, scope: opentracing.Scope | None, span: opentracing.Span) -> bool:
        """Whether OpenTelemetry code made `scope`'s span active inside the scope of `span`."""
        outer = current().get(SCOPE_KEY)
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
        """Starts a span as `start_span` does, and makes it active until the returned scope is closed.

        finish_on_close: whether closing the scope finishes the span.
        """
        if references is None and start_time is None and sampler is None and not ignore_active_span:
            before = current()
            span: Any = self._fast(operation_name, child_of, tags, before)
            if span is not None:
                baggage = span._baggage
                if baggage is None:
                    baggage = span._baggage = LiveBaggage()
                otel_span = span if self._on_engine else span._otel_span
                held = {SPAN_KEY: otel_span, SCOPE_KEY: None, BAGGAGE_KEY: baggage}
                return opened(Scope, self._own_scopes, span, finish_on_close, before, held)
        span = self.start_span(
            operation_name, child_of, references, tags, start_time, ignore_active_span, sampler=sampler
        )
        scope = self._scope_manager.activate(span, finish_on_close)
        if self._scope_manager is not self._own_scopes:
            self._follow(scope, span)
        return scope

    def _follow(self, scope: opentracing.Scope, span: Span) -> None:
        """Makes `span` current in OpenTelemetry's context, too, while `scope` of another manager is open."""
        if getattr(scope, "span", None) is not span:
            return  # a manager that does nothing: it has one scope for all spans
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
        """Starts a span. Never raises.

        child_of: the parent, a span or span context. references: a `Reference` or a list of them; without
        `child_of` the first CHILD_OF among them is the parent, else the first one; each becomes a link.
        Without either, the active span is the parent, unless `ignore_active_span` is set. tags: a mapping;
        `error`, `span.kind` and `sampling.priority` have the same effect as in `set_tag`. start_time: seconds
        since the epoch. sampler: decides on this span in place of the provider's.
        """
        if references is None and start_time is None and sampler is None and not ignore_active_span:
            span = self._fast(operation_name, child_of, tags, current())
            if span is not None:
                return span
        return self._start(
            operation_name, child_of, references, tags, start_time, ignore_active_span, sampler
        )

    @property
    def closed(self) -> bool:
        return self._closing is not None

    def flush(self, timeout: float = 30.0) -> bool:
        """Exports the finished spans. True if that was done within `timeout` seconds. Never raises."""
        flush = getattr(self.provider, "force_flush", None)
        try:
            return flush is None or bool(flush(int(timeout * 1000)))
        except Exception:
            log_failure(_log, "the provider's force_flush raised; spans may be lost")
            return False

    def close(self) -> concurrent.futures.Future[bool]:
        """Flushes and shuts down the provider in the background.

        The future's result is True if all spans were exported. It works with `.result(timeout)`,
        `asyncio.wrap_future` and Tornado's `yield`. A second call returns the same future.
        """
        # Without a lock, since a signal handler may call this while its thread is inside.
        mine: concurrent.futures.Future[bool] = concurrent.futures.Future()
        closing = dict_of(self).setdefault("_closing", mine)
        if closing is mine:
            in_background(partial(self._close, mine), "ot_bridge-close")
        return closing  # type: ignore[no-any-return]

    def _close(self, done: concurrent.futures.Future[bool]) -> None:
        flushed = self.flush()
        try:
            getattr(self.provider, "shutdown", lambda: None)()
        except Exception:
            log_failure(_log, "the provider's shutdown raised; spans may be lost")
            flushed = False
        done.set_result(flushed)
