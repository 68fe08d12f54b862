"""There are no constants; as in what Thrift's compiler made, the structures are here again."""

from ot_bridge.jaeger_client.thrift_gen.sampling.ttypes import (
    OperationSamplingStrategy,
    PerOperationSamplingStrategies,
    ProbabilisticSamplingStrategy,
    RateLimitingSamplingStrategy,
    SamplingStrategyResponse,
    SamplingStrategyType,
)

__all__ = [
    "OperationSamplingStrategy",
    "PerOperationSamplingStrategies",
    "ProbabilisticSamplingStrategy",
    "RateLimitingSamplingStrategy",
    "SamplingStrategyResponse",
    "SamplingStrategyType",
]
