"""The structures of `sampling.thrift`."""

from __future__ import annotations

from ot_bridge.jaeger_client.thrift_gen.values import enum, struct

SamplingStrategyType = enum("SamplingStrategyType", ("PROBABILISTIC", "RATE_LIMITING"))
ProbabilisticSamplingStrategy = struct("ProbabilisticSamplingStrategy", "samplingRate")
RateLimitingSamplingStrategy = struct("RateLimitingSamplingStrategy", "maxTracesPerSecond")
OperationSamplingStrategy = struct("OperationSamplingStrategy", "operation probabilisticSampling")
PerOperationSamplingStrategies = struct(
    "PerOperationSamplingStrategies",
    "defaultSamplingProbability defaultLowerBoundTracesPerSecond perOperationStrategies"
    " defaultUpperBoundTracesPerSecond",
)
SamplingStrategyResponse = struct(
    "SamplingStrategyResponse", "strategyType probabilisticSampling rateLimitingSampling operationSampling"
)
