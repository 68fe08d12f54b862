"""Traces sync clients: `Method` makes every call; `ClientInterceptor` is for `grpc.intercept_channel`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import Any, Final

import grpc

from ot_bridge import bridge, edge
from ot_bridge.errors import log_failure
from ot_bridge.grpc.client_rpc import ClientRpc, ClientSettings, Ending
from ot_bridge.grpc.messages import Responses, TracedCall, watched

_log = logging.getLogger("ot_bridge.grpc")


class Method:
    """A method of a service, as a client calls it. `carry` makes all its calls.

    is_bare: whether grpc's own multi-callable sends the calls (see the function `is_bare`). conclude: is
    called with the call's `ClientRpc` and with the result of sending; it ends the span, now or later, and
    returns what the program gets. streams: whether the client sends a stream. send: the function with which
    `__call__` sends.
    """

    def __init__(
        self,
        settings: ClientSettings,
        name: str,
        is_bare: bool,
        conclude: Callable[[ClientRpc, Any], Any],
        streams: bool,
        send: Any = None,
    ) -> None:
        self._settings = settings
        self._name = name
        self._is_bare = is_bare
        self._conclude = conclude
        self._streams = streams
        self._send = send
        self._is_excluded = settings.exclusion[name]

    def __call__(
        self, request: Any, timeout: float | None = None, metadata: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        """Makes a call as a stub does. Further arguments are passed on unchanged."""
        send = self._send
        if args or kwargs:
            send = partial(_with_more, send, args, kwargs)
        return self.carry(send, request, timeout, metadata)

    def carry(self, send: Callable[..., Any], request: Any, timeout: float | None, metadata: Any) -> Any:
        """Makes a call with `send(request, timeout, metadata)`, in a span unless it is not traced."""
        settings = self._settings
        metadata = () if metadata is None else tuple(metadata)
        rpc = None if self._is_excluded else settings.begin(self._name, metadata, timeout, request)
        if rpc is None:
            return send(request, timeout, metadata)
        if settings.sees_messages:
            request = watched(rpc, request, self._streams)
        step = None if self._is_bare else step_around(rpc)
        try:
            if step is None:
                result = send(request, timeout, rpc.metadata)
            else:
                result = step(send, request, timeout, rpc.metadata)
        except BaseException as error:
            rpc.fail(error)
            raise
        return self._conclude(rpc, result)


def _with_more(send: Any, args: Any, kwargs: Any, *first: Any) -> Any:
    return send(*first, *args, **kwargs)


def is_bare(multi_callable: Any) -> bool:
    """Whether this is grpc's own multi-callable without interceptors, so that no instrumentation is in it."""
    own = type(multi_callable).__module__ in ("grpc._channel", "grpc.aio._channel")
    return own and not getattr(multi_callable, "_interceptors", None)


#: OpenTelemetry's own instrumentation. Once it is imported, any channel may contain it.
INSTRUMENTATION: Final = "opentelemetry.instrumentation.grpc"


def step_around(rpc: ClientRpc) -> edge.Step | None:
    """The step in which a call is sent, so that the span of an instrumentation becomes a child of ours.

    None if OpenTelemetry's instrumentation is not imported, or if the span is not one of ours.
    """
    if INSTRUMENTATION not in sys.modules or not isinstance(rpc.span, bridge.Span):
        return None
    return edge.activity(rpc.span.tracer, rpc.span)


#: Ends the span of a call that has returned its response, and returns the response.
COMPLETE: Final = ClientRpc.complete


def complete_with_call(rpc: ClientRpc, pair: Any) -> Any:
    """Ends the span of a call that has returned a pair: the response and the call. Returns the pair."""
    rpc.complete(pair[0])
    return pair


def follow_unary(rpc: ClientRpc, call: Any) -> Any:
    """Ends the span when `call` is over. An interceptor may have returned a response in place of a call."""
    if grpc.Future in type(call).__mro__ or isinstance(call, grpc.Future):  # the first is quicker
        follow(rpc, call, True, False)
    else:
        rpc.complete(call)
    return call


