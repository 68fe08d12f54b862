"""The base classes of the bridge's own classes.

Where opentelemetry-opentracing-shim is installed they are its classes, so that `isinstance` checks in
programs that were written for it stay true. Without it they are OpenTracing's. Nothing in this package calls
a method of the shim's, so nothing else depends on whether it is there: OpenTelemetry has announced that it
withdraws its OpenTracing shims.

These names stand here and not in `ot_bridge.otel` because the shim imports `opentelemetry.propagate`, which
may be half imported when it loads a propagator of ours.
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
    except Exception:  # not installed, or not made for the version of OpenTelemetry that is
        shim = None
    ScopeBase = getattr(shim, "ScopeShim", opentracing.Scope)
    ScopeManagerBase = getattr(shim, "ScopeManagerShim", opentracing.ScopeManager)
    SpanBase = getattr(shim, "SpanShim", opentracing.Span)
    SpanContextBase = getattr(shim, "SpanContextShim", opentracing.SpanContext)
    TracerBase = getattr(shim, "TracerShim", opentracing.Tracer)


def _classes(base: type, plain: type) -> tuple[Any, ...]:
    return () if base is plain else (base,)


#: For `isinstance`: the spans and span contexts of the shim, which a program may hand to a tracer of ours.
SHIM_SPAN: Final = _classes(SpanBase, opentracing.Span)
SHIM_CONTEXT: Final = _classes(SpanContextBase, opentracing.SpanContext)
