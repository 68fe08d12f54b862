"""What holds for every traced RPC: whether it is traced, its tags and logs, and how it ends.

The doors (client and server, sync and aio) only carry calls, and ask here and in `client_rpc` and
`server_rpc`. Nothing of it raises into a call, whatever the tracer or a program's hook does. Operation
names, tags and logs are those of grpcio-opentracing 1.1; `rpc.grpc.status_code` comes beside them
(OpenTelemetry, "Semantic conventions for gRPC"), and message events are those of OpenCensus.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

import grpc
import opentracing
from grpc import StatusCode
from opentelemetry.trace import Status
from opentelemetry.trace import StatusCode as SpanStatus

from ot_bridge import bridge
from ot_bridge.bridge.create import usable_tracer
from ot_bridge.errors import ConfigurationError, report
from ot_bridge.grpc.hooks import AS_USUAL, DO_NOT_TRACE, RpcInfo, StartOptions
from ot_bridge.grpc.metadata import Pairs

log: Final = logging.getLogger("ot_bridge.grpc")

Exclude: TypeAlias = Iterable[str] | Callable[[RpcInfo], bool]

#: What nobody wants to see traced unless asked for (gRPC, "Health Checking Protocol").
HEALTH: Final = ("/grpc.health.v1.Health/*",)

STATUS_CODE: Final = "rpc.grpc.status_code"
_NUMBERS: Final[Mapping[StatusCode, int]] = {code: code.value[0] for code in StatusCode}
_BY_NUMBER: Final[Mapping[object, StatusCode]] = {number: code for code, number in _NUMBERS.items()}

#: What is raised in an RPC that was left rather than failed.
_LEFT: Final = (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit)


def status_of(code: Any) -> StatusCode:
    """The status that a program means by `code`: a `grpc.StatusCode`, or its number."""
    return code if isinstance(code, StatusCode) else _BY_NUMBER.get(code, StatusCode.UNKNOWN)


def was_left(error: BaseException) -> bool:
    """Whether `error` tells that nobody waits for the RPC any more."""
    return isinstance(error, _LEFT)


#: Methods to remember something of; who makes them up as he goes must not fill the memory.
_MOST_METHODS: Final = 1024


class Rules:
    """What one interceptor goes by: its options, checked."""

    _tags: Mapping[str, str]

    def __init__(
        self,
        tracer: opentracing.Tracer | None = None,
        *,
        log_payloads: bool = False,
        span_decorator: Callable[[opentracing.Span, RpcInfo], object] | None = None,
        message_events: bool = False,
        exclude: Exclude = HEALTH,
        start_options: Callable[[RpcInfo], Any] | None = None,
    ) -> None:
        self.tracer = usable_tracer(tracer)
        self.log_payloads = log_payloads
        self.message_events = message_events
        self.sees_messages = log_payloads or message_events
        self.decorate = span_decorator
        self.excluded = _Excluded(() if callable(exclude) else exclude)
        self._asked = exclude if callable(exclude) else None
        self._start_options = start_options
        self.asks = callable(exclude) or start_options is not None
        self.watches = self.sees_messages or span_decorator is not None

    def options(self, full_method: str, metadata: Pairs, timeout: float | None, request: Any) -> StartOptions:
        """What the program wants for this RPC; a hook that raises wants nothing."""
        if not self.asks:
            return AS_USUAL
        info = RpcInfo(full_method, metadata, timeout, request)
        try:
            if self._asked is not None and self._asked(info):
                return DO_NOT_TRACE
            return AS_USUAL if self._start_options is None else _options(self._start_options(info))
        except Exception:
            report(log, "exclude or start_options raised")
            return AS_USUAL


class _Excluded(dict[str, bool]):
    """Whether a method is never traced, by its full name; remembered for most names that come."""

    def __init__(self, names: Iterable[str]) -> None:
        listed = [names] if isinstance(names, str) else list(names)
        if not all(isinstance(name, str) for name in listed):
            raise ConfigurationError(
                "exclude", names, "full methods (`*` at the end for any rest), or a callable"
            )
        super().__init__()
        self._names = frozenset(listed)
        self._prefixes = tuple(name[:-1] for name in listed if name.endswith("*"))

    def __missing__(self, full_method: str) -> bool:
        excluded = full_method in self._names or full_method.startswith(self._prefixes)
        if len(self) < _MOST_METHODS:
            self[full_method] = excluded
        return excluded


def _options(value: Any) -> StartOptions:
    if value is None or isinstance(value, bool):
        return DO_NOT_TRACE if value is False else AS_USUAL
    if isinstance(value, str):
        return StartOptions(name=value)
    if hasattr(value, "should_sample"):
        return StartOptions(sampler=value)
    return StartOptions(value.sampler, value.name, value.trace)


def more_arguments(tracer: opentracing.Tracer, options: StartOptions) -> dict[str, Any]:
    """Arguments to start a span with, for a tracer that knows them."""
    if options.sampler is None or not isinstance(tracer, bridge.Tracer):
        return {}
    return {"sampler": options.sampler}


class Rpc:
    """One RPC's span on its way to its one end. No method raises; what comes after the end is ignored."""

    __slots__ = ("_info", "_open", "rules", "span")

    _request_type = "SENT"
    _response_type = "RECEIVED"

    def __init__(self, rules: Rules, span: opentracing.Span, info: RpcInfo | None) -> None:
        self.rules = rules
        self.span = span
        self._info = info
        self._open = True

    def saw_request(self, message: Any, number: int = 1) -> None:
        """Logs the request with that number, as far as the options ask for it."""
        self._saw("request", self._request_type, number, message)

    def saw_response(self, message: Any, number: int = 1) -> None:
        """Logs the response with that number, as far as the options ask for it."""
        self._saw("response", self._response_type, number, message)

    def _saw(self, name: str, direction: str, number: int, message: Any) -> None:
        try:
            if self.rules.log_payloads:
                self.span.log_kv({name: message})
            if self.rules.message_events:
                self.span.log_kv(_message_event(direction, number, message))
        except Exception:
            report(log, "logging a message failed")

    def answer(self, response: Any = None) -> None:
        """Ends the span of an RPC that came to its end. response: None where the server streams."""
        if self.rules.watches:
            self.end(StatusCode.OK, response=response)
        elif self._open:
            self._open = False
            self._leave()
            try:
                self.span.set_tag(STATUS_CODE, 0)
                self.span.finish()
            except Exception:
                failed_to_end(self.span)

    def fail(self, error: BaseException) -> None:
        """Ends the span of an RPC that raised `error`."""
        raise NotImplementedError

    def end(
        self,
        code: StatusCode,
        details: Any = None,
        error: BaseException | None = None,
        response: Any = None,
    ) -> None:
        """Ends the span with a status. error: what was raised, if anything was."""
        if not self._open:
            return
        if response is not None and self.rules.sees_messages:
            self.saw_response(response)
        self._open = False
        try:
            if code is StatusCode.OK and error is None:
                self.span.set_tag(STATUS_CODE, 0)
            else:
                describe_failure(self.span, code, details, error)
            if self._info is not None:
                self._decorate(self._info, code, error, response)
        except Exception:
            report(log, "a span's last tags, or span_decorator, failed")
        self._leave()
        finish(self.span)

    def _decorate(self, info: RpcInfo, code: StatusCode, error: BaseException | None, response: Any) -> None:
        info.response = response
        info.error = error if error is not None or code is StatusCode.OK else code
        self.rules.decorate(self.span, info)  # type: ignore[misc]

    def _leave(self) -> None:
        """Takes back what was made active; a server's business."""


