"""An RPC as its client sees it: how its span starts, what goes out with it, and what its end means."""

from __future__ import annotations

import weakref
from typing import Any, TypeAlias

import grpc
import opentracing
from grpc import StatusCode
from opentracing import Format

from ot_bridge import bridge
from ot_bridge.bridge.convert import Tags
from ot_bridge.errors import report
from ot_bridge.grpc.decisions import Rpc, Rules, log, more_arguments, status_of, was_left
from ot_bridge.grpc.hooks import ActiveSpanSource, RpcInfo, StartOptions
from ot_bridge.grpc.limits import MOST, lightened, weight
from ot_bridge.grpc.metadata import Pairs, with_headers
from ot_bridge.propagation import MetadataHeaders

#: A tracer, and the tags of client spans as it has prepared them, if it does.
_Known: TypeAlias = tuple[Any, Tags | None]


class ClientRules(Rules):
    """`Rules` of a client. active_span_source: knows the parent, in place of the tracer's active span.

    plain: whether none of the options is used.
    """

    _tags = {"component": "grpc", "span.kind": "client"}

    def __init__(
        self,
        tracer: opentracing.Tracer | None = None,
        active_span_source: ActiveSpanSource | None = None,
        **options: Any,
    ) -> None:
        super().__init__(tracer, **options)
        self._source = active_span_source
        self._known: _Known = None, None
        self.plain = not (self.asks or self.watches or active_span_source)

    def start(
        self, name: str, metadata: Pairs, more: dict[str, Any] | None = None
    ) -> tuple[opentracing.Span | None, Pairs]:
        """A span for a call, if the tracer makes one, and the metadata with the span's context after it.

        more: further arguments for the tracer.
        """
        tracer: Any = opentracing.global_tracer() if self.tracer is None else self.tracer
        try:
            known, tags = self._known
            if known is not tracer:
                tags = tracer.prepared(self._tags) if isinstance(tracer, bridge.Tracer) else None
                self._known = tracer, tags
            if tags is not None and more is None:
                span, headers = tracer.client_span(name, tags)
            else:
                span, headers = tracer.start_span(name, tags={**self._tags}, **(more or {})), None
        except Exception:
            report(log, "starting a client span failed")
            return None, metadata
        try:
            if headers is None:
                headers = MetadataHeaders()
                tracer.inject(span.context, Format.HTTP_HEADERS, headers)
            own = weight(metadata) if metadata else 0
            if own + weight(headers.items()) > MOST:
                headers = lightened(headers, own, tracer, span)
            return span, with_headers(metadata, headers)
        except Exception:
            report(log, "inject failed, the trace ends at this client")
            return span, metadata

    def begin(
        self, full_method: str, metadata: Pairs, timeout: float | None, request: Any
    ) -> ClientRpc | None:
        """Starts the span of a call that is about to be made; None if it is not to be traced."""
        if self.plain:
            span, metadata = self.start(full_method, metadata)
        else:
            options = self.options(full_method, metadata, timeout, request)
            if not options.trace:
                return None
            span, metadata = self.start(options.name or full_method, metadata, self._more(options))
        if span is None:
            return None
        info = None if self.decorate is None else RpcInfo(full_method, metadata, timeout, request)
        return ClientRpc(self, span, info, metadata)

    def _more(self, options: StartOptions) -> dict[str, Any]:
        tracer = opentracing.global_tracer() if self.tracer is None else self.tracer
        more = more_arguments(tracer, options)
        try:
            active = None if self._source is None else self._source.get_active_span()
            if active is not None:
                more["child_of"] = active.context
        except Exception:
            report(log, "active_span_source raised")
        return more


class ClientRpc(Rpc):
    """One call's span. metadata: the caller's, and the span's context after it."""

    __slots__ = ("metadata",)

    def __init__(self, rules: Rules, span: opentracing.Span, info: RpcInfo | None, metadata: Pairs) -> None:
        # What `Rpc` does, without asking it: this is made for every call.
        self.rules = rules
        self.span = span
        self._info = info
        self._open = True
        self.metadata = metadata

    def fail(self, error: BaseException) -> None:
        """Ends the span of a call that raised `error`, which mostly is the `grpc.RpcError` of its status."""
        try:
            code, details = status_of(error.code()), error.details()  # type: ignore[attr-defined]
        except Exception:
            code = StatusCode.CANCELLED if was_left(error) else StatusCode.UNKNOWN
            details = None
        self.end(code, details, error)

    def settle(self, call: Any, streams: bool) -> None:
        """Ends the span of a call that is over. streams: whether the server does."""
        if not isinstance(call, grpc.Future):
            return self.end(status_of(call.code()), call.details())
        error: Any = None
        try:
            error = call.exception()
        except grpc.FutureCancelledError:
            return self.end(StatusCode.CANCELLED, getattr(call, "details", str)())
        if error is None:
            return self.answer(call.result() if self.rules.watches and not streams else None)
        if hasattr(error, "__next__"):  # a call is the error that it may raise; this one has not been raised
            return self.end(status_of(error.code()), error.details())
        return self.fail(error)


class TracedArities:
    """The four methods by which a channel hands out its calls; each call is traced by its arity's class."""

    kinds: tuple[Any, Any, Any, Any]  # for UU, US, SU and SS

    def __init__(self, channel: Any, rules: ClientRules) -> None:
        self._channel = channel
        self._rules = rules

    def _traced(self, arity: int, inner: Any, method: str) -> Any:
        return inner if self._rules.excluded[method] else self.kinds[arity](inner, self._rules, method)

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._traced(0, self._channel.unary_unary(method, *args, **kwargs), method)

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._traced(1, self._channel.unary_stream(method, *args, **kwargs), method)

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._traced(2, self._channel.stream_unary(method, *args, **kwargs), method)

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._traced(3, self._channel.stream_stream(method, *args, **kwargs), method)


class Ending:
    """What a call calls when it is over. It never raises: grpc's threads would not survive that.

    It holds the call weakly, for grpc cancels a call that nobody holds any more: a callback that holds
    one would keep the server busy for it. The call's state is no way back to the call, and tells of its
    end when the program has let go of the call by then.

    streams: whether the server does. reader: who ends the span of a call that is OK, as long as it lives.
    """

    __slots__ = ("__weakref__", "_call", "_reader", "_rpc", "_state", "_streams")

    def __init__(self, rpc: ClientRpc, call: Any, streams: bool, reader: object = None) -> None:
        self._rpc = rpc
        self._streams = streams
        self._reader = None if reader is None else weakref.ref(reader)
        self._state = getattr(call, "_state", None)
        # A call that its program's thread works for has no other to tell of its end when it is dropped.
        lonely = "SingleThreaded" in type(call).__name__
        self._call = weakref.ref(call, self if lonely else None)

    def __call__(self, _: Any = None) -> None:
        try:
            self._end(self._call())
        except Exception:
            report(log, "reading a call's status failed")
            self._rpc.end(StatusCode.UNKNOWN)

    def _end(self, call: Any) -> None:
        rpc = self._rpc
        if self._state is not None:
            code, details = self._state.code, self._state.details
        elif call is not None:
            code, details = call.code(), call.details()
        else:
            code, details = StatusCode.CANCELLED, None
        if code is not StatusCode.OK:
            rpc.end(status_of(code), details)
        elif self._reader is None or self._reader() is None:
            rpc.answer(
                call.result() if call is not None and rpc.rules.watches and not self._streams else None
            )
