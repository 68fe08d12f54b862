"""The functions that make interceptors, and traced channels.

Each takes a tracer; without one, every RPC asks for the global tracer of its moment.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias, overload

import grpc
import opentracing
from typing_extensions import TypedDict, Unpack

from ot_bridge.grpc.aio_client import AioClientInterceptors, TracedAioChannel, aio_interceptors
from ot_bridge.grpc.aio_server import AioServerInterceptor
from ot_bridge.grpc.channel import TracedChannel
from ot_bridge.grpc.client import ClientInterceptor
from ot_bridge.grpc.client_rpc import ClientRules
from ot_bridge.grpc.decisions import Exclude
from ot_bridge.grpc.hooks import ActiveSpanSource, RpcInfo
from ot_bridge.grpc.server import ServerInterceptor
from ot_bridge.grpc.server_rpc import ServerRules

Decorator: TypeAlias = Callable[[opentracing.Span, RpcInfo], object]


class Options(TypedDict, total=False):
    """What clients and servers have in common.

    log_payloads: logs every message. span_decorator: a
    `SpanDecorator`, or any callable like one. message_events: an event for each message, with its
    direction, number and size in bytes. exclude: full methods not to be traced (`*` at the end stands
    for any rest), or a callable that is given an `RpcInfo`; health checks if left out. start_options: a
    callable that is given an `RpcInfo` and returns None, False for no span, a name, a sampler, or these
    as a `StartOptions`.
    """

    log_payloads: bool
    span_decorator: Decorator | None
    message_events: bool
    exclude: Exclude
    start_options: Callable[[RpcInfo], Any] | None


class ClientOptions(Options, total=False):
    """`Options`, and active_span_source: knows the parent, in place of the tracer's active span."""

    active_span_source: ActiveSpanSource | None


class ServerOptions(Options, total=False):
    """`Options`, and whom to believe.

    trust: how far a caller's trace is followed: "all" (ids, sampling decision, baggage), "context" (all
    but the decision), "link" (a new trace with a link to it), "none"; or a callable that is given a
    `grpc.HandlerCallDetails` and returns one of these. public_endpoint: short for `trust="link"`.
    on_corrupt: a broken tracing header costs the span ("skip"), or the caller's trace ("root").
    """

    trust: str | Callable[[Any], str]
    public_endpoint: bool
    on_corrupt: str


def client_interceptor(
    tracer: opentracing.Tracer | None = None, **options: Unpack[ClientOptions]
) -> ClientInterceptor:
    """An interceptor for `grpc.intercept_channel`: a span for every call. `trace_channel` costs less."""
    _join_grpcext()
    return ClientInterceptor(ClientRules(tracer, **options))


def server_interceptor(
    tracer: opentracing.Tracer | None = None, **options: Unpack[ServerOptions]
) -> ServerInterceptor:
    """An interceptor for `grpc.server`: a span for every RPC, active in its handler."""
    _join_grpcext()
    return ServerInterceptor(ServerRules(tracer, **options))


def aio_client_interceptor(
    tracer: opentracing.Tracer | None = None, **options: Unpack[ClientOptions]
) -> AioClientInterceptors:
    """Interceptors for `grpc.aio.insecure_channel(target, interceptors=aio_client_interceptor())`.

    They are a tuple of four, for `grpc.aio` uses each interceptor for one arity only.
    """
    return aio_interceptors(ClientRules(tracer, **options))


def aio_server_interceptor(
    tracer: opentracing.Tracer | None = None, **options: Unpack[ServerOptions]
) -> AioServerInterceptor:
    """An interceptor for `grpc.aio.server`: a span for every RPC, active in its handler."""
    return AioServerInterceptor(ServerRules(tracer, **options))


@overload
def trace_channel(
    channel: grpc.aio.Channel, tracer: opentracing.Tracer | None = None, **options: Unpack[ClientOptions]
) -> grpc.aio.Channel: ...
@overload
def trace_channel(
    channel: grpc.Channel, tracer: opentracing.Tracer | None = None, **options: Unpack[ClientOptions]
) -> grpc.Channel: ...
def trace_channel(
    channel: Any, tracer: opentracing.Tracer | None = None, **options: Unpack[ClientOptions]
) -> Any:
    """`channel` with a span for every call, at a lower cost than by an interceptor; sync or `grpc.aio`."""
    kind = TracedAioChannel if isinstance(channel, grpc.aio.Channel) else TracedChannel
    return kind(channel, ClientRules(tracer, **options))


def open_tracing_client_interceptor(
    tracer: opentracing.Tracer | None = None,
    active_span_source: ActiveSpanSource | None = None,
    log_payloads: bool = False,
    span_decorator: Decorator | None = None,
    *,
    aio: bool = False,
) -> Any:
    """grpcio-opentracing's function. With `aio`, what `aio_client_interceptor` returns."""
    return (aio_client_interceptor if aio else client_interceptor)(
        tracer=tracer,
        active_span_source=active_span_source,
        log_payloads=log_payloads,
        span_decorator=span_decorator,
        exclude=(),
    )


def open_tracing_server_interceptor(
    tracer: opentracing.Tracer | None = None,
    log_payloads: bool = False,
    span_decorator: Decorator | None = None,
    *,
    aio: bool = False,
) -> Any:
    """grpcio-opentracing's function: a broken header starts a new trace. `aio`: for `grpc.aio.server`."""
    return (aio_server_interceptor if aio else server_interceptor)(
        tracer=tracer,
        log_payloads=log_payloads,
        span_decorator=span_decorator,
        exclude=(),
        on_corrupt="root",
    )


@cache
def _join_grpcext() -> None:
    """Has grpcio-opentracing, where it is installed, take our interceptors for its own, as it insists on."""
    try:
        grpcext = importlib.import_module("grpc_opentracing.grpcext")
        for base in (grpcext.UnaryClientInterceptor, grpcext.StreamClientInterceptor):
            base.register(ClientInterceptor)
        for base in (grpcext.UnaryServerInterceptor, grpcext.StreamServerInterceptor):
            base.register(ServerInterceptor)
    except (ImportError, AttributeError):
        pass
