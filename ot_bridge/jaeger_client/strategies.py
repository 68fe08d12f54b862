"""The words of an agent's answer about sampling, and jaeger-client's readers of parts of it."""

from __future__ import annotations

from typing import Any, Final

from ot_bridge.sampling.jaeger import DEFAULT_LOWER_BOUND, DEFAULT_PROBABILITY

STRATEGIES_STR: Final = "perOperationStrategies"
OPERATION_STR: Final = "operation"
DEFAULT_LOWER_BOUND_STR: Final = "defaultLowerBoundTracesPerSecond"
PROBABILISTIC_SAMPLING_STR: Final = "probabilisticSampling"
SAMPLING_RATE_STR: Final = "samplingRate"
DEFAULT_SAMPLING_PROBABILITY_STR: Final = "defaultSamplingProbability"
OPERATION_SAMPLING_STR: Final = "operationSampling"
MAX_TRACES_PER_SECOND_STR: Final = "maxTracesPerSecond"
RATE_LIMITING_SAMPLING_STR: Final = "rateLimitingSampling"
STRATEGY_TYPE_STR: Final = "strategyType"
PROBABILISTIC_SAMPLING_STRATEGY: Final = "PROBABILISTIC"
RATE_LIMITING_SAMPLING_STRATEGY: Final = "RATE_LIMITING"


def get_sampling_probability(strategy: dict[str, Any] | None = None) -> float:
    """The share that a strategy says, else the default."""
    return _part(strategy, PROBABILISTIC_SAMPLING_STR, SAMPLING_RATE_STR, DEFAULT_PROBABILITY)


def get_rate_limit(strategy: dict[str, Any] | None = None) -> float:
    """The traces per second that a strategy says, else the default."""
    return _part(strategy, RATE_LIMITING_SAMPLING_STR, MAX_TRACES_PER_SECOND_STR, DEFAULT_LOWER_BOUND)


def _part(strategy: dict[str, Any] | None, kind: str, key: str, default: float) -> float:
    value: float = ((strategy or {}).get(kind) or {}).get(key, default)
    return value
