"""An RPC as its server sees it: which trace its span belongs to, and what the end of its handler means."""

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

#: A client's deadline passes before the server's, by the time that the request took to come: seconds.
_NEARLY: Final = 0.1


class HandlerCallDetails(NamedTuple):
    """What `trust` and `public_endpoint` are given; as `grpc.HandlerCallDetails`."""

    method: str
    invocation_metadata: Pairs


def _of_details(function: Any) -> Any:
    """A program's callable, to be called with the two fields of `HandlerCallDetails`; others stay."""
    return partial(_with_details, function) if callable(function) else function


def _with_details(function: Callable[[Any], Any], *fields: Any) -> Any:
    return function(HandlerCallDetails(*fields))


class ServerSettings(Settings):
    """`Settings` of a server. `ot_bridge.grpc.interceptors.ServerOptions` describes the further options."""

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
        self.callers = edge.Callers(_of_details(trust), _of_details(public_endpoint), on_corrupt)

    def begin(self, full_method: str, context: Any, request: Any) -> ServerRpc:
        """Starts the span of an RPC. One that is not traced gets an `ServerRpc` that does nothing."""
        try:
            return self._begin(full_method, context, request)
        except edge.BrokenHeader:
            pass
        except Exception:
            log_failure(_log, "starting a server span failed")
        return _closed(_NO_TRACER.start_span(), context)

    def _begin(self, full_method: str, context: Any, request: Any) -> ServerRpc:
        metadata = pairs(context.invocation_metadata())
        tracer = opentracing.global_tracer() if self.tracer is None else self.tracer
        timeout = context.time_remaining() if self.has_callables or self.decorate is not None else None
        options = (
            self.options(full_method, metadata, timeout, request) if self.has_callables else edge.AS_USUAL
        )
        if not options.trace or self.exclusion[full_method]:
            span = edge.untraced_span(tracer)
            return _closed(span, context, edge.activity(tracer, span))
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
    """Whether OpenTelemetry's own instrumentation has a span for this RPC, which is the parent of ours then.

    Any other span that is active where an RPC begins is none of the RPC's: a server may have inherited it.
    """
    scope = getattr(trace.get_current_span(), "instrumentation_scope", None)
    return str(getattr(scope, "name", "")).startswith("opentelemetry.instrumentation.grpc")


class ServerRpc(Rpc):
    """One RPC's span, and the status that its handler has set. step: calls the handler in its span."""

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
        code = self._missed()
        if code is not None:
            self.end(code)
        else:
            self.end(status_of(self.code or StatusCode.OK), self.details, None, response)

    def fail(self, error: BaseException) -> None:
        code = self._reason() if was_cancelled(error) else self._missed()
        if code is not None:
            own = not (self.aborted or was_cancelled(error) or isinstance(error, grpc.RpcError))
            self.end(code, None, error if own else None)
        elif self.aborted:
            self.end(status_of(self.code), self.details)
        else:
            self.end(status_of(self.code or StatusCode.UNKNOWN), self.details, error)

    def _missed(self) -> StatusCode | None:
        """The status that a client has which did not wait for the handler's; None if it did."""
        try:
            is_active = getattr(self._context, "is_active", None)
            gone = not is_active() if is_active is not None else self._context.time_remaining() == 0
        except Exception:
            return None
        return self._reason() if gone else None

    def _reason(self) -> StatusCode:
        try:
            remaining = self._context.time_remaining()
            late = remaining is not None and remaining <= _NEARLY
        except Exception:
            late = False
        return StatusCode.DEADLINE_EXCEEDED if late else StatusCode.CANCELLED


def _closed(span: opentracing.Span, context: Any, step: edge.Step | None = None) -> ServerRpc:
    """An RPC that is not traced: its span has no end."""
    rpc = ServerRpc(_UNWATCHED, span, step or _call, None, context)
    rpc.is_open = False
    return rpc


def _call(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


_UNWATCHED: Final = Settings(exclude=())
_NO_TRACER: Final = opentracing.Tracer()


class ServicerContext(ActiveSpanSource):
    """The context that a handler gets: the server's own, which also has the RPC's span.

    It notes the status that the handler sets on it. Everything else goes to the server's.
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
