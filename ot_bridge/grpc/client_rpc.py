"""An RPC on the client's side: starts its span, makes its metadata, and detects its end."""

from __future__ import annotations

import logging
import weakref
from typing import Any, Final, TypeAlias

import grpc
import opentracing
from grpc import StatusCode

from ot_bridge import bridge, edge
from ot_bridge.bridge.convert import Tags
from ot_bridge.errors import log_failure
from ot_bridge.grpc.hooks import ActiveSpanSource, RpcInfo
from ot_bridge.grpc.limits import beside
from ot_bridge.grpc.metadata import Pairs
from ot_bridge.grpc.rpc import Rpc, status_of, was_cancelled
from ot_bridge.grpc.settings import Settings

_log = logging.getLogger("ot_bridge.grpc")

_TAGS: Final = {"component": "grpc", "span.kind": "client"}
#: A tracer; the tags of client spans, cleaned by it; its `ids_to_send`. The last two may be None.
_Prepared: TypeAlias = tuple[Any, Tags | None, Any]


def _prepared(tracer: opentracing.Tracer) -> _Prepared:
    if not isinstance(tracer, bridge.Tracer):
        return tracer, None, None
    injects = getattr(tracer.inject, "__func__", None) is bridge.Tracer.inject  # False for an override
    return tracer, tracer.prepared(_TAGS), tracer.ids_to_send if injects else None


class ClientSettings(Settings):
    """The `Settings` of a client. active_span_source: gives the parent in place of the tracer's active span.

    plain: whether no option is set that takes time in each call.
    """

    def __init__(
        self,
        tracer: opentracing.Tracer | None = None,
        active_span_source: ActiveSpanSource | None = None,
        **options: Any,
    ) -> None:
        super().__init__(tracer, **options)
        self._source = active_span_source
        self._prepared: _Prepared = None, None, None
        self.plain = not (self.has_callables or self.needs_response or active_span_source)

    def begin(
        self, full_method: str, metadata: Pairs, timeout: float | None, request: Any
    ) -> ClientRpc | None:
        """Starts the span of a call that is about to be made; None if it is not traced."""
        tracer: Any = opentracing.global_tracer() if self.tracer is None else self.tracer
        name, more = full_method, None
        if not self.plain:
            options = edge.AS_USUAL
            if self.has_callables:
                options = self.options(full_method, metadata, timeout, request)
                if not options.trace:
                    return None
            name, more = options.name or full_method, self._more(tracer, options)
        try:
            known, tags, ids_to_send = self._prepared
            if known is not tracer:
                _, tags, ids_to_send = self._prepared = _prepared(tracer)
            if tags is not None and not more:
                span = tracer.start_span(name, None, None, tags)
            else:
                span = tracer.start_span(name, **{"tags": {**_TAGS}, **(more or {})})
        except Exception:
            log_failure(_log, "starting a client span failed")
            return None
        try:
            ids = ids_to_send(span) if ids_to_send is not None and not metadata else None
            metadata = beside(metadata, tracer, span) if ids is None else ids
        except Exception:
            log_failure(_log, "inject failed, the trace ends at this client")
        info = None if self.decorate is None else RpcInfo(full_method, metadata, timeout, request)
        return ClientRpc(self, span, info, metadata)

    def _more(self, tracer: opentracing.Tracer, options: edge.StartOptions) -> dict[str, Any]:
        """Further arguments for the start of a span."""
        more = edge.sampler_argument(tracer, options)
        if options.kind is not None:
            more["tags"] = {**_TAGS, "span.kind": edge.kind_tag(options.kind)}
        if self._source is not None:
            active = edge.attempt("active_span_source", self._source.get_active_span)
            context = edge.attempt("active_span_source", getattr, active, "context", None)
            if context is not None:
                more["child_of"] = context
        return more


