"""`install()`: one call that puts a program that speaks OpenTracing on OpenTelemetry.

It builds or takes a provider, registers the global tracers and propagators of both APIs, and flushes at
exit. What is not given comes from the standard `OTEL_*` variables (OpenTelemetry specification,
"Environment Variable Specification").
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

import opentracing
from opentelemetry import propagate, trace
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Sampler
from opentracing import Format

from ot_bridge.bridge import Tracer, create_tracer
from ot_bridge.delivery import DeliveryProcessor
from ot_bridge.engine import TracerProvider
from ot_bridge.errors import ConfigurationError
from ot_bridge.propagation import Propagator, parse_propagators
from ot_bridge.sampling import PerSpanSampler

_log = logging.getLogger("ot_bridge")
_EXIT_SECONDS: Final = 5.0
_lock = threading.RLock()
_installed: _Installed | None = None


class ShortIds(RandomIdGenerator):
    """Trace ids of 64 bits, for traces that neighbours with 64-bit ids (`ot-tracer-*`) have a part in."""

    def generate_trace_id(self) -> int:
        return self.generate_span_id()

    def is_trace_id_random(self) -> bool:
        """W3C's random flag promises 56 random bits on the right, made by a generator that fills the id."""
        return False


class _Installed:
    """What `install()` did, and how to undo it."""

    def __init__(self, tracer: Tracer, arguments: tuple[Any, ...], owns_exit: bool) -> None:
        self.tracer = tracer
        self.arguments = arguments
        self.warned = False
        self._textmap = propagate.get_global_textmap()
        self._provider: Any = trace._TRACER_PROVIDER
        self._opentracing = opentracing.tracer, opentracing.is_tracer_registered
        if owns_exit:
            atexit.register(self.at_exit)

    def at_exit(self) -> None:
        if self.tracer.closed:
            return
        if not self.tracer.flush(_EXIT_SECONDS):
            _log.warning("spans were left behind at exit: no collector took them in time")
        self.shutdown()

    def shutdown(self) -> None:
        getattr(self.tracer.provider, "shutdown", lambda: None)()

    def undo(self) -> None:
        atexit.unregister(self.at_exit)
        self.shutdown()
        opentracing.tracer, opentracing.is_tracer_registered = self._opentracing
        propagate.set_global_textmap(self._textmap)
        if trace._TRACER_PROVIDER is self.tracer.provider:
            trace._TRACER_PROVIDER = self._provider
            trace._TRACER_PROVIDER_SET_ONCE = type(trace._TRACER_PROVIDER_SET_ONCE)()


def install(
    service_name: str | None = None,
    *,
    tracer_provider: trace.TracerProvider | None = None,
    propagators: Any = None,
    sampler: Sampler | None = None,
    exporters: Sequence[str | SpanExporter | SpanProcessor] | None = None,
    scope_manager: opentracing.ScopeManager | None = None,
    set_global: bool = True,
    engine: bool = True,
    trace_id_bits: int | None = None,
) -> Tracer:
    """Sets tracing up for this process, once, and returns the OpenTracing tracer.

    service_name: else `OTEL_SERVICE_NAME`. tracer_provider: one of your own, which then brings its own
    sampler and exporters (those given here are added). propagators: names or objects, in order; else
    `OTEL_PROPAGATORS`, else `tracecontext,baggage,jaeger`. sampler: else `OTEL_TRACES_SAMPLER`. exporters:
    names as in `OTEL_TRACES_EXPORTER` (`otlp`, `console`, `xray`, `none`, ...), exporters, or span
    processors; else that variable, else OTLP to localhost. scope_manager: an OpenTracing scope manager to
    use as it is. set_global: False leaves the global tracers, provider and propagator alone. engine: False
    takes the SDK's own provider in place of the lean one. trace_id_bits: 64 for neighbours that know no
    longer ids; the default if `ottrace` is among the propagators, else 128.

    Called again it returns the first tracer, and says so once if the arguments differ. Raises
    ConfigurationError for a name that nobody knows.
    """
    global _installed
    arguments = (service_name, tracer_provider, propagators, sampler, exporters, scope_manager, set_global)
    with _lock:
        if _installed is not None:
            if arguments != _installed.arguments and not _installed.warned:
                _installed.warned = True
                _log.warning("install() was called before, with other arguments: these are ignored")
            return _installed.tracer
        textmap = parse_propagators(propagators or os.environ.get("OTEL_PROPAGATORS") or _DEFAULT)
        provider = tracer_provider or _current_provider(set_global)
        if provider is None:
            bits = trace_id_bits or (64 if _writes(textmap, "ottrace") else 128)
            provider = build_provider(
                service_name, sampler=sampler, exporters=exporters, engine=engine, trace_id_bits=bits
            )
        else:
            add_exporters(provider, exporters or ())
        tracer = create_tracer(
            provider,
            propagators={
                Format.HTTP_HEADERS: textmap,
                Format.TEXT_MAP: textmap.text_map if isinstance(textmap, Propagator) else textmap,
            },
            scope_manager=scope_manager,
        )
        installed = _Installed(tracer, arguments, owns_exit=tracer_provider is None)
        if set_global:
            opentracing.set_global_tracer(tracer)
            propagate.set_global_textmap(textmap)
            if provider is not trace._TRACER_PROVIDER:
                trace.set_tracer_provider(provider)
        _installed = installed
        return tracer


