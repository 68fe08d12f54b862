"""Headers: those that are captured, and the one that returns the trace to the caller."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from ot_bridge.bridge import Tracer
from ot_bridge.wsgi import TracingMiddleware
from tests.semconv.sides import PROVIDERS, installed
from tests.wsgi.conftest import Server, Spans, answering, environ, run


def test_only_configured_headers_are_captured(tracer: Tracer, spans: Spans) -> None:
    run(TracingMiddleware(answering("200 OK", ("X-Out", "1")), tracer), HTTP_X_IN="1")
    assert not [name for name in spans.tags() if ".header." in name]


def test_named_headers_are_captured_and_sensitive_ones_redacted(tracer: Tracer, spans: Spans) -> None:
    app = answering("200 OK", ("X-Out", "1"), ("x-out", "2"), ("Set-Cookie", "s=1"), ("X-Other", "3"))
    names = ["X-In", "X-Out", "x-out", "Content-Type", "Cookie", "Authorization", "Set-Cookie", "X-Card"]
    run(
        TracingMiddleware(app, tracer, capture_headers=names, redact=["x-card"]),
        HTTP_X_IN="in",
        HTTP_COOKIE="s=1",
        HTTP_AUTHORIZATION="Basic dXNlcjpwYXNz",
        HTTP_X_CARD="4111",
        CONTENT_TYPE="text/plain",
    )
    assert {name: value for name, value in spans.tags().items() if ".header." in name} == {
        "http.request.header.x-in": "in",
        "http.request.header.content-type": "text/plain",
        "http.request.header.cookie": "REDACTED",
        "http.request.header.authorization": "REDACTED",
        "http.request.header.x-card": "REDACTED",
        "http.response.header.x-out": "1, 2",
        "http.response.header.set-cookie": "REDACTED",
    }


def test_header_is_sensitive_in_any_spelling(tracer: Tracer, spans: Spans) -> None:
    app = TracingMiddleware(answering("200 OK", ("X_Api_Key", "s")), tracer, capture_headers=["X_Api_Key"])
    run(app, HTTP_X_API_KEY="s")
    captured = {name: value for name, value in spans.tags().items() if ".header." in name}
    assert captured == {
        "http.request.header.x_api_key": "REDACTED",
        "http.response.header.x_api_key": "REDACTED",
    }


@pytest.mark.parametrize("opt_in", ["http", "http/dup"])
def test_captured_header_is_a_list_if_stable_names_are_selected(
    tracer: Tracer, spans: Spans, monkeypatch: pytest.MonkeyPatch, opt_in: str
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", opt_in)
    app = answering("200 OK", ("X-Out", "1"), ("Set-Cookie", "a"), ("x-out", "2"), ("set-cookie", "b"))
    run(TracingMiddleware(app, tracer, capture_headers=["X-In", "X-Out", "Set-Cookie"]), HTTP_X_IN="in")
    assert {name: value for name, value in spans.tags().items() if ".header." in name} == {
        "http.request.header.x-in": ("in",),
        "http.response.header.x-out": ("1", "2"),
        "http.response.header.set-cookie": ("REDACTED", "REDACTED"),
    }


SAYS_SO: dict[str, tuple[str, str | None, Any]] = {
    "the argument": ("", "http", ("in",)),
    "the argument, with the old names": ("", "http/dup", ("in",)),
    "the argument against the variable": ("http", "", "in"),
    "the argument with another group": ("http", "database", "in"),
    "the variable": ("http", None, ("in",)),
    "nothing": ("", None, "in"),
}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(("variable", "argument", "value"), SAYS_SO.values(), ids=SAYS_SO)
def test_middleware_uses_the_names_that_install_has_selected(
    monkeypatch: pytest.MonkeyPatch, variable: str, argument: str | None, value: Any, provider: str
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", variable)
    with installed(argument, provider) as (tracer, exporter):
        run(TracingMiddleware(answering("200 OK"), tracer, capture_headers=["X-In"]), HTTP_X_IN="in")
        assert tracer.flush()
        (span,) = exporter.get_finished_spans()
    assert (span.attributes or {})["http.request.header.x-in"] == value


def test_uninstall_resets_the_names_that_install_has_selected(tracer: Tracer, spans: Spans) -> None:
    with installed("http"):
        pass
    run(TracingMiddleware(answering("200 OK"), tracer, capture_headers=["X-In"]), HTTP_X_IN="in")
    assert spans.tags()["http.request.header.x-in"] == "in"


OPTIONS: dict[str, dict[str, Any]] = {
    "captured": {"capture_headers": ["x-out"]},
    "a hook": {"response_hook": lambda span, environ, status, headers: list(headers)},
    "a header": {"response_header": "traceparent"},
    "nothing": {},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize(
    "made", [iter, tuple, lambda pairs: (pair for pair in pairs)], ids=["iterator", "tuple", "generator"]
)
def test_response_headers_from_an_iterator_reach_the_server_completely(
    tracer: Tracer, spans: Spans, options: dict[str, Any], made: Callable[[Any], Any]
) -> None:
    pairs = [("X-Out", "1"), ("X-Other", "2")]

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", made(pairs))
        return [b""]

    server = Server()
    server.run(TracingMiddleware(app, tracer, **options), environ())
    assert [pair for pair in server.headers if pair[0] != "traceparent"] == pairs
    assert spans.tags().get("http.response.header.x-out", "1") == "1"


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("traceparent", {"traceparent"}),
        ("uber-trace-id", {"uber-trace-id"}),
        ("tracecontext", {"traceparent"}),
        ("jaeger", {"uber-trace-id"}),
        ("b3multi", {"x-b3-traceid", "x-b3-spanid", "x-b3-sampled"}),
    ],
)
def test_response_header_contains_the_trace_if_configured(
    tracer: Tracer, spans: Spans, name: str, headers: set[str]
) -> None:
    kept = [("X-Out", "1")]
    server = Server()
    app = answering("200 OK")

    def with_baggage(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["ot_bridge.span"].set_baggage_item("secret", "s")
        return app(environ, lambda status, _: start_response(status, kept))

    server.run(TracingMiddleware(with_baggage, tracer, response_header=name), environ())
    assert server.headers[0] == ("X-Out", "1")
    assert {key.lower() for key, _ in server.headers[1:]} == headers
    assert f"{spans.one().context.trace_id:032x}" in server.headers[1][1].zfill(64)
    assert kept == [("X-Out", "1")]


def test_response_header_is_not_set_by_default(tracer: Tracer) -> None:
    server = Server()
    server.run(TracingMiddleware(answering("200 OK"), tracer), environ())
    assert server.headers == []
