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
from collections.abc import Sequence
from typing import Any, Final

import opentracing
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.sampling import Sampler
from opentracing import Format

from ot_bridge import delivery
from ot_bridge.bridge import Tracer, create_tracer
from ot_bridge.propagation import Propagator, parse_propagators
from ot_bridge.provider import add_exporters, build_provider, exporter_names

_log = logging.getLogger("ot_bridge")
_lock = threading.RLock()
_installed: _Installed | None = None


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
        delivery.exit.finish()
        if not self.tracer.closed:
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
    flush_on_sigterm: bool | None = None,
) -> Tracer:
    """Sets tracing up for this process, once, and returns the OpenTracing tracer.

    service_name: else `OTEL_SERVICE_NAME`. tracer_provider: one of your own, which then brings its own
    sampler and exporters (those given here are added). propagators: names or objects, in order; else
    `OTEL_PROPAGATORS`, else `tracecontext,baggage,jaeger` (and `xray` where spans go to X-Ray). sampler:
    decides on roots, and what has a parent follows it; `always_on` and `always_off` decide against a
    caller too, and a `ParentBased` says itself; else `OTEL_TRACES_SAMPLER`. exporters: names as in
    `OTEL_TRACES_EXPORTER` (`otlp`, `console`, `xray`, `none`, ...), exporters, or span processors; else that
    variable, else OTLP to localhost. scope_manager: an OpenTracing scope manager to use as it is.
    set_global: False leaves the global tracers, provider and propagator alone. engine: False takes the SDK's
    own provider in place of the lean one. trace_id_bits: 64 for neighbours that know no longer ids; the
    default if `ottrace` is among the propagators, else 128. flush_on_sigterm: True has SIGTERM export what
    waits, for 2 s at most, before it ends the process; else `OT_BRIDGE_FLUSH_ON_SIGTERM` (docs/delivery.md).

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
        provider = tracer_provider or _current_provider(set_global)
        xray = any(name.startswith("xray") for name in exporter_names(exporters))
        default = f"{_DEFAULT},xray" if xray else _DEFAULT
        textmap = parse_propagators(propagators or os.environ.get("OTEL_PROPAGATORS") or default)
        if provider is None:
            bits = trace_id_bits or (64 if _writes(textmap, "ottrace") else 128)
            provider = build_provider(
                service_name,
                sampler=sampler,
                exporters=exporters,
                engine=engine,
                trace_id_bits=bits,
                xray_ids=bits == 128 and (xray or _writes(textmap, "xray")),
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
        if flush_on_sigterm is None:
            delivery.flush_on_sigterm_if_asked()
        elif flush_on_sigterm:
            delivery.flush_on_sigterm()
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
