"""Tracers on every kind of scope manager, ours and others, each with a way to read its finished spans."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import opentracing
from jaeger_client.reporter import InMemoryReporter
from jaeger_client.sampler import ConstSampler
from jaeger_client.tracer import Tracer as JaegerTracer
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentracing.mocktracer import MockTracer
from opentracing.scope_managers import ThreadLocalScopeManager
from opentracing.scope_managers.asyncio import AsyncioScopeManager
from opentracing.scope_managers.contextvars import ContextVarsScopeManager
from opentracing.scope_managers.gevent import GeventScopeManager

from ot_bridge import engine
from ot_bridge.bridge import create_tracer


class Finished(NamedTuple):
    name: str
    span_id: int
    parent_id: int


class Traced(NamedTuple):
    """A tracer, and what reads its finished spans."""

    tracer: opentracing.Tracer
    finished: Callable[[], list[Finished]]


class _StackScope(opentracing.Scope):
    manager: Any

    def __init__(self, manager: Any, span: Any, finish_on_close: bool) -> None:
        super().__init__(manager, span)
        self._finishes = finish_on_close

    def close(self) -> None:
        if self.manager.active is self:
            self.manager.pop()
            if self._finishes:
                self.span.finish()


class StackManager(opentracing.ScopeManager):
    """A program's own: a list of scopes for each thread, changed in place."""

    def __init__(self) -> None:
        self._of_thread = threading.local()

    def _stack(self) -> list[Any]:
        if not hasattr(self._of_thread, "stack"):
            self._of_thread.stack = []
        stack: list[Any] = self._of_thread.stack
        return stack

    def activate(self, span: Any, finish_on_close: bool) -> opentracing.Scope:
        self._stack().append(_StackScope(self, span, finish_on_close))
        scope: opentracing.Scope = self._stack()[-1]
        return scope

    def pop(self) -> None:
        self._stack().pop()

    @property
    def active(self) -> Any:
        return self._stack()[-1] if self._stack() else None


class BareManager:
    """A program's own without a base class: a tuple of scopes in a context variable of its class."""

    scopes: contextvars.ContextVar[tuple[Any, ...]] = contextvars.ContextVar("scopes", default=())

    def activate(self, span: Any, finish_on_close: bool) -> opentracing.Scope:
        scope = _StackScope(self, span, finish_on_close)
        self.scopes.set((*self.scopes.get(), scope))
        return scope

    def pop(self) -> None:
        self.scopes.set(self.scopes.get()[:-1])

    @property
    def active(self) -> Any:
        return (self.scopes.get() or (None,))[-1]


class TupleManager(BareManager, opentracing.ScopeManager):
    """The same, with OpenTracing's base class."""


def mock(manager: Callable[[], opentracing.ScopeManager]) -> Callable[[], Traced]:
    def make() -> Traced:
        tracer = MockTracer(scope_manager=manager())
        return Traced(
            tracer,
            lambda: [
                Finished(
                    str(span.operation_name),
                    span.context.span_id or 0,
                    span.parent_id or 0,
                )
                for span in tracer.finished_spans()
            ],
        )

    return make


def _jaeger() -> Traced:
    loop = asyncio.new_event_loop()  # its reporters expect one
    asyncio.set_event_loop(loop)
    reporter = InMemoryReporter()
    tracer = JaegerTracer("service", reporter, ConstSampler(True), tags={"ip": "127.0.0.1"})
    asyncio.set_event_loop(None)
    loop.close()
    return Traced(
        tracer,
        lambda: [
            Finished(span.operation_name, span.span_id, span.parent_id or 0) for span in reporter.get_spans()
        ],
    )


def ours(
    provider_class: type[TracerProvider], manager: Callable[[], opentracing.ScopeManager] | None = None
) -> Callable[[], Traced]:
    def make() -> Traced:
        exporter = InMemorySpanExporter()
        provider = provider_class(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        tracer = create_tracer(provider, scope_manager=None if manager is None else manager())
        return Traced(
            tracer,
            lambda: [
                Finished(span.name, span.context.span_id, span.parent.span_id if span.parent else 0)
                for span in exporter.get_finished_spans()
            ],
        )

    return make


class Tasks(AsyncioScopeManager):
    """OpenTracing's, which outside of a loop would make one and leave it open."""

    def _get_task(self) -> Any:
        try:
            return asyncio.current_task()
        except RuntimeError:
            return None


MANAGERS: Final[Mapping[str, Callable[[], Any]]] = {
    "threads": ThreadLocalScopeManager,
    "context variables": ContextVarsScopeManager,
    "greenlets": GeventScopeManager,
    "tasks": Tasks,
    "a stack": StackManager,
    "a tuple": TupleManager,
    "no base class": BareManager,
}
TRACERS: Final[Mapping[str, Callable[[], Traced]]] = {
    "ours on the engine": ours(engine.TracerProvider),
    "ours on the SDK": ours(TracerProvider),
    "jaeger-client": _jaeger,
    **{f"a mock on {name}": mock(manager) for name, manager in MANAGERS.items()},
    **{f"ours on {name}": ours(engine.TracerProvider, manager) for name, manager in MANAGERS.items()},
}
