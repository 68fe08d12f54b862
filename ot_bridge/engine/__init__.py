"""A lean OpenTelemetry tracer on the SDK's own samplers, processors, exporters, resources and limits."""

from .provider import TracerProvider
from .span import DroppedSpan, Span
from .tracer import Tracer

__all__ = ["DroppedSpan", "Span", "Tracer", "TracerProvider"]
