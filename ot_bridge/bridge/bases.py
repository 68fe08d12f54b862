"""The base classes of the bridge's own classes.

Where opentelemetry-opentracing-shim is installed, these are its classes, so that `isinstance` checks in
programs that were written for it stay true. Without it they are OpenTracing's. This package calls no method
of the shim, so it works the same without it: OpenTelemetry has announced that it withdraws its OpenTracing
shims.

These names are here and not in `ot_bridge.otel` because the shim imports `opentelemetry.propagate`, which
may be half imported when it loads one of our propagators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import opentracing

if TYPE_CHECKING:
    ScopeBase = opentracing.Scope
    ScopeManagerBase = opentracing.ScopeManager
    SpanBase = opentracing.Span
    SpanContextBase = opentracing.SpanContext
    TracerBase = opentracing.Tracer
else:
    try:
        from opentelemetry.shim import opentracing_shim as shim
    except Exception:  # not installed, or does not work with the installed version of OpenTelemetry
        shim = None
    ScopeBase = getattr(shim, "ScopeShim", opentracing.Scope)
    ScopeManagerBase = getattr(shim, "ScopeManagerShim", opentracing.ScopeManager)
    SpanBase = getattr(shim, "SpanShim", opentracing.Span)
    SpanContextBase = getattr(shim, "SpanContextShim", opentracing.SpanContext)
    TracerBase = getattr(shim, "TracerShim", opentracing.Tracer)


def _classes(base: type, plain: type) -> tuple[Any, ...]:
    return () if base is plain else (base,)


#: For `isinstance`: the shim's spans and span contexts, which a program may pass to our tracers.
SHIM_SPAN: Final = _classes(SpanBase, opentracing.Span)
SHIM_CONTEXT: Final = _classes(SpanContextBase, opentracing.SpanContext)
