"""The table of all header formats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Final

from ot_bridge.wire.remote import Format

#: The name of a format -> the module of this package that has it, and its name there.
_PLACES: Final = {
    "tracecontext": ("w3c", "TRACECONTEXT"),
    "baggage": ("baggage", "BAGGAGE"),
    "jaeger": ("jaeger", "JAEGER"),
    "b3": ("b3", "B3"),
    "b3multi": ("b3", "B3MULTI"),
    "ottrace": ("ottrace", "OTTRACE"),
    "xray": ("xray", "XRAY"),
    "grpc-trace-bin": ("grpc_bin", "GRPC_TRACE_BIN"),
    "binary": ("binary", "BINARY"),
    "zipkin-span-format": ("zipkin", "ZIPKIN"),
}
DEFAULT = ("tracecontext", "baggage", "jaeger")


class _Formats(Mapping[str, Format]):
    """Imports the module of a format when the format is asked for: most programs use three of them."""

    def __getitem__(self, name: str) -> Format:
        module, attribute = _PLACES[name]
        found: Format = getattr(import_module(f"ot_bridge.wire.{module}"), attribute)
        return found

    def __contains__(self, name: object) -> bool:
        return name in _PLACES

    def __iter__(self) -> Iterator[str]:
        return iter(_PLACES)

    def __len__(self) -> int:
        return len(_PLACES)


FORMATS: Final = _Formats()
