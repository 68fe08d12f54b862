"""jaeger-client's samplers: those of `ot_bridge.sampling`, and what makes others into OpenTelemetry's."""

from __future__ import annotations

import logging
from typing import Any, cast

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import sampling as otel
from opentelemetry.sdk.trace.id_generator import IdGenerator

from ot_bridge.jaeger_client import records
from ot_bridge.jaeger_client.constants import (
    DEFAULT_SAMPLING_INTERVAL,
    MAX_TAG_VALUE_LENGTH,
    MAX_TRACEBACK_LENGTH,
)
from ot_bridge.jaeger_client.metrics.metrics import SAMPLER, Counters, Metrics, factory
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


class Sampler(JaegerSampler):
    """Base for a program's own: `is_sampled` decides. tags: what a subclass may return as `self._tags`."""

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
    """Asks the agent of `channel` for strategies, from now on and every `sampling_refresh_interval` seconds.

    Others of jaeger-client's keywords: init_sampler, max_operations, metrics, metrics_factory; logger and
    error_reporter are not needed.
    """

    def __init__(self, channel: Any, service_name: str, **kwargs: Any) -> None:
        self.sampling_refresh_interval = kwargs.get("sampling_refresh_interval") or DEFAULT_SAMPLING_INTERVAL
        self.metrics_factory = factory(kwargs.get("metrics_factory"), cast(Metrics, kwargs.get("metrics")))
        self.metrics = Counters(SAMPLER, self.metrics_factory)
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
        answered = super().refresh()
        if answered:
            self.metrics.sampler_retrieved(1)
            if self.sampler is not before or isinstance(before, AdaptiveSampler):
                self.metrics.sampler_updated(1)
        else:
            self.metrics.sampler_query_failure(1)
        return answered

    def __str__(self) -> str:
        return f"RemoteControlledSampler({self.sampler})"


Sampler.register(RemoteControlledSampler)


_fit = records.fitter(MAX_TAG_VALUE_LENGTH, MAX_TRACEBACK_LENGTH)


class _Asking(JaegerSampler):
    """A sampler that has jaeger-client's `is_sampled` and no more, whosever it is."""

    def __init__(self, sampler: Any) -> None:
        self._sampler = sampler

    def is_sampled(self, trace_id: int, operation: str = "") -> tuple[bool, Tags]:
        sampled, tags = self._sampler.is_sampled(trace_id, operation)
        return sampled, records.ready(tags, _fit).attributes if sampled else {}

    def __str__(self) -> str:
        return str(self._sampler)


class _AskingOTel(JaegerSampler):
    """A sampler of OpenTelemetry's, asked about roots alone."""

    def __init__(self, sampler: otel.Sampler) -> None:
        self._sampler = sampler

    def is_sampled(self, trace_id: int, operation: str = "") -> tuple[bool, Tags]:
        result = self._sampler.should_sample(Context(), trace_id, operation)
        return result.decision is otel.Decision.RECORD_AND_SAMPLE, dict(result.attributes or {})


def _own(sampler: Any) -> Any:
    """One of jaeger-client's, of the program's own or of OpenTelemetry's, as one whose tags are clean."""
    if sampler is None or (isinstance(sampler, JaegerSampler) and sampler.fast_decision()):
        return sampler
    return _Asking(sampler) if hasattr(sampler, "is_sampled") else _AskingOTel(sampler)


class Roots(JaegerSampler):
    """Decides on roots as its `sampler` of the moment does: a running tracer may be given another."""

    def __init__(self, sampler: Any) -> None:
        self.take(sampler)

    def take(self, sampler: Any) -> None:
        self.sampler = _own(sampler)

    def is_sampled(self, trace_id: int, operation: str = "") -> tuple[bool, Tags]:
        return self.sampler.is_sampled(trace_id, operation)  # type: ignore[no-any-return]

    def __str__(self) -> str:
        return str(self.sampler)


class Recording(otel.Sampler):
    """Records every span; on a root with the tags that the tracer's own sampler would put there."""

    def __init__(self, sampler: otel.Sampler) -> None:
        self._sampler = sampler

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
        decision = otel.Decision.RECORD_AND_SAMPLE
        told = self._sampler.should_sample(parent_context, trace_id, name, kind, attributes, links)
        kept = told.attributes if told.decision is decision else attributes
        return otel.SamplingResult(decision, kept, told.trace_state)

    def get_description(self) -> str:
        return f"Recording{{{self._sampler.get_description()}}}"


class AsItsCaller(otel.Sampler):
    """Decides as the caller has whose span is joined, and hands its tracestate on."""

    def __init__(self, context: trace.SpanContext) -> None:
        recorded = otel.Decision.RECORD_AND_SAMPLE
        self._told = recorded if context.trace_flags.sampled else otel.Decision.DROP
        self._trace_state = context.trace_state

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
        kept = attributes if self._told is otel.Decision.RECORD_AND_SAMPLE else None
        return otel.SamplingResult(self._told, kept, self._trace_state)

    def get_description(self) -> str:
        return "AsItsCaller"


class TheseIds(IdGenerator):
    """Gives the ids of a span that is there already: one RPC's on its server, or one that is now recorded."""

    def __init__(self, trace_id: int, span_id: int) -> None:
        self._trace_id = trace_id
        self._span_id = span_id

    def generate_trace_id(self) -> int:
        return self._trace_id

    def generate_span_id(self) -> int:
        return self._span_id

    def is_trace_id_random(self) -> bool:
        return False


__getattr__ = also(__name__)
