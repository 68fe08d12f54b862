"""The interceptor classes that grpcio-opentracing had before gRPC had its own, and how to apply them."""

from ot_bridge.grpc_opentracing.grpcext.channel import intercept_channel
from ot_bridge.grpc_opentracing.grpcext.interceptors import (
    StreamClientInfo,
    StreamClientInterceptor,
    StreamServerInfo,
    StreamServerInterceptor,
    UnaryClientInfo,
    UnaryClientInterceptor,
    UnaryServerInfo,
    UnaryServerInterceptor,
)
from ot_bridge.grpc_opentracing.grpcext.server import intercept_server

__all__ = [
    "StreamClientInfo",
    "StreamClientInterceptor",
    "StreamServerInfo",
    "StreamServerInterceptor",
    "UnaryClientInfo",
    "UnaryClientInterceptor",
    "UnaryServerInfo",
    "UnaryServerInterceptor",
    "intercept_channel",
    "intercept_server",
]
