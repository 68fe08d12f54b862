"""Makes a request's span active while the program's code works for the request, and at no other time.

A body or a stream may be read in another thread than the one that began it, and may be dropped half-way.
So the span is active in steps:

1. A step calls one function of the program: an application, `next()` of a body, `send()` of a coroutine.
2. A step makes the span active, and at its end restores what was active before, even if the function has left
   scopes open. So the server never sees a span of the request
   (test_the_span_that_was_active_before_a_step_is_active_after_it).
3. Scopes that the function has left open (a generator that yields inside a `with` block) are active again in
   the next step, so that the program's own scopes close in order
   (test_scopes_left_open_by_a_step_are_active_in_the_next_step_and_not_in_between).
4. This holds with every scope manager: see `ot_bridge.edge.places`.

The tests are in tests/edge/test_activity.py and run with each scope manager.
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
    """Calls `function(*args)`, code of the program, with the request's span active."""

    def __call__(self, function: Callable[..., T], *args: Any) -> T: ...


class _InContext:
    """Runs steps in an OpenTelemetry context. Each step begins in the context in which the last one ended."""

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
        except BaseException:  # a signal handler may raise between two of these lines
            attach(before)
            raise


class _InOurScope:
    """Runs each step in a new scope of our scope manager, until a step leaves a scope open."""

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
        except BaseException:  # of the program, or of a signal handler between two of these lines
            self._end(scope, before)
            raise

    def _end(self, scope: bridge.Scope | None, before: Context) -> None:
        here = current()
        if scope is not None and here is scope.context:
            scope.close()
        elif here is not before:
            if scope is not None:  # this scope and those left open in it are active again in the next step
                self._left = _InContext(here)
            attach(before)


class _InForeignScope:
    """Runs steps in a scope of any scope manager.

    The scope is closed at the end of a step, unless the program has left another one open inside it. Then the
    manager's state is saved at the end of the step, and restored in the next.
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
    """The `Step` that makes `span` active by the scope manager of `tracer`."""
    manager = tracer.scope_manager
    if not isinstance(span, bridge.Span):
        return _InForeignScope(manager, span)
    if type(manager) is bridge.ScopeManager:
        return _InOurScope(manager, span)
    # Our tracer with another scope manager: the span is made active for both APIs.
    return partial(_InContext(trace.set_span_in_context(span.unwrap())), _InForeignScope(manager, span))


def untraced_span(tracer: opentracing.Tracer) -> opentracing.Span:
    """The span of a request that is not traced. It is not recorded, and neither are its descendants."""
    if not isinstance(tracer, bridge.Tracer):
        return tracer.start_span("untraced", tags={SAMPLING_PRIORITY: 0}, ignore_active_span=True)
    unsampled = trace.SpanContext(ids.bits(128) | 1, ids.bits(64) | 1, is_remote=False)
    return bridge.Span(tracer, trace.NonRecordingSpan(unsampled))


class InSteps:
    """An awaitable that is resumed in steps, so that the span is not active in other tasks."""

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
