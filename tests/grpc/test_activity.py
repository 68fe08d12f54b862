"""A server's span is active while its handler works, on every scope manager, and nowhere after that."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import grpc
import opentracing
import pytest

from ot_bridge.grpc import aio_server_interceptor, server_interceptor
from tests.edge.managers import TRACERS, Traced
from tests.grpc.test_aio_server import aio_server
from tests.grpc.things import STREAMS_OUT, Seen, Sync, handlers, method, requests_for, stub

# tests/edge has all of them.
SOME = (
    *("ours on the engine", "ours on the SDK", "ours on threads", "jaeger-client"),
    *("a mock on threads", "a mock on tasks", "a mock on a stack", "a mock on a tuple"),
)
every_tracer = pytest.mark.parametrize("make", [TRACERS[name] for name in SOME], ids=SOME)
every_arity = pytest.mark.parametrize("arity", ["UU", "US", "SU", "SS"])
every_stream = pytest.mark.parametrize("arity", sorted(STREAMS_OUT))
Make = Callable[[], Traced]
CHUNKS = 3


class Opening(Sync):
    """Plain handlers that open scopes, and respond inside them."""

    def __init__(self, tracer: opentracing.Tracer, endless: bool = False) -> None:
        super().__init__(Seen())
        self.tracer = tracer
        self.endless = endless

    def UU(self, request: Any, context: Any) -> bytes:
        with self.tracer.start_active_span("outer"), self.tracer.start_active_span("inner"):
            return b"one"

    def US(self, request: Any, context: Any) -> Iterator[bytes]:
        with self.tracer.start_active_span("outer"), self.tracer.start_active_span("inner"):
            for number in range(10**6 if self.endless else CHUNKS):
                yield b"%d" % number

    SU, SS = UU, US  # type: ignore[assignment]


class AioOpening(Opening):
    """The same handlers as coroutines and generators of asyncio, which await inside the scopes."""

    async def UU(self, request: Any, context: Any) -> bytes:  # type: ignore[override]
        with self.tracer.start_active_span("outer"):
            await asyncio.sleep(0.005)
            with self.tracer.start_active_span("inner"):
                await asyncio.sleep(0.005)
                return b"one"

    async def US(self, request: Any, context: Any) -> AsyncIterator[bytes]:  # type: ignore[override]
        with self.tracer.start_active_span("outer"):
            await asyncio.sleep(0.005)
            with self.tracer.start_active_span("inner"):
                for number in range(CHUNKS):
                    yield b"%d" % number
                    await asyncio.sleep(10 if self.endless else 0.001)

    SU, SS = UU, US  # type: ignore[assignment]


def check(traced: Traced, arity: str, rpcs: int) -> None:
    spans = traced.finished()
    names = {span.span_id: span.name for span in spans}
    assert sorted(span.name for span in spans) == sorted(["inner", "outer", method(arity)] * rpcs)
    for span in spans:
        parent = {"inner": "outer", "outer": method(arity)}.get(span.name)
        assert names.get(span.parent_id) == parent, span
    assert len({span.parent_id for span in spans if span.name == "outer"}) == rpcs


def wait_for(traced: Traced, count: int) -> None:
    pause = threading.Event()
    for _ in range(5000):
        if len(traced.finished()) >= count:
            return
        pause.wait(0.001)


def call(channel: grpc.Channel, arity: str) -> Any:
    response = stub(channel, arity)(requests_for(arity, b"ok"), timeout=10)
    return list(response) if arity in STREAMS_OUT else response


@every_arity
@every_tracer
def test_scopes_of_handlers_end_and_nothing_is_active_in_the_servers_threads(make: Make, arity: str) -> None:
    traced = make()
    tracer = traced.tracer
    with ThreadPoolExecutor(1) as pool, ExitStack() as stack:
        server = grpc.server(
            pool, handlers=[handlers(Opening(tracer))], interceptors=[server_interceptor(tracer)]
        )
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        stack.callback(lambda: server.stop(None).wait())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            for _ in range(2):
                call(channel, arity)
        wait_for(traced, 6)
        assert pool.submit(lambda: tracer.scope_manager.active).result(5) is None
    check(traced, arity, 2)


@every_stream
@every_tracer
def test_a_stream_that_its_client_abandons_ends_its_scopes(make: Make, arity: str) -> None:
    traced = make()
    tracer = traced.tracer
    with ThreadPoolExecutor(1) as pool, ExitStack() as stack:
        service = Opening(tracer, endless=True)
        server = grpc.server(pool, handlers=[handlers(service)], interceptors=[server_interceptor(tracer)])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        stack.callback(lambda: server.stop(None).wait())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            for number in range(1, 3):
                response = stub(channel, arity)(requests_for(arity, b"ok"), timeout=10)
                assert next(response) == b"0"
                response.cancel()
                wait_for(traced, 3 * number)
                assert pool.submit(lambda: tracer.scope_manager.active).result(5) is None
    check(traced, arity, 2)


@every_arity
@every_tracer
async def test_concurrent_rpcs_of_grpc_aio_do_not_share_scopes(make: Make, arity: str) -> None:
    traced = make()
    tracer = traced.tracer
    left: list[Any] = []

    async def one(channel: grpc.aio.Channel) -> None:
        response = stub(channel, arity)(requests_for(arity, b"ok"), timeout=10)
        if arity in STREAMS_OUT:
            assert len([chunk async for chunk in response]) == CHUNKS
        else:
            assert await response == b"one"
        left.append(tracer.scope_manager.active)

    async with (
        aio_server(AioOpening(tracer), aio_server_interceptor(tracer)) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        await asyncio.gather(*(one(channel) for _ in range(4)))
        await asyncio.to_thread(wait_for, traced, 12)
    assert left == [None] * 4
    assert tracer.scope_manager.active is None
    check(traced, arity, 4)


@every_stream
@every_tracer
async def test_a_cancelled_stream_of_grpc_aio_ends_its_scopes(make: Make, arity: str) -> None:
    traced = make()
    tracer = traced.tracer
    async with (
        aio_server(AioOpening(tracer, endless=True), aio_server_interceptor(tracer)) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        response = stub(channel, arity)(requests_for(arity, b"ok"), timeout=10)
        assert await response.read() == b"0"
        response.cancel()
        await asyncio.to_thread(wait_for, traced, 3)
        assert tracer.scope_manager.active is None
    check(traced, arity, 1)


class Listing(Sync):
    def US(self, request: Any, context: Any) -> Any:
        return [b"0", b"1"]

    SS = US  # type: ignore[assignment]


@every_stream
async def test_a_plain_handler_of_grpc_aio_may_return_any_iterable(arity: str) -> None:
    traced = TRACERS["ours on the engine"]()
    interceptor = aio_server_interceptor(traced.tracer)
    async with (
        aio_server(Listing(Seen()), interceptor) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        response = stub(channel, arity)(requests_for(arity, b"ok"), timeout=10)
        assert [chunk async for chunk in response] == [b"0", b"1"]
        await asyncio.to_thread(wait_for, traced, 1)
    assert [span.name for span in traced.finished()] == [method(arity)]
