"""Traces clients of `grpc.aio`: by four interceptors, or by `TracedAioChannel`, which needs none of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, TypeAlias
from weakref import ref

import grpc
from grpc import StatusCode

from ot_bridge.edge import InSteps
from ot_bridge.errors import log_failure
from ot_bridge.grpc.client import Method, is_bare, step_around, with_metadata
from ot_bridge.grpc.client_rpc import ClientRpc, ClientSettings, TracedArities
from ot_bridge.grpc.messages import AsyncResponses, AsyncTracedCall, watched
from ot_bridge.grpc.metadata import SentMetadata, pairs

_log = logging.getLogger("ot_bridge.grpc")


def _now(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Returns the result of a coroutine that never waits, such as `code()` of a call that is over."""
    try:
        coroutine.send(None)
    except StopIteration as returned:
        return returned.value
    coroutine.close()
    raise RuntimeError("the call is not over")


def settle(rpc: ClientRpc, call: Any, reader: object = None) -> None:
    """Ends the span of a call that is over. reader: ends it in place of this, if the status is OK."""
    try:
        own = getattr(call, "_cython_call", None)  # it returns the status without a coroutine
        if not (_now(call.code()) is StatusCode.OK if own is None else own.is_ok()):
            rpc.end(_now(call.code()), _now(call.details()))
        elif reader is None:
            rpc.complete()
    except Exception:
        log_failure(_log, "reading a call's status failed")
        rpc.end(StatusCode.UNKNOWN)


_DROPPED: Final = "dropped by the client"


def _no_call() -> None:
    return None


class Ending:
    """The callback for the end of a call.

    1. It has only a weak reference to the call, because grpc cancels a call that the program drops.
       `add_done_callback` of grpc.aio's call makes a reference cycle; that of its `_cython_call` does not.
    2. A call that is cancelled very early never gets a status. Then the weak reference calls this object.
    3. A call that has ended is not ended again when it is dropped.
    4. It has only a weak reference to a reader of messages, too: a reader that is dropped drops its call.

    The tests, by number, in tests/grpc/:
    1. test_aio_client.py::test_tracing_keeps_no_reference_to_a_call
    2. test_endings.py::test_a_call_of_grpc_aio_that_is_dropped_was_cancelled
    3. test_endings.py::test_a_call_of_grpc_aio_that_has_ended_is_not_ended_again_when_it_is_dropped
    4. test_endings.py::test_a_reader_ends_a_call_of_grpc_aio_that_is_ok_as_long_as_it_lives
    """

    __slots__ = ("_call", "_reader", "_rpc")

    def __init__(self, rpc: ClientRpc, call: Any, reader: AsyncTracedCall | None = None) -> None:
        self._rpc = rpc
        self._call: Callable[[], Any] = ref(call, self)
        self._reader = None if reader is None else ref(reader)

    def __call__(self, _: Any = None) -> None:
        call = self._call()
        self._call = _no_call  # the weak reference would call this again when the call is deleted
        if call is None:
            self._rpc.end(StatusCode.CANCELLED, _DROPPED)
        else:
            settle(self._rpc, call, None if self._reader is None else self._reader())


async def _awaited(rpc: ClientRpc, call: Any) -> None:
    try:
        rpc.complete(await call)
    except BaseException as error:
        rpc.fail(error)


def follow(rpc: ClientRpc, call: Any, reader: AsyncTracedCall | None = None) -> None:
    """Ends the span when `call` is over. reader: as in `settle`."""
    ending = Ending(rpc, call, reader)
    try:
        own = getattr(call, "_cython_call", None)
        if own is None and call.done():
            ending()
        else:
            (call if own is None else own).add_done_callback(ending)
    except Exception:
        log_failure(_log, "following a call to its end failed")
        rpc.end(StatusCode.UNKNOWN)


def _follow_unary(rpc: ClientRpc, call: Any) -> Any:
    """Ends the span when `call` is over. An interceptor may have returned a response in place of a call."""
    if not isinstance(call, grpc.aio.Call):
        rpc.complete(call)
    elif rpc.settings.needs_response:
        asyncio.get_running_loop().create_task(_awaited(rpc, call))
    else:
        follow(rpc, call)
    return call


def _follow_stream_unary(rpc: ClientRpc, call: Any) -> Any:
    """Ends the span when `call` is over. The program may send the requests by `call.write()`."""
    _follow_unary(rpc, call)
    return AsyncTracedCall(rpc, call, None) if rpc.settings.sees_messages else call


