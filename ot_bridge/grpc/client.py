"""The client's door: an interceptor for `grpc.intercept_channel`, and `TracedChannel`, which does without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import grpc
from grpc import _interceptor

from ot_bridge.errors import report
from ot_bridge.grpc.client_rpc import ClientRpc, ClientRules, Ending
from ot_bridge.grpc.decisions import log, succeed
from ot_bridge.grpc.messages import Responses, TracedCall, shown
from ot_bridge.grpc.metadata import pairs

#: What grpc makes of a response before an interceptor sees it. Nothing but speed hangs on the name.
_ANSWERED: Final = getattr(_interceptor, "_UnaryOutcome", None)


def carry(
    rules: ClientRules,
    method: str,
    request: Any,
    metadata: Any,
    timeout: float | None,
    send: Callable[[Any, Any], Any],
    conclude: Callable[[ClientRpc, Any], Any],
    client_streams: bool = False,
) -> Any:
    """Makes one call by `send(request, metadata)`.

    `conclude` is given what comes of it, sees to the span's end, and returns what the program is to have.
    """
    metadata = pairs(metadata)
    rpc = None if rules.excluded[method] else rules.begin(method, metadata, timeout, request)
    if rpc is None:
        return send(request, metadata)
    if rpc.rules.sees_messages:
        request = shown(rpc, request, client_streams)
    try:
        result = send(request, rpc.metadata)
    except BaseException as error:
        rpc.fail(error)
        raise
    return conclude(rpc, result)


def _answered(rpc: ClientRpc, response: Any) -> Any:
    rpc.answer(response)
    return response


def _answered_with_call(rpc: ClientRpc, pair: Any) -> Any:
    rpc.answer(pair[0])
    return pair


def _follow_unary(rpc: ClientRpc, call: Any) -> Any:
    """Ends the span when `call` is over, which may be an interceptor's own response instead."""
    if isinstance(call, grpc.Future):
        _follow(rpc, call, False)
    else:
        rpc.answer(call)
    return call


def _follow_stream(rpc: ClientRpc, call: Any) -> Any:
    """Ends the span when `call` is over, which may be an interceptor's own iterator instead."""
    if not isinstance(call, grpc.RpcContext | grpc.Future):
        return Responses(rpc, call)
    _follow(rpc, call, True)
    return TracedCall(rpc, call, ends=False) if rpc.rules.sees_messages else call


def _follow(rpc: ClientRpc, call: Any, streams: bool) -> None:
    try:
        if isinstance(call, grpc.Future) and call.done():
            rpc.settle(call, streams)
        elif not isinstance(call, grpc.RpcContext):
            call.add_done_callback(Ending(rpc, call, streams))
        elif not call.add_callback(Ending(rpc, call, streams)):
            rpc.settle(call, streams)
    except Exception:
        report(log, "following a call to its end failed")
        rpc.end(grpc.StatusCode.UNKNOWN)


def _invoked(rpc: ClientRpc, result: Any) -> Any:
    """What grpcext's invokers return: a response, that and its call, or a future."""
    return _answered_with_call(rpc, result) if isinstance(result, tuple) else _follow_unary(rpc, result)


class _Details:
    """An interceptor's own call details, of a kind that cannot be copied: the same with other metadata."""

    def __init__(self, details: Any, metadata: Any) -> None:
        self._details = details
        self.metadata = metadata

    def __getattr__(self, name: str) -> Any:
        return getattr(self._details, name)


def with_metadata(details: Any, metadata: Any) -> Any:
    """`details`, which mostly are a named tuple of grpc's, with other metadata."""
    if getattr(details, "_fields", ())[2:3] == ("metadata",):
        return tuple.__new__(type(details), (*details[:2], metadata, *details[3:]))
    return _Details(details, metadata)


