"""Samplers: each an ordinary OpenTelemetry `Sampler`, for any provider."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ot_bridge.sampling.basic import RateLimited, always_off, always_on, probability, rate_limited
    from ot_bridge.sampling.jaeger import (
        AdaptiveSampler,
        ConstSampler,
        GuaranteedThroughputProbabilisticSampler,
        JaegerSampler,
        ProbabilisticSampler,
        RateLimitingSampler,
    )
    from ot_bridge.sampling.per_span import PerSpanSampler, with_sampler
    from ot_bridge.sampling.remote import JaegerRemoteSampler
    from ot_bridge.sampling.rules import OperationSampler, PathSampler
    from ot_bridge.sampling.text import sampler_from_text

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

# `install()` needs one of these modules. Each is imported when one of its names is first used.
_MODULES = {
    "basic": ("RateLimited", "always_off", "always_on", "probability", "rate_limited"),
    "jaeger": (
        "AdaptiveSampler",
        "ConstSampler",
        "GuaranteedThroughputProbabilisticSampler",
        "JaegerSampler",
        "ProbabilisticSampler",
        "RateLimitingSampler",
    ),
    "per_span": ("PerSpanSampler", "with_sampler"),
    "remote": ("JaegerRemoteSampler",),
    "rules": ("OperationSampler", "PathSampler"),
    "text": ("sampler_from_text",),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f".{module}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
