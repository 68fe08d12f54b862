"""Keep every line of your OpenTracing code. Ship OpenTelemetry."""

from ot_bridge._version import __version__
from ot_bridge.bridge import Scope, ScopeManager, Span, SpanContext, Tracer, create_tracer

__all__ = ["Scope", "ScopeManager", "Span", "SpanContext", "Tracer", "__version__", "create_tracer"]
