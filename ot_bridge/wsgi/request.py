"""One request on its way through: its span, its response's status, and its one end.

Nothing here raises into the application or the server: what fails on the span's side is logged once.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any, Final

import opentracing
from opentracing import logs

from ot_bridge import bridge
from ot_bridge.wsgi import names
from ot_bridge.wsgi.active import Step
from ot_bridge.wsgi.options import Rules
from ot_bridge.wsgi.quiet import attempt, failed
from ot_bridge.wsgi.tags import Environ, status_code

#: Where the environ holds the request's span, and whether a middleware is dealing with the request.
SPAN: Final = "ot_bridge.span"
OPEN: Final = "ot_bridge.open"


class Request:
    """What the middleware knows of one request. span: None if it is not traced. step: how to call in."""

    #: Whether the client has been sent anything but a status.
    sent = False

    _open = True
    _status: object = None
    _written = 0
    _route: str | None = None
    _write: Callable[[bytes], Any]

    def __init__(
        self,
        rules: Rules,
        environ: Environ,
        start_response: Callable[..., Any],
        step: Step,
        span: opentracing.Span | None,
    ) -> None:
        self._rules = rules
        self._environ = environ
        self._start_response = start_response
        self.step = step
        self.span = span
        environ[OPEN] = True

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[..., Any]:
        """The server's, with the status noted: the last one counts."""
        if self._rules.watches:
            headers = attempt("response", self._watch, status, headers, default=headers)
        self._write = (
            self._start_response(status, headers)
            if exc_info is None
            else self._start_response(status, headers, exc_info)
        )
        self._status = status
        if self._rules.wants_route:
            self.routed(None)  # Flask forgets its request before the body goes out
        return self.write

    def write(self, data: bytes) -> Any:
        """The server's `write()`, counted."""
        done = self._write(data)
        self.sent = True
        self._written += len(data)
        return done

    def _watch(self, status: str, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        rules, span = self._rules, self.span
        if span is None:
            return headers
        if rules.headers is not None:
            for name, value in rules.headers.response(headers).items():
                span.set_tag(name, value)
        if rules.response_hook is not None:
            attempt("response_hook", rules.response_hook, span, self._environ, status, headers)
        if rules.response_header is not None:
            return [*headers, *rules.response_header(span)]
        return headers

    def routed(self, result: object) -> None:
        """Looks for the framework's route, where it is wanted, while `result` still knows it."""
        if self._route is None:
            self._route = attempt("route", names.route, self._environ, result)

    def end(self, error: BaseException | None = None) -> None:
        """Ends the span, with `error` if something was raised; the first call counts."""
        if not self._open:
            return
        self._open = False
        self._environ.pop(OPEN, None)
        span = self.span
        if span is None:
            return
        try:
            self._conclude(span, error)
        except Exception:
            failed("a span's last tags")
        try:
            span.finish()
        except Exception:
            failed("span.finish")

    @property
    def is_open(self) -> bool:
        """Whether the span has not ended yet."""
        return self._open

    def abandon(self) -> None:
        """Ends the span of a body that nobody closed."""
        if self._open:
            if self.span is not None:
                attempt("set_tag", self.span.set_tag, "wsgi.abandoned", True)
            self.end()

    def _conclude(self, span: opentracing.Span, error: BaseException | None) -> None:
        rules = self._rules
        # An exception before the first chunk makes the server answer 500, whatever was announced.
        code = 500 if error is not None and not self.sent else status_code(self._status)
        if code is not None:
            for name in rules.convention.status:
                span.set_tag(name, code)
        if error is not None or (code is not None and code >= 500):
            self._failed(span, code, error)
        if self._written:
            span.set_tag("wsgi.written", self._written)
        if rules.wants_route:
            self._name(span)

    def _failed(self, span: opentracing.Span, code: int | None, error: BaseException | None) -> None:
        kind = self._rules.convention.error_type
        if kind is not None:
            span.set_tag(kind, str(code) if error is None else type(error).__qualname__)
        if error is None:
            span.set_tag("error", True)
        else:
            fail(span, error)

    def _name(self, span: opentracing.Span) -> None:
        self.routed(None)
        rules, route = self._rules, self._route
        if route is not None:
            if rules.convention.route is not None:
                span.set_tag(rules.convention.route, route)
            if rules.name.late:
                span.set_operation_name(rules.name.of(self._environ, route))


def fail(span: opentracing.Span, error: BaseException) -> None:
    """Marks `span` as failed by `error`, in the words of OpenTracing's conventions if it is not ours."""
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
