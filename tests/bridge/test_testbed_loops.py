"""The scenarios of OpenTracing's testbed on event loops: asyncio's, and Tornado 6's with its coroutines.

Tornado's own scope manager cannot be used there: it imports `tornado.stack_context`, which Tornado 6 has
not got. Nor is it needed: Tornado 6 runs on asyncio, where context variables do its work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

import pytest
from opentelemetry.trace import SpanKind
from opentracing import Format, tags
from tornado import gen
from tornado.ioloop import IOLoop

from tests.bridge.spans import parents, traces
from tests.conftest import Recorded


class Asyncio:
    def run(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        asyncio.run(main())

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> Awaitable[None]:
        return asyncio.create_task(coroutine)

    def later(self, callback: Callable[..., object], *args: Any) -> None:
        asyncio.get_running_loop().call_later(0.001, callback, *args)


class Tornado:
    def run(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        loop = IOLoop(make_current=False)
        loop.run_sync(main)
        loop.close()

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> Awaitable[None]:
        @gen.coroutine
        def runs() -> Generator[Any, Any, None]:
            yield gen.sleep(0)
            yield coroutine

        return runs()

    def later(self, callback: Callable[..., object], *args: Any) -> None:
        IOLoop.current().call_later(0.001, callback, *args)


Loop = Asyncio | Tornado


@pytest.fixture(params=[Asyncio(), Tornado()], ids=["asyncio", "tornado"])
def loop(request: pytest.FixtureRequest) -> Loop:
    made: Loop = request.param
    return made


def test_active_span_replacement(otel: Recorded, loop: Loop) -> None:
    async def task(span: Any) -> None:
        with otel.tracer.scope_manager.activate(span, False):
            with otel.tracer.start_active_span("task"):
                await subtask("subtask")
                with otel.tracer.start_active_span("other trace", ignore_active_span=True):
                    await subtask("other subtask")
                await subtask("subtask again")
            assert otel.tracer.active_span is span

    async def subtask(name: str) -> None:
        await asyncio.sleep(0)
        with otel.tracer.start_active_span(name):
            await asyncio.sleep(0)

    async def main() -> None:
        span = otel.tracer.start_span("initial")
        await loop.spawn(task(span))
        assert otel.tracer.active_span is None
        span.finish()

    loop.run(main)
    assert parents(otel) == {
        "initial": None,
        "task": "initial",
        "subtask": "task",
        "other trace": None,
        "other subtask": "other trace",
        "subtask again": "task",
    }
    assert frozenset({"other trace", "other subtask"}) in traces(otel)


def test_client_and_server(otel: Recorded, loop: Loop) -> None:
    async def server(messages: asyncio.Queue[dict[str, str] | None]) -> None:
        while (message := await messages.get()) is not None:
            with otel.tracer.start_active_span(
                f"receive {message['number']}",
                child_of=otel.tracer.extract(Format.TEXT_MAP, message),
                tags={tags.SPAN_KIND: tags.SPAN_KIND_RPC_SERVER},
            ):
                await asyncio.sleep(0)
            assert otel.tracer.active_span is None

    async def main() -> None:
        messages: asyncio.Queue[dict[str, str] | None] = asyncio.Queue()
        serving = loop.spawn(server(messages))
        for number in range(3):
            message = {"number": str(number)}
            with otel.tracer.start_active_span(f"send {number}") as scope:
                scope.span.set_tag(tags.SPAN_KIND, tags.SPAN_KIND_RPC_CLIENT)
                otel.tracer.inject(scope.span.context, Format.TEXT_MAP, message)
                await messages.put(message)
        await messages.put(None)
        await serving

    loop.run(main)
    assert parents(otel) == {
        **{f"send {number}": None for number in range(3)},
        **{f"receive {number}": f"send {number}" for number in range(3)},
    }
    assert otel.spans["receive 0"].kind is SpanKind.SERVER


def test_common_request_handler(otel: Recorded, loop: Loop) -> None:
    """The handler's two methods run in tasks of their own, which have inherited the client's span."""

    async def before(request: dict[str, Any]) -> None:
        request["span"] = otel.tracer.start_span(
            f"send {request['name']}", ignore_active_span=request["alone"]
        )

    async def after(request: dict[str, Any]) -> None:
        request["span"].finish()

    async def send(name: str, alone: bool) -> None:
        request: dict[str, Any] = {"name": name, "alone": alone}
        await loop.spawn(before(request))
        await loop.spawn(after(request))

    async def main() -> None:
        await send("1", False)
        with otel.tracer.start_active_span("client"):
            await send("2", False)
            await send("3", True)

    loop.run(main)
    assert parents(otel) == {"send 1": None, "client": None, "send 2": "client", "send 3": None}


def test_late_span_finish(otel: Recorded, loop: Loop) -> None:
    async def task(name: str) -> None:
        with otel.tracer.start_active_span(name):
            await asyncio.sleep(0)

    async def main() -> None:
        with otel.tracer.start_active_span("parent", finish_on_close=False) as scope:
            tasks = [loop.spawn(task(name)) for name in ("one", "two")]
        assert otel.tracer.active_span is None
        for each in tasks:
            await each
        assert set(parents(otel).values()) == {"?"}
        scope.span.finish()

    loop.run(main)
    assert parents(otel) == {"parent": None, "one": "parent", "two": "parent"}


def test_listener_per_request(otel: Recorded, loop: Loop) -> None:
    async def respond(message: str, listener: Callable[[str], None]) -> None:
        listener(f"{message}: done")

    def send(message: str) -> Awaitable[None]:
        span = otel.tracer.start_span(message, tags={tags.SPAN_KIND: tags.SPAN_KIND_RPC_CLIENT})
        return loop.spawn(respond(message, lambda response: span.set_tag("response", response).finish()))

    async def main() -> None:
        await send("one")
        await send("two")

    loop.run(main)
    assert parents(otel) == {"one": None, "two": None}
    assert dict(otel.spans["two"].attributes or {}) == {"response": "two: done"}


def test_multiple_callbacks(otel: Recorded, loop: Loop) -> None:
    left = ["one", "two", "three"]
    done: list[asyncio.Event] = []

    def callback(name: str, parent: Any) -> None:
        assert otel.tracer.active_span == parent
        otel.tracer.start_active_span(name).close()
        left.remove(name)
        if not left:
            parent.finish()
            done[0].set()

    async def main() -> None:
        done.append(asyncio.Event())
        with otel.tracer.start_active_span("parent", finish_on_close=False) as scope:
            for name in tuple(left):
                loop.later(callback, name, scope.span)
        assert otel.tracer.active_span is None
        await done[0].wait()

    loop.run(main)
    assert parents(otel) == {"parent": None, "one": "parent", "two": "parent", "three": "parent"}


def test_nested_callbacks(otel: Recorded, loop: Loop) -> None:
    done: list[asyncio.Event] = []

    def callback(number: int, span: Any) -> None:
        with otel.tracer.scope_manager.activate(span, number == 3):
            span.set_tag(f"key{number}", number)
            if number < 3:
                loop.later(callback, number + 1, span)
            else:
                done[0].set()

    async def main() -> None:
        done.append(asyncio.Event())
        callback(1, otel.tracer.start_span("one"))
        assert otel.tracer.active_span is None
        await done[0].wait()

    loop.run(main)
    assert parents(otel) == {"one": None}
    assert dict(otel.spans["one"].attributes or {}) == {"key1": 1, "key2": 2, "key3": 3}


def test_subtask_propagation(otel: Recorded, loop: Loop) -> None:
    async def subtask(depth: int) -> None:
        with otel.tracer.start_active_span(str(depth)):
            if depth < 3:
                await loop.spawn(subtask(depth + 1))

    async def main() -> None:
        with otel.tracer.start_active_span("0") as scope:
            await loop.spawn(subtask(1))
            assert otel.tracer.active_span is scope.span

    loop.run(main)
    assert parents(otel) == {"0": None, "1": "0", "2": "1", "3": "2"}
