"""The basic samplers: all traces, none, a share of them, or a number per second.

The first three are the SDK's own. Like every sampler in this package they decide on each span for which they
are called. To have them decide on roots only, wrap them in `ParentBased`. A sampled span keeps its
attributes, and every span keeps the trace state of its parent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import INVALID_SPAN, Link, SpanKind, TraceState, get_current_span
from opentelemetry.util.types import Attributes

from ot_bridge.errors import ConfigurationError
from ot_bridge.sampling.rates import TokenBucket

LOW_64 = (1 << 64) - 1
_DROP = SamplingResult(Decision.DROP)


def result(sampled: bool, parent_context: Context | None, attributes: Attributes) -> SamplingResult:
    """The `SamplingResult` for a decision, with the trace state of the parent."""
    parent = get_current_span(parent_context)
    trace_state = None if parent is INVALID_SPAN else parent.get_span_context().trace_state
    if sampled:
        return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes, trace_state)
    # Most results are equal to this one, and it never changes, so one object is enough.
    return SamplingResult(Decision.DROP, None, trace_state) if trace_state else _DROP


always_on: Sampler = ALWAYS_ON
always_off: Sampler = ALWAYS_OFF


def probability(rate: float) -> Sampler:
    """Samples this share of all traces, by the low 64 bits of the trace id.

    rate: from 0 to 1; else ConfigurationError is raised. The high bits are ignored, because an X-Ray trace id
    begins with the time of day.
    """
    if not 0.0 <= rate <= 1.0:
        raise ConfigurationError("rate", rate, "expected a share of traces, from 0 to 1")
    return TraceIdRatioBased(rate)


def rate_limited(per_second: float) -> Sampler:
    """Samples at most `per_second` traces per second in each process.

    per_second: 0 or more; else ConfigurationError is raised.
    """
    return RateLimited(per_second)


class RateLimited(Sampler):
    """Samples at most `per_second` traces per second in each process, and the first after a pause.

    per_second: 0 or more; else ConfigurationError is raised.
    """

    def __init__(self, per_second: float) -> None:
        if not 0 <= per_second < math.inf:
            raise ConfigurationError("per_second", per_second, "expected a number of traces, 0 or more")
        self.per_second = per_second
        self._bucket = TokenBucket(per_second, fill=1.0 if per_second else 0.0)

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
        return result(self._bucket.take(), parent_context, attributes)

    def get_description(self) -> str:
        return f"rate_limited({self.per_second})"


class _Fast(Sampler):
    def __init__(self, sampler: Sampler, bound: int) -> None:
        self._bound = bound
        self._description = sampler.get_description()

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
        return result(trace_id & LOW_64 < self._bound, parent_context, attributes)

    def fast_decision(self) -> int:
        """The upper bound of the low 64 bits of sampled trace ids: see `ot_bridge.engine.settings`."""
        return self._bound

    def get_description(self) -> str:
        return self._description


def fast(sampler: Sampler) -> Sampler:
    """Returns a sampler that decides as `sampler` does, in half the time if it is one of three of the SDK."""
    if type(sampler) is TraceIdRatioBased:
        return _Fast(sampler, sampler.bound)
    if sampler is ALWAYS_ON or sampler is ALWAYS_OFF:
        return _Fast(sampler, LOW_64 + 1 if sampler is ALWAYS_ON else 0)
    return sampler
