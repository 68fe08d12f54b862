"""The interceptor for `grpc.server`, and the code that it shares with the interceptor for `grpc.aio`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any, Final

import grpc

from ot_bridge.grpc.messages import Responses, watched
from ot_bridge.grpc.server_rpc import ServerSettings, ServicerContext

#: (whether the client streams, whether the server streams) -> the attribute of a handler that holds the
#: program's function, and the function that makes a handler.
ARITIES: Final[dict[tuple[bool, bool], tuple[str, Callable[..., Any]]]] = {
    (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler),
    (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler),
    (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler),
    (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler),
}

#: Maximum number of handlers that are remembered, because a generic service may accept any method name.
_MOST: Final = 1024

Serve = Callable[..., Any]


class SyncContext(ServicerContext):
    """Wraps a `grpc.ServicerContext`."""


grpc.ServicerContext.register(SyncContext)


def serve_unary(
    settings: ServerSettings, method: str, behavior: Any, client_streams: bool, request: Any, context: Any
) -> Any:
    """Runs a handler that returns one response, with the RPC's span active."""
    rpc = settings.begin(method, context, request)
    if rpc.settings.sees_messages:
        request = watched(rpc, request, client_streams)
    try:
        response = rpc.step(behavior, request, SyncContext(rpc, context))
    except BaseException as error:
        rpc.fail(error)
        raise
    rpc.complete(response)
    return response


def serve_stream(
    settings: ServerSettings, method: str, behavior: Any, client_streams: bool, request: Any, context: Any
) -> Any:
    """Starts a handler that returns a stream of responses. The span is active while each of them is made."""
    rpc = settings.begin(method, context, request)
    if rpc.settings.sees_messages:
        request = watched(rpc, request, client_streams)
    try:
        responses = rpc.step(behavior, request, SyncContext(rpc, context))
    except BaseException as error:
        rpc.fail(error)
        raise
    return Responses(rpc, responses)


class Handlers:
    """Makes a traced handler for each method, once. choose: picks the function that runs a handler."""

    def __init__(self, settings: ServerSettings, choose: Callable[[Any, bool], Serve]) -> None:
        self._settings = settings
        self._choose = choose
        self._known: dict[str, tuple[Any, Any]] = {}

    def traced(self, method: str, handler: Any) -> Any:
        """Returns the traced handler for `handler`. None, for an unknown method, stays None."""
        known, traced = self._known.get(method, (None, None))
        if known is not handler or handler is None:
            traced = None if handler is None else self._wrap(method, handler)
            if len(self._known) < _MOST:
                self._known[method] = handler, traced
        return traced

    def _wrap(self, method: str, handler: Any) -> Any:
        client_streams, streams = bool(handler.request_streaming), bool(handler.response_streaming)
        name, make = ARITIES[client_streams, streams]
        behavior = getattr(handler, name)
        if behavior is None or getattr(behavior, "experimental_non_blocking", False):
            return handler
        serve = partial(self._choose(behavior, streams), self._settings, method, behavior, client_streams)
        return make(
            update_wrapper(serve, behavior), handler.request_deserializer, handler.response_serializer
        )


def _choose(behavior: Any, streams: bool) -> Serve:
    return serve_stream if streams else serve_unary


class ServerInterceptor(grpc.ServerInterceptor):
    """For `grpc.server(interceptors=…)`, and for `grpcext.intercept_server` of grpcio-opentracing.

    `corrupt_headers` is the number of RPCs so far whose tracing headers could not be read.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self._handlers = Handlers(settings, _choose)

    @property
    def corrupt_headers(self) -> int:
        return self.settings.callers.corrupt

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        return self._handlers.traced(handler_call_details.method, continuation(handler_call_details))

    def intercept_unary(self, request: Any, servicer_context: Any, server_info: Any, handler: Any) -> Any:
        """The method of `grpcext.UnaryServerInterceptor`."""
        return serve_unary(self.settings, server_info.full_method, handler, False, request, servicer_context)

    def intercept_stream(
        self, request_or_iterator: Any, servicer_context: Any, server_info: Any, handler: Any
    ) -> Any:
        """The method of `grpcext.StreamServerInterceptor`."""
        serve = serve_stream if server_info.is_server_stream else serve_unary
        streams = server_info.is_client_stream
        return serve(
            self.settings, server_info.full_method, handler, streams, request_or_iterator, servicer_context
        )
