"""The tags of a request's span."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable
from typing import Any

import opentracing
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from werkzeug.middleware.proxy_fix import ProxyFix

from ot_bridge.bridge import Tracer
from ot_bridge.semconv import SemconvExporter
from ot_bridge.wsgi import TracingMiddleware, trace_wsgi
from tests.wsgi.conftest import Server, Spans, answering, environ, hello, run

PEER = {"REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": "5000"}
OPENTRACING = {
    "http.method": "GET",
    "http.url": "http://localhost/a",
    "http.status_code": 200,
    "peer.ipv4": "192.0.2.1",
    "peer.port": 5000,
}
COMPONENT = {"component": "grpc-gateway"}
OPENTELEMETRY = {
    "http.request.method": "GET",
    "url.scheme": "http",
    "url.path": "/a",
    "server.address": "localhost",
    "network.protocol.version": "1.1",
    "client.address": "192.0.2.1",
    "network.peer.address": "192.0.2.1",
    "network.peer.port": 5000,
    "http.response.status_code": 200,
}
CONVENTIONS = {
    "": COMPONENT | OPENTRACING,
    "database": COMPONENT | OPENTRACING,
    "http": COMPONENT | OPENTELEMETRY,
    "http/dup": COMPONENT | OPENTRACING | OPENTELEMETRY,
    "database, HTTP/dup ,http": COMPONENT | OPENTRACING | OPENTELEMETRY,
}


def exported(spans: Spans) -> dict[str, Any]:
    """The tags of the one span as `install()` has it exported."""
    exporter = InMemorySpanExporter()
    SemconvExporter(exporter).export(spans.all())
    (span,) = exporter.get_finished_spans()
    return dict(span.attributes or {})


@pytest.mark.parametrize(("opt_in", "tags"), CONVENTIONS.items(), ids=repr)
def test_attribute_names_are_those_that_the_environment_variable_selects(
    tracer: Tracer, spans: Spans, monkeypatch: pytest.MonkeyPatch, opt_in: str, tags: dict[str, Any]
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", opt_in)
    run(TracingMiddleware(hello, tracer), "/a", **PEER)
    assert exported(spans) == tags
    assert spans.one().kind is SpanKind.SERVER


def test_attribute_names_are_opentracings_by_default(
    tracer: Tracer, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OTEL_SEMCONV_STABILITY_OPT_IN", raising=False)
    run(trace_wsgi(hello, tracer=tracer), "/a", **PEER)
    assert spans.tags() == COMPONENT | OPENTRACING


TODAY: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a port": ({"HTTP_HOST": "h:81"}, {"server.address": "h", "server.port": 81}),
    "an IPv6 host": ({"HTTP_HOST": "[::1]:81"}, {"server.address": "::1", "server.port": 81}),
    "HTTP/2": ({"SERVER_PROTOCOL": "HTTP/2"}, {"network.protocol.version": "2"}),
    "no protocol": ({"SERVER_PROTOCOL": None}, {"network.protocol.version": None}),
    "no peer": ({}, {"client.address": None, "network.peer.address": None}),
    "a unix socket": (
        {"REMOTE_ADDR": "localhost", "REMOTE_PORT": "None"},
        {"client.address": None, "network.peer.address": None, "network.peer.port": None},
    ),
    "an absurd method": (
        {"REQUEST_METHOD": "BREW"},
        {"http.request.method": "_OTHER", "http.request.method_original": "BREW"},
    ),
    "a query, not captured": ({"QUERY_STRING": "a=1"}, {"url.query": None}),
}


@pytest.mark.parametrize(("changes", "tags"), TODAY.values(), ids=TODAY)
def test_stable_names_have_the_values_that_opentelemetry_specifies(
    tracer: Tracer,
    spans: Spans,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    tags: dict[str, Any],
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
    run(TracingMiddleware(hello, tracer), **changes)
    assert {name: exported(spans).get(name) for name in tags} == tags


def test_query_is_captured_under_its_stable_name_if_configured(
    tracer: Tracer, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
    run(TracingMiddleware(hello, tracer, capture_query=True), QUERY_STRING="a=1&token=b")
    assert exported(spans)["url.query"] == "a=1&token=REDACTED"


@pytest.mark.parametrize(
    ("status", "tag"), [("404 Not Found", None), ("500 Oops", "500"), ("503", "503")], ids=str
)
def test_stable_error_type_is_the_status(
    tracer: Tracer, spans: Spans, monkeypatch: pytest.MonkeyPatch, status: str, tag: str | None
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http")
    run(TracingMiddleware(answering(status), tracer))
    assert exported(spans).get("error.type") == tag


STATUSES = {
    "ok": ("200 OK", 200, StatusCode.UNSET),
    "without a reason": ("200", 200, StatusCode.UNSET),
    "informational": ("101 Switching Protocols", 101, StatusCode.UNSET),
    "a client's error is none of the server's": ("404 Not Found", 404, StatusCode.UNSET),
    "an error": ("500 Internal Server Error", 500, StatusCode.ERROR),
    "unavailable": ("503 Service Unavailable", 503, StatusCode.ERROR),
    "nonsense": ("fine", None, StatusCode.UNSET),
    "empty": ("", None, StatusCode.UNSET),
    "a number that is none": ("007 Bond", None, StatusCode.UNSET),
}


@pytest.mark.parametrize(("status", "code", "outcome"), STATUSES.values(), ids=STATUSES)
def test_status_code_is_tagged_and_500s_are_errors(
    tracer: Tracer, spans: Spans, status: str, code: int | None, outcome: StatusCode
) -> None:
    server = Server()
    server.run(TracingMiddleware(answering(status), tracer), environ())
    assert server.status == [status]
    assert spans.tags().get("http.status_code") == code
    assert spans.one().status.status_code is outcome


def test_application_that_never_calls_start_response_has_no_status(tracer: Tracer, spans: Spans) -> None:
    run(TracingMiddleware(lambda environ, start_response: [], tracer))
    assert "http.status_code" not in spans.tags()


def test_last_status_is_tagged(tracer: Tracer, spans: Spans) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        try:
            raise ValueError
        except ValueError as error:
            start_response("500 Oops", [], (type(error), error, error.__traceback__))
        return [b"sorry"]

    server = Server()
    server.run(TracingMiddleware(app, tracer), environ())
    assert server.status == ["200 OK", "500 Oops"]
    assert spans.tags()["http.status_code"] == 500
    assert spans.one().status.status_code is StatusCode.ERROR


def test_status_that_the_server_refuses_is_not_tagged(tracer: Tracer, spans: Spans) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])(b"sent")
        error = ValueError("late")
        start_response("500 Oops", [], (ValueError, error, None))
        return []

    def refuse(status: str, headers: Any, exc_info: Any = None) -> Callable[..., Any]:
        if exc_info:
            raise exc_info[1]
        return lambda data: None

    with pytest.raises(ValueError, match="late"):
        TracingMiddleware(app, tracer)(environ(), refuse)
    assert spans.tags()["http.status_code"] == 200


def test_exc_info_can_be_a_keyword_argument(tracer: Tracer) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [], exc_info=None)
        return [b"x"]

    assert run(TracingMiddleware(app, tracer)) == b"x"


PEERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "IPv4": (PEER, {"peer.ipv4": "192.0.2.1", "peer.port": 5000}),
    "IPv6": ({"REMOTE_ADDR": "2001:db8::1", "REMOTE_PORT": 6}, {"peer.ipv6": "2001:db8::1", "peer.port": 6}),
    "no port": ({"REMOTE_ADDR": "192.0.2.1"}, {"peer.ipv4": "192.0.2.1"}),
    "an odd port": (
        {"REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": "x"},
        {"peer.ipv4": "192.0.2.1"},
    ),
    "a unix socket": ({"REMOTE_ADDR": ""}, {}),
    "waitress on a unix socket": ({"REMOTE_ADDR": "localhost", "REMOTE_PORT": "None"}, {}),
}


@pytest.mark.parametrize(("changes", "tags"), PEERS.values(), ids=PEERS)
def test_peer_is_the_address_that_connected(
    tracer: Tracer, spans: Spans, changes: dict[str, Any], tags: dict[str, Any]
) -> None:
    run(TracingMiddleware(hello, tracer), **changes)
    assert {name: value for name, value in spans.tags().items() if name.startswith("peer.")} == tags


FORWARDED = {
    "HTTP_X_FORWARDED_FOR": "203.0.113.7",
    "HTTP_X_FORWARDED_PROTO": "https",
    "HTTP_X_FORWARDED_HOST": "shop.example",
    "HTTP_X_FORWARDED_PREFIX": "/v1",
}


def test_forwarded_headers_are_not_trusted(tracer: Tracer, spans: Spans) -> None:
    run(TracingMiddleware(hello, tracer), "/a", **PEER, **FORWARDED)
    assert spans.tags() == COMPONENT | OPENTRACING


def test_environ_changed_by_proxy_fix_is_used(
    tracer: Tracer, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http/dup")
    app = ProxyFix(TracingMiddleware(hello, tracer), x_for=1, x_proto=1, x_host=1, x_prefix=1)
    run(app, "/a", **PEER, **FORWARDED)
    tags = exported(spans)
    assert tags["http.url"] == "https://shop.example/v1/a"
    assert tags["peer.ipv4"] == "203.0.113.7"
    assert tags["client.address"] == "203.0.113.7"
    assert tags["network.peer.address"] == "192.0.2.1"


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "BREW", "get", "A" * 5000, ""], ids=lambda m: m[:9])
def test_any_method_is_served_and_tagged_as_it_is(tracer: Tracer, spans: Spans, method: str) -> None:
    assert run(TracingMiddleware(hello, tracer), REQUEST_METHOD=method) == b"hello"
    assert spans.tags()["http.method"] == method


def test_application_gets_the_servers_own_environ(tracer: Tracer) -> None:
    made = environ("/a", HTTP_UPGRADE="websocket", HTTP_CONNECTION="Upgrade", HTTP_EXPECT="100-continue")
    before = made.copy()
    seen: list[Any] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        seen.append(environ)
        assert {key: environ[key] for key in before} == before
        assert {key for key in environ if key not in before} == {"ot_bridge.span", "ot_bridge.open"}
        return hello(environ, start_response)

    Server().run(TracingMiddleware(app, tracer), made)
    assert seen[0] is made
    assert {key: made[key] for key in before} == before
    assert isinstance(made["ot_bridge.span"], opentracing.Span)


def test_the_known_methods_are_those_of_the_variable() -> None:
    """In a process of its own: it is read once, at import."""
    program = (
        "import os; os.environ['OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS'] = 'GET, PURGE'\n"
        "from ot_bridge.wsgi.operation_name import OperationName\n"
        "for method in ('PURGE', 'POST', 'get'):\n"
        "    print(OperationName('{method}').of({'REQUEST_METHOD': method}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["PURGE", "HTTP", "HTTP"]


STRANGE: dict[str, dict[str, Any]] = {
    "an ordinary request": PEER,
    "a method that is none": {"REQUEST_METHOD": "GR\u00dcSS\ud800"},
    "a host with other letters": {"HTTP_HOST": "b\u00fccher.example"},
    "a long path": {"PATH_INFO": "/" + "a" * 70_000},
    "a scheme with other letters": {"wsgi.url_scheme": "h\u00fc\ud800"},
    "an address of IPv6": {"REMOTE_ADDR": "2001:db8::1", "REMOTE_PORT": 5000},
    "an address that is none": {"REMOTE_ADDR": "unix:\ud800", "REMOTE_PORT": "5000"},
    "digits of another script": {"REMOTE_ADDR": "\u0661.\u0662", "REMOTE_PORT": "\u00b2"},
    "a port that is none": {"REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": "9" * 30},
    "a port too large for a span": {"REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": 1 << 70},
    "an address that is no text": {"REMOTE_ADDR": ["192.0.2.1"]},
}


@pytest.mark.parametrize("maps_kind", [True, False], ids=["kind", "kind as a tag"])
@pytest.mark.parametrize("extra", STRANGE.values(), ids=STRANGE)
def test_prepared_tags_and_tags_cleaned_at_the_start_are_the_same(
    tracer: Tracer, spans: Spans, extra: dict[str, Any], maps_kind: bool
) -> None:
    tracer.maps_kind = maps_kind
    ready = TracingMiddleware(hello, tracer, component="caf\u00e9\ud800")
    cleaned = TracingMiddleware(
        hello, tracer, component="caf\u00e9\ud800", start_options=lambda environ: None
    )
    for application in (ready, cleaned):
        run(application, "/a", **extra)
    one, other = spans.all()
    assert (one.attributes, one.kind) == (other.attributes, other.kind)
    assert one.attributes is not None
    assert "component" in one.attributes
    "".join(map(str, one.attributes.values())).encode()  # which raises for what cannot be sent


def test_a_peer_without_an_ip_address_has_no_tag(tracer: Tracer, spans: Spans) -> None:
    app = TracingMiddleware(hello, tracer)
    addresses: list[Any] = ["", "localhost", "\u0661.\u0662", "9" * 200]
    for address in (*addresses, *addresses):
        run(app, REMOTE_ADDR=address, REMOTE_PORT="80")
    assert not [name for span in spans.all() for name in span.attributes or {} if name.startswith("peer.")]
