"""The `grpc.aio` server: handlers of every kind, and every way to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import grpc
import opentracing
import pytest
from opentelemetry.trace import StatusCode

from ot_bridge.grpc import aio_server_interceptor
from tests.grpc.conftest import Finished
from tests.grpc.test_server import OUTCOMES, check
from tests.grpc.things import (
    ARITIES,
    STREAMS_OUT,
    Aio,
    Seen,
    Sync,
    Written,
    handlers,
    method,
    requests_for,
    stub,
)

Code = grpc.StatusCode
every_arity = pytest.mark.parametrize("arity", ARITIES)
#: Named apart, for a type checker would hold its stubs against the test from there on.
_KIND: Any = grpc.aio.ServicerContext
KINDS = {"coroutines and generators": Aio, "written": Written, "plain functions": Sync}


@asynccontextmanager
async def aio_server(service: Any, *interceptors: Any) -> AsyncIterator[str]:
    server = grpc.aio.server(
        migration_thread_pool=ThreadPoolExecutor(4),
        handlers=[handlers(service)],
        interceptors=[*interceptors],
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@asynccontextmanager
async def connected(service: Any, *interceptors: Any) -> AsyncIterator[grpc.aio.Channel]:
    async with aio_server(service, *interceptors) as address, grpc.aio.insecure_channel(address) as channel:
        yield channel


async def take(channel: Any, arity: str, script: bytes, timeout: float = 10, **more: Any) -> Any:
    call = stub(channel, arity)(requests_for(arity, script), timeout=timeout, **more)
    return [response async for response in call] if arity in STREAMS_OUT else await call


async def settle(finished: Finished, count: int) -> Any:
    return await asyncio.to_thread(finished, count)


@every_arity
@pytest.mark.parametrize("script", OUTCOMES, ids=lambda script: script.decode())
@pytest.mark.parametrize("kind", KINDS)
async def test_the_span_ends_once_with_the_status_code_that_the_client_gets(
    seen: Seen, finished: Finished, kind: str, arity: str, script: bytes
) -> None:
    code = OUTCOMES[script][0]
    if kind == "plain functions" and script in {b"wait", b"abort_with_status"}:
        pytest.skip("grpc.aio's context for plain functions has no such thing")
    if kind == "plain functions" and script == b"abort" and grpc.__version__.startswith("1.49."):
        pytest.skip("this version of grpc.aio never lets the handler out of abort(), nor its thread")
    async with connected(KINDS[kind](seen), aio_server_interceptor()) as channel:
        if code is Code.OK:
            await take(channel, arity, script)
        else:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await take(channel, arity, script, timeout=0.2 if script == b"wait" else 10)
            assert raised.value.code() is code
    assert await asyncio.to_thread(seen.done.wait, 5)
    (span,) = await settle(finished, 1)
    check(span, arity, script)


@every_arity
@pytest.mark.parametrize("kind", ["coroutines and generators", "written"])
async def test_a_cancelled_rpc_has_the_status_code_cancelled(
    seen: Seen, finished: Finished, kind: str, arity: str
) -> None:
    async with connected(KINDS[kind](seen), aio_server_interceptor()) as channel:
        call = stub(channel, arity)(requests_for(arity, b"wait"), timeout=10)
        await asyncio.to_thread(seen.begun.wait, 5)
        call.cancel()
        (span,) = await settle(finished, 1)
    assert span.attributes["rpc.grpc.status_code"] == Code.CANCELLED.value[0]


@pytest.mark.parametrize("arity", sorted(STREAMS_OUT))
@pytest.mark.parametrize("kind", ["coroutines and generators", "written"])
async def test_a_stream_that_the_client_abandons_ends_as_cancelled(
    seen: Seen, finished: Finished, kind: str, arity: str
) -> None:
    async with connected(KINDS[kind](seen), aio_server_interceptor()) as channel:
        call = stub(channel, arity)(requests_for(arity, b"endless"), timeout=10)
        assert await call.read() == b"0"
        call.cancel()
        (span,) = await settle(finished, 1)
    assert span.attributes["rpc.grpc.status_code"] == Code.CANCELLED.value[0]


@every_arity
@pytest.mark.parametrize("kind", KINDS)
async def test_the_span_is_active_in_the_handler(
    seen: Seen, finished: Finished, kind: str, arity: str
) -> None:
    async with connected(KINDS[kind](seen), aio_server_interceptor()) as channel:
        await take(channel, arity, b"ok")
        (span,) = await settle(finished, 1)
    assert seen.active == seen.spans
    assert seen.active[0].context.span_id == span.context.span_id


@every_arity
@pytest.mark.parametrize("kind", KINDS)
async def test_requests_at_the_same_time_do_not_see_each_other(
    seen: Seen, finished: Finished, kind: str, arity: str
) -> None:
    async with connected(KINDS[kind](seen), aio_server_interceptor()) as channel:
        await asyncio.gather(*(take(channel, arity, b"ok") for _ in range(20)))
        spans = await settle(finished, 20)
    assert all(span.parent is None for span in spans)
    assert len({span.context.trace_id for span in spans}) == 20
    assert seen.active == seen.spans


async def test_a_span_that_was_active_when_the_server_was_started_is_no_parent(
    seen: Seen, finished: Finished
) -> None:
    with opentracing.global_tracer().start_active_span("starting"):
        async with connected(Aio(seen), aio_server_interceptor()) as channel:
            await take(channel, "UU", b"ok")
    spans = {span.name: span for span in await settle(finished, 2)}
    assert spans[method("UU")].parent is None


async def test_nothing_stays_active_in_the_threads_of_plain_functions(seen: Seen, finished: Finished) -> None:
    tracer = opentracing.global_tracer()
    pool = ThreadPoolExecutor(1)
    server = grpc.aio.server(
        migration_thread_pool=pool, handlers=[handlers(Sync(seen))], interceptors=[aio_server_interceptor()]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        for arity in ARITIES:
            await take(channel, arity, b"ok")
            assert await asyncio.wrap_future(pool.submit(lambda: tracer.active_span)) is None
    await server.stop(None)
    assert all(span.parent is None for span in await settle(finished, 4))


class Asking(Aio):
    """Uses everything that a servicer context has."""

    async def UU(self, request: bytes, context: Any) -> bytes:
        assert isinstance(context, _KIND)
        context.code()
        context.details()
        context.set_compression(grpc.Compression.Gzip)
        await context.send_initial_metadata((("initial", "1"),))
        context.set_trailing_metadata((("trailing", "2"),))
        assert context.trailing_metadata() == (("trailing", "2"),)
        context.disable_next_message_compression()
        assert context.peer().startswith("ipv4:127.0.0.1:")
        context.peer_identities()
        assert context.peer_identity_key() is None
        assert isinstance(context.auth_context(), dict)
        assert context.time_remaining() > 0
        context.add_done_callback(lambda _: self.seen.stop.set())
        assert not context.done()
        assert not context.cancelled()
        return request

    async def SS(self, requests: Any, context: Any) -> None:  # type: ignore[override]
        while (request := await context.read()) is not grpc.aio.EOF:
            await context.write(request)


async def test_the_handler_context_has_all_functions_of_grpcs_own(seen: Seen, finished: Finished) -> None:
    async with connected(Asking(seen), aio_server_interceptor()) as channel:
        call = stub(channel, "UU")(b"ok", timeout=10)
        assert await call == b"ok"
        assert ("initial", "1") in list(await call.initial_metadata())
        assert ("trailing", "2") in list(await call.trailing_metadata())
        assert await take(channel, "SS", b"read") == [b"read", b"second"]
        assert await asyncio.to_thread(seen.stop.wait, 5)
        spans = await settle(finished, 2)
    assert {span.status.status_code for span in spans} == {StatusCode.UNSET}


async def test_messages_that_a_handler_reads_and_writes_itself_are_events(
    seen: Seen, finished: Finished
) -> None:
    async with connected(Asking(seen), aio_server_interceptor(message_events=True)) as channel:
        assert await take(channel, "SS", b"read") == [b"read", b"second"]
        (span,) = await settle(finished, 1)
    events = [dict(event.attributes or {}) for event in span.events]
    assert [(each["message.type"], each["message.id"]) for each in events] == [
        *(("RECEIVED", 1), ("SENT", 1), ("RECEIVED", 2), ("SENT", 2))
    ]
    assert [each["message.uncompressed_size"] for each in events] == [4, 4, 6, 6]


async def test_an_unknown_method_is_refused_as_without_tracing(seen: Seen, finished: Finished) -> None:
    async with connected(Aio(seen), aio_server_interceptor()) as channel:
        unheard: Any = channel.unary_unary("/things.Things/Unheard")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await unheard(b"ok", timeout=10)
    assert raised.value.code() is Code.UNIMPLEMENTED
    finished(0)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert not [record for record in caplog.records if record.name.startswith("ot_bridge")]


class Half(Sync):
    """Plain generators that wait after one item: grpc.aio never lets a thread out that has more of them."""

    def US(self, request: Any, context: Any) -> Iterator[bytes]:
        try:
            yield b"0"
            self.seen.stop.wait(10)
        finally:
            self.seen.done.set()

    SS: Any = US


@pytest.mark.parametrize("arity", sorted(STREAMS_OUT))
async def test_a_plain_generator_whose_client_cancels_ends_as_cancelled(
    seen: Seen, finished: Finished, arity: str
) -> None:
    async with connected(Half(seen), aio_server_interceptor()) as channel:
        call = stub(channel, arity)(requests_for(arity, b"half"), timeout=10)
        assert await call.read() == b"0"
        call.cancel()
        (span,) = await settle(finished, 1)
        seen.stop.set()
        assert await asyncio.to_thread(seen.done.wait, 5)
        await asyncio.sleep(0.05)  # grpc's thread tells the loop that it has done
    assert span.attributes["rpc.grpc.status_code"] == Code.CANCELLED.value[0]
    assert opentracing.global_tracer().active_span is None
