"""An HTTP gateway to gRPC: Werkzeug routes, `json_format` translates, the traced channel continues the trace.

python -m ot_bridge.cli.gateway.gateway
curl -H 'uber-trace-id: 5b8aa5a2d2c872e8321cf37308d69df2:51581bf3cb55c13:0:1' localhost:8080/v1/hello/ann
curl 'localhost:8080/v1/hello/ann/stream?times=3'
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import opentracing
from google.protobuf import json_format
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.serving import run_simple
from werkzeug.wrappers import Request, Response

import ot_bridge
from ot_bridge.cli.gateway import greeter_pb2 as pb
from ot_bridge.cli.gateway import greeter_pb2_grpc as rpc
from ot_bridge.cli.gateway.service import serve
from ot_bridge.grpc import trace_channel

URLS = Map(
    [
        Rule("/v1/hello/<name>", endpoint="hello", methods=["GET"]),
        Rule("/v1/hello", endpoint="hello", methods=["POST"]),
        Rule("/v1/hello/<name>/stream", endpoint="stream", methods=["GET"]),
        Rule("/healthz", endpoint="health"),
    ]
)

#: gRPC's status code -> the HTTP status (google.rpc.Code). All other codes become 500.
HTTP_STATUS = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}


class Gateway:
    """The WSGI application in front of a `Greeter`."""

    def __init__(self, stub: rpc.GreeterStub) -> None:
        self._stub = stub

    def __call__(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        try:
            endpoint, values = URLS.bind_to_environ(environ).match()
            response = getattr(self, endpoint)(request, **values)
        except HTTPException as error:
            response = error
        except json_format.ParseError as error:
            response = Response(f"{error}\n", 400)
        except grpc.RpcError as error:
            response = Response(f"{error.details()}\n", HTTP_STATUS.get(error.code(), 500))
        return response(environ, start_response)

    def hello(self, request: Request, name: str = "") -> Response:
        message = (
            pb.HelloRequest(name=name) if name else json_format.Parse(request.get_data(), pb.HelloRequest())
        )
        reply = self._stub.SayHello(message, timeout=5)
        return Response(json_format.MessageToJson(reply), mimetype="application/json")

    def stream(self, request: Request, name: str) -> Response:
        times = request.args.get("times", 3, type=int)
        replies = self._stub.KeepGreeting(pb.HelloRequest(name=name, times=times), timeout=60)

        def events() -> Iterator[str]:
            try:
                for reply in replies:
                    yield f"data: {json_format.MessageToJson(reply, indent=None)}\n\n"
            finally:
                replies.cancel()

        return Response(events(), mimetype="text/event-stream")

    def health(self, request: Request) -> Response:
        return Response("ok\n")


def make_app(channel: grpc.Channel, tracer: opentracing.Tracer | None = None) -> Gateway:
    """The gateway on a channel, which it traces. tracer: by default the global tracer."""
    return Gateway(rpc.GreeterStub(trace_channel(channel, tracer)))


def main(http_port: int = 8080) -> None:
    """Serves the gateway and its service until SIGINT."""
    ot_bridge.install("gateway")
    _, port = serve()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        app = ot_bridge.TracingMiddleware(make_app(channel))
        run_simple("127.0.0.1", http_port, app, threaded=True)


if __name__ == "__main__":
    main()
