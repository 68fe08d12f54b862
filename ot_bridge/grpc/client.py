"""The client's door for `grpc.intercept_channel`, and what every sync call goes through."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import grpc
from grpc import _interceptor

from ot_bridge.errors import report
from ot_bridge.grpc.client_rpc import ClientRpc, ClientRules, Ending
from ot_bridge.grpc.decisions import STATUS_CODE, failed_to_end, log
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


def answered(rpc: ClientRpc, response: Any) -> Any:
    rpc.answer(response)
    return response


def answered_with_call(rpc: ClientRpc, pair: Any) -> Any:
    rpc.answer(pair[0])
    return pair


def follow_unary(rpc: ClientRpc, call: Any) -> Any:
    """Ends the span when `call` is over, which may be an interceptor's own response instead."""
    if isinstance(call, grpc.Future):
        _follow(rpc, call, False)
    else:
        rpc.answer(call)
    return call


def follow_stream(rpc: ClientRpc, call: Any) -> Any:
    """Ends the span when `call` is over, which may be an interceptor's own iterator instead."""
    if not isinstance(call, grpc.RpcContext | grpc.Future):
        return Responses(rpc, call)
    if not rpc.rules.sees_messages:
        _follow(rpc, call, True)
        return call
    reader = TracedCall(rpc, call, partial(rpc.settle, call, True))
    _follow(rpc, call, True, reader)
    return reader


def _follow(rpc: ClientRpc, call: Any, streams: bool, reader: TracedCall | None = None) -> None:
    ending = Ending(rpc, call, streams, reader)
    try:
        if isinstance(call, grpc.Future) and call.done():
            over = True
        elif isinstance(call, grpc.RpcContext):
            over = not call.add_callback(ending)
        else:
            over = call.add_done_callback(ending)
        if over:
            rpc.settle(call, streams) if reader is None else ending()
    except Exception:
        report(log, "following a call to its end failed")
        rpc.end(grpc.StatusCode.UNKNOWN)


def _invoked(rpc: ClientRpc, result: Any) -> Any:
    """What grpcext's invokers return: a response, that and its call, or a future."""
    return answered_with_call(rpc, result) if isinstance(result, tuple) else follow_unary(rpc, result)


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
        self.rules = rules

    def _intercept(self, continuation: Any, details: Any, request: Any, conclude: Any, streams: bool) -> Any:
        return carry(
            self.rules,
            details.method,
            request,
            getattr(details, "metadata", None),
            getattr(details, "timeout", None),
            lambda request, metadata: continuation(with_metadata(details, metadata), request),
            conclude,
            streams,
        )

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        rules = self.rules
        method = client_call_details.method
        if not rules.plain or rules.excluded[method]:
            return self._intercept(continuation, client_call_details, request, follow_unary, False)
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
                try:
                    span.set_tag(STATUS_CODE, 0)
                    span.finish()
                except Exception:
                    failed_to_end(span)
            else:
                follow_unary(ClientRpc(rules, span, None, metadata), call)
        return call

    def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return self._intercept(continuation, client_call_details, request, follow_stream, False)

    def intercept_stream_unary(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return self._intercept(continuation, client_call_details, request_iterator, follow_unary, True)

    def intercept_stream_stream(
        self, continuation: Any, client_call_details: Any, request_iterator: Any
    ) -> Any:
        return self._intercept(continuation, client_call_details, request_iterator, follow_stream, True)

    def intercept_unary(self, request: Any, metadata: Any, client_info: Any, invoker: Any) -> Any:
        """As `grpcext.UnaryClientInterceptor` has it."""
        method, timeout = client_info.full_method, client_info.timeout
        return carry(self.rules, method, request, metadata, timeout, invoker, _invoked)

    def intercept_stream(
        self, request_or_iterator: Any, metadata: Any, client_info: Any, invoker: Any
    ) -> Any:
        """As `grpcext.StreamClientInterceptor` has it."""
        method, timeout = client_info.full_method, client_info.timeout
        conclude = follow_stream if client_info.is_server_stream else _invoked
        streams = client_info.is_client_stream
        return carry(self.rules, method, request_or_iterator, metadata, timeout, invoker, conclude, streams)
