"""The `grpc.aio` client: every arity and way to end, through the interceptors and the traced channel."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import grpc
import opentracing
import pytest

from ot_bridge.grpc import aio_client_interceptor, trace_channel
from tests.grpc.conftest import Finished
from tests.grpc.test_aio_server import aio_server, settle, take
from tests.grpc.test_client import OUTCOMES, check
from tests.grpc.test_metadata import FORMS, PAIRS, own
from tests.grpc.things import ARITIES, STREAMS_IN, STREAMS_OUT, Aio, Seen, requests_for, stub

Code = grpc.StatusCode


def _interceptors(address: str, **options: Any) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(address, interceptors=aio_client_interceptor(**options))


def _channel(address: str, **options: Any) -> grpc.aio.Channel:
    return trace_channel(grpc.aio.insecure_channel(address), **options)


TRACED_BY: dict[str, Callable[..., grpc.aio.Channel]] = {"interceptor": _interceptors, "channel": _channel}
Connected = Callable[..., AbstractAsyncContextManager[grpc.aio.Channel]]

every_arity = pytest.mark.parametrize("arity", ARITIES)
every_stream = pytest.mark.parametrize("arity", sorted(STREAMS_OUT))


@pytest.fixture(params=TRACED_BY)
def connected(request: pytest.FixtureRequest, seen: Seen) -> Connected:
    @asynccontextmanager
    async def connect(**options: Any) -> AsyncIterator[grpc.aio.Channel]:
        async with aio_server(Aio(seen)) as address, TRACED_BY[request.param](address, **options) as channel:
            yield channel

    return connect


def _times_are_lost(channel: grpc.aio.Channel, arity: str) -> bool:
    call = type(stub(channel, arity)).__call__
    return "deadline = " in inspect.getsource(call) and bool(
        getattr(channel, "_unary_unary_interceptors", ())
    )


@every_arity
@pytest.mark.parametrize("script", OUTCOMES, ids=lambda script: script.decode())
async def test_the_span_ends_once_with_the_status_code(
    connected: Connected, finished: Finished, arity: str, script: bytes
) -> None:
    code, details = OUTCOMES[script]
    async with connected() as channel:
        if script == b"wait" and _times_are_lost(channel, arity):
            pytest.skip("this version of grpc.aio takes timeouts for times of day behind interceptors")
        if code is Code.OK:
            expected = {"UU": b"ok", "US": [b"0", b"1", b"2"], "SU": b"ok,second"}
            expected["SS"] = [*expected["US"], b"second"]
            assert await take(channel, arity, script) == expected[arity]
        else:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await take(channel, arity, script, timeout=0.2 if script == b"wait" else 10)
            assert raised.value.code() is code
        (span,) = await settle(finished, 1)
    check(span, arity, code, details)


@pytest.mark.parametrize("arity", ["UU", "SU"])
async def test_the_span_has_ended_when_the_response_is_there(
    connected: Connected, finished: Finished, arity: str
) -> None:
    async with connected() as channel:
        await take(channel, arity, b"ok")
        finished(1)


@every_arity
async def test_the_active_span_is_the_parent_and_stays_active(
    connected: Connected, finished: Finished, arity: str
) -> None:
    tracer = opentracing.global_tracer()
    async with connected() as channel:
        with tracer.start_active_span("outer") as scope:
            await take(channel, arity, b"ok")
            assert tracer.active_span is scope.span
        inner, outer = await settle(finished, 2)
    assert inner.parent.span_id == outer.context.span_id


@every_stream
async def test_user_code_runs_in_its_own_context_while_a_stream_is_open(
    connected: Connected, finished: Finished, arity: str
) -> None:
    tracer = opentracing.global_tracer()
    async with connected() as channel:
        call = stub(channel, arity)(requests_for(arity, b"ok"), timeout=10)
        active = [tracer.active_span async for _ in call]
        await settle(finished, 1)
    assert len(active) > 2
    assert {*active} == {None}


async def _cancelled(call: Any) -> None:
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await (call.read() if hasattr(call, "read") else call)


async def _task_cancelled(call: Any) -> None:
    async def wait() -> None:
        await (call.read() if hasattr(call, "read") else call)

    task = asyncio.ensure_future(wait())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _waited_for(call: Any) -> None:
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(call.read() if hasattr(call, "read") else call, 0.05)


@every_arity
@pytest.mark.parametrize("leave", [_cancelled, _task_cancelled, _waited_for])
async def test_an_abandoned_call_is_cancelled(
    connected: Connected, seen: Seen, finished: Finished, arity: str, leave: Any
) -> None:
    async with connected() as channel:
        call = stub(channel, arity)(requests_for(arity, b"wait"), timeout=10)
        await asyncio.to_thread(seen.begun.wait, 5)
        await leave(call)
        assert await call.code() is Code.CANCELLED
        assert call.cancelled()
        assert call.done()
        (span,) = await settle(finished, 1)
    check(span, arity, Code.CANCELLED, "")


@every_arity
async def test_a_call_that_is_cancelled_at_once_is_cancelled(
    connected: Connected, finished: Finished, arity: str
) -> None:
    async with connected() as channel:
        call = stub(channel, arity)(requests_for(arity, b"wait"), timeout=10)
        call.cancel()
        await asyncio.sleep(0.05)
        # Interceptors that have not run yet never do; then there was no call, and is no span.
        spans = await settle(finished, 0 if "Intercepted" in type(call).__name__ else 1)
    for span in spans:
        check(span, arity, Code.CANCELLED, "")


async def _dropped(call: Any, seen: Seen) -> bool:
    """Whether the server is soon notified of a dropped half-read call. That depends on grpcio's version."""
    assert await call.read() == b"0"
    del call
    return await asyncio.to_thread(seen.done.wait, 0.5)


