"""Traces gRPC clients and servers, sync and `grpc.aio`: a span for every RPC, on any OpenTracing tracer."""

from ot_bridge.edge import StartOptions
from ot_bridge.grpc.hooks import ActiveSpanSource, RpcInfo, SpanDecorator
from ot_bridge.grpc.interceptors import (
    aio_client_interceptor,
    aio_server_interceptor,
    client_interceptor,
    open_tracing_client_interceptor,
    open_tracing_server_interceptor,
    server_interceptor,
    trace_channel,
)

__all__ = [
    "ActiveSpanSource",
    "RpcInfo",
    "SpanDecorator",
    "StartOptions",
    "aio_client_interceptor",
    "aio_server_interceptor",
    "client_interceptor",
    "open_tracing_client_interceptor",
    "open_tracing_server_interceptor",
    "server_interceptor",
    "trace_channel",
]
