"""OpenTracing's tag names into OpenTelemetry's semantic conventions, when spans are exported. Opt-in."""

from .export import SemconvExporter

__all__ = ["SemconvExporter"]
