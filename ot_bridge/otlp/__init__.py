"""OTLP: encodes spans, decodes them, and has the exporter that sends them over HTTP."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ot_bridge.otlp.exporter import OTLPSpanExporter

__all__ = ["OTLPSpanExporter"]

# Code that only encodes or decodes does not load the exporter.
_MODULES = {"OTLPSpanExporter": ".exporter"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(_MODULES[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
