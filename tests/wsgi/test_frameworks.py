"""Flask, Django and Bottle behind the middleware, each with its own OpenTracing instrumentation inside."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from typing import Any
from wsgiref.util import FileWrapper

import bottle
import flask
import opentracing
import pytest
from bottle_opentracing import BottleTracing
from opentelemetry.trace import SpanKind, StatusCode
from werkzeug.test import Client

from ot_bridge.bridge import Tracer
from ot_bridge.wsgi import TracingMiddleware
from tests.wsgi.conftest import Server, Spans, answering, environ

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns at import that it is no longer maintained
    from flask_opentracing import FlaskTracing

ROUTED: dict[str, Any] = {"operation_name": "{method} {route}"}


@pytest.fixture(autouse=True)
def _global_tracer(tracer: Tracer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opentracing, "tracer", tracer)


def is_child(spans: Spans, child: str, parent: str) -> bool:
    found = spans.named(child).parent
    return found is not None and found.span_id == spans.named(parent).context.span_id


@pytest.fixture
def flask_app() -> flask.Flask:
    app = flask.Flask("shop")
    FlaskTracing(trace_all_requests=True, app=app)

    @app.route("/items/<int:number>")
    def item(number: int) -> str:
        return f"item {number}"

    @app.route("/fail")
    def fail() -> str:
        raise LookupError("gone")

    @app.route("/stream")
    def stream() -> flask.Response:
        def chunks() -> Iterator[str]:
            with opentracing.global_tracer().start_active_span("chunk"):
                yield flask.request.path
            yield " done"

        return flask.Response(flask.stream_with_context(chunks()))

    app.wsgi_app = TracingMiddleware(app.wsgi_app, **ROUTED)  # type: ignore[method-assign]
    return app


def test_flask_opentracings_span_is_the_child_of_ours(flask_app: flask.Flask, spans: Spans) -> None:
    assert flask_app.test_client().get("/items/7").data == b"item 7"
    assert is_child(spans, "item", "GET /items/<int:number>")
    assert spans.named("GET /items/<int:number>").kind is SpanKind.SERVER


def test_error_in_flask_is_an_error_of_our_span(
    flask_app: flask.Flask, spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    assert flask_app.test_client().get("/fail", buffered=True).status_code == 500
    assert spans.named("GET /fail").status.status_code is StatusCode.ERROR


CONFIG: dict[str, dict[str, Any]] = {
    "PROPAGATE_EXCEPTIONS": {"PROPAGATE_EXCEPTIONS": True},
    "TESTING": {"TESTING": True},
    "DEBUG": {"DEBUG": True},
}


@pytest.mark.parametrize("config", CONFIG.values(), ids=CONFIG)
def test_flasks_route_is_known_if_the_exception_reaches_the_server(
    flask_app: flask.Flask, spans: Spans, config: dict[str, Any]
) -> None:
    flask_app.config.update(config)
    with pytest.raises(LookupError):
        Server().run(flask_app, environ("/fail"))
    assert spans.named("GET /fail").status.status_code is StatusCode.ERROR
    assert (spans.named("GET /fail").attributes or {})["http.status_code"] == 500


def test_flasks_route_is_known_although_a_copy_of_its_context_has_ended(
    flask_app: flask.Flask, spans: Spans
) -> None:
    @flask_app.route("/copied/<name>")
    def copied(name: str) -> str:
        thread = threading.Thread(target=flask.copy_current_request_context(lambda: flask.request.path))
        thread.start()
        thread.join()
        return name

    assert flask_app.test_client().get("/copied/ann").data == b"ann"
    assert "GET /copied/<name>" in spans.names()


def test_flasks_route_is_not_used_for_a_nested_request_to_another_application(
    flask_app: flask.Flask, spans: Spans
) -> None:
    bare = TracingMiddleware(answering("200 OK"), **ROUTED)

    @flask_app.route("/outer/<name>")
    def outer(name: str) -> str:
        Server().run(bare, environ("/elsewhere"))
        return name

    assert flask_app.test_client().get("/outer/ann").data == b"ann"
    assert {"GET", "GET /outer/<name>"} <= set(spans.names())


def test_flasks_404_is_not_an_error_and_has_no_path_in_the_span_name(
    flask_app: flask.Flask, spans: Spans
) -> None:
    assert flask_app.test_client().get("/nowhere", buffered=True).status_code == 404
    span = spans.named("GET")
    assert (span.attributes or {})["http.status_code"] == 404
    assert span.status.status_code is StatusCode.UNSET


def test_flasks_streamed_body_is_traced_to_its_end(flask_app: flask.Flask, spans: Spans) -> None:
    response = flask_app.test_client().get("/stream", buffered=False)
    assert "GET /stream" not in spans.names()
    assert response.data == b"/stream done"
    response.close()
    assert is_child(spans, "chunk", "GET /stream")


def test_flasks_client_keeps_its_context_for_tests(flask_app: flask.Flask) -> None:
    with flask_app.test_client() as client:
        client.get("/items/7")
        assert flask.request.path == "/items/7"


@pytest.fixture
def django_client() -> Client:
    from tests.wsgi.django_site import application

    return Client(TracingMiddleware(application(), **ROUTED))


def test_django_opentracings_span_is_the_child_of_ours(django_client: Client, spans: Spans) -> None:
    assert django_client.get("/items/7/").data == b"item 7"
    assert is_child(spans, "item", "GET items/<int:number>/")


def test_error_in_django_is_an_error_of_our_span(
    django_client: Client, spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    assert django_client.get("/fail/", buffered=True).status_code == 500
    assert is_child(spans, "fail", "GET fail/")
    assert spans.named("GET fail/").status.status_code is StatusCode.ERROR


def test_djangos_404_has_no_path_in_the_span_name(
    django_client: Client, spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    assert django_client.get("/nowhere/", buffered=True).status_code == 404
    assert spans.names() == ["GET"]


def test_djangos_streamed_body_is_traced_to_its_end(django_client: Client, spans: Spans) -> None:
    response = django_client.get("/stream/", buffered=False)
    assert response.data == b"ab"
    response.close()
    assert is_child(spans, "chunk", "GET stream/")


def test_djangos_route_is_known_if_the_exception_reaches_the_server(
    django_client: Client, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.conf import settings

    monkeypatch.setattr(settings, "DEBUG_PROPAGATE_EXCEPTIONS", True)
    with pytest.raises(LookupError):
        Server().run(django_client.application, environ("/fail/"))
    assert spans.named("GET fail/").status.status_code is StatusCode.ERROR


def test_djangos_files_go_through_the_servers_file_wrapper(django_client: Client, spans: Spans) -> None:
    made = {"wsgi.file_wrapper": FileWrapper}
    result: Any = django_client.application(environ("/file/") | made, Server().start_response)
    assert type(result) is FileWrapper
    assert b"".join(result) == b"content"
    result.close()
    assert "GET" in spans.names()


def test_bottle_opentracings_span_is_the_child_of_ours(spans: Spans) -> None:
    app = bottle.Bottle()
    BottleTracing(trace_all_requests=True, app=app)
    app.route("/items/<number:int>", callback=lambda number: f"item {number}")
    client = Client(TracingMiddleware(app, **ROUTED))
    assert client.get("/items/7").data == b"item 7"
    assert is_child(spans, "/items/7", "GET /items/<number:int>")


def test_instrumentation_inside_continues_the_callers_trace_too(flask_app: flask.Flask, spans: Spans) -> None:
    flask_app.test_client().get("/items/7", headers={"uber-trace-id": "abc:def:0:1"})
    assert {span.context.trace_id for span in spans.all()} == {0xABC}
