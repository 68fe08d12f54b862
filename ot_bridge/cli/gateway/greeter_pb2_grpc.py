"""Client and server classes for greeter.proto.

This is the output of the gRPC compiler plugin without its checks of versions. It works with grpcio from 1.49 on.
"""

from __future__ import annotations

from typing import Any, Final

import grpc

from ot_bridge.cli.gateway import greeter_pb2 as pb

SERVICE: Final = "greeter.v1.Greeter"
_ARITIES: Final = {
    "SayHello": "unary_unary",
    "KeepGreeting": "unary_stream",
    "GreetAll": "stream_unary",
    "Chat": "stream_stream",
}


class GreeterStub:
    """Calls a `Greeter` through a channel."""

    SayHello: Any
    KeepGreeting: Any
    GreetAll: Any
    Chat: Any

    def __init__(self, channel: grpc.Channel) -> None:
        for method, arity in _ARITIES.items():
            call = getattr(channel, arity)(
                f"/{SERVICE}/{method}",
                request_serializer=pb.HelloRequest.SerializeToString,
                response_deserializer=pb.HelloReply.FromString,
            )
            setattr(self, method, call)


class GreeterServicer:
    """Base class for a service. A method that is not overridden responds with UNIMPLEMENTED."""

    def _unimplemented(self, request: Any, context: grpc.ServicerContext) -> Any:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "not implemented")

    SayHello = KeepGreeting = GreetAll = Chat = _unimplemented


def add_GreeterServicer_to_server(servicer: GreeterServicer, server: grpc.Server) -> None:
    handlers = {
        method: getattr(grpc, f"{arity}_rpc_method_handler")(
            getattr(servicer, method),
            request_deserializer=pb.HelloRequest.FromString,
            response_serializer=pb.HelloReply.SerializeToString,
        )
        for method, arity in _ARITIES.items()
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
