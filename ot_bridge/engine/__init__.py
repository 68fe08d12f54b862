"""A lean OpenTelemetry tracer on the SDK's own samplers, processors, exporters, resources and limits."""

from .current import full_context
from .identity import DroppedSpan
from .notes import MOST_NOTES, say_dropped
from .provider import TracerProvider
from .span import Span
from .tracer import Tracer

__all__ = ["MOST_NOTES", "DroppedSpan", "Span", "Tracer", "TracerProvider", "full_context", "say_dropped"]
