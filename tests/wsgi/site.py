"""The application that real servers serve in these tests, traced as a user would trace it.

Spans go by OTLP to where `OTEL_EXPORTER_OTLP_ENDPOINT` says. Every path works for a while inside spans
of its own, so that a parent from another request would show.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import opentracing

from ot_bridge import TracingMiddleware, install

tracer = install("site")
FILE = os.environ.get("SITE_FILE", __file__)


def listed(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    with tracer.start_active_span("work"):
        time.sleep(0)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def streamed(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    with tracer.start_active_span("work"):
        for _ in range(3):
            yield b"chunk"
            time.sleep(0)


def file(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    with tracer.start_active_span("work"):
        opened = open(FILE, "rb")  # noqa: SIM115 - closed by the server
    start_response("200 OK", [("Content-Length", str(os.path.getsize(FILE)))])
    wrap = environ.get("wsgi.file_wrapper")
    return wrap(opened, 8192) if wrap is not None else iter(lambda: opened.read(8192), b"")


def written(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    with tracer.start_active_span("work"):
        write(b"hel")
        write(b"lo")
    return []


def posted(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    with tracer.start_active_span("work"):
        start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def failing(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    with tracer.start_active_span("work"):
        pass
    raise LookupError("on purpose")


def about(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Which process this is, after a while in which it takes no other request."""
    with tracer.start_active_span("work"):
        time.sleep(0.01)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]


PATHS = {
    "list": listed,
    "stream": streamed,
    "file": file,
    "write": written,
    "post": posted,
    "fail": failing,
    "about": about,
    "healthz": listed,
}


def route(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    return PATHS[environ["PATH_INFO"].split("/")[1]](environ, start_response)


traced = TracingMiddleware(route, response_header="traceparent")


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Stands where the server does: says so if a span is active there."""
    left = opentracing.global_tracer().active_span
    if left is not None:
        start_response("500 Leaked", [])
        return [f"active before the request: {left}".encode()]
    return traced(environ, start_response)
