"""A lean OpenTelemetry tracer on the SDK's own samplers, processors, exporters, resources and limits."""

from ot_bridge.engine.current import full_context
from ot_bridge.engine.identity import DroppedSpan
from ot_bridge.engine.notes import MOST_NOTES, log_dropped
from ot_bridge.engine.provider import TracerProvider
from ot_bridge.engine.span import Span
from ot_bridge.engine.tracer import Tracer

__all__ = ["MOST_NOTES", "DroppedSpan", "Span", "Tracer", "TracerProvider", "full_context", "log_dropped"]
