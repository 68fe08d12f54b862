"""Rows for spans inside the process: roots, children, tags, and the engine without OpenTracing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from benchmarks import peers
from benchmarks.measure import Run
from benchmarks.peers import ENGINE, JAEGER, SDK, SHIM
from benchmarks.rows import OURS, Goal, row
from ot_bridge import engine
from ot_bridge.bridge import create_tracer
from ot_bridge.delivery import DeliveryProcessor


def active(tracer: Any) -> Run:
    """Starts a span of an OpenTracing tracer as the active one, and closes it."""
    start = tracer.start_active_span

    def run(times: int) -> None:
        for _ in range(times):
            with start("op"):
                pass

    return run


def current(tracer: Any) -> Run:
    """Starts a span of an OpenTelemetry tracer as the current one, and ends it."""
    start = tracer.start_as_current_span

    def run(times: int) -> None:
        for _ in range(times):
            with start("op"):
                pass

    return run


def _tagged(tracer: Any) -> Run:
    start = tracer.start_active_span

    def run(times: int) -> None:
        for number in range(times):
            with start("op") as scope:
                span = scope.span
                span.set_tag("component", "bench")
                span.set_tag("http.method", "GET")
                span.set_tag("http.url", "http://example.com/path")
                span.set_tag("http.status_code", 200)
                span.set_tag("number", number)
                span.log_kv({"event": "done"})

    return run


def _attributed(tracer: Any) -> Run:
    start = tracer.start_as_current_span

    def run(times: int) -> None:
        for number in range(times):
            with start("op") as span:
                span.set_attribute("component", "bench")
                span.set_attribute("http.method", "GET")
                span.set_attribute("http.url", "http://example.com/path")
                span.set_attribute("http.status_code", 200)
                span.set_attribute("number", number)
                span.add_event("done", {"event": "done"})

    return run


def _below(run: Run, tracer: Any) -> Run:
    """Returns `run`, done while a span of the tracer is active."""
    start = getattr(tracer, "start_active_span", None) or tracer.start_as_current_span

    def within(times: int) -> None:
        with start("parent"):
            run(times)

    return within


def started(tracer: Any) -> Run:
    """Starts a span without making it active, and ends it."""
    start = tracer.start_span

    def run(times: int) -> None:
        for _ in range(times):
            start("op").end()

    return run


@row("root", "root span, started active and closed", Goal(JAEGER, 0.40), Goal(SDK, 0.25))
def _root() -> Mapping[str, Run]:
    return {
        OURS: active(peers.ours()),
        JAEGER: active(peers.jaeger()),
        SDK: current(peers.sdk_tracer()),
        SHIM: active(peers.shim()),
    }


@row("tagged", "the same with 5 tags and 1 log", Goal(JAEGER, 0.30))
def _tags() -> Mapping[str, Run]:
    return {
        OURS: _tagged(peers.ours()),
        JAEGER: _tagged(peers.jaeger()),
        SDK: _attributed(peers.sdk_tracer()),
        SHIM: _tagged(peers.shim()),
    }


@row("child", "child of the active span", Goal(JAEGER, 0.70))
def _child() -> Mapping[str, Run]:
    ours, jaeger, sdk_tracer, shim = peers.ours(), peers.jaeger(), peers.sdk_tracer(), peers.shim()
    return {
        OURS: _below(active(ours), ours),
        JAEGER: _below(active(jaeger), jaeger),
        SDK: _below(current(sdk_tracer), sdk_tracer),
        SHIM: _below(active(shim), shim),
    }


@row("unsampled", "root span that is not sampled", Goal(JAEGER, 0.50))
def _unsampled() -> Mapping[str, Run]:
    return {
        OURS: active(peers.ours(False)),
        JAEGER: active(peers.jaeger(False)),
        SDK: current(peers.sdk_tracer(False)),
        SHIM: active(peers.shim(False)),
    }


@row("dropin-root", "root span of the drop-in, started active and closed", Goal(JAEGER, 0.45))
def _dropin_root() -> Mapping[str, Run]:
    return {OURS: active(peers.dropin()), JAEGER: active(peers.jaeger())}


@row("dropin-tagged", "the same with 5 tags and 1 log", Goal(JAEGER, 0.32))
def _dropin_tagged() -> Mapping[str, Run]:
    return {OURS: _tagged(peers.dropin()), JAEGER: _tagged(peers.jaeger())}


@row("dropin-child", "child of the drop-in's active span", Goal(JAEGER, 0.75))
def _dropin_child() -> Mapping[str, Run]:
    ours, jaeger = peers.dropin(), peers.jaeger()
    return {OURS: _below(active(ours), ours), JAEGER: _below(active(jaeger), jaeger)}


@row("dropin-unsampled", "root span of the drop-in that is not sampled", Goal(JAEGER, 0.55))
def _dropin_unsampled() -> Mapping[str, Run]:
    return {OURS: active(peers.dropin(False)), JAEGER: active(peers.jaeger(False))}


@row("stock", "root span on the stock SDK provider", Goal(SDK, 1.10))
def _stock() -> Mapping[str, Run]:
    return {
        OURS: active(peers.ours(kind=sdk.TracerProvider)),
        SDK: current(peers.sdk_tracer()),
        SHIM: active(peers.shim()),
    }


class _Forgets(SpanExporter):
    def export(self, spans: Any) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def _batched(kind: Any) -> Any:
    """Adds the batch processor that belongs to the provider."""
    batch = DeliveryProcessor if kind is engine.TracerProvider else BatchSpanProcessor
    return peers.provider(kind, processor=batch(_Forgets(), max_queue_size=8192, max_export_batch_size=2048))


@row("queued", "root span, to the thread that delivers it", Goal(JAEGER, 0.40), Goal(SDK, 0.25))
def _queued() -> Mapping[str, Run]:
    return {
        OURS: active(create_tracer(_batched(engine.TracerProvider))),
        JAEGER: active(peers.jaeger_to_agent()),
        SDK: current(_batched(sdk.TracerProvider).get_tracer("bench")),
    }


@row("engine", "OpenTelemetry's start_span and end, batched", Goal(SDK, 0.20, ENGINE))
def _engine() -> Mapping[str, Run]:
    return {
        ENGINE: started(_batched(engine.TracerProvider).get_tracer("bench")),
        SDK: started(_batched(sdk.TracerProvider).get_tracer("bench")),
    }


@row("engine-current", "OpenTelemetry's start_as_current_span", Goal(SDK, 0.25, ENGINE))
def _engine_current() -> Mapping[str, Run]:
    return {
        ENGINE: current(peers.provider(engine.TracerProvider).get_tracer("bench")),
        SDK: current(peers.sdk_tracer()),
    }
