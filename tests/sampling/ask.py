"""Calls a sampler as a provider does."""

from __future__ import annotations

import random
from collections.abc import Mapping

from opentelemetry.sdk.trace.sampling import Decision, Sampler
from opentelemetry.trace import SpanKind
from opentelemetry.util.types import AttributeValue

_random = random.Random(20)
IDS = [_random.getrandbits(128) for _ in range(2000)]


def sampled(
    sampler: Sampler,
    name: str = "operation",
    attributes: Mapping[str, AttributeValue] | None = None,
    kind: SpanKind = SpanKind.SERVER,
    trace_id: int = IDS[0],
) -> bool:
    result = sampler.should_sample(None, trace_id, name, kind, attributes)
    return result.decision is Decision.RECORD_AND_SAMPLE
