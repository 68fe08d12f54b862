"""The tracers that are compared. Each samples every span and hands it to a collector that does nothing."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler

from ot_bridge import engine
from ot_bridge.bridge import create_tracer

JAEGER = "jaeger-client"
SDK = "OpenTelemetry SDK"
SHIM = "opentracing shim"
ENGINE = "engine"


class Nowhere(sdk.SpanProcessor):
    """An exporter that drops all spans, like jaeger-client's `NullReporter`."""

    def on_end(self, span: sdk.ReadableSpan) -> None:
        pass


def provider(kind: Any, sampler: Sampler = ALWAYS_ON, processor: sdk.SpanProcessor | None = None) -> Any:
    made = kind(sampler=sampler, resource=Resource({"service.name": "bench"}), shutdown_on_exit=False)
    made.add_span_processor(processor or Nowhere())
    return made


def jaeger(sampled: bool = True, reporter: Any = None) -> Any:
    from jaeger_client.reporter import NullReporter
    from jaeger_client.sampler import ConstSampler
    from jaeger_client.tracer import Tracer

    return Tracer("bench", reporter or NullReporter(), ConstSampler(sampled))


def jaeger_to_agent() -> Any:
    """Returns jaeger-client with its own reporter, which sends to a port where nothing listens."""
    from jaeger_client.local_agent_net import LocalAgentSender
    from jaeger_client.reporter import Reporter

    sender = LocalAgentSender("127.0.0.1", 9, 9)  # type: ignore[no-untyped-call]
    return jaeger(reporter=Reporter(sender, queue_capacity=8192))


def sdk_tracer(sampled: bool = True) -> Any:
    return provider(sdk.TracerProvider, ALWAYS_ON if sampled else ALWAYS_OFF).get_tracer("bench")


def shim(sampled: bool = True) -> Any:
    from opentelemetry.shim.opentracing_shim import create_tracer as create_shim

    return create_shim(provider(sdk.TracerProvider, ALWAYS_ON if sampled else ALWAYS_OFF))


def ours(sampled: bool = True, kind: Any = engine.TracerProvider) -> Any:
    return create_tracer(provider(kind, ALWAYS_ON if sampled else ALWAYS_OFF), propagators="jaeger")


def dropin(sampled: bool = True) -> Any:
    """Returns a tracer of `ot_bridge.jaeger_client`, configured like jaeger-client's in `jaeger`."""
    from ot_bridge.jaeger_client import ConstSampler, Tracer
    from ot_bridge.jaeger_client.reporter import NullReporter

    return Tracer("bench", NullReporter(), ConstSampler(sampled))
