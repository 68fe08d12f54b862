"""Two of the old libraries, Flask-OpenTracing and Requests-OpenTracing, on a real server with the opt-in."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import flask
import pytest
import requests_opentracing
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind
from werkzeug.serving import make_server

from tests.semconv.sides import PROVIDERS, installed

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import flask_opentracing


@contextmanager
def _serving(app: flask.Flask) -> Iterator[int]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _one_call(semconv: str, provider: str) -> tuple[int, dict[SpanKind, ReadableSpan]]:
    """The server's port, and the spans of a request that Flask answers with 404, by kind."""
    app = flask.Flask(__name__)
    with installed(semconv, provider) as (tracer, exporter):
        flask_opentracing.FlaskTracing(tracer, True, app)

        @app.get("/users/<number>")
        def user(number: str) -> Any:
            return f"no {number}", 404

        with _serving(app) as port, requests_opentracing.SessionTracing(tracer) as session:
            session.trust_env = False
            response = session.request("get", f"http://me:secret@127.0.0.1:{port}/users/7?full=1")
        assert response.status_code == 404
        assert tracer.flush()
        spans = {span.kind: span for span in exporter.get_finished_spans()}
    return port, spans


@pytest.mark.parametrize("provider", PROVIDERS)
def test_spans_of_the_old_libraries_are_exported_with_stable_names(provider: str) -> None:
    port, spans = _one_call("http", provider)
    assert {kind: dict(span.attributes or {}) for kind, span in spans.items()} == {
        SpanKind.SERVER: {
            "component": "Flask",
            "http.request.method": "GET",
            "http.response.status_code": 404,
            "url.scheme": "http",
            "url.path": "/users/7",
            "server.address": "127.0.0.1",
            "server.port": port,
        },
        SpanKind.CLIENT: {
            "component": "requests",
            "http.request.method": "GET",
            "http.request.method_original": "get",
            "http.response.status_code": 404,
            "url.full": f"http://REDACTED:REDACTED@127.0.0.1:{port}/users/7?full=1",
            "server.address": "127.0.0.1",
            "server.port": port,
            "error.type": "404",
        },
    }
    server, client = spans[SpanKind.SERVER], spans[SpanKind.CLIENT]
    assert server.parent is not None
    assert client.context is not None
    assert server.parent.span_id == client.context.span_id


def test_without_the_opt_in_spans_of_the_old_libraries_are_exported_with_old_names() -> None:
    port, spans = _one_call("", "engine")
    assert dict(spans[SpanKind.SERVER].attributes or {}) == {
        "component": "Flask",
        "http.method": "GET",
        "http.url": f"http://127.0.0.1:{port}/users/7",
        "http.status_code": 404,
    }
    assert (spans[SpanKind.CLIENT].attributes or {})["http.method"] == "get"
