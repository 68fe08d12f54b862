"""Translates OpenTracing's tag names to OpenTelemetry's when spans are exported. Opt-in."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ot_bridge.semconv.export import SemconvExporter

__all__ = ["SemconvExporter"]

# Imported late, so that a program without the opt-in does not import the translation.
_MODULES = {"SemconvExporter": ".export"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(_MODULES[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
