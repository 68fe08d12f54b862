"""Samplers as text, for `OTEL_TRACES_SAMPLER_ARG` and configuration files.

    0.01                                   a share of all traces
    10/s                                   a number of traces per second
    /api=1.0,/static=0,*=0.01              by path: patterns as in rules.py; `*`, at the end, for the rest
    GET /api=1,op:cron.*=1/s,*=0           by method; `op:` begins a rule for span names

Without `*` all other traces are sampled, as OpenTelemetry does by default. A leading `ot_bridge:` is allowed.
A pattern in such a text cannot contain a comma.
"""

from __future__ import annotations

from opentelemetry.sdk.trace.sampling import Sampler

from ot_bridge.errors import ConfigurationError
from ot_bridge.sampling.basic import always_on, probability, rate_limited
from ot_bridge.sampling.rules import OperationSampler, PathSampler, Rule

_FORM = "a share (0.01), a rate (10/s), or rules (/api=1.0,op:cron.*=1/s,*=0.01)"


def sampler_from_text(text: str) -> Sampler:
    """The sampler that this text describes; the docstring of this module lists the forms.

    Raises ConfigurationError for a text of another form, a share above 1 or a negative rate.
    """
    entries = [entry.strip() for entry in text.strip().removeprefix("ot_bridge:").split(",")]
    if len(entries) == 1 and "=" not in entries[0]:
        return _decision(entries[0], text) if entries[0] else always_on
    default: Sampler = always_on
    paths: list[Rule] = []
    operations: list[Rule] = []
    for position, entry in enumerate(entries, 1):
        pattern, equals, value = map(str.strip, entry.rpartition("="))
        sampler = _decision(value, text)
        if not equals or not pattern or (pattern == "*" and position < len(entries)):
            raise ConfigurationError("sampler", text, f"expected {_FORM}, * last")
        if pattern == "*":
            default = sampler
        elif pattern.startswith("op:"):
            operations.append((pattern[3:].lstrip(), sampler))
        else:
            paths.append((pattern, sampler))
    rest = OperationSampler(operations, default) if operations else default
    return PathSampler(paths, rest) if paths else rest


def _decision(value: str, text: str) -> Sampler:
    try:
        if value.endswith("/s"):
            return rate_limited(float(value[:-2]))
        return probability(float(value))
    except ValueError as error:
        raise ConfigurationError("sampler", text, f"{value!r} is no sampler; expected {_FORM}") from error
