"""A lean OpenTelemetry tracer on the SDK's own samplers, processors, exporters, resources and limits."""

from .born import DroppedSpan
from .provider import TracerProvider
from .span import Span
from .tracer import Tracer

__all__ = ["DroppedSpan", "Span", "Tracer", "TracerProvider"]
