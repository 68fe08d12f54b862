"""What a program may hand to an interceptor, by the names of grpcio-opentracing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import opentracing


class ActiveSpanSource(ABC):
    """Gives the span that a client's call belongs to, where that is not the tracer's active span."""

    @abstractmethod
    def get_active_span(self) -> opentracing.Span | None:
        """The span to be the parent of the next call's, or None."""


class RpcInfo:
    """What is known of one RPC.

    full_method: "/package.Service/Method". metadata: what the client sends, or the server got, as pairs.
    timeout: seconds, or None. request: the message, or the iterator of messages where the client streams.
    response: the message; None while there is none, and where the server streams. error: the exception
    raised, else the `grpc.StatusCode` of an RPC that failed without one, else None.
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
    """Puts tags and logs of the program's own on the spans of RPCs. Any callable will do as well."""

    @abstractmethod
    def __call__(self, span: opentracing.Span, rpc_info: RpcInfo) -> None:
        """Called once for each RPC, when all of `rpc_info` is known and `span` is still open."""
