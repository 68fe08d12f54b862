"""Spans of every origin; our bytes as OpenTelemetry reads them, and what its encoder makes of the spans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, TraceFlags

from ot_bridge import engine
from ot_bridge.bridge import create_tracer
from ot_bridge.otlp.encode import encode

RESOURCE = Resource({"service.name": "shop"})
SCOPE = InstrumentationScope("tests", "1.0")
CONTEXT = SpanContext(0x0102030405060708090A0B0C0D0E0F10, 0x1112131415161718, False, TraceFlags(1))


class Keeps(sdk.SpanProcessor):
    """Keeps the spans that end."""

    def __init__(self) -> None:
        self.spans: list[Any] = []

    def on_end(self, span: sdk.ReadableSpan) -> None:
        self.spans.append(span)


class Side:
    """A provider's tracer for each API, and the spans that have ended on it."""

    def __init__(self, kind: type[sdk.TracerProvider], **settings: Any) -> None:
        keeps = Keeps()
        settings.setdefault("resource", RESOURCE)
        self.provider = kind(shutdown_on_exit=False, **settings)
        self.provider.add_span_processor(keeps)
        self.tracer = self.provider.get_tracer("tests", "1.0")
        self.bridge = create_tracer(self.provider)
        self.spans = keeps.spans


def on_engine(**settings: Any) -> Side:
    return Side(engine.TracerProvider, **settings)


def on_sdk(**settings: Any) -> Side:
    return Side(sdk.TracerProvider, **settings)


def readable(**fields: Any) -> sdk.ReadableSpan:
    """A `ReadableSpan` made by hand."""
    given = {"name": "made", "context": CONTEXT, "resource": RESOURCE, "instrumentation_scope": SCOPE}
    return sdk.ReadableSpan(**{**given, "start_time": 1, "end_time": 2, **fields})


def sent(spans: Sequence[Any]) -> ExportTraceServiceRequest:
    """Our request as OpenTelemetry's classes read it; no span may be lost."""
    body, failed = encode(spans)
    assert failed == 0
    return ExportTraceServiceRequest.FromString(body)


def spans_of(request: ExportTraceServiceRequest) -> list[Any]:
    return [span for each in request.resource_spans for scope in each.scope_spans for span in scope.spans]


def one(span: Any) -> Any:
    """A span as a receiver decodes it."""
    (read,) = spans_of(sent([span]))
    return read


def values(owner: Any) -> dict[str, Any]:
    """The attributes' `AnyValue`s; each key has to be there once."""
    found = {pair.key: pair.value for pair in owner.attributes}
    assert len(found) == len(owner.attributes)
    return found


_PROBE = encode_spans([readable(instrumentation_scope=InstrumentationScope("probe", None, "https://schema"))])
_SCOPES_HAVE_SCHEMAS = bool(_PROBE.resource_spans[0].scope_spans[0].schema_url)


def alike(request: ExportTraceServiceRequest) -> ExportTraceServiceRequest:
    """A request without what ours says and theirs leaves out: low bits of flags, links' trace states.

    Theirs of version 1.28 leaves out the scopes' schema URLs as well.
    """
    for each in request.resource_spans:
        for scope in each.scope_spans:
            if not _SCOPES_HAVE_SCHEMAS:
                scope.ClearField("schema_url")
    for span in spans_of(request):
        span.flags &= ~0xFF
        if not span.status.ByteSize():
            span.ClearField("status")
        for link in span.links:
            link.flags &= ~0xFF
            link.ClearField("trace_state")
    return request


def theirs(spans: Sequence[Any]) -> ExportTraceServiceRequest:
    return alike(encode_spans(spans))
