"""When a request's span is active: inside one call into the application, and at no other time.

A body may be iterated in another thread than the application ran in, or be dropped half-way: what was
made active for one chunk is therefore taken back before the server sees the chunk.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar

import opentracing
from opentelemetry import trace
from opentelemetry.context import Context, attach, detach, get_current
from opentracing.tags import SAMPLING_PRIORITY

from ot_bridge import bridge
from ot_bridge.wsgi.quiet import Once

T = TypeVar("T")


class Step(Protocol):
    """Calls a function of the application's with the span active around it."""

    def __call__(self, function: Callable[..., T], *args: Any) -> T: ...


class InContext:
    """Activity that lives in OpenTelemetry's context, as our own scope manager's does.

    What the application left active at the end of one step (a generator that yields inside a `with`)
    is there again in the next.
    """

    __slots__ = ("_context",)

    def __init__(self, context: Context) -> None:
        self._context = context

    def __call__(self, function: Callable[..., T], *args: Any) -> T:
        token = attach(self._context)
        try:
            return function(*args)
        finally:
            self._context = get_current()
            detach(token)


class InScope:
    """Activity that only the tracer's own scope manager knows of."""

    __slots__ = ("_manager", "_once", "_span")

    def __init__(self, manager: opentracing.ScopeManager, span: opentracing.Span, once: Once) -> None:
        self._manager = manager
        self._span = span
        self._once = once

    def __call__(self, function: Callable[..., T], *args: Any) -> T:
        scope = self._once.call("scope_manager.activate", self._manager.activate, self._span, False)
        try:
            return function(*args)
        finally:
            if scope is not None:
                self._once.call("scope.close", scope.close)


def active(tracer: opentracing.Tracer, span: opentracing.Span, once: Once) -> Step:
    """Steps with `span` active, as `tracer`'s scope manager understands it."""
    manager = tracer.scope_manager
    if type(manager) is bridge.ScopeManager:
        return InContext(_activated(manager, span))
    step = InScope(manager, span, once)
    if isinstance(span, bridge.Span):  # our tracer on a scope manager of the program's: in both worlds
        return partial(InContext(trace.set_span_in_context(span.unwrap())), step)
    return step


def _activated(manager: bridge.ScopeManager, span: opentracing.Span) -> Context:
    token = attach(get_current())
    try:
        manager.activate(span, False)
        return get_current()
    finally:
        detach(token)


def untraced(tracer: opentracing.Tracer, once: Once) -> Step:
    """Steps that no span comes out of: what starts inside is the child of an unsampled one."""
    if isinstance(tracer, bridge.Tracer):
        nobody = trace.SpanContext(random.getrandbits(128) | 1, random.getrandbits(64) | 1, is_remote=False)
        return InContext(trace.set_span_in_context(trace.NonRecordingSpan(nobody)))
    span = tracer.start_span("untraced", tags={SAMPLING_PRIORITY: 0}, ignore_active_span=True)
    return InScope(tracer.scope_manager, span, once)
