"""Rows for headers: injecting and extracting a span's context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentracing import Format

from benchmarks import peers
from benchmarks.measure import Run
from benchmarks.peers import JAEGER, SDK
from benchmarks.requests import OTHERS, SPAN, TRACE, UBER
from benchmarks.rows import OURS, Goal, row
from ot_bridge.bridge import create_tracer
from ot_bridge.engine import TracerProvider

_W3C = {**OTHERS, "traceparent": f"00-{TRACE}-{SPAN}-01"}


def _opentracing_inject(tracer: Any) -> Run:
    context = tracer.start_span("op").context

    def run(times: int) -> None:
        for _ in range(times):
            tracer.inject(context, Format.HTTP_HEADERS, {})

    return run


def _opentracing_extract(tracer: Any, headers: dict[str, str]) -> Run:
    def run(times: int) -> None:
        for _ in range(times):
            tracer.extract(Format.HTTP_HEADERS, headers)

    return run


def _otel_inject(propagator: Any) -> Run:
    context = trace.set_span_in_context(peers.sdk_tracer().start_span("op"))

    def run(times: int) -> None:
        for _ in range(times):
            propagator.inject({}, context)

    return run


def _otel_extract(propagator: Any, headers: dict[str, str]) -> Run:
    def run(times: int) -> None:
        for _ in range(times):
            propagator.extract(headers)

    return run


def _w3c() -> Any:
    return create_tracer(peers.provider(TracerProvider), propagators="tracecontext")


@row("inject-uber", "inject uber-trace-id", Goal(JAEGER, 0.90))
def _inject_uber() -> Mapping[str, Run]:
    return {OURS: _opentracing_inject(peers.ours()), JAEGER: _opentracing_inject(peers.jaeger())}


@row("inject-w3c", "inject traceparent", Goal(SDK, 0.50))
def _inject_w3c() -> Mapping[str, Run]:
    return {OURS: _opentracing_inject(_w3c()), SDK: _otel_inject(TraceContextTextMapPropagator())}


@row("extract-uber", "extract uber-trace-id", Goal(JAEGER, 0.40))
def _extract_uber() -> Mapping[str, Run]:
    return {
        OURS: _opentracing_extract(peers.ours(), UBER),
        JAEGER: _opentracing_extract(peers.jaeger(), UBER),
    }


@row("extract-w3c", "extract traceparent", Goal(SDK, 0.40))
def _extract_w3c() -> Mapping[str, Run]:
    return {
        OURS: _opentracing_extract(_w3c(), _W3C),
        SDK: _otel_extract(TraceContextTextMapPropagator(), _W3C),
    }
