"""One traced RPC: its tags and logs, and how it ends, for clients and servers, sync and aio.

Operation names, tags and logs are those of grpcio-opentracing 1.1; `rpc.grpc.status_code` is added
(OpenTelemetry, "Semantic conventions for gRPC"). Message events are those of OpenCensus. If the tracer or a
hook of the program raises, the call goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import grpc
import opentracing
from grpc import StatusCode
from opentelemetry.trace import Status
from opentelemetry.trace import StatusCode as SpanStatus

from ot_bridge.errors import log_failure
from ot_bridge.grpc.hooks import RpcInfo
from ot_bridge.grpc.settings import Settings
from ot_bridge.rpc_status import NUMBER as STATUS_CODE

T = TypeVar("T")

_log = logging.getLogger("ot_bridge.grpc")

_NUMBERS: Final[Mapping[StatusCode, int]] = {code: code.value[0] for code in StatusCode}
_BY_NUMBER: Final[Mapping[object, StatusCode]] = {number: code for code, number in _NUMBERS.items()}

#: Exceptions which mean that an RPC was cancelled, not that it failed.
_CANCELLED: Final = (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit)


def status_of(code: Any) -> StatusCode:
    """Converts a program's `code`, a `grpc.StatusCode` or its number, to a status."""
    return code if isinstance(code, StatusCode) else _BY_NUMBER.get(code, StatusCode.UNKNOWN)


def was_cancelled(error: BaseException) -> bool:
    """Whether `error` means that the RPC was cancelled, by the client or by the server."""
    return isinstance(error, _CANCELLED)


class Rpc:
    """The span of one RPC, which ends once. No method raises. After the end, all calls are ignored.

    info: the argument for the span decorator at the end; None if there is no decorator. is_open: whether the
    span has not ended.
    """

    __slots__ = ("info", "is_open", "settings", "span")

    _request_type = "SENT"
    _response_type = "RECEIVED"

    def __init__(self, settings: Settings, span: opentracing.Span, info: RpcInfo | None) -> None:
        self.settings = settings
        self.span = span
        self.info = info
        self.is_open = True

    def step(self, function: Callable[..., T], *args: Any) -> T:
        """Calls a function of the program. On a server, the RPC's span is active meanwhile."""
        return function(*args)

    def saw_request(self, message: Any, number: int = 1) -> None:
        """Logs the request with that number, if the options enable it."""
        self._saw("request", self._request_type, number, message)

    def saw_response(self, message: Any, number: int = 1) -> None:
        """Logs the response with that number, if the options enable it."""
        self._saw("response", self._response_type, number, message)

    def _saw(self, name: str, direction: str, number: int, message: Any) -> None:
        try:
            if self.settings.log_payloads:
                self.span.log_kv({name: message})
            if self.settings.message_events:
                self.span.log_kv(_message_event(direction, number, message))
        except Exception:
            log_failure(_log, "logging a message failed")

    def complete(self, response: Any = None) -> Any:
        """Ends the span of an RPC that has not failed, and returns `response`.

        response: None if the server sends a stream.
        """
        if self.settings.needs_response:
            self.end(StatusCode.OK, response=response)
        elif self.is_open:
            self.is_open = False
            try:
                self.span.set_tag(STATUS_CODE, 0)
                self.span.finish()
            except Exception:
                log_failure(_log, "ending a span failed")
                finish(self.span)
        return response

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
        """Ends the span with a status. error: the exception that was raised, or None."""
        if not self.is_open:
            return
        if response is not None and self.settings.sees_messages:
            self.saw_response(response)
        self.is_open = False
        try:
            if code is StatusCode.OK and error is None:
                self.span.set_tag(STATUS_CODE, 0)
            else:
                describe_failure(self.span, code, details, error)
            if self.info is not None:
                self._decorate(self.info, code, error, response)
        except Exception:
            log_failure(_log, "a span's last tags, or span_decorator, failed")
        finish(self.span)

    def _decorate(self, info: RpcInfo, code: StatusCode, error: BaseException | None, response: Any) -> None:
        info.response = response
        info.error = error if error is not None or code is StatusCode.OK else code
        self.settings.decorate(self.span, info)


def finish(span: opentracing.Span) -> None:
    """Ends `span`. Never raises."""
    try:
        span.finish()
    except Exception:
        log_failure(_log, "span.finish failed")


def describe_failure(
    span: opentracing.Span, code: StatusCode, details: Any, error: BaseException | None
) -> None:
    """Records in `span` why its RPC has failed. error: the exception that was raised, or None."""
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
    if unwrap is not None:  # the status of an OpenTelemetry span can have a message
        unwrap().set_status(Status(SpanStatus.ERROR, f"{code.name}: {message}" if message else code.name))


def text(value: object) -> str:
    """Converts any value to text. Never raises."""
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
