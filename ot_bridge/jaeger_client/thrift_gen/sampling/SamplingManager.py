"""The service, which needs Thrift: its names can be imported, and raise when used."""

from ot_bridge.jaeger_client.thrift_gen.sampling.ttypes import (
    OperationSamplingStrategy,
    PerOperationSamplingStrategies,
    ProbabilisticSamplingStrategy,
    RateLimitingSamplingStrategy,
    SamplingStrategyResponse,
    SamplingStrategyType,
)
from ot_bridge.jaeger_client.thrift_gen.values import unusable

__all__ = [
    "Client",
    "Iface",
    "OperationSamplingStrategy",
    "PerOperationSamplingStrategies",
    "ProbabilisticSamplingStrategy",
    "Processor",
    "RateLimitingSamplingStrategy",
    "SamplingStrategyResponse",
    "SamplingStrategyType",
    "getSamplingStrategy_args",
    "getSamplingStrategy_result",
]

Iface, Client, Processor, getSamplingStrategy_args, getSamplingStrategy_result = unusable(
    "Iface", "Client", "Processor", "getSamplingStrategy_args", "getSamplingStrategy_result"
)