class ClientRpc(Rpc):
    """The span of one call. metadata: the program's, followed by the headers of the span's context."""

    __slots__ = ("metadata",)

    def __init__(
        self, settings: Settings, span: opentracing.Span, info: RpcInfo | None, metadata: Pairs
    ) -> None:
        self.settings = settings
        self.span = span
        self.info = info
        self.is_open = True
        self.metadata = metadata

    def fail(self, error: BaseException) -> None:
        """Ends the span of a call that has raised `error`, mostly a `grpc.RpcError` with the status."""
        try:
            code, details = status_of(error.code()), error.details()  # type: ignore[attr-defined]
        except Exception:
            code = StatusCode.CANCELLED if was_cancelled(error) else StatusCode.UNKNOWN
            details = None
        self.end(code, details, error)

    def settle(self, call: Any, streams: bool) -> None:
        """Ends the span of a call that is over. streams: whether the server sends a stream."""
        exception = getattr(call, "exception", None)
        if exception is None:  # a call that is no future
            return self.end(status_of(call.code()), call.details())
        error: Any = None
        try:
            error = exception()
        except grpc.FutureCancelledError:
            return self.end(StatusCode.CANCELLED, getattr(call, "details", str)())
        if error is None:
            self.complete(call.result() if self.settings.needs_response and not streams else None)
            return None
        if hasattr(error, "__next__"):  # the error is the call object itself, which has not been raised
            return self.end(status_of(error.code()), error.details())
        return self.fail(error)


class TracedArities:
    """A channel's four methods that make multi-callables. kinds: the classes that trace these."""

    kinds: tuple[Any, Any, Any, Any]  # unary-unary, unary-stream, stream-unary, stream-stream

    def __init__(self, channel: Any, settings: ClientSettings) -> None:
        self._channel = channel
        self.settings = settings

    def _traced(self, arity: int, inner: Any, method: str) -> Any:
        if self.settings.exclusion[method]:
            return inner
        return self.kinds[arity](inner, self.settings, method)

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._traced(0, self._channel.unary_unary(method, *args, **kwargs), method)

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._traced(1, self._channel.unary_stream(method, *args, **kwargs), method)

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._traced(2, self._channel.stream_unary(method, *args, **kwargs), method)

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return self._traced(3, self._channel.stream_stream(method, *args, **kwargs), method)


class Ending:
    """The callback for the end of a call.

    1. It never raises, because an exception would end grpc's thread.
    2. It has only a weak reference to the call: grpc cancels a call that the program drops, and would not do
       so while the callback refers to it.
    3. The call's state does not refer to the call, and has the status even after the call is deleted.
    4. grpc has no thread for a single-threaded call. If it is dropped, only the weak reference reports its
       end: it calls this object.
    5. A reader of messages ends the span of a call with status OK. If the reader is dropped, this does it.

    The tests, by number, in tests/grpc/:
    1. test_odd_ends.py::test_a_callback_never_raises
    2. test_client_streams.py::test_a_half_read_stream_that_is_dropped_is_cancelled_as_soon_as_without_tracing
    3. test_endings.py::test_a_call_that_is_gone_has_the_status_of_its_state_or_was_cancelled
    4. test_client_streams.py::test_a_single_threaded_stream_ends_its_span_when_it_is_dropped
    5. test_endings.py::test_a_reader_ends_a_call_that_is_ok_as_long_as_it_lives

    streams: whether the server sends a stream. reader: ends the span of a call with status OK, as long as the
    reader exists.
    """

    __slots__ = ("__weakref__", "_call", "_reader", "_rpc", "_state", "_streams")

    def __init__(self, rpc: ClientRpc, call: Any, streams: bool, reader: object = None) -> None:
        self._rpc = rpc
        self._streams = streams
        self._reader = None if reader is None else weakref.ref(reader)
        self._state = getattr(call, "_state", None)
        is_single_threaded = "SingleThreaded" in type(call).__name__
        self._call = weakref.ref(call, self if is_single_threaded else None)

    def __call__(self, _: Any = None) -> None:
        try:
            self._end(self._call())
        except Exception:
            log_failure(_log, "reading a call's status failed")
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
            reads = call is not None and rpc.settings.needs_response and not self._streams
            rpc.complete(call.result() if reads else None)
