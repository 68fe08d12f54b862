"""Tables and limits of the middleware: characters, addresses, methods, headers, fields."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from opentracing import Format

from ot_bridge.bridge import Tracer
from ot_bridge.errors import ConfigurationError
from ot_bridge.wire import FORMATS
from ot_bridge.wsgi import TracingMiddleware, urls
from ot_bridge.wsgi.operation_name import FIELDS
from ot_bridge.wsgi.secrets import Secrets
from tests.wsgi.conftest import Server, Spans, answering, environ, hello, run

PRINTABLE = [chr(number) for number in range(0x20, 0x7F)]

#: RFC 3986, section 3.3: unreserved characters, sub-delims, ":", "@" and "/"; servers take brackets, too.
PATH = {*string.ascii_letters, *string.digits, *"-._~", *"!$&'()*+,;=", *":@/", *"[]"}
#: RFC 3986, section 3.4: as in a path, and "?"; a "%" is the client's own quoting.
QUERY = PATH | {*"?%"}


def _quoted(character: str, plain: set[str]) -> str:
    return character if character in plain else f"%{ord(character):02X}"


@pytest.mark.parametrize("mounted", [True, False])
def test_each_character_of_a_path_is_quoted_as_the_standard_says(mounted: bool) -> None:
    for character in PRINTABLE:
        made = environ("/", PATH_INFO=f"/a{character}b", SCRIPT_NAME="/m" if mounted else "")
        expected = f"http://localhost{'/m' * mounted}/a{_quoted(character, PATH)}b"
        assert urls.url(made) == expected, character


def test_each_character_of_a_query_is_quoted_as_the_standard_says() -> None:
    for character in PRINTABLE:
        if character != "&":
            found = urls.query(environ("/", QUERY_STRING=f"a{character}b"), Secrets())
            assert found == f"a{_quoted(character, QUERY)}b", character
    assert urls.query(environ("/", QUERY_STRING="a&b"), Secrets()) == "a&b"


HOSTS = {
    "example.org": "example.org",
    "EXAMPLE.org:80": "EXAMPLE.org",
    "example.org:443": "example.org:443",
    "a-b_c~d.e:1": "a-b_c~d.e:1",
    "[2001:db8::1]": "[2001:db8::1]",
}


@pytest.mark.parametrize(("named", "shown"), HOSTS.items())
def test_a_host_is_shown_without_the_usual_port(named: str, shown: str) -> None:
    made = environ("/a b", HTTP_HOST=named)
    assert urls.host(made) == shown
    assert urls.url(made) == f"http://{shown}/a%20b"
    if named == shown:  # nearly every URL
        assert urls.url(environ("/a", HTTP_HOST=named)) == f"http://{shown}/a"


@pytest.mark.parametrize(
    ("target", "url"),
    [
        ("HTTP://Host/x", "http://Host/x"),
        ("h2+c.a-b://host/x", "h2+c.a-b://host/x"),
        ("1http://host/x", "http://localhost/"),
        ("http:/host/x", "http://localhost/"),
        ("x", "http://localhost/"),
        ("/http://host/x", "http://localhost/http://host/x"),
    ],
)
def test_only_a_target_with_a_scheme_is_a_whole_url(target: str, url: str) -> None:
    assert urls.url(environ("/", PATH_INFO=target)) == url


#: REMOTE_ADDR, REMOTE_PORT -> tags
PEERS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "an address with a long zone": (f"fe80::1%{'z' * 92}", "1", {"ipv6": f"fe80::1%{'z' * 92}", "port": 1}),
    "one with a zone too long": (f"fe80::1%{'z' * 93}", "1", {}),
    "IPv4": ("192.0.2.1", "99999", {"ipv4": "192.0.2.1", "port": 99999}),
    "a port too long": ("192.0.2.1", "100000", {"ipv4": "192.0.2.1"}),
    "a port that is a number": ("192.0.2.1", 100000, {"ipv4": "192.0.2.1", "port": 100000}),
    "a port that is true": ("192.0.2.1", True, {"ipv4": "192.0.2.1"}),
    "an empty port": ("192.0.2.1", "", {"ipv4": "192.0.2.1"}),
    "a negative port": ("192.0.2.1", "-1", {"ipv4": "192.0.2.1"}),
    "dots": ("...", "1", {}),
    "bytes": (b"192.0.2.1", "1", {}),
}


@pytest.mark.parametrize(("address", "port", "tags"), PEERS.values(), ids=PEERS)
def test_a_peer_is_tagged_if_it_is_an_address(
    tracer: Tracer, spans: Spans, address: Any, port: Any, tags: dict[str, Any]
) -> None:
    run(TracingMiddleware(hello, tracer), REMOTE_ADDR=address, REMOTE_PORT=port)
    found = {name[5:]: value for name, value in spans.tags().items() if name.startswith("peer.")}
    assert found == tags


@pytest.mark.parametrize(
    ("connected", "shown"),
    [("192.0.2.1", "192.0.2.1"), ("::1", "::1"), ("localhost", ""), ("", ""), (None, "")],
)
def test_the_address_that_connected_to_a_proxys_application_is_tagged_if_it_is_one(
    connected: Any, shown: str, tracer: Tracer, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "http/dup")
    before: Any = {"REMOTE_ADDR": connected}
    app = TracingMiddleware(hello, tracer)
    run(app, REMOTE_ADDR="203.0.113.7", werkzeug__proxy_fix__orig=before)
    tags = spans.tags()
    assert (tags["network.peer.address"], tags["client.address"]) == (shown, "203.0.113.7")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("100 Continue", 100),
        ("099 Odd", None),
        ("999 Odd", 999),
        ("20", None),
        ("-20 Odd", None),
        (None, None),
    ],
)
def test_a_status_has_three_digits_from_100_on(
    tracer: Tracer, spans: Spans, status: Any, code: int | None
) -> None:
    Server().run(TracingMiddleware(answering(status), tracer), environ())
    assert spans.tags().get("http.status_code") == code


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]
)
def test_each_known_method_may_stand_in_a_name(tracer: Tracer, spans: Spans, method: str) -> None:
    run(TracingMiddleware(hello, tracer, operation_name="{method}"), REQUEST_METHOD=method)
    assert spans.names() == [method]


def test_each_field_of_a_template_is_filled_in(tracer: Tracer, spans: Spans) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["ot_bridge.route"] = "/r"
        return hello(environ, start_response)

    template = "{{}} {method} {route} {path} {host} {scheme}"
    made: dict[str, Any] = {"wsgi__url_scheme": "https", "HTTP_HOST": "h:8"}
    run(TracingMiddleware(app, tracer, operation_name=template), "/p q", **made)
    assert spans.names() == ["{} GET /r /p%20q h:8 https"]
    assert set(FIELDS) == {"method", "route", "path", "host", "scheme"}
    with pytest.raises(ConfigurationError, match="method, route, path, host, scheme"):
        TracingMiddleware(app, tracer, operation_name="{other}")


def test_a_template_of_an_empty_environ_has_a_method_and_a_scheme(tracer: Tracer, spans: Spans) -> None:
    made: dict[str, Any] = {}
    app = TracingMiddleware(hello, tracer, operation_name="{method} {scheme}")
    assert list(app(made, Server().start_response)) == [b"hello"]
    assert spans.names() == ["HTTP http"]


NAMES = [
    name
    for format in FORMATS.values()
    if not format.raw
    for name in (format.name, *format.fields)
]  # fmt: skip


@pytest.mark.parametrize("name", dict.fromkeys(NAMES))
def test_each_format_and_each_of_its_headers_can_go_into_the_response(
    tracer: Tracer, spans: Spans, name: str
) -> None:
    server = Server()
    server.run(TracingMiddleware(hello, tracer, response_header=name), environ())
    kept, *sent = server.headers
    assert kept == ("Content-Type", "text/plain")
    format = FORMATS.get(name)
    wanted = {name} if format is None else {*format.fields}
    assert {key.lower() for key, _ in sent} <= wanted
    if format is not None and format.name not in ("baggage",):
        assert any(f"{spans.one().context.trace_id:x}"[-16:] in value.replace("-", "") for _, value in sent)


def test_a_format_of_binary_metadata_cannot_go_into_the_response() -> None:
    raw = [format.name for format in FORMATS.values() if format.raw]
    assert raw
    for name in raw:
        with pytest.raises(ConfigurationError, match="a header, or one of tracecontext"):
            TracingMiddleware(hello, response_header=name)


def test_another_tracer_writes_the_response_header_itself() -> None:
    from opentracing.mocktracer import MockTracer
    from opentracing.propagation import UnsupportedFormatException

    class Writes(MockTracer):
        def inject(self, span_context: Any, format: str, carrier: Any) -> None:
            if format != Format.HTTP_HEADERS:
                raise UnsupportedFormatException
            carrier.update({"Uber-Trace-Id": "1:2:0:1", "other": "x"})

    server = Server()
    server.run(TracingMiddleware(hello, Writes(), response_header="uber-trace-id"), environ())
    assert server.headers[1:] == [("Uber-Trace-Id", "1:2:0:1")]


RULE = SimpleNamespace(
    url_rule=SimpleNamespace(rule="/werkzeug"), resolver_match=SimpleNamespace(route="/django")
)


@pytest.mark.parametrize("place", ["program", "werkzeug"])
def test_the_route_that_the_program_names_counts_first(tracer: Tracer, spans: Spans, place: str) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["werkzeug.request"] = RULE
        environ["bottle.route"] = SimpleNamespace(rule="/bottle")
        if place == "program":
            environ["ot_bridge.route"] = "/program"
        return hello(environ, start_response)

    run(TracingMiddleware(app, tracer, operation_name="{route}"))
    assert spans.names() == [f"/{place}"]


@pytest.mark.parametrize("place", ["request", "ctx", "nowhere"])
def test_the_route_of_an_exception_is_that_of_the_request_in_its_frames(
    tracer: Tracer, spans: Spans, place: str
) -> None:
    def view() -> None:
        raise LookupError

    def dispatch_request() -> None:
        request = RULE  # noqa: F841
        view()

    def dispatch_context() -> None:
        ctx = SimpleNamespace(request=RULE)  # noqa: F841
        view()

    dispatch = {"request": dispatch_request, "ctx": dispatch_context, "nowhere": view}[place]

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        dispatch()
        return []

    with pytest.raises(LookupError):
        run(TracingMiddleware(app, tracer, operation_name="{method} {route}"))
    assert spans.names() == ["GET" if place == "nowhere" else "GET /werkzeug"]
