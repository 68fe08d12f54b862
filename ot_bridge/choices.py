"""Sampler, id generator, span limits and resource of a provider, from names and variables.

A variable that cannot be used is logged and counts as unset (see `variables`).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanLimits, sampling
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, StaticSampler

from ot_bridge.errors import ConfigurationError, bad_variable
from ot_bridge.variables import Parts, replaced, text, usable

_STATIC: Final[Mapping[str, Sampler]] = {
    "always_on": sampling.ALWAYS_ON,
    "always_off": sampling.ALWAYS_OFF,
    "parentbased_always_on": sampling.DEFAULT_ON,
    "parentbased_always_off": sampling.DEFAULT_OFF,
}
_RATIO: Final = {
    "traceidratio": sampling.TraceIdRatioBased,
    "parentbased_traceidratio": sampling.ParentBasedTraceIdRatio,
}
SAMPLERS: Final = Parts(
    "sampler",
    "opentelemetry_traces_sampler",
    own={
        "ot_bridge": "ot_bridge.sampling.entry:from_text",
        "jaeger_remote": "ot_bridge.sampling.entry:jaeger_remote",
        "parentbased_jaeger_remote": "ot_bridge.sampling.entry:parentbased_jaeger_remote",
    },
    also=(*_STATIC, *_RATIO),
)
_SAMPLER: Final = "OTEL_TRACES_SAMPLER"
_ARGUMENT: Final = "OTEL_TRACES_SAMPLER_ARG"


def sampler_named(name: str) -> Sampler:
    """The sampler of that name, as in `OTEL_TRACES_SAMPLER`; its argument is `OTEL_TRACES_SAMPLER_ARG`.

    Raises ConfigurationError for an unknown name.
    """
    name = name.strip()
    static = _STATIC.get(name.lower())
    if static is not None:
        return static
    argument = text(_ARGUMENT)
    make = _RATIO.get(name.lower())
    if make is not None:
        return make(_ratio(argument))
    loader = SAMPLERS.load(name)
    try:
        made: Sampler = loader(argument)
    except Exception as error:
        bad_variable(_ARGUMENT, argument, str(error), "parentbased_always_on is the sampler")
        return sampling.DEFAULT_ON
    return made


def _ratio(argument: str) -> float:
    try:
        ratio = float(argument or 1.0)
    except ValueError:
        ratio = -1.0
    if 0.0 <= ratio <= 1.0:
        return ratio
    bad_variable(_ARGUMENT, argument, "expected a number from 0 to 1", "1.0 is taken")
    return 1.0


def sampler_is_named(name: str) -> bool:
    """Whether this value of `OTEL_TRACES_SAMPLER` names a known sampler. If not, that is logged."""
    try:
        return bool(name) and (name.lower() in SAMPLERS.also or SAMPLERS.load(name) is not None)
    except ConfigurationError as error:
        instead = "it counts as unset (OpenTelemetry's default is parentbased_always_on)"
        bad_variable(_SAMPLER, name, error.reason, instead)
        return False


def sampler_in_environment() -> Sampler | None:
    """The sampler that `OTEL_TRACES_SAMPLER` names. None if it is unset or its name is unknown."""
    name = text(_SAMPLER)
    return sampler_named(name) if sampler_is_named(name) else None


def for_roots(sampler: Sampler | str) -> Sampler:
    """Makes `sampler` decide on root spans only, because a decision for each child would make broken traces.

    A static sampler also decides on spans whose parent is remote, as in OpenCensus.
    """
    if isinstance(sampler, str):
        sampler = sampler_named(sampler)
    if isinstance(sampler, type) or not callable(getattr(sampler, "should_sample", None)):
        raise ConfigurationError("sampler", sampler, "expected an OpenTelemetry sampler or its name")
    if isinstance(sampler, StaticSampler):
        return ParentBased(sampler, remote_parent_sampled=sampler, remote_parent_not_sampled=sampler)
    return sampler if isinstance(sampler, ParentBased) else ParentBased(sampler)


ID_GENERATORS: Final = Parts(
    "id_generator",
    "opentelemetry_id_generator",
    own={
        "random": "opentelemetry.sdk.trace.id_generator:RandomIdGenerator",
        "xray": "ot_bridge.xray.ids:XRayIdGenerator",
    },
)


def id_generator_in_environment() -> IdGenerator | None:
    """The generator that `OTEL_PYTHON_ID_GENERATOR` names. None if it is unset or cannot be used."""
    name = text("OTEL_PYTHON_ID_GENERATOR")
    if not name:
        return None
    try:
        made: IdGenerator = ID_GENERATORS.load(name)()
    except Exception as error:
        reason = error.reason if isinstance(error, ConfigurationError) else str(error)
        bad_variable("OTEL_PYTHON_ID_GENERATOR", name, reason, "it counts as unset")
        return None
    return made


_EVERY: Final = ("OTEL_ATTRIBUTE_COUNT_LIMIT",)
#: A limit -> the variables that set it (the first one that is set counts), and its default.
_LIMITS: Final[Mapping[str, tuple[tuple[str, ...], int]]] = {
    "max_attributes": (_EVERY, 128),
    "max_events": (("OTEL_SPAN_EVENT_COUNT_LIMIT",), 128),
    "max_links": (("OTEL_SPAN_LINK_COUNT_LIMIT",), 128),
    "max_span_attributes": (("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", *_EVERY), 128),
    "max_event_attributes": (("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", *_EVERY), 128),
    "max_link_attributes": (("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", *_EVERY), 128),
    "max_attribute_length": (("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",), SpanLimits.UNSET),
    "max_span_attribute_length": (
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
        SpanLimits.UNSET,
    ),
}


def span_limits(free: Collection[str] = ()) -> SpanLimits:
    """The limits that variables set, else the SDK's defaults. free: names of limits without a default."""
    return SpanLimits(
        **{
            name: _limit(variables, SpanLimits.UNSET if name in free else default)
            for name, (variables, default) in _LIMITS.items()
        }
    )


