"""The base classes of a program's own interceptors, and the descriptions of an RPC that these get.

An interceptor of `ot_bridge.grpc` counts as one of each.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from ot_bridge.grpc.client import ClientInterceptor
from ot_bridge.grpc.server import ServerInterceptor


class UnaryClientInfo(NamedTuple):
    """full_method: "/package.Service/Method". timeout: seconds, or None."""

    full_method: str
    timeout: float | None


class StreamClientInfo(NamedTuple):
    """full_method: "/package.Service/Method". timeout: seconds, or None. The flags: which side streams."""

    full_method: str
    is_client_stream: bool
    is_server_stream: bool
    timeout: float | None


class UnaryServerInfo(NamedTuple):
    """full_method: "/package.Service/Method"."""

    full_method: str


class StreamServerInfo(NamedTuple):
    """full_method: "/package.Service/Method". The flags: which side streams."""

    full_method: str
    is_client_stream: bool
    is_server_stream: bool


class UnaryClientInterceptor(ABC):
    """Intercepts calls with one request and one response."""

    @abstractmethod
    def intercept_unary(self, request: Any, metadata: Any, client_info: UnaryClientInfo, invoker: Any) -> Any:
        """Returns what `invoker(request, metadata)` does: a response, a pair with its call, or a future."""


class StreamClientInterceptor(ABC):
    """Intercepts calls where either side streams."""

    @abstractmethod
    def intercept_stream(
        self, request_or_iterator: Any, metadata: Any, client_info: StreamClientInfo, invoker: Any
    ) -> Any:
        """Returns what `invoker(request_or_iterator, metadata)` does."""


class UnaryServerInterceptor(ABC):
    """Intercepts handlers of one request with one response."""

    @abstractmethod
    def intercept_unary(
        self, request: Any, servicer_context: Any, server_info: UnaryServerInfo, handler: Any
    ) -> Any:
        """Returns what `handler(request, servicer_context)` does."""


class StreamServerInterceptor(ABC):
    """Intercepts handlers where either side streams."""

    @abstractmethod
    def intercept_stream(
        self, request_or_iterator: Any, servicer_context: Any, server_info: StreamServerInfo, handler: Any
    ) -> Any:
        """Returns what `handler(request_or_iterator, servicer_context)` does."""


UnaryClientInterceptor.register(ClientInterceptor)
StreamClientInterceptor.register(ClientInterceptor)
UnaryServerInterceptor.register(ServerInterceptor)
StreamServerInterceptor.register(ServerInterceptor)
