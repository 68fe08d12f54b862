"""A service that handles requests with spans of both APIs, in tasks or in threads."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import Any

from opentelemetry import baggage
from opentracing.scope_managers import ThreadLocalScopeManager
from opentracing.scope_managers.asyncio import AsyncioScopeManager
from opentracing.scope_managers.contextvars import ContextVarsScopeManager

from tests.conftest import Recorded, recorded

REQUESTS = 200


def expected(requests: int) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for number in range(requests):
        found |= {f"{number}": None, f"{number} work": f"{number}", f"{number} native": f"{number} work"}
    return found


class Service:
    """Handles a request with spans of both APIs, and checks what is active at each step."""

    def __init__(self, otel: Recorded) -> None:
        self.tracer, self.native = otel.tracer, otel.provider.get_tracer("native")

    def _active(self) -> Any:
        return self.tracer.active_span

    async def handle(self, number: int) -> None:
        assert self._active() is None
        with self.tracer.start_active_span(str(number)) as request:
            request.span.set_baggage_item("number", str(number))
            await self._pause()
            assert self._active() is request.span
            with self.tracer.start_active_span(f"{number} work") as work:
                await self._pause()
                assert self._active() is work.span
                with self.native.start_as_current_span(f"{number} native"):
                    await self._pause()
                    assert self._active().get_baggage_item("number") == str(number)
                    assert baggage.get_baggage("number") == str(number)
                assert self._active() is work.span
            await self._pause()
            assert self._active() is request.span
        assert self._active() is None

    async def _pause(self) -> None:
        await asyncio.sleep(random.random() / 200)

    def handle_in_thread(self, number: int) -> None:
        """Handles a request without an event loop: every pause lets other threads run."""
        step = self.handle(number)
        pause = threading.Event()
        self._pause = self._yield  # type: ignore[method-assign]
        while True:
            try:
                step.send(None)
            except StopIteration:
                return
            pause.wait(random.random() / 200)

    async def _yield(self) -> None:
        class Once:
            def __await__(self) -> Any:
                yield

        await Once()


MANAGERS = {
    "own": None,
    "asyncio": AsyncioScopeManager,
    "contextvars": ContextVarsScopeManager,
    "threadlocal": ThreadLocalScopeManager,
}


def recorded_with(manager: str) -> Recorded:
    made: Any = MANAGERS[manager]
    return recorded(scope_manager=made and made())
