"""A timeout that a signal handler raises inside the middleware does not affect later requests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from werkzeug.test import create_environ, run_wsgi_app

from ot_bridge import engine
from ot_bridge.bridge import create_tracer
from ot_bridge.wsgi import TracingMiddleware
from tests.interrupts import PACKAGE, interrupted


@pytest.mark.parametrize("provider_class", [TracerProvider, engine.TracerProvider], ids=["sdk", "engine"])
def test_after_an_interrupted_request_the_next_one_is_a_root(provider_class: type[TracerProvider]) -> None:
    exporter = InMemorySpanExporter()
    provider = provider_class(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = create_tracer(provider)

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        with tracer.start_active_span("inner"):
            start_response("200 OK", [])
        return [b"x"]

    traced = TracingMiddleware(app, tracer=tracer)
    request: Any = lambda: run_wsgi_app(traced, create_environ("/"), buffered=True)  # noqa: E731
    line = left = 0
    while interrupted(request, line := line + 1, PACKAGE):
        exporter.clear()
        request()
        server = next(span for span in exporter.get_finished_spans() if span.kind.name == "SERVER")
        if server.parent is not None:
            left += 1
    assert line > 50
    assert left == 0
