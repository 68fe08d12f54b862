"""The one table of header formats."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .b3 import B3, B3MULTI
from .baggage import BAGGAGE
from .binary import BINARY
from .jaeger import JAEGER
from .remote import Format
from .w3c import TRACECONTEXT

FORMATS: Mapping[str, Format] = MappingProxyType(
    {format.name: format for format in (TRACECONTEXT, BAGGAGE, JAEGER, B3, B3MULTI, BINARY)}
)
DEFAULT = ("tracecontext", "baggage", "jaeger")
