"""The functions that make interceptors and traced channels.

Each takes a tracer. Without one, each RPC looks up the global tracer when it begins.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, overload

import grpc
import opentracing

from ot_bridge.grpc.aio_client import AioClientInterceptors, TracedAioChannel, aio_interceptors
from ot_bridge.grpc.aio_server import AioServerInterceptor
from ot_bridge.grpc.channel import TracedChannel
from ot_bridge.grpc.client import ClientInterceptor
from ot_bridge.grpc.client_rpc import ClientSettings
from ot_bridge.grpc.hooks import ActiveSpanSource, RpcInfo
from ot_bridge.grpc.server import ServerInterceptor
from ot_bridge.grpc.server_rpc import ServerSettings
from ot_bridge.grpc.settings import Exclude

if TYPE_CHECKING:
    from typing_extensions import Unpack

Decorator: TypeAlias = Callable[[opentracing.Span, RpcInfo], object]


class Options(TypedDict, total=False):
    """The options that clients and servers have in common.

    log_payloads: whether to log every message. span_decorator: a `SpanDecorator`, or a callable with the same
    arguments. message_events: whether to record an event for each message, with its direction, number and
    size in bytes. exclude: full methods that are not traced (a `*` at the end stands for any text), or a
    callable that gets an `RpcInfo`; the default excludes health checks. start_options: a callable that gets
    an `RpcInfo` and returns None, False for no span, a name, a kind, a sampler, or a `StartOptions`.
    """

    log_payloads: bool
    span_decorator: Decorator | None
    message_events: bool
    exclude: Exclude
    start_options: Callable[[RpcInfo], Any] | None


class ClientOptions(Options, total=False):
    """The options of clients. active_span_source: gives the parent in place of the tracer's active span."""

    active_span_source: ActiveSpanSource | None


class ServerOptions(Options, total=False):
    """The options of servers.

    trust: what is used of a caller's context: "all" (ids, sampling decision, baggage), "context" (all but the
    decision), "link" (a new trace with a link to the caller's span), "none"; or a callable that gets a
    `grpc.HandlerCallDetails` and returns one of these. public_endpoint: whether "link" replaces `trust`, or a
    callable that gets the same details and returns this. on_corrupt: if a tracing header is broken, the RPC
    gets no span ("skip") or starts a new trace ("root").
    """

    trust: str | Callable[[Any], str]
    public_endpoint: bool | Callable[[Any], bool]
    on_corrupt: str


def client_interceptor(
    tracer: opentracing.Tracer | None = None, **options: Unpack[ClientOptions]
) -> ClientInterceptor:
    """An interceptor for `grpc.intercept_channel`: a span for every call. `trace_channel` takes less time."""
    _join_grpcext()
    return ClientInterceptor(ClientSettings(tracer, **options))


def server_interceptor(
    tracer: opentracing.Tracer | None = None, **options: Unpack[ServerOptions]
) -> ServerInterceptor:
    """An interceptor for `grpc.server`: a span for every RPC, active in its handler."""
    _join_grpcext()
    return ServerInterceptor(ServerSettings(tracer, **options))


def aio_client_interceptor(
    tracer: opentracing.Tracer | None = None, **options: Unpack[ClientOptions]
) -> AioClientInterceptors:
    """Interceptors for `grpc.aio.insecure_channel(target, interceptors=aio_client_interceptor())`.

    The result is a tuple of four, because `grpc.aio` uses each interceptor for one arity only.
    """
    return aio_interceptors(ClientSettings(tracer, **options))


def aio_server_interceptor(
    tracer: opentracing.Tracer | None = None, **options: Unpack[ServerOptions]
) -> AioServerInterceptor:
    """An interceptor for `grpc.aio.server`: a span for every RPC, active in its handler."""
    return AioServerInterceptor(ServerSettings(tracer, **options))


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
    """Traces every call of `channel`, sync or `grpc.aio`, in less time than an interceptor takes."""
    kind = TracedAioChannel if isinstance(channel, grpc.aio.Channel) else TracedChannel
    return kind(channel, ClientSettings(tracer, **options))


def open_tracing_client_interceptor(
    tracer: opentracing.Tracer | None = None,
    active_span_source: ActiveSpanSource | None = None,
    log_payloads: bool = False,
    span_decorator: Decorator | None = None,
    *,
    aio: bool = False,
) -> Any:
    """The function of grpcio-opentracing. With `aio` it returns what `aio_client_interceptor` returns."""
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
    """The function of grpcio-opentracing. A broken header starts a new trace. aio: for `grpc.aio.server`."""
    return (aio_server_interceptor if aio else server_interceptor)(
        tracer=tracer,
        log_payloads=log_payloads,
        span_decorator=span_decorator,
        exclude=(),
        on_corrupt="root",
    )


@cache
def _join_grpcext() -> None:
    """Makes our interceptors instances of grpcio-opentracing's classes if that package is installed."""
    try:
        grpcext = importlib.import_module("grpc_opentracing.grpcext")
        for base in (grpcext.UnaryClientInterceptor, grpcext.StreamClientInterceptor):
            base.register(ClientInterceptor)
        for base in (grpcext.UnaryServerInterceptor, grpcext.StreamServerInterceptor):
            base.register(ServerInterceptor)
    except (ImportError, AttributeError):
        pass