def _follow_stream(rpc: ClientRpc, call: Any) -> Any:
    """Ends the span when `call` is over. An interceptor may have returned an iterator in place of a call."""
    if not isinstance(call, grpc.aio.Call):
        return AsyncResponses(rpc, call)
    if not rpc.settings.sees_messages:
        follow(rpc, call)
        return call
    reader = AsyncTracedCall(rpc, call, partial(settle, rpc, call))
    follow(rpc, call, reader)
    return reader


class _Interceptor:
    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings

    async def _carry(
        self,
        continuation: Any,
        details: Any,
        request: Any,
        conclude: Callable[[ClientRpc, Any], Any],
        streams: bool,
    ) -> Any:
        """Makes a call as `Method.carry` does, and awaits it."""
        method = details.method.decode() if isinstance(details.method, bytes) else details.method
        settings, rpc = self.settings, None
        if not settings.exclusion[method]:
            rpc = settings.begin(method, pairs(details.metadata), details.timeout, request)
        if rpc is None:
            return await continuation(details, request)
        if settings.sees_messages:
            request = watched(rpc, request, streams)
        step = step_around(rpc)
        try:
            sending = continuation(with_metadata(details, SentMetadata(rpc.metadata)), request)
            call = await (sending if step is None else InSteps(step, sending))
        except BaseException as error:
            rpc.fail(error)
            raise
        return conclude(rpc, call)


class _UnaryUnaryInterceptor(_Interceptor, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await self._carry(continuation, client_call_details, request, _follow_unary, False)


class _UnaryStreamInterceptor(_Interceptor, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await self._carry(continuation, client_call_details, request, _follow_stream, False)


class _StreamUnaryInterceptor(_Interceptor, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return await self._carry(continuation, client_call_details, request_iterator, _follow_unary, True)


class _StreamStreamInterceptor(_Interceptor, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return await self._carry(continuation, client_call_details, request_iterator, _follow_stream, True)


AioClientInterceptors: TypeAlias = tuple[grpc.aio.ClientInterceptor, ...]


def aio_interceptors(settings: ClientSettings) -> AioClientInterceptors:
    """One interceptor for each arity, since `grpc.aio` uses each for one arity only."""
    kinds = _UnaryUnaryInterceptor, _UnaryStreamInterceptor, _StreamUnaryInterceptor, _StreamStreamInterceptor
    return tuple(kind(settings) for kind in kinds)


_NAMES: Final = "credentials", "wait_for_ready", "compression"


def _send(inner: Any, request: Any, timeout: Any, metadata: Any, *args: Any, **kwargs: Any) -> Any:
    kwargs.update(zip(_NAMES, args, strict=False))
    return inner(request, timeout=timeout, metadata=SentMetadata(metadata), **kwargs)


class _UnaryRequest(Method):
    """The multi-callable of a stub's method for which the client sends one request."""

    conclude: Any  # as in `Method`
    streams = False

    def __init__(self, inner: Any, settings: ClientSettings, name: str) -> None:
        send = partial(_send, inner)
        super().__init__(settings, name, is_bare(inner), self.conclude, self.streams, send)


class _StreamOfRequests(_UnaryRequest):
    """The multi-callable of a stub's method for which the client sends a stream of requests."""

    streams = True

    def __call__(  # type: ignore[override]
        self, request_iterator: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        return super().__call__(request_iterator, *args, **kwargs)


class _UnaryUnary(_UnaryRequest, grpc.aio.UnaryUnaryMultiCallable):  # type: ignore[type-arg]
    conclude = staticmethod(_follow_unary)


class _UnaryStream(_UnaryRequest, grpc.aio.UnaryStreamMultiCallable):  # type: ignore[type-arg]
    conclude = staticmethod(_follow_stream)


class _StreamUnary(_StreamOfRequests, grpc.aio.StreamUnaryMultiCallable):  # type: ignore[type-arg]
    conclude = staticmethod(_follow_stream_unary)


class _StreamStream(_StreamOfRequests, grpc.aio.StreamStreamMultiCallable):  # type: ignore[type-arg]
    conclude = staticmethod(_follow_stream)


class TracedAioChannel(TracedArities, grpc.aio.Channel):
    """Traces the calls of a `grpc.aio` channel. Everything else is passed on to that channel."""

    kinds = (_UnaryUnary, _UnaryStream, _StreamUnary, _StreamStream)

    async def __aenter__(self) -> TracedAioChannel:
        await self._channel.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        return await self._channel.__aexit__(*error)

    async def close(self, grace: float | None = None) -> None:
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._channel.get_state(try_to_connect)  # type: ignore[no-any-return]

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._channel.channel_ready()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)
