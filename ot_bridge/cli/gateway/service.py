"""The gRPC service. It uses OpenTelemetry's API, as new services do, behind an OpenTracing interceptor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import opentracing
from opentelemetry import baggage, trace

from ot_bridge.cli.gateway import greeter_pb2 as pb
from ot_bridge.cli.gateway import greeter_pb2_grpc as rpc
from ot_bridge.grpc import server_interceptor


class Greeter(rpc.GreeterServicer):
    """Greets once or several times. Its own span is made with OpenTelemetry's API."""

    def SayHello(self, request: Any, context: grpc.ServicerContext) -> Any:
        with trace.get_tracer(__name__).start_as_current_span("compose greeting") as span:
            user = baggage.get_baggage("user")
            if user is not None:
                span.set_attribute("user", str(user))
            return pb.HelloReply(message=f"Hello, {request.name}!", number=1)

    def KeepGreeting(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        for number in range(1, request.times + 1):
            yield pb.HelloReply(message=f"Hello, {request.name}!", number=number)

    def GreetAll(self, request_iterator: Iterable[Any], context: grpc.ServicerContext) -> Any:
        names = [request.name for request in request_iterator]
        return pb.HelloReply(message=f"Hello, {' and '.join(names)}!", number=len(names))

    def Chat(self, request_iterator: Iterable[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        for number, request in enumerate(request_iterator, 1):
            yield pb.HelloReply(message=f"Hello, {request.name}!", number=number)


def serve(address: str = "127.0.0.1:0", tracer: opentracing.Tracer | None = None) -> tuple[grpc.Server, int]:
    """Starts the service. Returns the server and its port. tracer: by default the global tracer."""
    server = grpc.server(ThreadPoolExecutor(max_workers=4), interceptors=[server_interceptor(tracer)])
    rpc.add_GreeterServicer_to_server(Greeter(), server)
    port = server.add_insecure_port(address)
    server.start()
    return server, port
