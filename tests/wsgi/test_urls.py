from __future__ import annotations

from typing import Any

import pytest

from ot_bridge.bridge import Tracer
from ot_bridge.wsgi import TracingMiddleware
from tests.wsgi.conftest import Server, Spans, environ, hello, run

URLS: dict[str, tuple[dict[str, Any], str]] = {
    "as the client asked": ({}, "http://localhost/a"),
    "https on its port": ({"wsgi__url_scheme": "https", "HTTP_HOST": "example.org"}, "https://example.org/a"),
    "a port in the Host header": ({"HTTP_HOST": "example.org:8080"}, "http://example.org:8080/a"),
    "an IPv6 host": ({"HTTP_HOST": "[::1]:8080"}, "http://[::1]:8080/a"),
    "no Host header": ({"HTTP_HOST": None, "SERVER_NAME": "srv", "SERVER_PORT": "81"}, "http://srv:81/a"),
    "no Host header, default port": ({"HTTP_HOST": None, "SERVER_NAME": "srv"}, "http://srv/a"),
    "a unix socket for a port": (
        {"HTTP_HOST": None, "SERVER_NAME": "unix", "SERVER_PORT": "unix"},
        "http://unix/a",
    ),
    "no server name at all": ({"HTTP_HOST": None, "SERVER_NAME": None, "SERVER_PORT": None}, "http:///a"),
    "credentials in the Host header": ({"HTTP_HOST": "user:pass@example.org"}, "http://example.org/a"),
    "nonsense in the Host header": ({"HTTP_HOST": "a b\nc"}, "http://a%20b%0Ac/a"),
    "mounted": ({"SCRIPT_NAME": "/app"}, "http://localhost/app/a"),
    "no PATH_INFO": ({"PATH_INFO": None}, "http://localhost"),
    "no PATH_INFO, mounted": ({"PATH_INFO": None, "SCRIPT_NAME": "/app"}, "http://localhost/app"),
    "no SCRIPT_NAME": ({"SCRIPT_NAME": None}, "http://localhost/a"),
    "a star": ({"PATH_INFO": "*", "REQUEST_METHOD": "OPTIONS"}, "http://localhost"),
    "a whole URL for a path": ({"PATH_INFO": "http://user:pw@host/x/y?secret=1"}, "http://localhost/x/y"),
    "a space": ({"PATH_INFO": "/a b"}, "http://localhost/a%20b"),
    "a question mark that was quoted": ({"PATH_INFO": "/a?b"}, "http://localhost/a%3Fb"),
    "a percent sign that was quoted": ({"PATH_INFO": "/a%b"}, "http://localhost/a%25b"),
    "UTF-8 as PEP 3333 has it": ({"PATH_INFO": "/\xc3\xa9"}, "http://localhost/%C3%A9"),
    "broken UTF-8": ({"PATH_INFO": "/\xff\xfe"}, "http://localhost/%FF%FE"),
    "text that PEP 3333 forbids": ({"PATH_INFO": "/\u20ac"}, "http://localhost/%E2%82%AC"),
    "a lone surrogate": ({"PATH_INFO": "/\udcff"}, "http://localhost/%3F"),
    "a query": ({"QUERY_STRING": "token=secret"}, "http://localhost/a"),
}


@pytest.mark.parametrize(("changes", "url"), URLS.values(), ids=URLS)
def test_url_is_what_the_environ_says(
    tracer: Tracer, spans: Spans, changes: dict[str, Any], url: str
) -> None:
    assert run(TracingMiddleware(hello, tracer), "/a", **changes) == b"hello"
    assert spans.tags()["http.url"] == url


QUERIES = {
    "plain": ("a=1&b=2", "a=1&b=2"),
    "a secret": ("a=1&token=abc", "a=1&token=REDACTED"),
    "in any case": ("AWSAccessKeyId=abc&Signature=def", "AWSAccessKeyId=REDACTED&Signature=REDACTED"),
    "a quoted name": ("%74oken=abc", "%74oken=REDACTED"),
    "twice": ("sig=a&sig=b", "sig=REDACTED&sig=REDACTED"),
    "one of the user's": ("Card=4111", "Card=REDACTED"),
    "no value": ("token&x", "token&x"),
    "raw bytes": ("q=\xe9 x", "q=%C3%A9%20x"),
}


@pytest.mark.parametrize(("query", "shown"), QUERIES.values(), ids=QUERIES)
def test_captured_query_has_its_secrets_taken_out(
    tracer: Tracer, spans: Spans, query: str, shown: str
) -> None:
    app = TracingMiddleware(hello, tracer, capture_query=True, redact=["card"])
    run(app, "/a", QUERY_STRING=query)
    assert spans.tags()["http.url"] == f"http://localhost/a?{shown}"


def test_captured_query_that_is_empty_adds_nothing(tracer: Tracer, spans: Spans) -> None:
    run(TracingMiddleware(hello, tracer, capture_query=True), "/a")
    assert spans.tags()["http.url"] == "http://localhost/a"


def test_environ_without_anything_is_served(tracer: Tracer, spans: Spans) -> None:
    made = {key: value for key, value in environ().items() if key.startswith("wsgi.")}
    assert list(TracingMiddleware(hello, tracer)(made, Server().start_response)) == [b"hello"]
    assert spans.tags()["http.status_code"] == 200


@pytest.mark.parametrize("value", [None, 7, b"/bytes"], ids=repr)
def test_environ_of_the_wrong_types_is_served_and_traced(tracer: Tracer, spans: Spans, value: object) -> None:
    made = environ() | {"PATH_INFO": value}
    assert list(TracingMiddleware(hello, tracer)(made, Server().start_response)) == [b"hello"]
    assert spans.tags()["http.status_code"] == 200


def test_environ_that_cannot_be_read_is_told_of_once(
    tracer: Tracer, spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    app = TracingMiddleware(hello, tracer, capture_query=True)
    assert [run(app, QUERY_STRING=7), run(app, QUERY_STRING=7)] == [b"hello"] * 2
    assert len(spans.all()) == 2
    assert len(caplog.records) == 1