def failed_to_end(span: opentracing.Span) -> None:
    """Reports what a span's last tag, or its end, has raised; and ends it at last, if that can be."""
    report(log, "ending a span failed")
    finish(span)


def finish(span: opentracing.Span) -> None:
    """Ends `span`. Never raises."""
    try:
        span.finish()
    except Exception:
        report(log, "span.finish failed")


def describe_failure(
    span: opentracing.Span, code: StatusCode, details: Any, error: BaseException | None
) -> None:
    """Says on `span` why its RPC failed: by what was raised there, or by the status that was sent."""
    span.set_tag(STATUS_CODE, _NUMBERS[code])
    span.set_tag("error", True)
    message = text(details) if details else ""
    fields: dict[str, Any] = {"event": "error"}
    if error is not None:
        fields["error.object"] = error
    if error is None or isinstance(error, grpc.RpcError):
        fields["error.kind"] = str(code)
        if message:
            fields["message"] = message
    else:
        message = message or f"{type(error).__name__}: {text(error)}"
    span.log_kv(fields)
    unwrap = getattr(span, "unwrap", None)
    if unwrap is not None:  # OpenTelemetry has a place for the words, OpenTracing's `error` tag has not
        unwrap().set_status(Status(SpanStatus.ERROR, f"{code.name}: {message}" if message else code.name))


def text(value: object) -> str:
    """`value` as text, whatever it is."""
    try:
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    except Exception:
        return f"<unprintable {type(value).__name__}>"


def _message_event(direction: str, number: int, message: Any) -> dict[str, Any]:
    event = {"event": "message", "message.type": direction, "message.id": number}
    size = getattr(message, "ByteSize", None)
    if size is not None:
        event["message.uncompressed_size"] = size()
    elif isinstance(message, bytes):
        event["message.uncompressed_size"] = len(message)
    return event
