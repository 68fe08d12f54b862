"""H: OpenTracing's own harness, on the default scope manager and every stock one.

Tornado's stock manager is left out: it imports `tornado.stack_context`, gone since Tornado 6. Gevent's is
run in a process of its own, by tests of gevent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentracing.harness.api_check import APICompatibilityCheckMixin
from opentracing.harness.scope_check import ScopeCompatibilityCheckMixin
from opentracing.scope_managers import ThreadLocalScopeManager
from opentracing.scope_managers.asyncio import AsyncioScopeManager
from opentracing.scope_managers.contextvars import ContextVarsScopeManager

from ot_bridge.bridge import Tracer
from tests.conftest import recorded


class _Harness(APICompatibilityCheckMixin):
    managers: Callable[[], Any] | None = None

    def tracer(self) -> Tracer:
        if not hasattr(self, "_tracer"):
            make: Any = type(self).managers
            manager = None if make is None else make()
            self._tracer = recorded("tracecontext,baggage,jaeger", scope_manager=manager).tracer
        return self._tracer

    def is_parent(self, parent: Any, span: Any) -> bool:
        above: Any = getattr(span.unwrap(), "parent", None)
        if parent is None:
            return above is None
        return above is not None and above.span_id == parent.context.span_id

    def test_context_baggage(self) -> None:
        super().test_context_baggage()
        # The harness leaves out what it promises: the context keeps what was set.
        span = self.tracer().start_span("Fry").set_baggage_item("Kiff-loves", "Amy")
        assert span.context.baggage == {"Kiff-loves": "Amy"}


class TestDefaultScopes(_Harness):
    pass


class TestThreadLocal(_Harness):
    managers = ThreadLocalScopeManager


class TestAsyncio(_Harness):
    managers = AsyncioScopeManager

    @pytest.fixture(autouse=True)
    def _loop(self) -> Iterator[None]:
        """The manager asks for the thread's event loop, which then has to be there."""
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        yield
        asyncio.set_event_loop(None)
        loop.close()


class TestContextVars(_Harness):
    managers = ContextVarsScopeManager


class TestScopes(ScopeCompatibilityCheckMixin):
    def scope_manager(self) -> Any:
        if not hasattr(self, "_manager"):
            self._manager = recorded().tracer.scope_manager
        return self._manager


class TestScopesInATask(TestScopes):
    def run_test(self, test_fn: Callable[[], object]) -> None:
        async def task() -> None:
            test_fn()

        asyncio.run(task())
