"""The entry points of group `opentelemetry_traces_sampler`: OTEL_TRACES_SAMPLER names one of them and
OTEL_TRACES_SAMPLER_ARG is its argument (empty if unset).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry.sdk.resources import OTELResourceDetector
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler

from ot_bridge.errors import ConfigurationError, bad_variable
from ot_bridge.sampling.jaeger import ProbabilisticSampler
from ot_bridge.sampling.per_span import PerSpanSampler
from ot_bridge.sampling.remote import JaegerRemoteSampler
from ot_bridge.sampling.text import sampler_from_text


def from_text(argument: str) -> Sampler:
    """`ot_bridge`: `sampler_from_text(argument)` decides on roots, and other spans follow their parent.

    A span may have a sampler of its own (`with_sampler`). Raises ConfigurationError for an argument that
    cannot be read.
    """
    return PerSpanSampler(ParentBased(sampler_from_text(argument)))


def jaeger_remote(argument: str) -> Sampler:
    """`jaeger_remote`: `endpoint=http://host:5778,pollingIntervalMs=60000,initialSamplingRate=0.001`.

    OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES name the service. An argument that cannot be read is logged
    and ignored, as OpenTelemetry's specification requires.
    """
    service = str(OTELResourceDetector().detect().attributes.get("service.name") or "unknown_service")
    try:
        return JaegerRemoteSampler(service, **_options(argument))
    except ConfigurationError as error:
        bad_variable("OTEL_TRACES_SAMPLER_ARG", argument, error.reason, "the defaults are used")
        return JaegerRemoteSampler(service)


def parentbased_jaeger_remote(argument: str) -> Sampler:
    """`parentbased_jaeger_remote`: `jaeger_remote` decides on roots, and other spans follow their parent."""
    return PerSpanSampler(ParentBased(jaeger_remote(argument)))


_OPTIONS: dict[str, Callable[[str], dict[str, Any]]] = {
    "endpoint": lambda value: {"endpoint": value},
    "pollingIntervalMs": lambda value: {"polling_interval": float(value) / 1000},
    "initialSamplingRate": lambda value: {"initial": ProbabilisticSampler(float(value))},
}


def _options(argument: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for pair in filter(None, map(str.strip, argument.split(","))):
        name, _, value = map(str.strip, pair.partition("="))
        try:
            options |= _OPTIONS[name](value)
        except (KeyError, ValueError) as error:
            raise ConfigurationError(
                "OTEL_TRACES_SAMPLER_ARG", pair, f"expected {', '.join(_OPTIONS)}"
            ) from error
    return options
