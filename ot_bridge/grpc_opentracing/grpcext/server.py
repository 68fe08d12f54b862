"""`intercept_server`: adds interceptors to the handlers that are added to a server afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import grpc

from ot_bridge.grpc.server import ARITIES, ServerInterceptor
from ot_bridge.grpc_opentracing.grpcext.interceptors import (
    StreamServerInfo,
    StreamServerInterceptor,
    UnaryServerInfo,
    UnaryServerInterceptor,
)

#: (function that finds a handler, details of the call) -> the handler, wrapped in the interceptor
Intercept = Callable[[Callable[[Any], Any], Any], Any]


def intercept_server(server: Any, *interceptors: Any) -> Any:
    """A server that wraps the handlers added to it. Raises TypeError if an argument is not an interceptor."""
    for interceptor in interceptors:
        if isinstance(interceptor, ServerInterceptor):
            server = _Server(server, interceptor.intercept_service)
        elif isinstance(interceptor, (UnaryServerInterceptor, StreamServerInterceptor)):
            server = _Server(server, partial(_adapted, interceptor))
        else:
            raise TypeError(
                "interceptor must be either a grpcext.UnaryServerInterceptor"
                " or a grpcext.StreamServerInterceptor"
            )
    return server


def _adapted(interceptor: Any, find: Callable[[Any], Any], details: Any) -> Any:
    """The handler that `find` returns, wrapped in an interceptor of the program; None if there is none."""
    handler = find(details)
    if handler is None:
        return None
    streams = bool(handler.request_streaming), bool(handler.response_streaming)
    if not isinstance(interceptor, StreamServerInterceptor if any(streams) else UnaryServerInterceptor):
        return handler
    name, make = ARITIES[streams]
    behavior = getattr(handler, name)
    intercept: Any = getattr(interceptor, "intercept_stream" if any(streams) else "intercept_unary")
    info = StreamServerInfo(details.method, *streams) if any(streams) else UnaryServerInfo(details.method)

    def serve(request: Any, context: Any) -> Any:
        return intercept(request, context, info, behavior)

    return make(serve, handler.request_deserializer, handler.response_serializer)


class _Details(NamedTuple):
    method: str
    invocation_metadata: tuple[Any, ...] = ()


def _given(handler: Any, details: Any) -> Any:
    return handler


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, handler: grpc.GenericRpcHandler, intercept: Intercept) -> None:
        self._handler = handler
        self._intercept = intercept

    def service(self, handler_call_details: Any) -> Any:
        return self._intercept(self._handler.service, handler_call_details)


class _Server:
    """A `grpc.Server` that wraps handlers before it adds them."""

    def __init__(self, server: Any, intercept: Intercept) -> None:
        self._server = server
        self._intercept = intercept

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[Any]) -> None:
        wrapped = [_Handler(handler, self._intercept) for handler in generic_rpc_handlers]
        self._server.add_generic_rpc_handlers(wrapped)

    def add_registered_method_handlers(self, service_name: str, method_handlers: Mapping[str, Any]) -> None:
        """Stubs that were generated since grpcio 1.63 call this, too."""
        wrapped = {
            name: self._intercept(partial(_given, handler), _Details(f"/{service_name}/{name}"))
            for name, handler in method_handlers.items()
        }
        self._server.add_registered_method_handlers(service_name, wrapped)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)


grpc.Server.register(_Server)
