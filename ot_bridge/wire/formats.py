"""The table of all header formats."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ot_bridge.wire.b3 import B3, B3MULTI
from ot_bridge.wire.baggage import BAGGAGE
from ot_bridge.wire.binary import BINARY
from ot_bridge.wire.grpc_bin import GRPC_TRACE_BIN
from ot_bridge.wire.jaeger import JAEGER
from ot_bridge.wire.ottrace import OTTRACE
from ot_bridge.wire.remote import Format
from ot_bridge.wire.w3c import TRACECONTEXT
from ot_bridge.wire.xray import XRAY
from ot_bridge.wire.zipkin import ZIPKIN

_ALL = (TRACECONTEXT, BAGGAGE, JAEGER, B3, B3MULTI, OTTRACE, XRAY, GRPC_TRACE_BIN, BINARY, ZIPKIN)
FORMATS: Mapping[str, Format] = MappingProxyType({format.name: format for format in _ALL})
DEFAULT = ("tracecontext", "baggage", "jaeger")
