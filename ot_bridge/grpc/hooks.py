"""Classes that a program may use with interceptors. They have the names that grpcio-opentracing gave them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import opentracing


class ActiveSpanSource(ABC):
    """Gives the parent of the spans of a client's calls, in place of the tracer's active span."""

    @abstractmethod
    def get_active_span(self) -> opentracing.Span | None:
        """Returns the parent for the next call's span, or None."""


class RpcInfo:
    """Describes one RPC.

    full_method: "/package.Service/Method". metadata: pairs, which the client sends or the server got.
    timeout: seconds, or None. request: the message, or the iterator of messages if the client sends a stream.
    response: the message; None before there is one, and always None if the server sends a stream. error: the
    exception raised, else the `grpc.StatusCode` of an RPC that failed without an exception, else None.
    """

    __slots__ = ("error", "full_method", "metadata", "request", "response", "timeout")

    def __init__(
        self,
        full_method: str = "",
        metadata: Any = None,
        timeout: float | None = None,
        request: Any = None,
        response: Any = None,
        error: Any = None,
    ) -> None:
        self.full_method = full_method
        self.metadata = metadata
        self.timeout = timeout
        self.request = request
        self.response = response
        self.error = error


class SpanDecorator(ABC):
    """Adds a program's own tags and logs to the spans of RPCs. Any callable with these arguments will do."""

    @abstractmethod
    def __call__(self, span: opentracing.Span, rpc_info: RpcInfo) -> None:
        """Is called once for each RPC, when all of `rpc_info` is known and `span` has not ended."""
