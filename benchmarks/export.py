"""Rows for the time after the request: encoding for OTLP, and the memory of waiting spans."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind

from benchmarks import peers
from benchmarks.measure import Run, Timing
from benchmarks.peers import ENGINE, SDK
from benchmarks.rows import OURS, Goal, other_row, row
from ot_bridge import engine
from ot_bridge.bridge import create_tracer
from ot_bridge.otlp.encode import encode
from ot_bridge.semconv import SemconvExporter

_SPANS = 10_000
_BATCH = 512  # spans, as in OTEL_BSP_MAX_EXPORT_BATCH_SIZE


class _Keeps(sdk.SpanProcessor):
    def __init__(self) -> None:
        self.spans: list[Any] = []

    def on_end(self, span: sdk.ReadableSpan) -> None:
        self.spans.append(span)


def _request(tracer: Any) -> None:
    """A server span with a client span in it, as a service makes them."""
    with tracer.start_as_current_span("GET /users", kind=SpanKind.SERVER) as server:
        server.set_attribute("http.method", "GET")
        server.set_attribute("http.url", "http://example.com/users/7")
        server.set_attribute("component", "wsgi")
        with tracer.start_as_current_span("/users.Users/Get", kind=SpanKind.CLIENT) as client:
            client.set_attribute("rpc.system", "grpc")
            client.set_attribute("rpc.service", "users.Users")
        server.set_attribute("http.status_code", 200)


def _opentracing_request(tracer: Any) -> None:
    with tracer.start_active_span("GET /users", tags={"span.kind": "server"}) as scope:
        server = scope.span
        server.set_tag("http.method", "GET")
        server.set_tag("http.url", "http://example.com/users/7")
        server.set_tag("component", "wsgi")
        with tracer.start_active_span("/users.Users/Get", tags={"span.kind": "client"}) as inner:
            inner.span.set_tag("rpc.system", "grpc")
            inner.span.set_tag("rpc.service", "users.Users")
        server.set_tag("http.status_code", 200)


class Export:
    """The work of an export thread on ended spans. One run encodes the two spans of a request."""

    def __init__(self, kind: Any, bridged: bool = False) -> None:
        self.keeps = _Keeps()
        provider = peers.provider(kind, processor=self.keeps)
        self.request: Callable[[Any], None] = _opentracing_request if bridged else _request
        self.encode: Callable[[Any], object] = encode if kind is engine.TracerProvider else _encode_as_the_sdk
        self.tracer = create_tracer(provider) if bridged else provider.get_tracer("bench")

    def make(self, times: int) -> None:
        self.keeps.spans.clear()
        for _ in range(times):
            self.request(self.tracer)

    @contextmanager
    def around(self, times: int) -> Iterator[None]:
        self.make(times)
        yield

    def __call__(self, times: int) -> None:
        self.encode(self.keeps.spans)


def _encode_as_the_sdk(spans: list[Any]) -> None:
    encode_spans(spans).SerializeToString()


@row("export", "OTLP encoding in the export thread, two spans", Goal(SDK, 0.25), Goal(SDK, 0.25, ENGINE))
def _export() -> Mapping[str, Run]:
    return {
        OURS: Export(engine.TracerProvider, bridged=True),
        ENGINE: Export(engine.TracerProvider),
        SDK: Export(sdk.TracerProvider),
    }


class _Names:
    """The export thread's work on spans of one kind, with or without translating attribute names."""

    def __init__(self, tags: Mapping[str, Any], semconv: str) -> None:
        self.keeps = _Keeps()
        self.tags = dict(tags)
        self.tracer = create_tracer(peers.provider(engine.TracerProvider, processor=self.keeps))
        exporter = _Encodes()
        self.export = (SemconvExporter(exporter, semconv) if semconv else exporter).export

    @contextmanager
    def around(self, times: int) -> Iterator[None]:
        self.keeps.spans.clear()
        for _ in range(times):
            self.tracer.start_span("GET /users", tags=self.tags).finish()
        yield

    def __call__(self, times: int) -> None:
        for start in range(0, times, _BATCH):
            self.export(self.keeps.spans[start : start + _BATCH])


class _Encodes(SpanExporter):
    def export(self, spans: Sequence[sdk.ReadableSpan]) -> SpanExportResult:
        encode(spans)
        return SpanExportResult.SUCCESS


_WEB: dict[str, Any] = {
    "span.kind": "server",
    "component": "Flask",
    "http.method": "GET",
    "http.url": "http://example.com/users/7",
    "http.status_code": 200,
}
_OTHER: dict[str, Any] = {"span.kind": "client", "component": "shop", "user.id": 7, "items": 3}


def _names(tags: dict[str, Any]) -> Mapping[str, Run]:
    return {"old names": _Names(tags, ""), OURS: _Names(tags, "http,database,rpc")}


@row("semconv", "today's names of a span that has none of the old ones", Goal("", 0.5), base="old names")
def _without_names() -> Mapping[str, Run]:
    return _names(_OTHER)


@row("semconv-http", "today's names of an HTTP span, in the export thread", Goal("", 4.0), base="old names")
def _http_names() -> Mapping[str, Run]:
    return _names(_WEB)


def held(export: Export) -> float:
    """Returns how many bytes a finished span needs until it is exported."""
    export.make(10)
    export.keeps.spans.clear()
    gc.collect()
    tracemalloc.start()
    export.make(_SPANS // 2)
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    export.keeps.spans.clear()
    return held / _SPANS


@other_row("memory", "a finished span, waiting to be exported", Goal(SDK, 1.0), Goal(SDK, 1.0, ENGINE))
def _memory() -> Timing:
    makers: dict[str, Callable[[], Export]] = {
        OURS: lambda: Export(engine.TracerProvider, bridged=True),
        ENGINE: lambda: Export(engine.TracerProvider),
        SDK: lambda: Export(sdk.TracerProvider),
    }
    return Timing({name: [held(make()) for _ in range(2)] for name, make in makers.items()}, unit="bytes")
