from __future__ import annotations

from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from ot_bridge.bridge import Tracer
from ot_bridge.wsgi import TracingMiddleware
from tests.wsgi.conftest import Spans, failures, hello, run


def routed(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    environ["ot_bridge.route"] = "/items/{id}"
    return hello(environ, start_response)


NAMES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "fixed": ("checkout", {}, "checkout"),
    "a template": ("{method} {route}", {}, "GET /items/{id}"),
    "a made-up method": ("{method} {route}", {"REQUEST_METHOD": "BREW"}, "HTTP /items/{id}"),
    "the path, on one's own responsibility": ("{method} {path}", {}, "GET /items/1"),
    "host and scheme": ("{scheme} {host}", {}, "http localhost"),
    "a callable": (lambda environ: "to " + environ["PATH_INFO"], {}, "to /items/1"),
}


@pytest.mark.parametrize(("name", "changes", "expected"), NAMES.values(), ids=NAMES)
def test_operation_name_is_that_of_the_option(
    tracer: Tracer, spans: Spans, name: Any, changes: dict[str, Any], expected: str
) -> None:
    run(TracingMiddleware(routed, tracer, operation_name=name), "/items/1", **changes)
    assert spans.names() == [expected]


def test_operation_name_is_serve_http_by_default(tracer: Tracer, spans: Spans) -> None:
    run(TracingMiddleware(routed, tracer))
    assert spans.names() == ["ServeHTTP"]


def test_template_without_a_route_names_the_method_never_the_path(tracer: Tracer, spans: Spans) -> None:
    run(TracingMiddleware(hello, tracer, operation_name="{method} {route}"), "/items/1")
    assert spans.names() == ["GET"]


def test_template_with_an_empty_result_names_the_span_http(tracer: Tracer, spans: Spans) -> None:
    run(TracingMiddleware(hello, tracer, operation_name="{route}"))
    assert spans.names() == ["HTTP"]


def test_template_is_filled_in_when_the_application_fails(tracer: Tracer, spans: Spans) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["ot_bridge.route"] = "/fails"
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        run(TracingMiddleware(app, tracer, operation_name="{method} {route}"))
    assert spans.names() == ["GET /fails"]


def test_template_is_filled_in_when_a_generator_routes_late(tracer: Tracer, spans: Spans) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        environ["ot_bridge.route"] = "/late"
        yield b""

    run(TracingMiddleware(app, tracer, operation_name="{route}"))
    assert spans.names() == ["/late"]


def test_callable_that_raises_affects_only_the_name(
    tracer: Tracer, spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    def name(environ: dict[str, Any]) -> str:
        raise LookupError

    app = TracingMiddleware(hello, tracer, operation_name=name)
    assert [run(app), run(app)] == [b"hello", b"hello"]
    assert spans.names() == ["HTTP", "HTTP"]
    assert failures(caplog) == ["operation_name"]


@pytest.mark.parametrize("opt_in", ["http", "http/dup"])
def test_route_is_tagged_with_stable_names(
    tracer: Tracer, spans: Spans, monkeypatch: pytest.MonkeyPatch, opt_in: str
) -> None:
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", opt_in)
    run(TracingMiddleware(routed, tracer))
    assert spans.tags()["http.route"] == "/items/{id}"
    assert spans.names() == ["ServeHTTP"]


class Response(list[bytes]):
    """As Django's response: what it has to close leads to the request."""

    def __init__(self, match: object) -> None:
        super().__init__([b""])
        request = SimpleNamespace(resolver_match=match)
        self._resource_closers = [print, SimpleNamespace(__self__=request)]


LEFT: dict[str, tuple[dict[str, Any], Any, str]] = {
    "werkzeug": ({"werkzeug.request": SimpleNamespace(url_rule=SimpleNamespace(rule="/w"))}, [], "/w"),
    "werkzeug, unrouted": ({"werkzeug.request": SimpleNamespace(url_rule=None)}, [], "HTTP"),
    "bottle": ({"bottle.route": SimpleNamespace(rule="/b")}, [], "/b"),
    "django": ({}, Response(SimpleNamespace(route="d/")), "d/"),
    "django, unrouted": ({}, Response(None), "HTTP"),
}


@pytest.mark.parametrize(("left", "result", "name"), LEFT.values(), ids=LEFT)
def test_route_is_read_from_where_the_framework_stores_it(
    tracer: Tracer, spans: Spans, left: dict[str, Any], result: Any, name: str
) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        environ.update(left)
        start_response("200 OK", [])
        return result

    run(TracingMiddleware(app, tracer, operation_name="{route}"))
    assert spans.names() == [name]
