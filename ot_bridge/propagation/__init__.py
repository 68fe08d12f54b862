"""Wire formats as OpenTelemetry propagators, and the carriers they read."""

from .carriers import WsgiHeaders, metadata_headers
from .context import get_remote, set_remote, trace_state
from .parse import parse_propagators
from .propagator import Propagator

__all__ = [
    "Propagator",
    "WsgiHeaders",
    "get_remote",
    "metadata_headers",
    "parse_propagators",
    "set_remote",
    "trace_state",
]
