"""jaeger-client's samplers as OpenTelemetry samplers.

For each trace id they decide as jaeger-client 4.8 does, and set the same tags `sampler.type` and
`sampler.param` on sampled spans. They have its `is_sampled`, equality and `str()`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes, AttributeValue

from ot_bridge.errors import ConfigurationError
from ot_bridge.ids import fraction
from ot_bridge.sampling.basic import LOW_64, result
from ot_bridge.sampling.rates import TokenBucket

DEFAULT_PROBABILITY = 0.001
DEFAULT_LOWER_BOUND = 1.0 / 600  # one trace in ten minutes
DEFAULT_MAX_OPERATIONS = 2000

Tags = Mapping[str, AttributeValue]


def _tags(kind: str, param: AttributeValue) -> Tags:
    return {"sampler.type": kind, "sampler.param": param}


class JaegerSampler(Sampler):
    """Base class. A subclass decides in `is_sampled`."""

    def is_sampled(self, trace_id: int, operation: str = "") -> tuple[bool, Tags]:
        """Whether to sample a trace whose root has this operation name, and the tags for its root span."""
        raise NotImplementedError

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        sampled, tags = self.is_sampled(trace_id, name)
        return result(sampled, parent_context, {**attributes, **tags} if attributes else tags)

    def fast_decision(self) -> Any:
        """See `ot_bridge.engine.settings`. None for a program's own samplers, whose tags need checking."""
        ours = type(self).is_sampled.__module__.startswith("ot_bridge.")
        return self.is_sampled if ours and type(self).should_sample is JaegerSampler.should_sample else None

    def get_description(self) -> str:
        return str(self)

    def close(self) -> None:
        """Does nothing: this sampler holds no resources."""

    def _state(self) -> object:
        return str(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, self.__class__) and self._state() == other._state()

    __hash__ = Sampler.__hash__


class ConstSampler(JaegerSampler):
    """Samples all traces (decision=True) or none."""

    def __init__(self, decision: bool) -> None:
        self.decision = decision
        self._tags = _tags("const", decision)

    def fast_decision(self) -> Any:
        """`DROP` for a false decision, which has no tags. The engine does not see later changes of it."""
        return Decision.DROP if type(self) is ConstSampler and not self.decision else super().fast_decision()

    def is_sampled(self, trace_id: int, operation: str = "") -> tuple[bool, Tags]:
        return self.decision, self._tags

    def __str__(self) -> str:
        return f"ConstSampler({self.decision})"


class ProbabilisticSampler(JaegerSampler):
    """Samples a share of all traces. rate: from 0 to 1; else ConfigurationError is raised."""

    def __init__(self, rate: float) -> None:
        self.rate = checked_probability(rate)
        # For integer ids, `id < x` is equivalent to `id < ceil(x)`, and comparing two integers is quicker.
        self._bound = math.ceil(rate * (LOW_64 + 1))
        self._tags = _tags("probabilistic", rate)

    max_number = LOW_64 + 1  # all ids are below it; the name is jaeger-client's

    @property
    def boundary(self) -> float:
        """Trace ids below it are sampled; calculated as in jaeger-client."""
        return self.rate * self.max_number

    def is_sampled(self, trace_id: int, operation: str = "") -> tuple[bool, Tags]:
        return trace_id & LOW_64 < self._bound, self._tags

    def __str__(self) -> str:
        return f"ProbabilisticSampler({self.rate})"


class RateLimitingSampler(JaegerSampler):
    """Samples at most `max_traces_per_second` in each process.

    It starts with a random part of the tokens of one second. Raises ConfigurationError for a negative rate.
    """

    def __init__(self, max_traces_per_second: float = 10) -> None:
        self.traces_per_second = checked_rate(max_traces_per_second)
        self._bucket = TokenBucket(max_traces_per_second, fill=fraction())
        self._tags = _tags("ratelimiting", max_traces_per_second)

    def is_sampled(self, trace_id: int, operation: str = "") -> tuple[bool, Tags]:
        return self._bucket.take(), self._tags

    def update(self, max_traces_per_second: float) -> bool:
        """Sets the rate. Returns whether it differs from the old one."""
        if max_traces_per_second == self.traces_per_second:
            return False
        self.traces_per_second = checked_rate(max_traces_per_second)
        self._bucket.resize(max_traces_per_second)
        self._tags = _tags("ratelimiting", max_traces_per_second)
        return True

    def __str__(self) -> str:
        return f"RateLimitingSampler({self.traces_per_second})"


