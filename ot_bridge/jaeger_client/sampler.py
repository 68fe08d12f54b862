"""jaeger-client's samplers: those of `ot_bridge.sampling`, and wrappers of other classes."""

from __future__ import annotations

import logging
from typing import Any, Final, cast

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import sampling as otel

from ot_bridge.jaeger_client import records
from ot_bridge.jaeger_client.constants import (
    DEFAULT_SAMPLING_INTERVAL,
    MAX_TAG_VALUE_LENGTH,
    MAX_TRACEBACK_LENGTH,
)
from ot_bridge.jaeger_client.metrics.metrics import Metrics, SamplerMetrics, factory
from ot_bridge.jaeger_client.reexports import also
from ot_bridge.sampling import (
    AdaptiveSampler,
    ConstSampler,
    GuaranteedThroughputProbabilisticSampler,
    JaegerRemoteSampler,
    JaegerSampler,
    ProbabilisticSampler,
    RateLimitingSampler,
)
from ot_bridge.sampling.jaeger import (
    DEFAULT_LOWER_BOUND,
    DEFAULT_MAX_OPERATIONS,
    DEFAULT_PROBABILITY,
    Tags,
)

__all__ = [
    "DEFAULT_LOWER_BOUND",
    "DEFAULT_MAX_OPERATIONS",
    "DEFAULT_SAMPLING_PROBABILITY",
    "SAMPLER_PARAM_TAG_KEY",
    "SAMPLER_TYPE_TAG_KEY",
    "AdaptiveSampler",
    "ConstSampler",
    "GuaranteedThroughputProbabilisticSampler",
    "ProbabilisticSampler",
    "RateLimitingSampler",
    "RemoteControlledSampler",
    "Sampler",
]

SAMPLER_TYPE_TAG_KEY = "sampler.type"
SAMPLER_PARAM_TAG_KEY = "sampler.param"
DEFAULT_SAMPLING_PROBABILITY = DEFAULT_PROBABILITY

logger = logging.getLogger("jaeger_tracing")


# The keys in an agent's response about sampling.
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
    """The probability in a strategy, or the default."""
    return _part(strategy, PROBABILISTIC_SAMPLING_STR, SAMPLING_RATE_STR, DEFAULT_PROBABILITY)


def get_rate_limit(strategy: dict[str, Any] | None = None) -> float:
    """The traces per second in a strategy, or the default."""
    return _part(strategy, RATE_LIMITING_SAMPLING_STR, MAX_TRACES_PER_SECOND_STR, DEFAULT_LOWER_BOUND)


def _part(strategy: dict[str, Any] | None, kind: str, key: str, default: float) -> float:
    value: float = ((strategy or {}).get(kind) or {}).get(key, default)
    return value


class Sampler(JaegerSampler):
    """Base class for a program's own sampler, which decides in `is_sampled`. tags: become `self._tags`."""

    def __init__(self, tags: Tags | None = None) -> None:
        self._tags = tags or {}

    def _state(self) -> object:
        return self.__dict__


for _kind in (
    AdaptiveSampler,
    ConstSampler,
    GuaranteedThroughputProbabilisticSampler,
    ProbabilisticSampler,
    RateLimitingSampler,
):
    Sampler.register(_kind)


class RemoteControlledSampler(JaegerRemoteSampler):
    """Gets strategies from the agent of `channel`, at once and every `sampling_refresh_interval` seconds.

    Other keywords of jaeger-client: init_sampler, max_operations, metrics, metrics_factory; logger and
    error_reporter are ignored.
    """

    def __init__(self, channel: Any, service_name: str, **kwargs: Any) -> None:
        self.sampling_refresh_interval = kwargs.get("sampling_refresh_interval") or DEFAULT_SAMPLING_INTERVAL
        self.metrics_factory = factory(kwargs.get("metrics_factory"), cast(Metrics, kwargs.get("metrics")))
        self.metrics = SamplerMetrics(self.metrics_factory)
        self.max_operations = kwargs.get("max_operations") or DEFAULT_MAX_OPERATIONS
        super().__init__(
            service_name,
            channel.sampling_endpoint,
            polling_interval=self.sampling_refresh_interval,
            initial=_own(kwargs.get("init_sampler")),
            max_operations=self.max_operations,
        )

    def refresh(self) -> bool:
        before = self.sampler
        refreshed = super().refresh()
        if refreshed:
            self.metrics.sampler_retrieved(1)
            if self.sampler is not before or isinstance(before, AdaptiveSampler):
                self.metrics.sampler_updated(1)
        else:
            self.metrics.sampler_query_failure(1)
        return refreshed

    def __str__(self) -> str:
        return f"RemoteControlledSampler({self.sampler})"


Sampler.register(RemoteControlledSampler)


_fit = records.fitter(MAX_TAG_VALUE_LENGTH, MAX_TRACEBACK_LENGTH)


class _Foreign(JaegerSampler):
    """Wraps a sampler of the program that has jaeger-client's `is_sampled`, or one of OpenTelemetry's.

    It converts the tags of the former for export, and calls the latter for roots only.
    """

    def __init__(self, sampler: Any) -> None:
        self._sampler = sampler

    def is_sampled(self, trace_id: int, operation: str = "") -> tuple[bool, Tags]:
        if hasattr(self._sampler, "is_sampled"):
            sampled, tags = self._sampler.is_sampled(trace_id, operation)
            return sampled, records.ready(tags, _fit).attributes if sampled else {}
        result = self._sampler.should_sample(Context(), trace_id, operation)
        return result.decision is otel.Decision.RECORD_AND_SAMPLE, dict(result.attributes or {})

    def __str__(self) -> str:
        return str(self._sampler)


def _own(sampler: Any) -> Any:
    """Returns `sampler` if its tags need no conversion, else a wrapper of it."""
    ours = sampler is None or (isinstance(sampler, JaegerSampler) and sampler.fast_decision())
    return sampler if ours else _Foreign(sampler)


class Roots(JaegerSampler):
    """Decides on roots by its `sampler`, which can be replaced while the tracer runs."""

    def __init__(self, sampler: Any) -> None:
        self.take(sampler)

    def take(self, sampler: Any) -> None:
        self.sampler = _own(sampler)

    def is_sampled(self, trace_id: int, operation: str = "") -> tuple[bool, Tags]:
        return self.sampler.is_sampled(trace_id, operation)  # type: ignore[no-any-return]

    def __str__(self) -> str:
        return str(self.sampler)


class Forced(otel.Sampler):
    """Makes the decision `sampled`, with the attributes that `delegate` adds to spans that it samples.

    trace_state: of the new span; if it is empty, the trace state of `delegate` is used.
    """

    def __init__(
        self,
        sampled: bool,
        delegate: otel.Sampler = otel.ALWAYS_ON,
        trace_state: trace.TraceState | None = None,
    ) -> None:
        self._forced = otel.Decision.RECORD_AND_SAMPLE if sampled else otel.Decision.DROP
        self._delegate = delegate
        self._trace_state = trace_state

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: trace.SpanKind | None = None,
        attributes: Any = None,
        links: Any = None,
        trace_state: trace.TraceState | None = None,
    ) -> otel.SamplingResult:
        result = self._delegate.should_sample(parent_context, trace_id, name, kind, attributes, links)
        kept = result.attributes if result.decision is otel.Decision.RECORD_AND_SAMPLE else attributes
        return otel.SamplingResult(self._forced, kept, self._trace_state or result.trace_state)

    def get_description(self) -> str:
        return f"Forced{{{self._forced.name}, {self._delegate.get_description()}}}"


__getattr__ = also(__name__)
