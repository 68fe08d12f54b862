"""A Django project in one file, traced as docs/wsgi.md shows it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path
from django_opentracing import DjangoTracing, OpenTracingMiddleware

tracing = DjangoTracing()


class Middleware(OpenTracingMiddleware):  # type: ignore[misc]
    """Django 5 reads an attribute that django-opentracing's class is too old to set."""

    async_mode = False


def item(request: HttpRequest, number: int) -> HttpResponse:
    return HttpResponse(f"item {number}")


def fail(request: HttpRequest) -> HttpResponse:
    raise LookupError("gone")


def stream(request: HttpRequest) -> StreamingHttpResponse:
    def chunks() -> Iterator[bytes]:
        scope = tracing.tracer.start_active_span("chunk")
        yield b"a"
        scope.close()
        yield b"b"

    return StreamingHttpResponse(chunks())


def file(request: HttpRequest) -> FileResponse:
    return FileResponse(io.BytesIO(b"content"))


urlpatterns = [
    path("items/<int:number>/", item),
    path("fail/", fail),
    path("stream/", stream),
    path("file/", file),
]


def application() -> Callable[..., Iterable[bytes]]:
    """Django's WSGI application for the views above."""
    if not settings.configured:
        settings.configure(
            ROOT_URLCONF=__name__,
            ALLOWED_HOSTS=["*"],
            SECRET_KEY="secret",
            MIDDLEWARE=[f"{__name__}.Middleware"],
            OPENTRACING_TRACE_ALL=True,
            OPENTRACING_TRACING=tracing,
            LOGGING_CONFIG=None,
        )
        django.setup()
    made: Any = get_wsgi_application()
    return made  # type: ignore[no-any-return]
