"""Requests that have no span, and the spans that the application starts in them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from ot_bridge.bridge import Tracer
from ot_bridge.wsgi import DO_NOT_TRACE, TracingMiddleware
from tests.wsgi.conftest import Server, Spans, environ, failures, hello, run


def working(tracer: Tracer, provider: TracerProvider) -> Callable[..., Iterable[bytes]]:
    """An application that makes spans of both APIs' while it runs, and while its body is read."""
    otel = provider.get_tracer("app")

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        with tracer.start_active_span("below"), otel.start_as_current_span("further below"):
            yield b"a"
        with otel.start_as_current_span("below too"):
            yield b"b"

    return app


PATHS: dict[str, tuple[Any, str, bool]] = {
    "the health check of a load balancer": (None, "/healthz", False),
    "App Engine's": (None, "/_ah/health", False),
    "anything else": (None, "/healthz/x", True),
    "switched off": ((), "/healthz", True),
    "of one's own": (["/ping"], "/ping", False),
    "of one's own, alone": ("/ping", "/ping", False),
    "as a whole URL": (["/ping"], "http://localhost/ping", False),
    "of one's own replaces the default": (["/ping"], "/healthz", True),
    "all below": (["/static/*"], "/static/a/b.css", False),
    "not quite below": (["/static/*"], "/staticx", True),
    "a callable": (lambda environ: environ["PATH_INFO"].endswith(".css"), "/a.css", False),
}


@pytest.mark.parametrize(("exclude", "path", "traced"), PATHS.values(), ids=PATHS)
def test_excluded_path_has_no_span_nor_has_anything_below(
    tracer: Tracer, provider: TracerProvider, spans: Spans, exclude: Any, path: str, traced: bool
) -> None:
    given = {} if exclude is None else {"exclude": exclude}
    made = environ(path)
    app = TracingMiddleware(working(tracer, provider), tracer, **given)
    assert Server().run(app, made) == b"ab"
    assert sorted(spans.names()) == (["ServeHTTP", "below", "below too", "further below"] if traced else [])
    assert ("ot_bridge.span" in made) is traced


def test_excluded_path_includes_the_mount_point(tracer: Tracer, spans: Spans) -> None:
    app = TracingMiddleware(hello, tracer, exclude=["/app/ping"])
    run(app, "/ping", SCRIPT_NAME="/app")
    assert spans.names() == []


def test_exclude_function_that_raises_excludes_nothing(
    tracer: Tracer, spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    app = TracingMiddleware(hello, tracer, exclude=lambda environ: environ["no such key"])
    assert [run(app), run(app)] == [b"hello", b"hello"]
    assert len(spans.all()) == 2
    assert failures(caplog) == ["exclude"]


@pytest.mark.parametrize("chosen", [False, DO_NOT_TRACE], ids=repr)
def test_start_options_can_exclude_a_request(
    tracer: Tracer, provider: TracerProvider, spans: Spans, chosen: object
) -> None:
    run(TracingMiddleware(working(tracer, provider), tracer, start_options=lambda environ: chosen))
    assert spans.names() == []


def test_untraced_requests_tell_downstream_not_to_trace(tracer: Tracer) -> None:
    sent: dict[str, str] = {}

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        active = tracer.active_span
        assert active is not None
        tracer.inject(active.context, "http_headers", sent)
        return hello(environ, start_response)

    run(TracingMiddleware(app, tracer), "/healthz")
    assert sent["traceparent"].endswith("-00")
    assert sent["uber-trace-id"].endswith(":0")


def test_untraced_requests_leave_nothing_active(tracer: Tracer, provider: TracerProvider) -> None:
    result = TracingMiddleware(working(tracer, provider), tracer)(
        environ("/healthz"), Server().start_response
    )
    seen = [(tracer.active_span, trace.get_current_span()) for _ in result]
    assert seen
    assert set(seen) == {(None, trace.INVALID_SPAN)}
    result.close()  # type: ignore[attr-defined]


def test_untraced_application_gets_the_servers_start_response(tracer: Tracer) -> None:
    server = Server()
    server.run(TracingMiddleware(hello, tracer, response_header="traceparent"), environ("/healthz"))
    assert server.status == ["200 OK"]
    assert server.headers == [("Content-Type", "text/plain")]


def test_dropped_untraced_body_raises_nothing(tracer: Tracer, provider: TracerProvider, spans: Spans) -> None:
    made = environ("/healthz")
    result = iter(TracingMiddleware(working(tracer, provider), tracer)(made, Server().start_response))
    next(result)
    del result
    deadline = time.monotonic() + 20
    while "ot_bridge.open" in made and time.monotonic() < deadline:  # another thread takes it away
        time.sleep(0.01)
    assert spans.names() == []
    assert "ot_bridge.open" not in made


BROKEN = {"HTTP_UBER_TRACE_ID": "not a trace", "HTTP_X_KEEP": "1"}


def test_broken_header_leaves_the_request_without_a_span_but_served(
    tracer: Tracer, provider: TracerProvider, spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    app = TracingMiddleware(working(tracer, provider), tracer)
    with caplog.at_level(logging.DEBUG, "ot_bridge.edge"):
        assert [run(app, **BROKEN), run(app, **BROKEN)] == [b"ab", b"ab"]
    assert "ServeHTTP" not in spans.names()
    assert "further below" in spans.names()  # what the application traces itself is traced all the same
    assert app.corrupt_headers == 2
    assert {(record.name, record.levelname) for record in caplog.records} == {("ot_bridge.edge", "DEBUG")}


def test_a_request_with_a_broken_header_does_not_show_the_span_of_another_request(tracer: Tracer) -> None:
    seen: list[bool] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        seen.append("ot_bridge.span" in environ)
        return hello(environ, start_response)

    changes: dict[str, Any] = {**BROKEN, "ot_bridge.span": object()}  # as in a copy of another environ
    assert run(TracingMiddleware(app, tracer), **changes) == b"hello"
    assert seen == [False]


def test_an_application_is_served_if_its_request_cannot_be_begun_and_that_is_logged(
    tracer: Tracer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ot_bridge.wsgi.middleware.Request", lambda *_: 1 / 0)
    assert run(TracingMiddleware(hello, tracer)) == b"hello"
    assert failures(caplog) == ["starting a span"]


def test_with_on_corrupt_root_a_broken_header_starts_a_new_trace(tracer: Tracer, spans: Spans) -> None:
    app = TracingMiddleware(hello, tracer, on_corrupt="root")
    run(app, **BROKEN)
    assert spans.one().parent is None
    assert app.corrupt_headers == 1
    (event,) = spans.one().events
    assert event.attributes is not None
    assert event.attributes["exception.message"] == (
        "uber-trace-id: trace id has a character that is not a hex digit: 'not a trace'"
    )


def test_request_without_tracing_headers_does_not_count_as_corrupt(tracer: Tracer, spans: Spans) -> None:
    app = TracingMiddleware(hello, tracer)
    run(app, HTTP_X_OTHER="1")
    assert spans.one().parent is None
    assert app.corrupt_headers == 0
