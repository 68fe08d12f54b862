"""grpcio-opentracing's names, on `ot_bridge.grpc`: `from ot_bridge import grpc_opentracing`."""

from ot_bridge.grpc import (
    ActiveSpanSource,
    RpcInfo,
    SpanDecorator,
    open_tracing_client_interceptor,
    open_tracing_server_interceptor,
)

__all__ = [
    "ActiveSpanSource",
    "RpcInfo",
    "SpanDecorator",
    "open_tracing_client_interceptor",
    "open_tracing_server_interceptor",
]