def follow_stream(rpc: ClientRpc, call: Any) -> Any:
    """Ends the span when `call` is over. An interceptor may have returned an iterator in place of a call."""
    is_future = isinstance(call, grpc.Future)
    if not (is_future or isinstance(call, grpc.RpcContext)):
        return Responses(rpc, call, step=step_around(rpc))  # reading the iterator may send the call
    if not rpc.settings.sees_messages:
        follow(rpc, call, is_future, True)
        return call
    reader = TracedCall(rpc, call, partial(rpc.settle, call, True))
    follow(rpc, call, is_future, True, reader)
    return reader


def follow(
    rpc: ClientRpc, call: Any, is_future: bool, streams: bool, reader: TracedCall | None = None
) -> None:
    """Ends the span when `call` is over. is_future: whether it can be asked if it is over.

    streams: whether the server sends a stream. reader: ends the span in place of this, if the status is OK.
    """
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
        log_failure(_log, "following a call to its end failed")
        rpc.end(grpc.StatusCode.UNKNOWN)


def _complete_invoked(rpc: ClientRpc, result: Any) -> Any:
    """Ends the span of an invoker's `result`: a response, a pair of response and call, or a future."""
    return complete_with_call(rpc, result) if isinstance(result, tuple) else follow_unary(rpc, result)


class _Details:
    """Call details with other metadata, for details of an unknown class, which may be impossible to copy."""

    def __init__(self, details: Any, metadata: Any) -> None:
        self._details = details
        self.metadata = metadata

    def __getattr__(self, name: str) -> Any:
        return getattr(self._details, name)


def with_metadata(details: Any, metadata: Any) -> Any:
    """Returns `details`, which are mostly a named tuple of grpc, with other metadata."""
    if getattr(details, "_fields", ())[2:3] == ("metadata",):
        return tuple.__new__(type(details), (*details[:2], metadata, *details[3:]))
    return _Details(details, metadata)


_MOST_KEPT: Final = 16  # an interceptor may choose another method for each call


class _Kept(dict[str, Any]):
    """The multi-callables below an interceptor, by method. Without it grpc makes a new one for every call.

    methods: our `Method` for each of them.
    """

    def __init__(self, make: Callable[[str], Any]) -> None:
        self._make = make
        self.methods: dict[str, Method] = {}

    def __missing__(self, name: str) -> Any:
        made = self._make(name)
        if len(self) < _MOST_KEPT:
            self[name] = made
        return made


def kept_below(continuation: Any) -> _Kept:
    """Has grpc keep the multi-callables below an interceptor, and returns the dict that holds them.

    If the private code of this grpc is not as expected, it changes nothing and returns an empty dict.
    """
    try:
        cells = continuation.__code__.co_freevars
        outer = continuation.__closure__[cells.index("self")].cell_contents
        make = outer._thunk
        if type(make) is FunctionType:
            make = outer._thunk = _Kept(make).__getitem__
        if type(make.__self__) is _Kept:
            return make.__self__
    except Exception:  # for example, another interceptor has replaced grpc's function
        pass
    return _Kept(lambda name: None)


def _continued(continuation: Any, details: Any, request: Any, timeout: Any, metadata: Any) -> Any:
    """Sends a call of an interceptor: the `send` of `Method.carry`, on grpc's `continuation`."""
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
        name = details.method
        kept = kept_below(continuation)
        method = kept.methods.get(name)
        if method is None:
            bare = is_bare(kept[name])
            method = Method(self.settings, name, bare, conclude, streams)
            if name in kept:
                kept.methods[name] = method
        timeout, metadata = getattr(details, "timeout", None), getattr(details, "metadata", None)
        return method.carry(partial(_continued, continuation, details), request, timeout, metadata)

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
        return self._invoked(request, metadata, client_info, invoker, _complete_invoked, False)

    def intercept_stream(
        self, request_or_iterator: Any, metadata: Any, client_info: Any, invoker: Any
    ) -> Any:
        """The method of `grpcext.StreamClientInterceptor`."""
        conclude = follow_stream if client_info.is_server_stream else _complete_invoked
        streams = client_info.is_client_stream
        return self._invoked(request_or_iterator, metadata, client_info, invoker, conclude, streams)

    def _invoked(
        self, request: Any, metadata: Any, info: Any, invoker: Any, conclude: Any, streams: bool
    ) -> Any:
        method = Method(self.settings, info.full_method, False, conclude, streams)
        send = lambda request, timeout, metadata: invoker(request, metadata)  # noqa: E731
        return method.carry(send, request, info.timeout, metadata)
