from __future__ import annotations

from typing import Any

import pytest

from ot_bridge.bridge import Tracer
from ot_bridge.wsgi import TracingMiddleware
from tests.wsgi.conftest import Server, Spans, environ, failures, hello, run

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
    "a port and no server name": ({"HTTP_HOST": None, "SERVER_NAME": None, "SERVER_PORT": "81"}, "http:///a"),
    "credentials in the Host header": ({"HTTP_HOST": "user:pass@example.org"}, "http://example.org/a"),
    "nonsense in the Host header": ({"HTTP_HOST": "a b\nc"}, "http://a%20b%0Ac/a"),
    "mounted": ({"SCRIPT_NAME": "/app"}, "http://localhost/app/a"),
    "no PATH_INFO": ({"PATH_INFO": None}, "http://localhost"),
    "no PATH_INFO, mounted": ({"PATH_INFO": None, "SCRIPT_NAME": "/app"}, "http://localhost/app"),
    "no SCRIPT_NAME": ({"SCRIPT_NAME": None}, "http://localhost/a"),
    "a star": ({"PATH_INFO": "*", "REQUEST_METHOD": "OPTIONS"}, "http://localhost"),
    "a whole URL for a path": ({"PATH_INFO": "http://user:pw@host/x/y?secret=1"}, "http://host/x/y"),
    "a whole URL without a path": ({"PATH_INFO": "http://host:8080"}, "http://host:8080"),
    "a whole URL that cannot be read": ({"PATH_INFO": "http://[::1"}, "http://localhost/"),
    "the server's IPv6 address": (
        {"HTTP_HOST": None, "SERVER_NAME": "::1", "SERVER_PORT": "81"},
        "http://[::1]:81/a",
    ),
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
def test_url_is_built_from_the_environ(
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
    "after a semicolon": ("a=1;token=s", "a=1;token=REDACTED"),
    "after an ampersand of HTML": ("a=1&amp;token=s", "a=1&amp;token=REDACTED"),
    "with a semicolon in it": ("token=a;b&c=d", "token=REDACTED&c=d"),
    "in brackets": ("user[password]=s", "user[password]=REDACTED"),
    "in quoted brackets": ("user%5Bpassword%5D=s", "user%5Bpassword%5D=REDACTED"),
    "before brackets": ("token[]=s&token[0]=s", "token[]=REDACTED&token[0]=REDACTED"),
    "with a dot": ("user.password=s", "user.password=REDACTED"),
    "in other brackets": ("%7Bpwd%7D=s&(token)=s", "%7Bpwd%7D=REDACTED&(token)=REDACTED"),
    "behind a sign": ("$token=s&?sig=s&:key=s", "$token=REDACTED&?sig=REDACTED&:key=REDACTED"),
    "in quotes": ("%22token%22=s&'pwd'=s", "%22token%22=REDACTED&'pwd'=REDACTED"),
    "before a zero byte": ("token%00=s&token%0A=s", "token%00=REDACTED&token%0A=REDACTED"),
    "with dots": ("X.Amz.Credential=s", "X.Amz.Credential=REDACTED"),
    "with dashes": ("api-key=s&access-token=s", "api-key=REDACTED&access-token=REDACTED"),
    "with underscores": ("x_amz_signature=s", "x_amz_signature=REDACTED"),
    "written together": ("accessToken=s&apikey=s", "accessToken=REDACTED&apikey=REDACTED"),
    "one of the user's, in another spelling": ("credit_Card[no]=1&card=2", "credit_Card[no]=1&card=REDACTED"),
    "no secret": ("tokens=1&keyboard=2&a[b]=c;d", "tokens=1&keyboard=2&a[b]=c;d"),
}


@pytest.mark.parametrize(("query", "expected"), QUERIES.values(), ids=QUERIES)
def test_secrets_in_a_captured_query_are_redacted(
    tracer: Tracer, spans: Spans, query: str, expected: str
) -> None:
    app = TracingMiddleware(hello, tracer, capture_query=True, redact=["card"])
    run(app, "/a", QUERY_STRING=query)
    assert spans.tags()["http.url"] == f"http://localhost/a?{expected}"


def test_captured_query_that_is_empty_adds_nothing(tracer: Tracer, spans: Spans) -> None:
    run(TracingMiddleware(hello, tracer, capture_query=True), "/a")
    assert spans.tags()["http.url"] == "http://localhost/a"


def test_request_with_an_empty_environ_is_served(tracer: Tracer, spans: Spans) -> None:
    made = {key: value for key, value in environ().items() if key.startswith("wsgi.")}
    assert list(TracingMiddleware(hello, tracer)(made, Server().start_response)) == [b"hello"]
    assert spans.tags()["http.status_code"] == 200


@pytest.mark.parametrize("value", [None, 7, b"/bytes"], ids=repr)
def test_request_with_environ_values_of_wrong_types_is_served_and_traced(
    tracer: Tracer, spans: Spans, value: object
) -> None:
    made = environ() | {"PATH_INFO": value}
    assert list(TracingMiddleware(hello, tracer)(made, Server().start_response)) == [b"hello"]
    assert spans.tags()["http.status_code"] == 200


@pytest.mark.parametrize("capture_query", [True, False])
@pytest.mark.parametrize("invalid", [{"QUERY_STRING": 7}, {"REQUEST_METHOD": []}], ids=str)
def test_invalid_environ_is_logged_once_if_it_is_read(
    tracer: Tracer,
    spans: Spans,
    caplog: pytest.LogCaptureFixture,
    invalid: dict[str, Any],
    capture_query: bool,
) -> None:
    app = TracingMiddleware(hello, tracer, capture_query=capture_query)
    assert [run(app, **invalid), run(app, **invalid)] == [b"hello"] * 2
    assert len(spans.all()) == 2
    read = capture_query or "QUERY_STRING" not in invalid
    assert failures(caplog) == ["reading the environ"] * read


NAMES = (
    *("access_token", "api_key", "auth", "AWSAccessKeyId", "client_secret", "code", "id_token", "jwt", "key"),
    *("pass", "passwd", "password", "pwd", "refresh_token", "secret", "session", "sig", "signature", "token"),
    *("X-Amz-Credential", "X-Amz-Security-Token", "X-Amz-Signature", "X-Goog-Credential", "X-Goog-Signature"),
    *("Authorization", "Cookie", "Proxy-Authorization", "Set-Cookie", "X-API-Key", "X-Auth-Token"),
    *("X-CSRF-Token", "X-CSRFToken"),
)


@pytest.mark.parametrize("name", NAMES)
def test_value_of_a_sensitive_name_is_never_exported(tracer: Tracer, spans: Spans, name: str) -> None:
    app = TracingMiddleware(hello, tracer, capture_query=True, capture_headers=[name])
    header = f"HTTP_{name.upper().replace('-', '_')}"
    run(app, "/a", QUERY_STRING=f"{name}=hidden&{name.lower()}[]=hidden", **{header: "hidden"})
    assert spans.tags()["http.url"] == f"http://localhost/a?{name}=REDACTED&{name.lower()}[]=REDACTED"
    assert spans.tags()[f"http.request.header.{name.lower()}"] == "REDACTED"
    assert "hidden" not in str(spans.tags())
