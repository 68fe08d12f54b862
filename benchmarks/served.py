"""The servers of the load rows: `app` for gunicorn, and a gRPC server (`python -m benchmarks.served`).

The environment variable BENCH_PEER names the peer that traces it.
"""

from __future__ import annotations

import os
import sys
from concurrent import futures
from typing import Any

from benchmarks.service import PEERS, QUEUE

PEER = os.environ["BENCH_PEER"]


def __getattr__(name: str) -> Any:
    if name == "app":  # gunicorn reads it in the worker
        return PEERS[PEER]().app
    raise AttributeError(name)


def _interceptors() -> list[Any]:
    if PEER == "ot_bridge":
        import ot_bridge
        from ot_bridge.grpc import server_interceptor

        ot_bridge.install("bench")
        return [server_interceptor()]
    if PEER == "jaeger-client":
        from grpc_opentracing import open_tracing_server_interceptor
        from jaeger_client.config import Config

        settings = {"sampler": {"type": "const", "param": 1}, "reporter_queue_size": QUEUE}
        tracer = Config(settings, service_name="bench").initialize_tracer()
        return [open_tracing_server_interceptor(tracer)]
    return []


def _serve() -> None:
    import grpc

    interceptors = _interceptors()
    handler: Any = grpc.unary_unary_rpc_method_handler(lambda request, context: request)
    handlers = grpc.method_handlers_generic_handler("bench.Echo", {"Call": handler})
    pool = futures.ThreadPoolExecutor(4)
    if PEER == "jaeger-client":
        from grpc_opentracing.grpcext import intercept_server

        server = grpc.server(pool)
        for interceptor in interceptors:
            server = intercept_server(server, interceptor)
        server.add_generic_rpc_handlers((handlers,))
    else:
        server = grpc.server(pool, handlers=[handlers], interceptors=interceptors)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(port, flush=True)
    sys.stdin.read()
    server.stop(None)


if __name__ == "__main__":
    _serve()
