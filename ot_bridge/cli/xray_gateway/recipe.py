"""Samples requests by path, by gRPC method, by a global share, or not at all, and flushes before the exit.

AWS_REGION=eu-west-1 python -m ot_bridge.cli.xray_gateway.recipe 0.01
curl localhost:8080/api/v1/hello/ann           always sampled
curl localhost:8080/v1/hello/ann               by the global share; without one, not
curl localhost:8080/v1/hello/ann/stream        its HTTP span at most: the gRPC method has none
curl localhost:8080/healthz                    never a span, here or below
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
import opentracing
from opentelemetry.sdk.trace.sampling import Sampler
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import run_simple

import ot_bridge
from ot_bridge.cli.gateway import greeter_pb2_grpc as rpc
from ot_bridge.cli.gateway.gateway import Gateway
from ot_bridge.cli.gateway.service import Greeter
from ot_bridge.grpc import RpcInfo, server_interceptor, trace_channel
from ot_bridge.sampling import always_on, probability

OWN_SAMPLER: Final = f"/{rpc.SERVICE}/GreetAll"
HEALTH_CHECK: Final = "/grpc.health.v1.Health/Check"

#: The methods without a span: health checks, as by default, and one of our own.
NO_SPAN: Final = ("/grpc.health.v1.Health/*", f"/{rpc.SERVICE}/KeepGreeting")


def global_sampler(share: float | None) -> Sampler:
    """Samples this share of all traces. Without a share, only requests with their own sampler are sampled.

    With a share of 0, unlike with `always_off`, the gRPC service follows the gateway's decisions.
    """
    return probability(0 if share is None else share)


def for_request(environ: dict[str, Any]) -> Sampler | None:
    """The sampler of a request: everything below /api is always sampled."""
    return always_on if environ["PATH_INFO"].startswith("/api/") else None


def for_method(call: RpcInfo) -> Sampler | None:
    """The sampler of a gRPC method: one method has its own."""
    return always_on if call.full_method == OWN_SAMPLER else None


def serve(tracer: opentracing.Tracer | None = None) -> tuple[grpc.Server, int]:
    """Starts the service and its health check. Returns the server and its port."""
    interceptor = server_interceptor(tracer, exclude=NO_SPAN, start_options=for_method)
    server = grpc.server(ThreadPoolExecutor(max_workers=4), interceptors=[interceptor])
    rpc.add_GreeterServicer_to_server(Greeter(), server)
    # The encoded message `status: SERVING`. In your own service, use grpcio-health-checking's servicer.
    healthy = grpc.unary_unary_rpc_method_handler(lambda request, context: b"\x08\x01")
    service, method = HEALTH_CHECK[1:].split("/")
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: healthy}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


def make_app(channel: grpc.Channel, tracer: opentracing.Tracer | None = None) -> Any:
    """The gateway, at / and below /api, on a channel to the service."""
    gateway = Gateway(rpc.GreeterStub(trace_channel(channel, tracer, exclude=NO_SPAN)))
    both = DispatcherMiddleware(gateway, {"/api": gateway})
    return ot_bridge.TracingMiddleware(both, tracer, start_options=for_request)


def main() -> int:
    """Serves until Ctrl-C. Returns 0 if X-Ray received every span, else 1."""
    share = float(sys.argv[1]) if len(sys.argv) > 1 else None
    tracer = ot_bridge.install("gateway", exporters=["xray"], sampler=global_sampler(share))
    server, port = serve()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        run_simple("127.0.0.1", 8080, make_app(channel), threaded=True)
    server.stop(1).wait()
    return 0 if tracer.flush() else 1


if __name__ == "__main__":
    sys.exit(main())
