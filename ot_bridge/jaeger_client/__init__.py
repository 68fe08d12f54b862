"""jaeger-client's names, on OpenTelemetry: `from ot_bridge.jaeger_client import Config`."""

from ot_bridge.jaeger_client.config import Config
from ot_bridge.jaeger_client.sampler import (
    ConstSampler,
    ProbabilisticSampler,
    RateLimitingSampler,
    RemoteControlledSampler,
)
from ot_bridge.jaeger_client.span import Span
from ot_bridge.jaeger_client.span_context import SpanContext
from ot_bridge.jaeger_client.tracer import Tracer

#: The version of jaeger-client whose names these are.
__version__ = "4.8.0"

__all__ = [
    "Config",
    "ConstSampler",
    "ProbabilisticSampler",
    "RateLimitingSampler",
    "RemoteControlledSampler",
    "Span",
    "SpanContext",
    "Tracer",
    "__version__",
]
