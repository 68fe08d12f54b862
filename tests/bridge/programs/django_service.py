"""A Django project traced by django-opentracing, on our tracer, with OpenTelemetry's middleware around it.

Writes as JSON the answers, and each span's parent by name, for a request with tracing headers and for one
without.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django_opentracing import DjangoTracing, OpenTracingMiddleware
from opentelemetry import trace
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from opentracing import Format
from werkzeug.test import Client

from tests.bridge.spans import parents
from tests.conftest import recorded

otel = recorded("tracecontext,baggage,jaeger")
tracing = DjangoTracing(otel.tracer)


class Middleware(OpenTracingMiddleware):  # type: ignore[misc]
    """django-opentracing 1.1.0 is older than this attribute, which Django 5 reads of every middleware."""

    async_mode = False


def view(request: HttpRequest) -> HttpResponse:
    assert tracing.get_span(request) is otel.tracer.active_span
    with otel.tracer.start_active_span("opentracing"):
        trace.get_tracer("native", tracer_provider=otel.provider).start_span("opentelemetry").end()
    return HttpResponse(str(tracing.get_span(request).get_baggage_item("user")))


def failing(request: HttpRequest) -> HttpResponse:
    raise LookupError("gone")


urlpatterns = [path("", view), path("fail", failing)]


def _get(client: Client, url: str, headers: dict[str, str]) -> dict[str, Any]:
    otel.exporter.clear()
    text = client.get(url, headers=headers).get_data(as_text=True)
    (failed,) = [span for span in otel.exporter.get_finished_spans() if span.name in ("view", "failing")]
    return {
        "text": text if url == "/" else None,
        "parents": parents(otel),
        "status": failed.status.status_code.name,
        "events": [event.name for event in failed.events],
        "active": otel.tracer.active_span is not None,
    }


def main() -> dict[str, Any]:
    settings.configure(
        ROOT_URLCONF=__name__,
        SECRET_KEY="of a test",
        ALLOWED_HOSTS=["*"],
        MIDDLEWARE=[f"{__name__}.Middleware"],
        OPENTRACING_TRACING=tracing,
        LOGGING_CONFIG=None,
    )
    django.setup()
    middleware = OpenTelemetryMiddleware(get_wsgi_application(), tracer_provider=otel.provider)
    client = Client(middleware)
    caller = otel.tracer.start_span("caller").set_baggage_item("user", "ann")
    headers: dict[str, str] = {}
    otel.tracer.inject(caller.context, Format.HTTP_HEADERS, headers)
    return {
        "called": _get(client, "/", headers),
        "alone": _get(client, "/", {}),
        "failing": _get(client, "/fail", {}),
    }


if __name__ == "__main__":
    json.dump(main(), sys.stdout)
