"""When a request's span is active: inside one call into the application, and at no other time.

A body may be iterated in another thread than the application ran in, or be dropped half-way: what was
made active for one chunk is therefore taken back before the server sees the chunk.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar

import opentracing
from opentelemetry import trace
from opentelemetry.context import Context
from opentracing.tags import SAMPLING_PRIORITY

from ot_bridge import bridge, ids
from ot_bridge.otel import attach, current
from ot_bridge.wsgi.quiet import attempt, failed

T = TypeVar("T")


class Step(Protocol):
    """Calls a function of the application's with the span active around it."""

    def __call__(self, function: Callable[..., T], *args: Any) -> T: ...


class InContext:
    """Activity that lives in OpenTelemetry's context and stays there from one step to the next.

    What the application left active at the end of one step (a generator that yields inside a `with`)
    is there again in the next.
    """

    __slots__ = ("_context",)

    def __init__(self, context: Context) -> None:
        self._context = context

    def __call__(self, function: Callable[..., T], *args: Any) -> T:
        before = current()
        try:
            attach(self._context)
            try:
                return function(*args)
            finally:
                self._context = current()
                attach(before)
        except BaseException:  # of a signal handler, perhaps, between two lines here
            attach(before)
            raise


class InOurScope:
    """Activity in a scope of our own scope manager's, a new one for each step."""

    __slots__ = ("_left", "_manager", "_span")

    def __init__(self, manager: bridge.ScopeManager, span: bridge.Span) -> None:
        self._manager = manager
        self._span = span
        self._left: InContext | None = None

    def __call__(self, function: Callable[..., T], *args: Any) -> T:
        if self._left is not None:
            return self._left(function, *args)
        before = current()
        scope = None
        try:
            try:
                scope = self._manager.activate(self._span, False)
            except Exception:
                failed("activating a span")
            result = function(*args)
            self._end(scope, before)
            return result
        except BaseException:  # of the application, or of a signal handler between two lines here
            self._end(scope, before)
            raise

    def _end(self, scope: bridge.Scope | None, before: Context) -> None:
        here = current()
        if scope is not None and here is scope.context:
            scope.close()
        elif here is not before:
            if scope is not None:  # what was left active waits for the next step, and this scope with it
                self._left = InContext(here)
            attach(before)


class InScope:
    """Activity that only the tracer's own scope manager knows of."""

    __slots__ = ("_manager", "_span")

    def __init__(self, manager: opentracing.ScopeManager, span: opentracing.Span) -> None:
        self._manager = manager
        self._span = span

    def __call__(self, function: Callable[..., T], *args: Any) -> T:
        scope = attempt("scope_manager.activate", self._manager.activate, self._span, False)
        try:
            return function(*args)
        finally:
            if scope is not None:
                attempt("scope.close", scope.close)


def active(tracer: opentracing.Tracer, span: opentracing.Span) -> Step:
    """Steps with `span` active, as `tracer`'s scope manager understands it."""
    manager = tracer.scope_manager
    if not isinstance(span, bridge.Span):
        return InScope(manager, span)
    if type(manager) is bridge.ScopeManager:
        return InOurScope(manager, span)
    # Our tracer on a scope manager of the program's: active in both worlds.
    return partial(InContext(trace.set_span_in_context(span.unwrap())), InScope(manager, span))


def untraced(tracer: opentracing.Tracer) -> Step:
    """Steps that no span comes out of: what starts inside is the child of an unsampled one."""
    if isinstance(tracer, bridge.Tracer):
        nobody = trace.SpanContext(ids.bits(128) | 1, ids.bits(64) | 1, is_remote=False)
        return InContext(trace.set_span_in_context(trace.NonRecordingSpan(nobody)))
    span = tracer.start_span("untraced", tags={SAMPLING_PRIORITY: 0}, ignore_active_span=True)
    return InScope(tracer.scope_manager, span)
