"""Real libraries around and inside OpenTracing code: both APIs' instrumentations on one tracer.

django-opentracing runs in a process of its own, since Django can be set up only once in one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from flask import Flask
from opentelemetry import baggage, trace
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind, StatusCode
from opentracing import Format
from requests_opentracing import SessionTracing
from werkzeug.serving import make_server
from werkzeug.test import Client

from tests.bridge.spans import parents
from tests.conftest import Recorded

pytestmark = pytest.mark.usefixtures("our_propagator")

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # that it is no longer supported
    from flask_opentracing import FlaskTracing


@pytest.fixture
def native(otel: Recorded) -> trace.Tracer:
    return otel.provider.get_tracer("native")


def _flask(otel: Recorded, native: trace.Tracer) -> Flask:
    app = Flask(__name__)
    tracing = FlaskTracing(otel.tracer, True, app)

    @app.route("/")
    def view() -> str:
        assert tracing.get_span() is otel.tracer.active_span
        with otel.tracer.start_active_span("opentracing"), native.start_as_current_span("opentelemetry"):
            active: Any = otel.tracer.active_span
            return f"{active.get_baggage_item('user')} {baggage.get_baggage('user')}"

    @app.route("/fail")
    def fail() -> str:
        raise LookupError("gone")

    return app


def _headers(otel: Recorded, name: str = "caller") -> dict[str, str]:
    caller = otel.tracer.start_span(name).set_baggage_item("user", "ann")
    headers: dict[str, str] = {}
    otel.tracer.inject(caller.context, Format.HTTP_HEADERS, headers)
    caller.finish()
    return headers


def test_flask_opentracing_continues_the_callers_trace(otel: Recorded, native: trace.Tracer) -> None:
    client = Client(_flask(otel, native))
    assert client.get("/", headers=_headers(otel)).get_data(as_text=True) == "ann ann"
    assert parents(otel) == {
        "caller": None,
        "view": "caller",
        "opentracing": "view",
        "opentelemetry": "opentracing",
    }
    assert otel.spans["view"].kind is SpanKind.SERVER
    assert otel.tracer.active_span is None


def test_flask_opentracing_inside_opentelemetrys_middleware(otel: Recorded, native: trace.Tracer) -> None:
    client = Client(OpenTelemetryMiddleware(_flask(otel, native), tracer_provider=otel.provider))
    assert client.get("/").get_data(as_text=True) == "None None"
    server = next(name for name, parent in parents(otel).items() if parent is None)
    assert server.startswith("GET")
    assert parents(otel) == {
        server: None,
        "view": server,
        "opentracing": "view",
        "opentelemetry": "opentracing",
    }


def test_flask_opentracing_records_the_exception_that_it_logs_once(
    otel: Recorded, native: trace.Tracer
) -> None:
    app = _flask(otel, native)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    assert Client(app).get("/fail").status_code == 500
    span = otel.spans["fail"]
    assert otel.tracer.active_span is None
    assert dict(span.attributes or {})["http.status_code"] == 500
    otel.exporter.clear()
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(LookupError, match="gone"):
        Client(app).get("/fail")
    span = otel.spans["fail"]
    assert [event.name for event in span.events] == ["exception"]
    assert span.status.status_code is StatusCode.ERROR
    assert otel.tracer.active_span is None


@pytest.mark.parametrize("provider_class", [TracerProvider], indirect=True)  # once is enough
def test_django_opentracing_inside_opentelemetrys_middleware() -> None:
    command = [sys.executable, "-m", "tests.bridge.programs.django_service"]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    printed = json.loads(ran.stdout)
    inside = {"opentracing": "view", "opentelemetry": "opentracing"}
    called, alone, failing = (printed[name] for name in ("called", "alone", "failing"))
    assert called["text"] == "ann"
    assert called["parents"] == {**inside, "view": "?", "GET /": "?"}  # "?": in the caller
    assert alone["parents"] == {**inside, "view": "GET /", "GET /": None}
    assert failing["parents"] == {"failing": "GET /fail", "GET /fail": None}
    assert (failing["status"], failing["events"]) == ("ERROR", ["exception"])
    assert not any(each["active"] for each in (called, alone, failing))


@pytest.fixture
def site(otel: Recorded, native: trace.Tracer) -> Iterator[str]:
    """The Flask application on a real server; its response is what it received."""
    server = make_server("127.0.0.1", 0, _flask(otel, native))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_requests_opentracing_propagates_the_trace(otel: Recorded, site: str) -> None:
    with otel.tracer.start_active_span("client") as scope, SessionTracing(otel.tracer) as session:
        scope.span.set_baggage_item("user", "ann")
        assert session.get(site).text == "ann ann"
    assert parents(otel) == {
        "client": None,
        "requests.get": "client",
        "view": "requests.get",
        "opentracing": "view",
        "opentelemetry": "opentracing",
    }
    assert otel.spans["requests.get"].kind is SpanKind.CLIENT
    assert dict(otel.spans["requests.get"].attributes or {})["http.status_code"] == 200


def test_requests_opentracing_marks_failed_requests(otel: Recorded) -> None:
    with pytest.raises(requests.ConnectionError), SessionTracing(otel.tracer) as session:
        session.get("http://127.0.0.1:1/")
    span = otel.spans["requests.get"]
    assert span.status.status_code is StatusCode.ERROR
    assert "ConnectionError" in str((span.attributes or {})["error.object"])
    assert len(span.events) == 1


@pytest.fixture
def _requests_instrumented(otel: Recorded) -> Iterator[None]:
    instrumentor = RequestsInstrumentor()
    instrumentor.instrument(tracer_provider=otel.provider)
    yield
    instrumentor.uninstrument()


@pytest.mark.usefixtures("_requests_instrumented")
def test_opentelemetrys_requests_inside_opentracing_code(otel: Recorded, site: str) -> None:
    with otel.tracer.start_active_span("client") as scope:
        scope.span.set_baggage_item("user", "ann")
        assert requests.get(site).text == "ann ann"
        assert otel.tracer.active_span is scope.span
    assert parents(otel) == {
        "client": None,
        "GET": "client",
        "view": "GET",
        "opentracing": "view",
        "opentelemetry": "opentracing",
    }


@pytest.mark.usefixtures("_requests_instrumented")
def test_both_requests_instrumentations_together_make_two_spans_of_one_trace(
    otel: Recorded, site: str
) -> None:
    with SessionTracing(otel.tracer) as session:
        session.get(site)
    found = parents(otel)
    assert found["requests.get"] is None
    assert found["GET"] == "requests.get"
    assert found["view"] == "GET"
