"""One request: its span, the status of its response, and its end, which happens once.

Errors of tracing are logged. They reach neither the application nor the server.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any, Final

import opentracing
from opentracing import logs

from ot_bridge import bridge
from ot_bridge.edge import Step, attempt, failed
from ot_bridge.wsgi import routes, urls
from ot_bridge.wsgi.routes import OPEN
from ot_bridge.wsgi.settings import Settings
from ot_bridge.wsgi.tags import Environ, status_code

#: The key under which the environ holds the request's span.
SPAN: Final = "ot_bridge.span"

#: Exceptions which mean that the client or the server has gone, so that no response is sent.
_GONE: Final = (BrokenPipeError, ConnectionResetError, ConnectionAbortedError)


class Request:
    """One request. span: None if it is not traced. step: calls the application with the span active."""

    #: Whether any part of the body has been sent to the client.
    sent = False

    _open = True
    _status: object = None
    _written = 0
    _route: str | None = None
    _write: Callable[[bytes], Any]

    def __init__(
        self,
        settings: Settings,
        environ: Environ,
        start_response: Callable[..., Any],
        step: Step,
        span: opentracing.Span | None,
    ) -> None:
        self._settings = settings
        self._environ = environ
        self._start_response = start_response
        self.step = step
        self.span = span
        environ[OPEN] = self

    def is_of(self, environ: Environ) -> bool:
        """Whether `environ` is that of this request or a copy of it, and not that of a nested request."""
        own = self._environ
        return environ is own or (
            environ.get("wsgi.input") is own.get("wsgi.input")
            and environ.get("REQUEST_METHOD") == own.get("REQUEST_METHOD")
            and urls.raw_path(environ) == urls.raw_path(own)
        )

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[..., Any]:
        """Calls the server's `start_response`, and remembers the status. Of several calls the last counts."""
        if self._settings.wants_headers:
            if type(headers) is not list:  # it may be an iterator, which can be read only once
                headers = list(headers)
            headers = attempt("response", self._look_at, status, headers, default=headers)
        self._write = (
            self._start_response(status, headers)
            if exc_info is None
            else self._start_response(status, headers, exc_info)
        )
        self._status = status
        if self._settings.wants_route:
            self.find_route(None)  # Flask's request is gone when the body is sent
        return self.write

    def write(self, data: bytes) -> Any:
        """Calls the server's `write()`, and counts the bytes."""
        done = self._write(data)
        self.sent = True
        self._written += len(data)
        return done

    def _look_at(self, status: str, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        settings, span = self._settings, self.span
        if span is None:
            return headers
        if settings.captured is not None:
            for name, value in settings.captured.response(headers).items():
                span.set_tag(name, value)
        if settings.response_hook is not None:
            attempt("response_hook", settings.response_hook, span, self._environ, status, headers)
        if settings.response_header is not None:
            return [*headers, *settings.response_header(span)]
        return headers

    def find_route(self, result: object) -> None:
        """Looks up the framework's route, in the environ and in `result`, unless it is known already."""
        if self._route is None:
            self._route = attempt("route", routes.route, self._environ, result)

    @property
    def is_open(self) -> bool:
        """Whether the span has not ended yet."""
        return self._open

    def end(self, error: BaseException | None = None) -> None:
        """Ends the span; only the first call counts. error: the exception that the application has raised.

        StopIteration is not an error: the application raises it after it has taken over the socket.
        """
        if not self._open:
            return
        self._open = False
        span = self.span
        if span is not None:
            try:
                code = status_code(self._status) if error is None else self._code_after(error)
                if code is not None:
                    span.set_tag("http.status_code", code)
                if error is not None or self._written or self._settings.wants_route or (code or 0) >= 500:
                    self._conclude(span, code, error)
            except Exception:
                failed("a span's last tags")
            try:
                span.finish()
            except Exception:
                failed("span.finish")
        self._environ.pop(OPEN, None)

    def abandon(self) -> None:
        """Ends the span of a body that was dropped without `close()`."""
        if self._open:
            if self.span is not None:
                attempt("set_tag", self.span.set_tag, "wsgi.abandoned", True)
            self.end()

    def _conclude(self, span: opentracing.Span, code: int | None, error: BaseException | None) -> None:
        if error is None:
            if code is not None and code >= 500:
                span.set_tag("error", True)
        elif not isinstance(error, StopIteration):
            fail(span, error)
        if self._written:
            span.set_tag("wsgi.written", self._written)
        if self._settings.wants_route:
            self._name(span, error)

    def _code_after(self, error: BaseException) -> int | None:
        """The status that the client gets or has got if the application raises `error`; None if none."""
        announced = status_code(self._status)
        if self.sent or announced == 101:  # after status 101 the socket is used for another protocol
            return announced
        gets_response = isinstance(error, Exception) and not isinstance(error, (StopIteration, *_GONE))
        return 500 if gets_response else None

    def _name(self, span: opentracing.Span, error: BaseException | None) -> None:
        self.find_route(None)
        if self._route is None and error is not None:
            self._route = attempt("route", routes.route_in, error.__traceback__)
        settings, route = self._settings, self._route
        if route is not None:
            if settings.opted_in:
                span.set_tag("http.route", route)
            if settings.name.late:
                span.set_operation_name(settings.name.of(self._environ, route))


def fail(span: opentracing.Span, error: BaseException) -> None:
    """Records `error` in `span`; in a span of another tracer, by the names of OpenTracing's conventions."""
    if isinstance(span, bridge.Span):
        span.fail(error)
        return
    span.set_tag("error", True)
    span.log_kv(
        {
            logs.EVENT: "error",
            logs.ERROR_KIND: type(error).__name__,
            logs.ERROR_OBJECT: error,
            logs.MESSAGE: str(error),
            logs.STACK: "".join(traceback.format_tb(error.__traceback__)),
        }
    )
