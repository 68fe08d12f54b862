"""OpenTracing's API on any OpenTelemetry `TracerProvider`.

`Tracer`, `Span`, `Scope` and `ScopeManager` read each other's attributes with a leading underscore, without
properties, because each start and activation of a span reads them (benchmark rows root, child and unsampled).
"""

from ot_bridge.bridge.create import SCOPE_NAME, create_tracer
from ot_bridge.bridge.scope import Scope
from ot_bridge.bridge.scope_manager import ScopeManager
from ot_bridge.bridge.span import Span
from ot_bridge.bridge.span_context import Baggage, SpanContext, Trust, trusted
from ot_bridge.bridge.tracer import Tracer

__all__ = [
    "SCOPE_NAME",
    "Baggage",
    "Scope",
    "ScopeManager",
    "Span",
    "SpanContext",
    "Tracer",
    "Trust",
    "create_tracer",
    "trusted",
]