def uninstall() -> None:
    """Takes back what `install()` did and shuts its provider down. For tests."""
    global _installed
    with _lock:
        if _installed is not None:
            _installed.undo()
            _installed = None


_DEFAULT: Final = "tracecontext,baggage,jaeger"


def _current_provider(set_global: bool) -> trace.TracerProvider | None:
    """A provider that other code (an agent, the application) has made global already."""
    found = trace.get_tracer_provider() if set_global else None
    return found if isinstance(found, SdkTracerProvider) else None


def _writes(textmap: Any, name: str) -> bool:
    parts = getattr(textmap, "_propagators", [textmap])
    return any(name == each.name for part in parts for each in getattr(part, "formats", ()))


def build_provider(
    service_name: str | None = None,
    *,
    sampler: Sampler | None = None,
    exporters: Sequence[str | SpanExporter | SpanProcessor] | None = None,
    engine: bool = True,
    trace_id_bits: int = 128,
    attributes: Mapping[str, Any] | None = None,
    span_limits: SpanLimits | None = None,
) -> SdkTracerProvider:
    """A provider as `install()` makes it, and nothing registered. attributes: of its resource."""
    if trace_id_bits not in (64, 128):
        raise ConfigurationError("trace_id_bits", trace_id_bits, "64 or 128")
    named = {SERVICE_NAME: service_name} if service_name else {}
    provider = (TracerProvider if engine else SdkTracerProvider)(
        sampler=PerSpanSampler(sampler or _sampler_from_environment()),
        resource=Resource.create({**(attributes or {}), **named}),
        shutdown_on_exit=False,
        span_limits=span_limits,
        id_generator=ShortIds() if trace_id_bits == 64 else None,
    )
    add_exporters(provider, _from_environment() if exporters is None else exporters)
    return provider


def _sampler_from_environment() -> Sampler:
    """What the SDK reads from `OTEL_TRACES_SAMPLER`; only a provider can be asked for it."""
    return SdkTracerProvider(shutdown_on_exit=False).sampler


def add_exporters(provider: Any, exporters: Sequence[str | SpanExporter | SpanProcessor]) -> None:
    """Adds each to the provider: a processor as it is, an exporter in a batch processor of its own."""
    if isinstance(exporters, str):
        exporters = exporters.split(",")
    for each in exporters:
        made = exporter_named(each.strip()) if isinstance(each, str) else each
        if made is not None:
            provider.add_span_processor(made if isinstance(made, SpanProcessor) else DeliveryProcessor(made))


_HINTS: Final = {
    "otlp": "pip install 'ot-bridge[otlp]', or [otlp-json] beside protobuf 3",
    "xray": "pip install 'ot-bridge[xray]'",
}
#: Names of OpenTelemetry's -> entry points of packages that serve them, in order of preference.
_ALIASES: Final = {"otlp": ("otlp_proto_http", "otlp_json_http", "otlp_proto_grpc")}


def exporter_named(name: str, **options: Any) -> SpanExporter | None:
    """The exporter of that name, made with these options; None for `none`.

    Raises ConfigurationError if nobody has it.
    """
    if name in ("", "none"):
        return None
    from importlib.metadata import entry_points  # 20 ms that only a name to look up is worth

    for alias in _ALIASES.get(name, (name,)):
        for entry in entry_points(group="opentelemetry_traces_exporter", name=alias):
            try:
                made: SpanExporter = entry.load()(**options)
            except ImportError:
                continue
            return made
    known = sorted({entry.name for entry in entry_points(group="opentelemetry_traces_exporter")} | {"none"})
    raise ConfigurationError("exporters", name, _HINTS.get(name, f"known are {', '.join(known)}"))


def _from_environment() -> Sequence[str | SpanExporter]:
    named = os.environ.get("OTEL_TRACES_EXPORTER", "").strip()
    if named:
        return named.split(",")
    try:
        exporter = exporter_named("otlp")
    except ConfigurationError as missing:
        _log.warning("spans go nowhere: no OTLP exporter is installed (%s)", missing.reason)
        return ()
    assert exporter is not None
    if not any(name.startswith("OTEL_EXPORTER_OTLP") for name in os.environ):
        target = getattr(exporter, "_endpoint", "http://localhost:4318/v1/traces")
        _log.warning(
            "spans go to %s; set OTEL_EXPORTER_OTLP_ENDPOINT, or OTEL_TRACES_EXPORTER=none to send none",
            target,
        )
    return (exporter,)
