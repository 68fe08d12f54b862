"""The user's hooks get the right arguments, and a hook that fails does not fail the request."""

from __future__ import annotations

from typing import Any

import pytest

from ot_bridge.bridge import Tracer
from ot_bridge.wsgi import TracingMiddleware
from tests.wsgi.conftest import Server, Spans, answering, environ, failures, hello, run


def test_hooks_get_the_span_with_the_request_and_the_response(tracer: Tracer, spans: Spans) -> None:
    calls: list[tuple[Any, ...]] = []
    app = TracingMiddleware(
        answering("204 No Content", ("X-Out", "1")),
        tracer,
        request_hook=lambda *args: calls.append(args),
        response_hook=lambda *args: calls.append(args),
    )
    made = environ()
    Server().run(app, made)
    span = made["ot_bridge.span"]
    assert calls == [(span, made), (span, made, "204 No Content", [("X-Out", "1")])]


def test_hooks_can_tag_the_span(tracer: Tracer, spans: Spans) -> None:
    app = TracingMiddleware(
        hello,
        tracer,
        request_hook=lambda span, environ: span.set_tag("in", environ["PATH_INFO"]),
        response_hook=lambda span, environ, status, headers: span.set_tag("out", status),
    )
    run(app, "/a")
    assert (spans.tags()["in"], spans.tags()["out"]) == ("/a", "200 OK")


@pytest.mark.parametrize("hook", ["request_hook", "response_hook"])
def test_hook_that_raises_is_logged_once_and_does_not_affect_the_request(
    tracer: Tracer, spans: Spans, caplog: pytest.LogCaptureFixture, hook: str
) -> None:
    def broken(*args: object) -> None:
        raise LookupError("of the user's")

    app: Any = TracingMiddleware(hello, tracer, response_header="traceparent", **{hook: broken})  # type: ignore[arg-type]
    for _ in range(3):
        server = Server()
        assert server.run(app, environ()) == b"hello"
        assert [name for name, _ in server.headers] == ["Content-Type", "traceparent"]
    assert [(span.attributes or {})["http.status_code"] for span in spans.all()] == [200] * 3
    (record,) = caplog.records
    assert failures(caplog) == [hook]
    assert record.exc_info is not None