@every_stream
async def test_a_dropped_half_read_stream_is_cancelled_if_it_is_without_tracing(
    seen: Seen, finished: Finished, arity: str
) -> None:
    def call(channel: grpc.aio.Channel) -> Any:
        seen.done.clear()
        return stub(channel, arity)(requests_for(arity, b"half"), timeout=30)

    async with aio_server(Aio(seen)) as address, grpc.aio.insecure_channel(address) as plain:
        without = await _dropped(call(plain), seen)
        assert await _dropped(call(trace_channel(plain)), seen) is without
    (span,) = await settle(finished, 1)
    check(span, arity, Code.CANCELLED, "")


@every_arity
async def test_tracing_keeps_no_reference_to_a_call(seen: Seen, finished: Finished, arity: str) -> None:
    async with aio_server(Aio(seen)) as address, grpc.aio.insecure_channel(address) as plain:

        def held(channel: grpc.aio.Channel) -> list[type]:
            call = stub(channel, arity)(requests_for(arity, b"wait"), timeout=10)
            return [type(holder) for holder in gc.get_referrers(call)]

        assert sorted(map(str, held(trace_channel(plain)))) == sorted(map(str, held(plain)))
    await settle(finished, 1)


@every_arity
@pytest.mark.parametrize("form", ["none", "tuple", "aio"])
async def test_all_metadata_arrives_in_its_order(
    connected: Connected, seen: Seen, finished: Finished, arity: str, form: str
) -> None:
    async with connected() as channel:
        await take(channel, arity, b"ok", metadata=FORMS[form]())
        await settle(finished, 1)
    # `grpc.aio.Metadata` keeps the order of each key's values.
    expected = [] if form == "none" else sorted(PAIRS, key=lambda pair: pair[0])
    assert sorted(own(seen.metadata[0]), key=lambda pair: pair[0]) == expected
    assert "traceparent" in dict(seen.metadata[0])


