"""Rows for WSGI and gRPC: what the middleware and the interceptors add to a request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from concurrent import futures
from typing import Any

from opentelemetry.sdk import trace as sdk

from benchmarks import peers
from benchmarks.measure import Run, Timing, measure
from benchmarks.peers import JAEGER, SDK, SHIM
from benchmarks.requests import naive, requests, small_app
from benchmarks.rows import OURS, Goal, other_row, row

BARE = "no tracing"


@row("wsgi", "WSGI middleware, added to a request", Goal(JAEGER, 0.50), base=BARE)
def _wsgi() -> Mapping[str, Run]:
    from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware

    from ot_bridge.wsgi import TracingMiddleware

    provider = peers.provider(sdk.TracerProvider)
    return {
        BARE: requests(small_app),
        OURS: requests(TracingMiddleware(small_app, peers.ours())),
        JAEGER: requests(naive(peers.jaeger())),
        SDK: requests(OpenTelemetryMiddleware(small_app, tracer_provider=provider)),
        SHIM: requests(naive(peers.shim())),
    }


class _Echo:
    """A gRPC server on loopback, and calls to it from this thread."""

    def __init__(self) -> None:
        import grpc

        handler: Any = grpc.unary_unary_rpc_method_handler(lambda request, context: request)
        handlers = grpc.method_handlers_generic_handler("bench.Echo", {"Call": handler})
        self.server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[handlers])
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def channel(self) -> Any:
        import grpc

        return grpc.insecure_channel(f"127.0.0.1:{self.port}")


def _calls(echo: _Echo, channel: Any) -> Run:
    call = channel.unary_unary("/bench.Echo/Call")
    call(b"warm")

    def run(times: int, server: Any = echo.server) -> None:  # the argument keeps the server alive
        for _ in range(times):
            call(b"x", timeout=10)

    return run


_INTERCEPTED = "ot_bridge, grpc's way"


@row("grpc", "gRPC client, added to a unary call", Goal(JAEGER, 0.50), base=BARE)
def _grpc() -> Mapping[str, Run]:
    """The same two lines on ours and on jaeger-client; and our interceptor in `grpc.intercept_channel`."""
    import grpc
    from grpc_opentracing import open_tracing_client_interceptor
    from grpc_opentracing.grpcext import intercept_channel
    from opentelemetry.instrumentation.grpc import client_interceptor as otel_interceptor
    from opentelemetry.instrumentation.grpc.grpcext import intercept_channel as otel_intercept

    from ot_bridge import grpc_opentracing as ours
    from ot_bridge.grpc_opentracing.grpcext import intercept_channel as our_intercept

    echo = _Echo()
    provider = peers.provider(sdk.TracerProvider)

    plain = echo.channel()  # shared by all peers, because no two channels are equally fast

    def peers_of() -> Iterator[tuple[str, Any]]:
        # Each peer runs after one with little common code, so that none profits from warm caches.
        yield BARE, plain
        yield OURS, our_intercept(plain, ours.open_tracing_client_interceptor(peers.ours()))
        yield JAEGER, intercept_channel(plain, open_tracing_client_interceptor(peers.jaeger()))
        yield _INTERCEPTED, grpc.intercept_channel(plain, ours.open_tracing_client_interceptor(peers.ours()))
        yield SDK, otel_intercept(plain, otel_interceptor(provider))  # type: ignore[no-untyped-call]
        yield SHIM, intercept_channel(plain, open_tracing_client_interceptor(peers.shim()))

    return {name: _calls(echo, channel) for name, channel in peers_of()}


_SYNC = "ot_bridge, not aio"


@other_row("grpc-aio", "grpc.aio client, added to a unary call", Goal(_SYNC, 1.30))
def _aio() -> Timing:
    import grpc

    from ot_bridge.grpc import trace_channel

    echo = _Echo()
    loop = asyncio.new_event_loop()

    async def opened() -> Any:
        return grpc.aio.insecure_channel(f"127.0.0.1:{echo.port}")

    def awaited(channel: Any) -> Run:
        call = channel.unary_unary("/bench.Echo/Call")

        async def calls(times: int) -> None:
            for _ in range(times):
                await call(b"x", timeout=10)

        return lambda times: loop.run_until_complete(calls(times))

    plain, plain_aio = echo.channel(), loop.run_until_complete(opened())
    timing = measure(
        {
            "bare": _calls(echo, plain),
            _SYNC: _calls(echo, trace_channel(plain, peers.ours())),
            "bare aio": awaited(plain_aio),
            OURS: awaited(trace_channel(plain_aio, peers.ours())),
        },
        base="bare",
        longer=3,
    )
    loop.run_until_complete(plain_aio.close())
    loop.close()
    rounds = timing.rounds
    added = [traced - bare for traced, bare in zip(rounds[OURS], rounds["bare aio"], strict=True)]
    return Timing({OURS: added, _SYNC: timing.added(_SYNC)}, block=timing.block)
