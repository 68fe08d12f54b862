"""The table of all header formats."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .b3 import B3, B3MULTI
from .baggage import BAGGAGE
from .binary import BINARY
from .grpc_bin import GRPC_TRACE_BIN
from .jaeger import JAEGER
from .ottrace import OTTRACE
from .remote import Format
from .w3c import TRACECONTEXT
from .xray import XRAY
from .zipkin import ZIPKIN

_ALL = (TRACECONTEXT, BAGGAGE, JAEGER, B3, B3MULTI, OTTRACE, XRAY, GRPC_TRACE_BIN, BINARY, ZIPKIN)
FORMATS: Mapping[str, Format] = MappingProxyType({format.name: format for format in _ALL})
DEFAULT = ("tracecontext", "baggage", "jaeger")
