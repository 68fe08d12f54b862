"""Base classes for a program's own interceptors, and the descriptions of an RPC that are passed to them.

An interceptor of `ot_bridge.grpc` is an instance of each client or server class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from ot_bridge.grpc.client import ClientInterceptor
from ot_bridge.grpc.server import ServerInterceptor


class UnaryClientInfo(NamedTuple):
    """Describes a call. full_method: "/package.Service/Method". timeout: seconds, or None."""

    full_method: str
    timeout: float | None


class StreamClientInfo(NamedTuple):
    """Describes a call. full_method: "/package.Service/Method". timeout: seconds, or None."""

    full_method: str
    is_client_stream: bool
    is_server_stream: bool
    timeout: float | None


class UnaryServerInfo(NamedTuple):
    """Describes a handled RPC. full_method: "/package.Service/Method"."""

    full_method: str


class StreamServerInfo(NamedTuple):
    """Describes a handled RPC. full_method: "/package.Service/Method"."""

    full_method: str
    is_client_stream: bool
    is_server_stream: bool


class UnaryClientInterceptor(ABC):
    """Intercepts calls with one request and one response."""

    @abstractmethod
    def intercept_unary(self, request: Any, metadata: Any, client_info: UnaryClientInfo, invoker: Any) -> Any:
        """Returns the result of `invoker(request, metadata)`: a response, (response, call), or a future."""


class StreamClientInterceptor(ABC):
    """Intercepts calls in which the client or the server sends a stream."""

    @abstractmethod
    def intercept_stream(
        self, request_or_iterator: Any, metadata: Any, client_info: StreamClientInfo, invoker: Any
    ) -> Any:
        """Returns the result of `invoker(request_or_iterator, metadata)`."""


class UnaryServerInterceptor(ABC):
    """Intercepts handlers of one request with one response."""

    @abstractmethod
    def intercept_unary(
        self, request: Any, servicer_context: Any, server_info: UnaryServerInfo, handler: Any
    ) -> Any:
        """Returns the result of `handler(request, servicer_context)`."""


class StreamServerInterceptor(ABC):
    """Intercepts handlers of RPCs in which the client or the server sends a stream."""

    @abstractmethod
    def intercept_stream(
        self, request_or_iterator: Any, servicer_context: Any, server_info: StreamServerInfo, handler: Any
    ) -> Any:
        """Returns the result of `handler(request_or_iterator, servicer_context)`."""


UnaryClientInterceptor.register(ClientInterceptor)
StreamClientInterceptor.register(ClientInterceptor)
UnaryServerInterceptor.register(ServerInterceptor)
StreamServerInterceptor.register(ServerInterceptor)
