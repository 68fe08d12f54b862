"""jaeger-client's names, on OpenTelemetry: `from ot_bridge.jaeger_client import Config`."""

from importlib import import_module
from typing import Any

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

_MODULES = ("TUDPTransport", "ioloop_util", "rate_limiter", "thrift", "thrift_gen")


def __getattr__(name: str) -> Any:
    """Imports jaeger-client's other modules when they are first used."""
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


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
