"""When a request's span is active: while the program's code works for the request, and at no other time.

A body or a stream may be read in another thread than the one in which it began, and may be dropped half-way.
So the span is active in steps:

1. A step calls one function of the program: an application, `next()` of a body, `send()` of a coroutine.
2. Before a step the span is made active; after it, what was active before is active again, whatever the
   function has left. Servers never see a span of the request's.
3. What the function has left active (a generator that yields inside a `with` block) is active again in the
   next step, so that the program's own scopes close in their order.
4. This holds on every scope manager, ours or not: see `ot_bridge.edge.places`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any, Protocol, TypeVar

import opentracing
from opentelemetry import trace
from opentelemetry.context import Context
from opentracing.tags import SAMPLING_PRIORITY

from ot_bridge import bridge, ids
from ot_bridge.bridge.scope import opened
from ot_bridge.edge.isolation import attempt, failed
from ot_bridge.edge.places import Places, State
from ot_bridge.otel import attach, current

T = TypeVar("T")


class Step(Protocol):
    """Calls a function of the program's with the request's span active around it."""

    def __call__(self, function: Callable[..., T], *args: Any) -> T: ...


class _InContext:
    """Steps in an OpenTelemetry context, which keeps what each of them leaves."""

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
        except BaseException:  # perhaps of a signal handler, between two lines here
            attach(before)
            raise


class _InOurScope:
    """Steps with a scope of our own scope manager, a new one for each step while none leaves anything."""

    __slots__ = ("_held", "_left", "_manager", "_span")

    def __init__(self, manager: bridge.ScopeManager, span: bridge.Span) -> None:
        self._manager = manager
        self._span = span
        self._held = manager.held(span)
        self._left: _InContext | None = None

    def __call__(self, function: Callable[..., T], *args: Any) -> T:
        if self._left is not None:
            return self._left(function, *args)
        before = current()
        scope = None
        try:
            try:
                scope = opened(bridge.Scope, self._manager, self._span, False, before, self._held.copy())
            except Exception:
                failed("activating a span")
            inside = current()
            result = function(*args)
            if scope is not None and current() is inside:
                scope.close()
            else:
                self._end(scope, before)
            return result
        except BaseException:  # of the program, or of a signal handler between two lines here
            self._end(scope, before)
            raise

    def _end(self, scope: bridge.Scope | None, before: Context) -> None:
        here = current()
        if scope is not None and here is scope.context:
            scope.close()
        elif here is not before:
            if scope is not None:  # what was left waits for the next step, and this scope with it
                self._left = _InContext(here)
            attach(before)


class _InForeignScope:
    """Steps with a scope of any scope manager.

    The scope is closed at the end of a step unless the program has left another one active above it. Then
    all that the manager keeps is taken away for the time between the steps.
    """

    __slots__ = ("_left", "_manager", "_places", "_scope", "_span")

    def __init__(self, manager: opentracing.ScopeManager, span: opentracing.Span) -> None:
        self._manager = manager
        self._span = span
        self._places = Places(manager)
        self._scope: opentracing.Scope | None = None
        self._left: State = {}

    def __call__(self, function: Callable[..., T], *args: Any) -> T:
        places = self._places
        before = places.read()
        if self._scope is None:
            self._scope = attempt("scope_manager.activate", self._manager.activate, self._span, False)
            places.learn(before)
        else:
            places.write(self._left)
        try:
            return function(*args)
        finally:
            if self._scope is not None:
                attempt("scope.close", self._end, self._scope)
            places.write(before)

    def _end(self, scope: opentracing.Scope) -> None:
        if self._places.known and self._manager.active is not scope:
            self._left = self._places.read()
        else:
            self._scope = None
            scope.close()


def activity(tracer: opentracing.Tracer, span: opentracing.Span) -> Step:
    """Steps with `span` active, as the scope manager of `tracer` understands it."""
    manager = tracer.scope_manager
    if not isinstance(span, bridge.Span):
        return _InForeignScope(manager, span)
    if type(manager) is bridge.ScopeManager:
        return _InOurScope(manager, span)
    # Our tracer on a scope manager of the program's: the span is active for both APIs.
    return partial(_InContext(trace.set_span_in_context(span.unwrap())), _InForeignScope(manager, span))


def untraced_span(tracer: opentracing.Tracer) -> opentracing.Span:
    """A span that is not recorded, nor is anything below it. It stands for a request that is not traced."""
    if not isinstance(tracer, bridge.Tracer):
        return tracer.start_span("untraced", tags={SAMPLING_PRIORITY: 0}, ignore_active_span=True)
    unsampled = trace.SpanContext(ids.bits(128) | 1, ids.bits(64) | 1, is_remote=False)
    return bridge.Span(tracer, trace.NonRecordingSpan(unsampled))


class InSteps:
    """An awaitable of which each resumption is a step, so that no other task sees the span active."""

    __slots__ = ("_iterator", "_step")

    def __init__(self, step: Step, awaitable: Awaitable[Any]) -> None:
        self._step = step
        self._iterator: Any = awaitable.__await__()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self

    __iter__ = __await__

    def __next__(self) -> Any:
        return self._step(next, self._iterator)

    def send(self, value: Any) -> Any:
        return self._step(self._iterator.send, value)

    def throw(self, *error: Any) -> Any:
        return self._step(self._iterator.throw, *error)

    def close(self) -> None:
        self._step(self._iterator.close)
