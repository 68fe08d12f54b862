"""An RPC as its server sees it: whom its span belongs to, and what its handler's end means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, cast

import grpc
import opentracing
from grpc import StatusCode
from opentelemetry import trace
from opentracing import Format, UnsupportedFormatException

from ot_bridge import bridge, ids
from ot_bridge.bridge import Trust, trusted
from ot_bridge.errors import ConfigurationError, report
from ot_bridge.grpc.decisions import Rpc, Rules, log, more_arguments, status_of, was_left
from ot_bridge.grpc.hooks import AS_USUAL, ActiveSpanSource, RpcInfo
from ot_bridge.grpc.metadata import Pairs, pairs, peer_tags
from ot_bridge.propagation.carriers import metadata_headers

#: A client's deadline passes before the server's, by the time that the request took to come: seconds.
_NEARLY: Final = 0.1

_TRUST: Final = ("all", "context", "link", "none")
_ON_CORRUPT: Final = ("skip", "root")


class HandlerCallDetails(NamedTuple):
    """What a `trust` callable is asked about; as `grpc.HandlerCallDetails`."""

    method: str
    invocation_metadata: Pairs


class ServerRules(Rules):
    """`Rules` of a server.

    trust: how far callers are believed, as `ot_bridge.bridge.trusted` has it: a word, or a callable that
    is given the `grpc.HandlerCallDetails`. public_endpoint: the same as `trust="link"`. on_corrupt: a
    broken tracing header costs the span ("skip"), or the caller's trace ("root").
    """

    def __init__(
        self,
        tracer: opentracing.Tracer | None = None,
        *,
        trust: str | Callable[[Any], str] = "all",
        public_endpoint: bool = False,
        on_corrupt: str = "skip",
        **options: Any,
    ) -> None:
        super().__init__(tracer, **options)
        if not callable(trust) and trust not in _TRUST:
            raise ConfigurationError("trust", trust, f"one of {', '.join(_TRUST)}, or a callable")
        if on_corrupt not in _ON_CORRUPT:
            raise ConfigurationError("on_corrupt", on_corrupt, f"one of {', '.join(_ON_CORRUPT)}")
        self._trust = "link" if public_endpoint else trust
        self._on_corrupt = on_corrupt
        self.corrupt_headers = 0

    def begin(self, full_method: str, context: Any, request: Any) -> ServerRpc:
        """Starts the span of an RPC and makes it active; that of one that is not traced does nothing."""
        try:
            return self._begin(full_method, context, request)
        except Exception:
            report(log, "starting a server span failed")
            return _untraced(context)

    def _begin(self, full_method: str, context: Any, request: Any) -> ServerRpc:
        metadata = pairs(context.invocation_metadata())
        tracer = opentracing.global_tracer() if self.tracer is None else self.tracer
        timeout = context.time_remaining() if self.asks or self.decorate is not None else None
        options = self.options(full_method, metadata, timeout, request) if self.asks else AS_USUAL
        if not options.trace or self.excluded[full_method]:
            return _silenced(tracer, context)
        parent, error = self._caller(tracer, full_method, metadata)
        if error is not None and self._on_corrupt == "skip":
            return _untraced(context)
        tags = {"component": "grpc", "span.kind": "server", **peer_tags(context.peer())}
        scope = tracer.start_active_span(
            options.name or full_method,
            child_of=parent,
            tags=tags,
            ignore_active_span=parent is None,
            finish_on_close=False,
            **more_arguments(tracer, options),
        )
        if error is not None:
            scope.span.log_kv({"event": "error", "error.object": error})
        info = None if self.decorate is None else RpcInfo(full_method, metadata, timeout, request)
        return ServerRpc(self, scope, info, context)

    def _caller(
        self, tracer: opentracing.Tracer, full_method: str, metadata: Pairs
    ) -> tuple[Any, Exception | None]:
        """The parent, as far as the caller is trusted; and what is wrong with the headers."""
        headers: Any = dict(metadata)
        if len(headers) != len(metadata) and isinstance(tracer, bridge.Tracer):
            headers = metadata_headers(metadata)
        try:
            parent = tracer.extract(Format.HTTP_HEADERS, headers)
        except UnsupportedFormatException:
            return None, None
        except Exception as error:
            if _cries_of_nothing(tracer):
                return None, None
            self.corrupt_headers += 1
            log.debug("%s: unreadable tracing headers: %s", full_method, error)
            return None, error
        if parent is None:
            return None, None
        return trusted(parent, self._trust_in(full_method, metadata)), None

    def _trust_in(self, full_method: str, metadata: Pairs) -> Trust:
        trust: Any = self._trust
        if callable(trust):
            try:
                trust = trust(HandlerCallDetails(full_method, metadata))
                if trust not in _TRUST:
                    raise ConfigurationError("trust", trust, f"one of {', '.join(_TRUST)}")
            except Exception:
                report(log, "trust raised, or returned no such word; the caller is not trusted")
                trust = "none"
        return cast(Trust, trust)


def _cries_of_nothing(tracer: opentracing.Tracer) -> bool:
    """Whether `tracer` takes a caller without a trace for one with broken headers, as basictracer does."""
    try:
        tracer.extract(Format.HTTP_HEADERS, {})
    except Exception:
        return True
    return False


class ServerRpc(Rpc):
    """One RPC's span, active while its handler runs, and the status that the handler has set."""

    __slots__ = ("_context", "_scope", "aborted", "code", "details")

    _request_type = "RECEIVED"
    _response_type = "SENT"

    def __init__(self, rules: Rules, scope: opentracing.Scope, info: RpcInfo | None, context: Any) -> None:
        super().__init__(rules, scope.span, info)
        self._scope = scope
        self._context = context
        self.code: Any = None
        self.details: Any = None
        self.aborted = False

    def answer(self, response: Any = None) -> None:
        code = self._missed()
        if code is not None:
            self.end(code)
        else:
            self.end(status_of(self.code or StatusCode.OK), self.details, None, response)

    def fail(self, error: BaseException) -> None:
        code = self._reason() if was_left(error) else self._missed()
        if code is not None:
            own = not (self.aborted or was_left(error) or isinstance(error, grpc.RpcError))
            self.end(code, None, error if own else None)
        elif self.aborted:
            self.end(status_of(self.code), self.details)
        else:
            self.end(status_of(self.code or StatusCode.UNKNOWN), self.details, error)

    def _missed(self) -> StatusCode | None:
        """What the client has in place of the handler's status, if it did not wait for that."""
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

    def suspend(self) -> None:
        """Makes the span inactive where it is active now."""
        try:
            self._scope.close()
        except Exception:
            report(log, "scope.close failed")

    def resume(self) -> None:
        """Makes the span active in the thread that calls."""
        try:
            self._scope = self.span.tracer.scope_manager.activate(self.span, False)
        except Exception:
            report(log, "scope_manager.activate failed")

    _leave = suspend


_QUIET: Final = Rules(exclude=())
_NOWHERE: Final = opentracing.Tracer()


def _untraced(context: Any) -> ServerRpc:
    return ServerRpc(_QUIET, _NOWHERE.start_active_span(""), None, context)


def _silenced(tracer: opentracing.Tracer, context: Any) -> ServerRpc:
    """An RPC below which there are no spans either: they would be roots of traces that nobody wants."""
    if not isinstance(tracer, bridge.Tracer):
        return _untraced(context)
    unsampled = trace.SpanContext(ids.bits(128) | 1, ids.bits(64) | 1, is_remote=False)
    span = bridge.Span(tracer, trace.NonRecordingSpan(unsampled))
    return ServerRpc(_QUIET, tracer.scope_manager.activate(span, False), None, context)


class ServicerContext(ActiveSpanSource):
    """The context that a handler gets: the server's own, which also knows the RPC's span.

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
