"""The client's door for `grpc.aio`: four interceptors, and `TracedAioChannel`, which does without."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, TypeAlias
from weakref import ref

import grpc
import opentracing
from grpc import StatusCode

from ot_bridge.errors import report
from ot_bridge.grpc.client import carry, with_metadata
from ot_bridge.grpc.client_rpc import ClientRpc, ClientRules, TracedArities
from ot_bridge.grpc.decisions import STATUS_CODE, failed_to_end, log
from ot_bridge.grpc.messages import AsyncResponses, AsyncTracedCall, shown
from ot_bridge.grpc.metadata import SentMetadata, pairs


def _now(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns that has nothing to wait for, as those of a call that is over have not."""
    try:
        coroutine.send(None)
    except StopIteration as returned:
        return returned.value
    coroutine.close()
    raise RuntimeError("the call is not over")


def _settle(rpc: ClientRpc, call: Any, reader: object = None) -> None:
    """Ends the span of a call that is over, but for one that is OK and has a `reader` who will."""
    try:
        own = getattr(call, "_cython_call", None)  # which knows without the coroutines made of it
        if not (_now(call.code()) is StatusCode.OK if own is None else own.is_ok()):
            rpc.end(_now(call.code()), _now(call.details()))
        elif reader is None:
            rpc.answer()
    except Exception:
        report(log, "reading a call's status failed")
        rpc.end(StatusCode.UNKNOWN)


_DROPPED: Final = "dropped by the client"


def _nobody() -> None:
    return None


class _Ending:
    """What a call calls when it is over. It holds the call weakly, for one that is dropped is cancelled.

    grpc.aio's own `add_done_callback` would tie the call to its callback; what it hands the callback on
    to does not.
    """

    __slots__ = ("_call", "_reader", "_rpc")

    def __init__(self, rpc: ClientRpc, call: Any, reader: AsyncTracedCall | None = None) -> None:
        self._rpc = rpc
        self._call: Callable[[], Any] = ref(
            call, self
        )  # some are cancelled so early that they never have a status
        self._reader = None if reader is None else ref(reader)

    def __call__(self, _: Any = None) -> None:
        call = self._call()
        self._call = _nobody  # or it would call once more as the call goes
        if call is None:
            self._rpc.end(StatusCode.CANCELLED, _DROPPED)
        else:
            _settle(self._rpc, call, None if self._reader is None else self._reader())


class _PlainEnding:
    """The same for a call of which no more than its status is told: only one that fails needs an `Rpc`."""

    __slots__ = ("_call", "_metadata", "_rules", "_span")

    def __init__(self, rules: ClientRules, span: opentracing.Span, metadata: Any, call: Any) -> None:
        self._rules = rules
        self._span = span
        self._metadata = metadata
        self._call: Callable[[], Any] = ref(call, self)

    def __call__(self, _: Any = None) -> None:
        call = self._call()
        if self._call is _nobody:
            return None
        self._call = _nobody
        rules, span = self._rules, self._span
        try:
            ok = call is not None and call._cython_call.is_ok()
            if ok:
                span.set_tag(STATUS_CODE, 0)
                span.finish()
        except Exception:
            return failed_to_end(span)
        if not ok:
            rpc = ClientRpc(rules, span, None, self._metadata)
            rpc.end(StatusCode.CANCELLED, _DROPPED) if call is None else _settle(rpc, call)
        return None


async def _awaited(rpc: ClientRpc, call: Any) -> None:
    try:
        rpc.answer(await call)
    except BaseException as error:
        rpc.fail(error)


def _follow(rpc: ClientRpc, call: Any, reader: AsyncTracedCall | None = None) -> None:
    ending = _Ending(rpc, call, reader)
    try:
        own = getattr(call, "_cython_call", None)
        if own is None and call.done():
            ending()
        else:
            (call if own is None else own).add_done_callback(ending)
    except Exception:
        report(log, "following a call to its end failed")
        rpc.end(StatusCode.UNKNOWN)


def _follow_unary(rpc: ClientRpc, call: Any) -> Any:
    """Ends the span when `call` is over, which may be an interceptor's own response instead."""
    if not isinstance(call, grpc.aio.Call):
        rpc.answer(call)
    elif rpc.rules.watches:
        asyncio.get_running_loop().create_task(_awaited(rpc, call))
    else:
        _follow(rpc, call)
    return call


def _follow_written(rpc: ClientRpc, call: Any) -> Any:
    """The same for a call whose requests may be written to it."""
    _follow_unary(rpc, call)
    return AsyncTracedCall(rpc, call, None) if rpc.rules.sees_messages else call


