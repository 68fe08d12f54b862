"""AWS X-Ray: spans as segment documents, and three exporters."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ot_bridge.xray.daemon import XRayDaemonExporter
from ot_bridge.xray.document import trimmed
from ot_bridge.xray.ids import XRayIdGenerator
from ot_bridge.xray.segment import segment

if TYPE_CHECKING:
    from ot_bridge.xray.api import XRayExporter
    from ot_bridge.xray.otlp import XRayOTLPExporter

__all__ = [
    "XRayDaemonExporter",
    "XRayExporter",
    "XRayIdGenerator",
    "XRayOTLPExporter",
    "segment",
    "trimmed",
]

# These exporters need botocore, the others do not.
_MODULES = {"XRayExporter": ".api", "XRayOTLPExporter": ".otlp"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(_MODULES[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
