"""The sync client: one way for all calls (`carry`), and the interceptor for `grpc.intercept_channel`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from types import FunctionType
from typing import Any, Final, cast

import grpc

from ot_bridge import bridge, edge
from ot_bridge.errors import log_failure
from ot_bridge.grpc.client_rpc import ClientRpc, ClientSettings, Ending
from ot_bridge.grpc.messages import Responses, TracedCall, shown
from ot_bridge.grpc.rpc import log


def carry(
    settings: ClientSettings,
    method: str,
    is_bare: bool,
    send: Callable[..., Any],
    conclude: Callable[[ClientRpc, Any], Any],
    request: Any,
    timeout: float | None,
    metadata: Any,
    client_streams: bool = False,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] = {},
) -> Any:
    """Makes one call by `send(request, timeout, metadata, *args, **kwargs)`.

    is_bare: whether `send` ends in a multi-callable of which the function `is_bare` is true. conclude: is
    given the call's `ClientRpc` and what `send` has returned, sees to the end of the span, and returns what
    the program gets.
    """
    metadata = () if metadata is None else tuple(metadata)
    rpc = settings.begin(method, metadata, timeout, request)
    if rpc is None:
        return send(request, timeout, metadata, *args, **kwargs)
    if settings.sees_messages:
        request = shown(rpc, request, client_streams)
    step = None if is_bare else step_around(rpc)
    try:
        if step is None:
            result = send(request, timeout, rpc.metadata, *args, **kwargs)
        else:
            result = step(partial(send, **kwargs), request, timeout, rpc.metadata, *args)
    except BaseException as error:
        rpc.fail(error)
        raise
    return conclude(rpc, result)


def is_bare(multi_callable: Any) -> bool:
    """Whether this is grpc's own multi-callable, without interceptors: no instrumentation is inside."""
    own = type(multi_callable).__module__ in ("grpc._channel", "grpc.aio._channel")
    return own and not getattr(multi_callable, "_interceptors", None)


#: OpenTelemetry's own instrumentation, which may be inside a channel where it is imported.
INSTRUMENTATION: Final = "opentelemetry.instrumentation.grpc"


def step_around(rpc: ClientRpc) -> edge.Step | None:
    """Makes the span active while a call is sent, so that an instrumentation inside begins no trace."""
    if INSTRUMENTATION not in sys.modules or not isinstance(rpc.span, bridge.Span):
        return None
    return edge.activity(rpc.span.tracer, rpc.span)


def answered_with_call(rpc: ClientRpc, pair: Any) -> Any:
    """For a response that is there, with its call."""
    rpc.answer(pair[0])
    return pair


def follow_unary(rpc: ClientRpc, call: Any) -> Any:
    """Ends the span when `call` is over, which may be an interceptor's own response instead."""
    if isinstance(call, grpc.Future):
        _follow(rpc, call, True, False)
    else:
        rpc.answer(call)
    return call


def follow_stream(rpc: ClientRpc, call: Any) -> Any:
    """Ends the span when `call` is over, which may be an interceptor's own iterator instead."""
    is_future = isinstance(call, grpc.Future)
    if not (is_future or isinstance(call, grpc.RpcContext)):
        return Responses(rpc, call, step=step_around(rpc))  # an instrumentation's may begin late
    if not rpc.settings.sees_messages:
        _follow(rpc, call, is_future, True)
        return call
    reader = TracedCall(rpc, call, partial(rpc.settle, call, True))
    _follow(rpc, call, is_future, True, reader)
    return reader


def _follow(
    rpc: ClientRpc, call: Any, is_future: bool, streams: bool, reader: TracedCall | None = None
) -> None:
    try:
        if is_future and call.done():
            return rpc.settle(call, streams) if reader is None else Ending(rpc, call, streams, reader)()
        ending = Ending(rpc, call, streams, reader)
        if isinstance(call, grpc.RpcContext):
            over = not call.add_callback(ending)
        else:
            over = call.add_done_callback(ending)
        if over:
            rpc.settle(call, streams) if reader is None else ending()
    except Exception:
        log_failure(log, "following a call to its end failed")
        rpc.end(grpc.StatusCode.UNKNOWN)


def _invoked(rpc: ClientRpc, result: Any) -> Any:
    """For what grpcext's invokers return: a response, that and its call, or a future."""
    return answered_with_call(rpc, result) if isinstance(result, tuple) else follow_unary(rpc, result)


class _Details:
    """Call details of an interceptor's own class, which cannot be copied, with other metadata."""

    def __init__(self, details: Any, metadata: Any) -> None:
        self._details = details
        self.metadata = metadata

    def __getattr__(self, name: str) -> Any:
        return getattr(self._details, name)


def with_metadata(details: Any, metadata: Any) -> Any:
    """`details` with other metadata. As a rule they are a named tuple of grpc's."""
    if getattr(details, "_fields", ())[2:3] == ("metadata",):
        return tuple.__new__(type(details), (*details[:2], metadata, *details[3:]))
    return _Details(details, metadata)


_MOST_KEPT: Final = 16  # an interceptor may choose another method for each call


def keep_callable_below(continuation: Any, method: str) -> bool:
    """Has grpc keep the multi-callable below an interceptor, which it otherwise makes anew for every call.

    Returns whether `is_bare` is true of it. Where grpc's insides are not as expected, all stays as it is.
    """
    try:
        names = continuation.__code__.co_freevars
        outer = continuation.__closure__[names.index("self")].cell_contents
        kept = outer._thunk
        if type(kept) is FunctionType:
            kept = outer._thunk = cast(Any, lru_cache(_MOST_KEPT)(kept))
            kept.is_bare = is_bare(kept(method))
        return kept.is_bare  # type: ignore[no-any-return]
    except Exception:  # no function of grpc's, perhaps
        return False


def _continued(request: Any, timeout: Any, metadata: Any, continuation: Any, details: Any) -> Any:
    """`carry`'s `send` for a call that an interceptor hands on."""
    return continuation(with_metadata(details, metadata), request)


class ClientInterceptor(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """For `grpc.intercept_channel`, and for `grpcext.intercept_channel` of grpcio-opentracing."""

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings

    def _intercept(self, continuation: Any, details: Any, request: Any, conclude: Any, streams: bool) -> Any:
        timeout, metadata = getattr(details, "timeout", None), getattr(details, "metadata", None)
        below, method = (continuation, details), details.method
        bare = keep_callable_below(continuation, method)
        return carry(
            self.settings, method, bare, _continued, conclude, request, timeout, metadata, streams, below
        )

    def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return self._intercept(continuation, client_call_details, request, follow_unary, False)

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
        """The method of `grpcext.UnaryClientInterceptor`."""
        return self._invoke(request, metadata, client_info, invoker, _invoked, False)

    def intercept_stream(
        self, request_or_iterator: Any, metadata: Any, client_info: Any, invoker: Any
    ) -> Any:
        """The method of `grpcext.StreamClientInterceptor`."""
        conclude = follow_stream if client_info.is_server_stream else _invoked
        return self._invoke(
            request_or_iterator, metadata, client_info, invoker, conclude, client_info.is_client_stream
        )

    def _invoke(
        self, request: Any, metadata: Any, info: Any, invoker: Any, conclude: Any, streams: bool
    ) -> Any:
        def send(request: Any, timeout: Any, metadata: Any) -> Any:
            return invoker(request, metadata)

        return carry(
            self.settings, info.full_method, False, send, conclude, request, info.timeout, metadata, streams
        )