def _limit(variables: Iterable[str], default: int) -> int:
    for variable in variables:
        value = os.environ.get(variable)
        if value is None:
            continue
        if not value.strip():
            # The SDK reads an empty variable in the same way.
            return default if variable in _EVERY else SpanLimits.UNSET
        if value.strip().isdecimal():
            return int(value)
        bad_variable(variable, value, "expected a whole number from 0 on", "it counts as unset")
    return default


_DETECTORS: Final = Parts("detectors", "opentelemetry_resource_detector")


def _detector(name: str) -> object:
    if name == "*":
        return name
    make = _DETECTORS.load(name)
    try:
        return make()
    except Exception as error:  # another package may raise anything; OpenTelemetry 1.28 would pass it on
        reason = f"{type(error).__name__}: {error}; expected a detector that can be made"
        raise ConfigurationError("detectors", name, reason) from error


def resource(service_name: str | None, attributes: Mapping[str, Any]) -> Resource:
    """The resource of a provider: these attributes, and those of variables and detectors.

    `attributes` take precedence over `OTEL_RESOURCE_ATTRIBUTES`, and `service_name` over all others.
    """
    named = {SERVICE_NAME: service_name} if service_name else {}
    with replaced(_readable()):
        return Resource.create({**attributes, **named})


def _readable() -> dict[str, str]:
    """The variables that resources are made from, without the parts that cannot be read."""
    found = {}
    pairs = [pair for pair in text("OTEL_RESOURCE_ATTRIBUTES").split(",") if pair.strip()]
    good = [pair for pair in pairs if pair.partition("=")[0].strip() and "=" in pair]
    if good != pairs:
        wrong = ", ".join(repr(pair) for pair in pairs if pair not in good)
        problem = f"expected key=value pairs; {wrong} is none"
        bad_variable("OTEL_RESOURCE_ATTRIBUTES", ",".join(pairs), problem, "that part is left out")
        found["OTEL_RESOURCE_ATTRIBUTES"] = ",".join(good)
    variable = "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS"
    if text(variable):
        names = list(dict.fromkeys(usable(variable, _detector, "otel")))
        if "*" in names:  # OpenTelemetry 1.28 does not know it
            others = set(_DETECTORS.known()) - {"otel", *names}
            place = slice(names.index("*"), names.index("*") + 1)
            names[place] = usable(variable, _detector, "otel", ",".join(sorted(others)))
        found[variable] = ",".join(names)
    return found
