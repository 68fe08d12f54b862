"""gRPC, in and out: a span for every RPC, on any OpenTracing tracer; sync and `grpc.aio`."""

from ot_bridge.grpc.doors import (
    aio_client_interceptor,
    aio_server_interceptor,
    client_interceptor,
    open_tracing_client_interceptor,
    open_tracing_server_interceptor,
    server_interceptor,
    trace_channel,
)
from ot_bridge.grpc.hooks import ActiveSpanSource, RpcInfo, SpanDecorator, StartOptions

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
