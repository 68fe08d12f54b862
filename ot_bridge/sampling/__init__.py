"""Samplers: each an ordinary OpenTelemetry `Sampler`, for any provider."""

from .basic import RateLimited, always_off, always_on, probability, rate_limited
from .jaeger import (
    AdaptiveSampler,
    ConstSampler,
    GuaranteedThroughputProbabilisticSampler,
    JaegerSampler,
    ProbabilisticSampler,
    RateLimitingSampler,
)
from .per_span import PerSpanSampler, with_sampler
from .remote import JaegerRemoteSampler
from .rules import OperationSampler, PathSampler
from .text import sampler_from_text

__all__ = [
    "AdaptiveSampler",
    "ConstSampler",
    "GuaranteedThroughputProbabilisticSampler",
    "JaegerRemoteSampler",
    "JaegerSampler",
    "OperationSampler",
    "PathSampler",
    "PerSpanSampler",
    "ProbabilisticSampler",
    "RateLimited",
    "RateLimitingSampler",
    "always_off",
    "always_on",
    "probability",
    "rate_limited",
    "sampler_from_text",
    "with_sampler",
]
