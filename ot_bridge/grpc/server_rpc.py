"""An RPC on the server's side: finds its span's parent, and derives its status from its handler's end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

import grpc
import opentracing
from grpc import StatusCode
from opentelemetry import trace

from ot_bridge import edge
from ot_bridge.errors import log_failure
from ot_bridge.grpc.hooks import ActiveSpanSource, RpcInfo
from ot_bridge.grpc.metadata import Pairs, pairs, peer_tags, received
from ot_bridge.grpc.rpc import Rpc, status_of, was_cancelled
from ot_bridge.grpc.settings import Settings

_log = logging.getLogger("ot_bridge.grpc")

#: Seconds by which the client's deadline may pass before the server's: the time that the request travelled.
_TRAVEL_TIME: Final = 0.1


class HandlerCallDetails(NamedTuple):
    """The argument for the callables `trust` and `public_endpoint`; as `grpc.HandlerCallDetails`."""

    method: str
    invocation_metadata: Pairs


def _taking_fields(function: Any) -> Any:
    """Has a program's callable take the two fields of `HandlerCallDetails`. Other values stay."""
    return partial(_with_details, function) if callable(function) else function


def _with_details(function: Callable[[Any], Any], *fields: Any) -> Any:
    return function(HandlerCallDetails(*fields))


class ServerSettings(Settings):
    """The `Settings` of a server. `ot_bridge.grpc.interceptors.ServerOptions` describes its options."""

    def __init__(
        self,
        tracer: opentracing.Tracer | None = None,
        *,
        trust: str | Callable[[Any], str] = "all",
        public_endpoint: bool | Callable[[Any], bool] = False,
        on_corrupt: str = "skip",
        **options: Any,
    ) -> None:
        super().__init__(tracer, **options)
        self.callers = edge.Callers(_taking_fields(trust), _taking_fields(public_endpoint), on_corrupt)

    def begin(self, full_method: str, context: Any, request: Any) -> ServerRpc:
        """Starts the span of an RPC. An RPC that is not traced gets a `ServerRpc` that does nothing."""
        try:
            return self._begin(full_method, context, request)
        except edge.BrokenHeader:
            pass
        except Exception:
            log_failure(_log, "starting a server span failed")
        return _untraced(_NO_TRACER.start_span(), context)

    def _begin(self, full_method: str, context: Any, request: Any) -> ServerRpc:
        metadata = pairs(context.invocation_metadata())
        tracer = opentracing.global_tracer() if self.tracer is None else self.tracer
        timeout = context.time_remaining() if self.has_callables or self.decorate is not None else None
        options = (
            self.options(full_method, metadata, timeout, request) if self.has_callables else edge.AS_USUAL
        )
        if not options.trace or self.exclusion[full_method]:
            span = edge.untraced_span(tracer)
            return _untraced(span, context, edge.activity(tracer, span))
        parent, broken = self.callers.parent(tracer, received(metadata), full_method, metadata)
        kind = "server" if options.kind is None else edge.kind_tag(options.kind)
        span = tracer.start_span(
            options.name or full_method,
            child_of=parent,
            tags={"component": "grpc", "span.kind": kind, **peer_tags(context.peer())},
            ignore_active_span=parent is None and not _is_instrumented(),
            **edge.sampler_argument(tracer, options),
        )
        if broken is not None:
            edge.attempt("log_kv", span.log_kv, {"event": "error", "error.object": broken})
        info = None if self.decorate is None else RpcInfo(full_method, metadata, timeout, request)
        return ServerRpc(self, span, edge.activity(tracer, span), info, context)


def _is_instrumented() -> bool:
    """Whether OpenTelemetry's own instrumentation has a span for this RPC. Ours is then its child.

    Any other span that is active when an RPC begins does not belong to it: a server may have inherited it.
    """
    scope = getattr(trace.get_current_span(), "instrumentation_scope", None)
    return str(getattr(scope, "name", "")).startswith("opentelemetry.instrumentation.grpc")


class ServerRpc(Rpc):
    """The span of one RPC, and the status that its handler has set. step: calls the handler in the span."""

    __slots__ = ("_context", "aborted", "code", "details", "step")

    _request_type = "RECEIVED"
    _response_type = "SENT"

    def __init__(
        self, settings: Settings, span: opentracing.Span, step: edge.Step, info: RpcInfo | None, context: Any
    ) -> None:
        super().__init__(settings, span, info)
        self.step = step  # type: ignore[method-assign]
        self._context = context
        self.code: Any = None
        self.details: Any = None
        self.aborted = False

    def complete(self, response: Any = None) -> None:
        code = self._status_of_a_gone_client()
        if code is not None:
            self.end(code)
        else:
            self.end(status_of(self.code or StatusCode.OK), self.details, None, response)

    def fail(self, error: BaseException) -> None:
        code = self._cause() if was_cancelled(error) else self._status_of_a_gone_client()
        if code is not None:
            own = not (self.aborted or was_cancelled(error) or isinstance(error, grpc.RpcError))
            self.end(code, None, error if own else None)
        elif self.aborted:
            self.end(status_of(self.code), self.details)
        else:
            self.end(status_of(self.code or StatusCode.UNKNOWN), self.details, error)

    def _status_of_a_gone_client(self) -> StatusCode | None:
        """The status with which the client ended before the handler did; None if the client still waits."""
        try:
            is_active = getattr(self._context, "is_active", None)
            gone = not is_active() if is_active is not None else self._context.time_remaining() == 0
        except Exception:
            return None
        return self._cause() if gone else None

    def _cause(self) -> StatusCode:
        """Whether the deadline or the client ended the RPC, as a status."""
        try:
            remaining = self._context.time_remaining()
            late = remaining is not None and remaining <= _TRAVEL_TIME
        except Exception:
            late = False
        return StatusCode.DEADLINE_EXCEEDED if late else StatusCode.CANCELLED


def _untraced(span: opentracing.Span, context: Any, step: edge.Step | None = None) -> ServerRpc:
    """Makes the `ServerRpc` of an RPC that is not traced. It never ends its span."""
    rpc = ServerRpc(_DEFAULTS, span, step or _call, None, context)
    rpc.is_open = False
    return rpc


def _call(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


_DEFAULTS: Final = Settings(exclude=())
_NO_TRACER: Final = opentracing.Tracer()


class ServicerContext(ActiveSpanSource):
    """The context that a handler gets. It wraps the server's context, and gives the handler the RPC's span.

    It records the status that the handler sets. Everything else is passed on to the server's context.
    """

    __slots__ = ("_context", "_rpc")
    _context: Any
    _rpc: ServerRpc

    def __init__(self, rpc: ServerRpc, context: Any) -> None:
        object.__setattr__(self, "_rpc", rpc)
        object.__setattr__(self, "_context", context)

    def get_active_span(self) -> opentracing.Span:
        return self._rpc.span

    def set_code(self, code: Any) -> None:
        self._context.set_code(code)
        self._rpc.code = code

    def set_details(self, details: Any) -> None:
        self._context.set_details(details)
        self._rpc.details = details

    def abort(self, code: Any, details: Any = "", *args: Any, **kwargs: Any) -> Any:
        self._note(code, details)
        return self._context.abort(code, details, *args, **kwargs)

    def abort_with_status(self, status: Any) -> Any:
        self._note(status.code, status.details)
        return self._context.abort_with_status(status)

    def _note(self, code: Any, details: Any) -> None:
        rpc = self._rpc
        rpc.code = StatusCode.UNKNOWN if code in (StatusCode.OK, 0) else code
        rpc.details = details or rpc.details
        rpc.aborted = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._context, name, value)