def _follow_stream(rpc: ClientRpc, call: Any) -> Any:
    """Ends the span when `call` is over, which may be an interceptor's own iterator instead."""
    if not isinstance(call, grpc.aio.Call):
        return AsyncResponses(rpc, call)
    if not rpc.rules.sees_messages:
        _follow(rpc, call)
        return call
    reader = AsyncTracedCall(rpc, call, partial(_settle, rpc, call))
    _follow(rpc, call, reader)
    return reader


class _Interceptor:
    def __init__(self, rules: ClientRules) -> None:
        self._rules = rules

    async def _carry(
        self,
        continuation: Any,
        details: Any,
        request: Any,
        conclude: Callable[[ClientRpc, Any], Any],
        streams: bool,
    ) -> Any:
        method = details.method.decode() if isinstance(details.method, bytes) else details.method
        metadata = pairs(details.metadata)
        rules = self._rules
        rpc = None if rules.excluded[method] else rules.begin(method, metadata, details.timeout, request)
        if rpc is None:
            return await continuation(details, request)
        if rpc.rules.sees_messages:
            request = shown(rpc, request, streams)
        try:
            call = await continuation(with_metadata(details, SentMetadata(rpc.metadata)), request)
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


def aio_interceptors(rules: ClientRules) -> AioClientInterceptors:
    """One for each arity: `grpc.aio` asks each interceptor for one arity only."""
    kinds = _UnaryUnaryInterceptor, _UnaryStreamInterceptor, _StreamUnaryInterceptor, _StreamStreamInterceptor
    return tuple(kind(rules) for kind in kinds)


class _MultiCallable:
    """What a stub calls. Whatever a call is given beside its metadata goes on as it came."""

    def __init__(self, inner: Any, rules: ClientRules, method: str) -> None:
        self._inner = inner
        self._rules = rules
        self._method = method

    def _carry(
        self, conclude: Any, streams: bool, request: Any, timeout: Any, metadata: Any, kwargs: Any
    ) -> Any:
        inner = self._inner
        return carry(
            self._rules,
            self._method,
            request,
            metadata,
            timeout,
            lambda request, pairs: inner(request, timeout=timeout, metadata=SentMetadata(pairs), **kwargs),
            conclude,
            streams,
        )


class _UnaryUnary(_MultiCallable, grpc.aio.UnaryUnaryMultiCallable):  # type: ignore[type-arg]
    def __call__(self, request: Any, *, timeout: Any = None, metadata: Any = None, **kwargs: Any) -> Any:
        rules = self._rules
        if not rules.plain:
            return self._carry(_follow_unary, False, request, timeout, metadata, kwargs)
        # As `carry`, with nothing made that is not needed, for this is how nearly every call is made.
        span, metadata = rules.start(self._method, () if metadata is None else tuple(metadata))
        try:
            call = self._inner(request, timeout=timeout, metadata=SentMetadata(metadata), **kwargs)
        except BaseException as error:
            if span is not None:
                ClientRpc(rules, span, None, metadata).fail(error)
            raise
        if span is not None:
            own = getattr(call, "_cython_call", None)
            if own is None:
                _follow(ClientRpc(rules, span, None, metadata), call)
            else:
                own.add_done_callback(_PlainEnding(rules, span, metadata, call))
        return call


class _UnaryStream(_MultiCallable, grpc.aio.UnaryStreamMultiCallable):  # type: ignore[type-arg]
    def __call__(self, request: Any, *, timeout: Any = None, metadata: Any = None, **kwargs: Any) -> Any:
        return self._carry(_follow_stream, False, request, timeout, metadata, kwargs)


_NAMES = "credentials", "wait_for_ready", "compression"


class _StreamUnary(_MultiCallable, grpc.aio.StreamUnaryMultiCallable):  # type: ignore[type-arg]
    def __call__(
        self,
        request_iterator: Any = None,
        timeout: Any = None,
        metadata: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        kwargs.update(zip(_NAMES, args, strict=False))
        return self._carry(_follow_written, True, request_iterator, timeout, metadata, kwargs)


class _StreamStream(_MultiCallable, grpc.aio.StreamStreamMultiCallable):  # type: ignore[type-arg]
    def __call__(
        self,
        request_iterator: Any = None,
        timeout: Any = None,
        metadata: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        kwargs.update(zip(_NAMES, args, strict=False))
        return self._carry(_follow_stream, True, request_iterator, timeout, metadata, kwargs)


class TracedAioChannel(TracedArities, grpc.aio.Channel):
    """A channel of `grpc.aio` whose calls are traced; in everything else the channel that it was made of."""

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