@every_arity
async def test_every_argument_is_passed_on(connected: Connected, finished: Finished, arity: str) -> None:
    async with connected() as channel:
        arguments: dict[str, Any] = {
            "wait_for_ready": True,
            "compression": grpc.Compression.Gzip,
            "credentials": None,
        }
        await take(channel, arity, b"ok", **arguments)
        await settle(finished, 1)


@pytest.mark.parametrize("arity", sorted(STREAMS_IN))
async def test_requests_can_be_sent_with_write(connected: Connected, finished: Finished, arity: str) -> None:
    async with connected() as channel:
        call = stub(channel, arity)()
        await call.write(b"ok")
        await call.write(b"second")
        await call.done_writing()
        if arity == "SU":
            assert await call == b"ok,second"
        else:
            assert [response async for response in call] == [b"0", b"1", b"2", b"second"]
        await settle(finished, 1)


@pytest.mark.parametrize("arity", sorted(STREAMS_IN))
async def test_positional_arguments_of_streaming_calls_are_passed_on(
    seen: Seen, finished: Finished, arity: str
) -> None:
    async with aio_server(Aio(seen)) as address, _channel(address) as channel:
        call = stub(channel, arity)(requests_for(arity, b"ok"), 10, PAIRS, None, True)
        assert await _read(call) in (b"ok,second", [b"0", b"1", b"2", b"second"])
        await settle(finished, 1)


@every_arity
@pytest.mark.parametrize(("waits", "code"), [(True, Code.DEADLINE_EXCEEDED), (False, Code.UNAVAILABLE)])
async def test_wait_for_ready_can_be_positional(
    finished: Finished, arity: str, waits: bool, code: grpc.StatusCode
) -> None:
    async with _channel("127.0.0.1:1") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await _read(stub(channel, arity)(requests_for(arity, b"ok"), 0.3, PAIRS, None, waits))
        assert failed.value.code() is code
        await settle(finished, 1)


async def _read(call: Any) -> Any:
    return [response async for response in call] if hasattr(call, "read") else await call


@every_arity
async def test_a_traced_channel_returns_call_objects_of_grpc_itself(
    seen: Seen, finished: Finished, arity: str
) -> None:
    async with aio_server(Aio(seen)) as address, grpc.aio.insecure_channel(address) as plain:
        traced = trace_channel(plain)
        bare = stub(plain, arity)(requests_for(arity, b"ok"), timeout=10)
        call = stub(traced, arity)(requests_for(arity, b"ok"), timeout=10)
        assert type(call) is type(bare)
        assert call.time_remaining() > 0
        for each in (bare, call):
            await _read(each)
            assert await each.code() is Code.OK
        await settle(finished, 1)


async def test_a_traced_channel_behaves_like_a_channel_in_everything_else(
    seen: Seen, finished: Finished
) -> None:
    async with aio_server(Aio(seen)) as address:
        plain: Any = grpc.aio.insecure_channel(address)
        plain.owner = "a library"
        async with trace_channel(plain) as channel:
            assert isinstance(channel, grpc.aio.Channel)
            await channel.channel_ready()
            assert channel.get_state() is grpc.ChannelConnectivity.READY
            waiting = asyncio.ensure_future(channel.wait_for_state_change(grpc.ChannelConnectivity.READY))
            await asyncio.sleep(0)
            waiting.cancel()
            assert channel.owner == "a library"  # type: ignore[attr-defined]
        await channel.close()
        with pytest.raises(Exception, match="closed"):
            await stub(channel, "UU")(b"ok")
        (span,) = await settle(finished, 1)
    assert span.attributes["rpc.grpc.status_code"] == Code.UNKNOWN.value[0]


async def test_a_call_to_a_missing_server_ends_as_unavailable(finished: Finished) -> None:
    for open_channel in TRACED_BY.values():
        async with open_channel("127.0.0.1:1") as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await stub(channel, "UU")(b"ok", timeout=5)
    for span in await settle(finished, 2):
        check(span, "UU", Code.UNAVAILABLE, "")
