"""Makes OpenTelemetry propagators of wire formats, and reads carriers."""

from ot_bridge.propagation.carriers import (
    LOWER_CASE,
    MetadataHeaders,
    WsgiHeaders,
    lower_case,
    metadata_headers,
)
from ot_bridge.propagation.otel_context import get_remote, set_remote, trace_state, undecided
from ot_bridge.propagation.parse import parse_propagators
from ot_bridge.propagation.propagator import Propagator

__all__ = [
    "LOWER_CASE",
    "MetadataHeaders",
    "Propagator",
    "WsgiHeaders",
    "get_remote",
    "lower_case",
    "metadata_headers",
    "parse_propagators",
    "set_remote",
    "trace_state",
    "undecided",
]