class ClientInterceptor(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """For `grpc.intercept_channel`, and for `grpcext.intercept_channel` of grpcio-opentracing."""

    def __init__(self, rules: ClientRules) -> None:
        self._rules = rules

    def _intercept(self, continuation: Any, details: Any, request: Any, conclude: Any, streams: bool) -> Any:
        return carry(
            self._rules,
            details.method,
            request,
            getattr(details, "metadata", None),
            getattr(details, "timeout", None),
            lambda request, metadata: continuation(with_metadata(details, metadata), request),
            conclude,
            streams,
        )

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        rules = self._rules
        method = client_call_details.method
        if not rules.plain or rules.excluded[method]:
            return self._intercept(continuation, client_call_details, request, _follow_unary, False)
        # As `carry`, with nothing made that is not needed, for this is how nearly every call is made.
        span, metadata = rules.start(method, pairs(client_call_details.metadata))
        try:
            call = continuation(with_metadata(client_call_details, metadata), request)
        except BaseException as error:
            if span is not None:
                ClientRpc(rules, span, None, metadata).fail(error)
            raise
        if span is not None:
            if type(call) is _ANSWERED:
                succeed(span)
            else:
                _follow_unary(ClientRpc(rules, span, None, metadata), call)
        return call

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return self._intercept(continuation, client_call_details, request, _follow_stream, False)

    def intercept_stream_unary(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return self._intercept(continuation, client_call_details, request_iterator, _follow_unary, True)

    def intercept_stream_stream(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return self._intercept(continuation, client_call_details, request_iterator, _follow_stream, True)

    def intercept_unary(self, request: Any, metadata: Any, client_info: Any, invoker: Any) -> Any:
        """As `grpcext.UnaryClientInterceptor` has it."""
        method, timeout = client_info.full_method, client_info.timeout
        return carry(self._rules, method, request, metadata, timeout, invoker, _invoked)

    def intercept_stream(
        self, request_or_iterator: Any, metadata: Any, client_info: Any, invoker: Any
    ) -> Any:
        """As `grpcext.StreamClientInterceptor` has it."""
        method, timeout = client_info.full_method, client_info.timeout
        conclude = _follow_stream if client_info.is_server_stream else _invoked
        streams = client_info.is_client_stream
        return carry(self._rules, method, request_or_iterator, metadata, timeout, invoker, conclude, streams)


class _MultiCallable:
    """What a stub calls. Whatever a call is given beside its metadata goes on as it came."""

    _client_streams = False

    def __init__(self, inner: Any, rules: ClientRules, method: str) -> None:
        self._inner = inner
        self._rules = rules
        self._method = method

    def _carry(
        self, call: Any, conclude: Any, request: Any, timeout: Any, metadata: Any, args: Any, kwargs: Any
    ) -> Any:
        return carry(
            self._rules,
            self._method,
            request,
            metadata,
            timeout,
            lambda request, metadata: call(request, timeout, metadata, *args, **kwargs),
            conclude,
            self._client_streams,
        )


class _UnaryUnary(_MultiCallable, grpc.UnaryUnaryMultiCallable):  # type: ignore[type-arg]
    def __call__(
        self, request: Any, timeout: Any = None, metadata: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        rules = self._rules
        if not rules.plain:
            return self._carry(self._inner, _answered, request, timeout, metadata, args, kwargs)
        # As `carry`, with nothing made that is not needed, for this is how nearly every call is made.
        span, metadata = rules.start(self._method, () if metadata is None else tuple(metadata))
        try:
            if args or kwargs:
                response = self._inner(request, timeout, metadata, *args, **kwargs)
            else:
                response = self._inner(request, timeout, metadata)
        except BaseException as error:
            if span is not None:
                ClientRpc(rules, span, None, metadata).fail(error)
            raise
        if span is not None:
            succeed(span)
        return response

    def with_call(
        self, request: Any, timeout: Any = None, metadata: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        call = self._inner.with_call
        return self._carry(call, _answered_with_call, request, timeout, metadata, args, kwargs)

    def future(
        self, request: Any, timeout: Any = None, metadata: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        return self._carry(self._inner.future, _follow_unary, request, timeout, metadata, args, kwargs)


class _UnaryStream(_MultiCallable, grpc.UnaryStreamMultiCallable):  # type: ignore[type-arg]
    def __call__(
        self, request: Any, timeout: Any = None, metadata: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        return self._carry(self._inner, _follow_stream, request, timeout, metadata, args, kwargs)


class _StreamUnary(_MultiCallable, grpc.StreamUnaryMultiCallable):  # type: ignore[type-arg]
    _client_streams = True

    def __call__(
        self, request_iterator: Any, timeout: Any = None, metadata: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        return self._carry(self._inner, _answered, request_iterator, timeout, metadata, args, kwargs)

    def with_call(
        self, request_iterator: Any, timeout: Any = None, metadata: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        call = self._inner.with_call
        return self._carry(call, _answered_with_call, request_iterator, timeout, metadata, args, kwargs)

    def future(
        self, request_iterator: Any, timeout: Any = None, metadata: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        return self._carry(
            self._inner.future, _follow_unary, request_iterator, timeout, metadata, args, kwargs
        )


class _StreamStream(_MultiCallable, grpc.StreamStreamMultiCallable):  # type: ignore[type-arg]
    _client_streams = True

    def __call__(
        self, request_iterator: Any, timeout: Any = None, metadata: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        return self._carry(self._inner, _follow_stream, request_iterator, timeout, metadata, args, kwargs)


class TracedChannel(grpc.Channel):
    """A channel whose calls are traced; in everything else the channel that it was made of."""

    def __init__(self, channel: grpc.Channel, rules: ClientRules) -> None:
        self._channel = channel
        self._rules = rules

    def _traced(self, kind: Any, inner: Any, method: str) -> Any:
        return inner if self._rules.excluded[method] else kind(inner, self._rules, method)

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._traced(_UnaryUnary, self._channel.unary_unary(method, *args, **kwargs), method)

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._traced(_UnaryStream, self._channel.unary_stream(method, *args, **kwargs), method)

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._traced(_StreamUnary, self._channel.stream_unary(method, *args, **kwargs), method)

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._traced(_StreamStream, self._channel.stream_stream(method, *args, **kwargs), method)

    def subscribe(self, callback: Any, try_to_connect: Any = False) -> None:
        self._channel.subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Any) -> None:
        self._channel.unsubscribe(callback)

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> TracedChannel:
        self._channel.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        return self._channel.__exit__(*error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)
