"""Sockets that the application takes over, and disconnected clients: the tagged status is the sent one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from opentelemetry.trace import StatusCode

from ot_bridge.bridge import Tracer
from ot_bridge.wsgi import TracingMiddleware
from tests.wsgi.conftest import Server, Spans, environ, run


def raising(error: BaseException, status: str | None = None) -> Callable[..., Iterable[bytes]]:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if status is not None:
            start_response(status, [])
        raise error

    return app


@pytest.mark.parametrize(
    ("status", "code"), [(None, None), ("101 Switching Protocols", 101)], ids=["no status", "101"]
)
def test_session_that_ends_by_stop_iteration_is_not_an_error(
    tracer: Tracer, spans: Spans, status: str | None, code: int | None
) -> None:
    error = StopIteration()
    with pytest.raises(StopIteration) as raised:
        run(TracingMiddleware(raising(error, status), tracer))
    assert raised.value is error
    assert spans.tags().get("http.status_code") == code
    assert spans.one().status.status_code is StatusCode.UNSET
    assert not spans.one().events


def test_error_after_the_protocol_was_switched_keeps_the_101(tracer: Tracer, spans: Spans) -> None:
    with pytest.raises(LookupError):
        run(TracingMiddleware(raising(LookupError(), "101 Switching Protocols"), tracer))
    assert spans.tags()["http.status_code"] == 101
    assert spans.one().status.status_code is StatusCode.ERROR


GONE = [
    SystemExit(),
    KeyboardInterrupt(),
    BrokenPipeError(),
    ConnectionResetError(),
    ConnectionAbortedError(),
]
ANSWERED = [ConnectionRefusedError(), TimeoutError(), ConnectionError(), OSError(), LookupError()]


@pytest.mark.parametrize("error", [*GONE, *ANSWERED], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("status", [None, "200 OK"], ids=["no status", "announced"])
def test_status_of_an_exception_is_what_the_client_gets(
    tracer: Tracer, spans: Spans, error: BaseException, status: str | None
) -> None:
    with pytest.raises(type(error)):
        run(TracingMiddleware(raising(error, status), tracer))
    assert spans.tags().get("http.status_code") == (500 if error in ANSWERED else None)
    assert spans.one().status.status_code is StatusCode.ERROR


class _AlreadyHandled:
    """As eventlet's mark, which its server knows by identity."""

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> bytes:
        raise StopIteration


@pytest.mark.parametrize("mark", [object(), _AlreadyHandled()], ids=["gunicorn", "eventlet"])
def test_marker_for_a_socket_taken_over_by_the_application_is_returned_unchanged(
    tracer: Tracer, spans: Spans, mark: Any
) -> None:
    result = TracingMiddleware(lambda environ, start_response: mark, tracer)(
        environ(), Server().start_response
    )
    assert result is mark
    assert "http.status_code" not in spans.tags()
    assert spans.one().status.status_code is StatusCode.UNSET
