"""Rare ends of a call: calls made by other interceptors, unread messages, failures on our side."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import grpc
import pytest
from opentracing.mocktracer import MockTracer

from ot_bridge.grpc import aio_client_interceptor, client_interceptor, trace_channel
from ot_bridge.grpc.aio_client import Ending as AioEnding
from ot_bridge.grpc.client_rpc import ClientRpc, ClientSettings, Ending
from ot_bridge.grpc.rpc import text
from tests.grpc.conftest import Finished
from tests.grpc.test_aio_server import aio_server, settle
from tests.grpc.test_client import TRACED_BY, check
from tests.grpc.things import (
    ARITIES,
    STREAMS_IN,
    STREAMS_OUT,
    Aio,
    Seen,
    Sync,
    requests_for,
    stub,
    sync_server,
)

Code = grpc.StatusCode
every_stream = pytest.mark.parametrize("arity", sorted(STREAMS_OUT))


@pytest.fixture
def plain(seen: Seen) -> Iterator[grpc.Channel]:
    with sync_server(Sync(seen)) as address, grpc.insecure_channel(address) as channel:
        yield channel


@pytest.fixture
def span() -> Any:
    return MockTracer().start_span("rpc")


def _rpc(span: Any, **options: Any) -> ClientRpc:
    return ClientRpc(ClientSettings(**options), span, None, ())


def _code(span: Any) -> Any:
    return span.tags.get("rpc.grpc.status_code")


@every_stream
@pytest.mark.parametrize("script", [b"ok", b"half"], ids=["to its end", "and dropped"])
def test_a_stream_with_message_events_is_a_call_and_ends_its_span(
    plain: grpc.Channel, finished: Finished, arity: str, script: bytes
) -> None:
    call = stub(trace_channel(plain, message_events=True), arity)(requests_for(arity, script), timeout=10)
    for kind in (grpc.Call, grpc.Future):
        assert isinstance(call, kind)
    assert next(call) == b"0"
    if script == b"ok":
        assert list(call)[:2] == [b"1", b"2"]
        assert call.code() is Code.OK
    del call
    (span,) = finished(1)
    assert span.attributes is not None
    assert (
        span.attributes["rpc.grpc.status_code"] == (Code.OK if script == b"ok" else Code.CANCELLED).value[0]
    )


@every_stream
def test_a_finished_stream_with_message_events_that_is_not_read_ends_its_span(
    plain: grpc.Channel, seen: Seen, finished: Finished, arity: str
) -> None:
    call = stub(trace_channel(plain, message_events=True), arity)(requests_for(arity, b"ok"), timeout=10)
    for _ in range(4 if arity == "SS" else 3):
        next(call)
    assert call.code() is Code.OK  # waits for the status, which the iterator has not come to yet
    finished(0)
    del call
    check_ok = finished(1)[0]
    assert check_ok.attributes is not None
    assert check_ok.attributes["rpc.grpc.status_code"] == 0


@pytest.mark.parametrize("how", TRACED_BY)
def test_a_message_that_cannot_be_serialized_ends_the_span(
    plain: grpc.Channel, finished: Finished, how: str
) -> None:
    def refuse(message: Any) -> bytes:
        raise TypeError("no such message")

    call: Any = TRACED_BY[how](plain).unary_unary("/things.Things/UU", request_serializer=refuse)
    for way in (call, call.with_call, lambda *args, **kwargs: call.future(*args, **kwargs).result()):
        with pytest.raises(grpc.RpcError) as raised:
            way(b"ok", timeout=10)
        error: Any = raised.value
        assert error.code() is Code.INTERNAL
    for span in finished(3):
        check(span, "UU", Code.INTERNAL, "serializing")


def test_a_call_whose_deadline_has_passed_ends_the_span(plain: grpc.Channel, finished: Finished) -> None:
    channel = trace_channel(plain, log_payloads=True)
    with pytest.raises(grpc.RpcError):
        list(stub(channel, "US")(b"ok", timeout=-1))
    with pytest.raises(grpc.RpcError):
        stub(channel, "UU").future(b"ok", timeout=-1).result()
    for span in finished(2):
        assert (span.status.description or "").startswith("DEADLINE_EXCEEDED")


class Bare(grpc.Future):  # type: ignore[type-arg]
    """A future that is not a call, as an interceptor may return."""

    def __init__(self, done: bool = False, error: Any = None) -> None:
        self._done = done
        self._error = error
        self.callbacks: list[Any] = []

    def add_done_callback(self, fn: Any) -> None:
        self.callbacks.append(fn)

    def done(self) -> bool:
        return self._done

    def exception(self, timeout: Any = None) -> Any:
        if self._error is grpc.FutureCancelledError:
            raise grpc.FutureCancelledError
        return self._error

    def code(self) -> grpc.StatusCode:
        return Code.OK

    def details(self) -> str:
        return ""

    def result(self, timeout: Any = None) -> bytes:
        return b"bare"

    cancel = cancelled = running = traceback = done  # type: ignore[assignment]


def _through(plain: grpc.Channel, returned: Any) -> Any:
    class Answering(grpc.UnaryUnaryClientInterceptor):
        def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
            return returned

    channel = grpc.intercept_channel(plain, client_interceptor(), Answering())
    return stub(channel, "UU").future(b"ok")


@pytest.mark.parametrize(
    ("returned", "code"),
    [
        (Bare(True), Code.OK),
        (Bare(True, ValueError("no")), Code.UNKNOWN),
        (Bare(True, grpc.FutureCancelledError), Code.CANCELLED),
        (b"a response itself", Code.OK),
    ],
    ids=["done", "failed", "cancelled", "response"],
)
def test_a_future_returned_by_another_interceptor_ends_the_span(
    plain: grpc.Channel, finished: Finished, returned: Any, code: grpc.StatusCode
) -> None:
    assert _through(plain, returned) is returned
    (span,) = finished(1)
    assert span.attributes is not None
    assert span.attributes["rpc.grpc.status_code"] == code.value[0]


def test_an_unfinished_future_of_another_interceptor_ends_the_span_when_it_is_done(
    plain: grpc.Channel, finished: Finished
) -> None:
    returned = Bare()
    _through(plain, returned)
    finished(0)
    returned.callbacks[0](returned)
    finished(1)


def test_an_interceptors_call_whose_add_done_callback_raises_ends_the_span(
    plain: grpc.Channel, finished: Finished, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Bare):
        def add_done_callback(self, fn: Any) -> None:
            raise ValueError("no callbacks here")

    _through(plain, Failing())
    (span,) = finished(1)
    assert span.attributes is not None
    assert span.attributes["rpc.grpc.status_code"] == Code.UNKNOWN.value[0]


class Unreadable:
    """A call whose status cannot be read."""

    def code(self) -> Any:
        raise ValueError("no code")


def test_a_callback_never_raises(span: Any) -> None:
    call = Unreadable()
    Ending(_rpc(span), call, False)()
    assert _code(span) == Code.UNKNOWN.value[0]


@pytest.mark.parametrize("kind", [Ending, AioEnding])
def test_a_call_that_no_longer_exists_ends_as_cancelled(span: Any, kind: Any) -> None:
    call = Unreadable()
    ending = kind(_rpc(span), call, *([False] if kind is Ending else []))
    del call
    gc.collect()
    ending()
    assert _code(span) == Code.CANCELLED.value[0]


async def test_a_callback_of_grpc_aio_never_raises(span: Any) -> None:
    class Waiting(Unreadable):
        async def code(self) -> Any:
            await asyncio.sleep(1)

    for call in (Waiting(), Unreadable()):
        mine = MockTracer().start_span("rpc")
        AioEnding(_rpc(mine), call)()
        assert _code(mine) == Code.UNKNOWN.value[0]


def test_only_the_first_end_of_an_rpc_is_recorded(span: Any) -> None:
    rpc = _rpc(span)
    rpc.complete()
    rpc.fail(ValueError("later"))
    rpc.end(Code.ABORTED)
    assert _code(span) == 0
    assert not span.logs


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("no"), Code.UNKNOWN),
        (asyncio.CancelledError(), Code.CANCELLED),
        (KeyboardInterrupt(), Code.CANCELLED),
        (SystemExit(), Code.CANCELLED),
    ],
    ids=lambda value: getattr(value, "name", type(value).__name__),
)
def test_an_exception_in_a_call_sets_the_status_code(span: Any, error: BaseException, code: Any) -> None:
    _rpc(span).fail(error)
    assert _code(span) == code.value[0]
    assert span.logs[-1].key_values["error.object"] is error


def test_a_span_that_fails_is_reported_once_and_ended(span: Any, caplog: pytest.LogCaptureFixture) -> None:

    def broken(*_: Any) -> Any:
        raise ValueError("broken")

    span.set_tag = broken
    with caplog.at_level(logging.WARNING, "ot_bridge.grpc"):
        _rpc(span).complete()
        _rpc(span).end(Code.ABORTED)
        _rpc(span).end(Code.ABORTED)
    assert span.finish_time is not None
    assert [message.partition(" (")[0] for message in caplog.messages] == [
        "ending a span failed",
        "a span's last tags, or span_decorator, failed",
    ]


def test_text_converts_any_object() -> None:
    class Unprintable:
        def __str__(self) -> str:
            raise ValueError

    assert [text(b"\xff!"), text(1), text(Unprintable())] == ["\ufffd!", "1", "<unprintable Unprintable>"]


class Refusing(
    grpc.aio.UnaryUnaryClientInterceptor,
):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        raise PermissionError("no")


# Older versions of grpc.aio raise the interceptor's exception again where the call is collected.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_an_interceptor_of_grpc_aio_that_refuses_ends_the_span(seen: Seen, finished: Finished) -> None:
    async with aio_server(Aio(seen)) as address:
        chain = [*aio_client_interceptor(), Refusing()]
        async with grpc.aio.insecure_channel(address, interceptors=chain) as channel:
            with pytest.raises(PermissionError):
                await stub(channel, "UU")(b"ok")
            (span,) = await settle(finished, 1)
    assert "PermissionError: no" in span.status.description
    gc.collect()


class Answering(grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return b"from the cache"


async def test_a_call_of_grpc_aio_that_an_inner_interceptor_answers_ends_its_span(finished: Finished) -> None:
    chain = [*aio_client_interceptor(), Answering()]
    async with grpc.aio.insecure_channel("localhost:1", interceptors=chain) as channel:
        assert await stub(channel, "UU")(b"ok") == b"from the cache"
    (span,) = await settle(finished, 1)
    assert span.attributes["rpc.grpc.status_code"] == 0


async def _some(responses: list[bytes]) -> AsyncIterator[bytes]:
    for response in responses:
        yield response


@pytest.mark.parametrize("arity", ARITIES)
async def test_our_grpc_aio_interceptors_accept_objects_that_are_not_calls(
    finished: Finished, arity: str
) -> None:
    """Another version of `grpc.aio`, or another caller, may pass such an object."""
    interceptor: Any = aio_client_interceptor()[list(ARITIES).index(arity)]
    details = grpc.aio.ClientCallDetails("/a/b", None, None, None, None)

    async def continuation(details: Any, request: Any) -> Any:
        return _some([b"0", b"1"]) if arity in STREAMS_OUT else b"a response itself"

    returned = await getattr(interceptor, f"intercept_{ARITIES[arity]}")(continuation, details, b"")
    if arity in STREAMS_OUT:
        assert [response async for response in returned] == [b"0", b"1"]
    else:
        assert returned == b"a response itself"
    finished(1)


@pytest.mark.parametrize("how", ["interceptor", "channel"])
@pytest.mark.parametrize("arity", sorted(STREAMS_IN))
async def test_written_requests_and_read_responses_are_message_events(
    seen: Seen, finished: Finished, how: str, arity: str
) -> None:
    options: dict[str, Any] = {"message_events": True}
    async with aio_server(Aio(seen)) as address:
        used = aio_client_interceptor(**options) if how == "interceptor" else ()
        async with grpc.aio.insecure_channel(address, interceptors=used) as plain:
            channel = trace_channel(plain, **options) if how == "channel" else plain
            call = stub(channel, arity)()
            for kind in (grpc.aio.Call,):
                assert isinstance(call, kind)
            for request in (b"ok", b"second"):
                await call.write(request)
            await call.done_writing()
            if arity == "SU":
                assert await call == b"ok,second"
            else:
                with suppress(StopAsyncIteration):  # how grpcio 1.49 says EOF through interceptors
                    while await call.read() is not grpc.aio.EOF:
                        pass
            (span,) = await settle(finished, 1)
    numbers = [(event.attributes["message.type"], event.attributes["message.id"]) for event in span.events]
    assert [number for kind, number in numbers if kind == "SENT"] == [1, 2]
    assert [number for kind, number in numbers if kind == "RECEIVED"] == (
        [1] if arity == "SU" else [1, 2, 3, 4]
    )


@pytest.mark.parametrize("arity", ARITIES)
async def test_an_abandoned_call_of_grpc_aio_with_message_events_ends_its_span(
    seen: Seen, finished: Finished, arity: str
) -> None:
    async with aio_server(Aio(seen)) as address, grpc.aio.insecure_channel(address) as plain:
        channel = trace_channel(plain, message_events=True)
        call = stub(channel, arity)(requests_for(arity, b"half" if arity in STREAMS_OUT else b"wait"))
        await asyncio.to_thread(seen.begun.wait, 5)
        if arity in STREAMS_OUT:
            assert await call.read() == b"0"
        call.cancel()
        (span,) = await settle(finished, 1)
    assert span.attributes["rpc.grpc.status_code"] == Code.CANCELLED.value[0]
