"""`create_tracer`: makes an OpenTracing tracer on any OpenTelemetry provider."""

from __future__ import annotations

from typing import Any, Final

import opentracing
from opentelemetry import trace

from ot_bridge._version import __version__
from ot_bridge.bridge.tracer import Tracer
from ot_bridge.errors import ConfigurationError

#: The instrumentation scope of the spans (OpenTelemetry, "OpenTracing Compatibility", "Create an OpenTracing
#: Tracer Shim").
SCOPE_NAME: Final = "opentracing-shim"


def create_tracer(
    tracer_provider: trace.TracerProvider | None = None,
    *,
    propagators: Any = None,
    scope_manager: opentracing.ScopeManager | None = None,
    maps_kind: bool = True,
) -> Tracer:
    """An OpenTracing tracer on an OpenTelemetry provider (the global one if None).

    propagators: names (`"jaeger,b3"` or a list), formats of `ot_bridge.wire` or OpenTelemetry
    propagators; or a dict of these by `opentracing.Format` (or a format of your own). None: OpenTelemetry's
    global propagator, which is looked up at each call.
    scope_manager: an `opentracing.ScopeManager` to use in place of OpenTelemetry's context.
    maps_kind: whether `span.kind` tags set the kind of the OpenTelemetry span.
    Raises ConfigurationError for an unknown propagator name and for an argument of another type.
    """
    checked(tracer_provider, scope_manager)
    provider = trace.get_tracer_provider() if tracer_provider is None else tracer_provider
    tracer = provider.get_tracer(SCOPE_NAME, __version__)
    return Tracer(tracer, provider, propagators=propagators, scope_manager=scope_manager, maps_kind=maps_kind)


def usable_tracer(tracer: Any) -> Any:
    """Returns `tracer`, which may be None. Raises ConfigurationError if it is no OpenTracing tracer."""
    _check("tracer", tracer, "start_span", "an OpenTracing tracer")
    return tracer


def checked(tracer_provider: Any, scope_manager: Any) -> None:
    """Raises ConfigurationError if the provider or the scope manager is of another type. Both may be None."""
    _check("tracer_provider", tracer_provider, "get_tracer", "an OpenTelemetry tracer provider")
    _check("scope_manager", scope_manager, "activate", "an OpenTracing scope manager")


def _check(option: str, value: Any, method: str, expected: str) -> None:
    if value is not None and (isinstance(value, type) or not callable(getattr(value, method, None))):
        raise ConfigurationError(option, value, f"expected {expected}")