class GuaranteedThroughputProbabilisticSampler(JaegerSampler):
    """Samples a share of an operation's traces, and in any case `lower_bound` traces per second.

    rate: from 0 to 1. Raises ConfigurationError.
    """

    def __init__(self, operation: str, lower_bound: float, rate: float) -> None:
        self.operation = operation
        self.rate = rate
        self.lower_bound = lower_bound
        self.probabilistic_sampler = ProbabilisticSampler(rate)
        self.lower_bound_sampler = RateLimitingSampler(lower_bound)
        self._tags = _tags("lowerbound", rate)

    def is_sampled(self, trace_id: int, operation: str = "") -> tuple[bool, Tags]:
        sampled, tags = self.probabilistic_sampler.is_sampled(trace_id)
        # Traces that the share has sampled count towards the lower bound, too.
        guaranteed, _ = self.lower_bound_sampler.is_sampled(trace_id)
        return (True, tags) if sampled else (guaranteed, self._tags)

    def update(self, lower_bound: float, rate: float) -> None:
        if rate != self.rate:
            self.probabilistic_sampler = ProbabilisticSampler(rate)
            self.rate = rate
            self._tags = _tags("lowerbound", rate)
        if self.lower_bound_sampler.update(lower_bound):
            self.lower_bound = lower_bound

    def __str__(self) -> str:
        name = f"{self.operation}, {self.rate:f}, {self.lower_bound:f}"
        return f"GuaranteedThroughputProbabilisticSampler({name})"


class AdaptiveSampler(JaegerSampler):
    """Samples each operation with a rate of its own.

    strategies: the `operationSampling` object of a Jaeger server's response. max_operations: the number of
    operations with their own sampler; later ones share one probability without a lower bound. Raises
    ConfigurationError for a rate that cannot be used.
    """

    def __init__(self, strategies: Mapping[str, Any], max_operations: int = DEFAULT_MAX_OPERATIONS) -> None:
        self.max_operations = max_operations
        self.samplers: dict[str, GuaranteedThroughputProbabilisticSampler] = {}
        self.update(strategies)

    def is_sampled(self, trace_id: int, operation: str = "") -> tuple[bool, Tags]:
        sampler = self.samplers.get(operation)
        if sampler is None:
            if len(self.samplers) >= self.max_operations:
                return self.default_sampler.is_sampled(trace_id)
            sampler = self._new(operation, self.default_sampling_probability)
            # Another thread may have added a sampler in the meantime: that one, with its balance, is used.
            sampler = self.samplers.setdefault(operation, sampler)
        return sampler.is_sampled(trace_id)

    def update(self, strategies: Mapping[str, Any]) -> None:
        """Replaces the strategies; operations keep their balance. If one cannot be used, nothing changes."""
        probability = checked_probability(strategies.get("defaultSamplingProbability", DEFAULT_PROBABILITY))
        lower_bound = checked_rate(strategies.get("defaultLowerBoundTracesPerSecond", DEFAULT_LOWER_BOUND))
        rates = {s["operation"]: sampling_rate(s) for s in strategies.get("perOperationStrategies") or ()}
        self.default_sampling_probability = probability
        self.default_sampler = ProbabilisticSampler(probability)
        self.lower_bound = lower_bound
        for operation, rate in rates.items():
            if sampler := self.samplers.get(operation):
                sampler.update(lower_bound, rate)
            else:
                self.samplers[operation] = self._new(operation, rate)

    def _new(self, operation: str, rate: float) -> GuaranteedThroughputProbabilisticSampler:
        return GuaranteedThroughputProbabilisticSampler(operation, self.lower_bound, rate)

    def _state(self) -> object:
        return str(self), {name: sampler._state() for name, sampler in self.samplers.items()}

    def __str__(self) -> str:
        numbers = f"{self.default_sampling_probability:f}, {self.lower_bound:f}, {self.max_operations:d}"
        return f"AdaptiveSampler({numbers})"


def sampling_rate(strategy: Mapping[str, Any]) -> float:
    """The probability in a strategy, or jaeger-client's default. Raises ConfigurationError."""
    return checked_probability(
        (strategy.get("probabilisticSampling") or {}).get("samplingRate", DEFAULT_PROBABILITY)
    )


def checked_probability(value: Any) -> float:
    return _checked_number("sampling rate", value, 1.0, "expected a number from 0 to 1")


def checked_rate(value: Any) -> float:
    return _checked_number("traces per second", value, sys.float_info.max, "expected a number, 0 or more")


def _checked_number(option: str, value: Any, most: float, what: str) -> float:
    if isinstance(value, (int, float)) and 0 <= value <= most:
        return value
    raise ConfigurationError(option, value, what)
