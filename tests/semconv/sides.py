"""Spans of a program that uses OpenTracing, as they are exported: on every kind of provider."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import ot_bridge
from ot_bridge.bridge import Tracer

#: What `install()` is given, so that the engine, the SDK or a provider of the program's makes the spans.
PROVIDERS: Final[Mapping[str, Callable[[], dict[str, Any]]]] = {
    "engine": dict,
    "SDK": lambda: {"engine": False},
    "given": lambda: {"tracer_provider": TracerProvider(shutdown_on_exit=False)},
}


@contextmanager
def installed(
    semconv: str | None, provider: str = "engine", **options: Any
) -> Iterator[tuple[Tracer, InMemorySpanExporter]]:
    exporter = InMemorySpanExporter()
    options = PROVIDERS[provider]() | options
    tracer = ot_bridge.install(exporters=[exporter], set_global=False, semconv=semconv, **options)
    try:
        yield tracer, exporter
    finally:
        ot_bridge.uninstall()


def finish(
    tracer: Tracer,
    tags: Mapping[str, Any],
    *,
    name: str = "/pkg.Svc/M",
    logs: tuple[Mapping[str, Any], ...] = (),
) -> None:
    """Makes one span."""
    span = tracer.start_span(name, tags=dict(tags))
    for each in logs:
        span.log_kv(dict(each))
    span.finish()


def exported(
    semconv: str | None,
    tags: Mapping[str, Any],
    *,
    provider: str = "engine",
    name: str = "/pkg.Svc/M",
    logs: tuple[Mapping[str, Any], ...] = (),
) -> ReadableSpan:
    """The one span that has these tags."""
    with installed(semconv, provider) as (tracer, exporter):
        finish(tracer, tags, name=name, logs=logs)
        assert tracer.flush()
        (made,) = exporter.get_finished_spans()
    return made


def attributes(*arguments: Any, **options: Any) -> dict[str, Any]:
    """The attributes of `exported`."""
    return dict(exported(*arguments, **options).attributes or {})
