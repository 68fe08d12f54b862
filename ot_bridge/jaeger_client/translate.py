"""Translates a Jaeger configuration to OpenTelemetry's variables, for programs that leave jaeger-client.

A setting without an equivalent becomes a comment that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from ot_bridge.jaeger_client import settings
from ot_bridge.jaeger_client.readers import propagators_of
from ot_bridge.jaeger_client.settings import Environment, Setting
from ot_bridge.jaeger_client.utils import get_boolean


class Line(NamedTuple):
    """A line of the translation. variable: empty for a comment. text: its value, or the comment."""

    variable: str
    text: str

    def __str__(self) -> str:
        return f"{self.variable}={self.text}" if self.variable else f"# {self.text}"


def effective(config: Mapping[str, Any], environment: Environment) -> dict[str, Setting]:
    """All settings by name, with tags as `tags.NAME`."""
    found = {name: settings.resolve(name, config, environment) for name in settings.ROWS}
    host, endpoint = found["reporting_host"], found["traces_endpoint"]
    if endpoint.value is None or (host.source == "config" and not endpoint.source.startswith("OTEL")):
        found["traces_endpoint"] = Setting(_endpoint(host.value, found["protocol"].value), "reporting_host")
    found.update({f"tags.{key}": tag for key, tag in settings.tags(config, environment).items()})
    return found


def _endpoint(host: str, protocol: str) -> str:
    port = "4317" if protocol == "grpc" else "4318/v1/traces"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def lines(config: Mapping[str, Any], environment: Environment) -> list[Line]:
    """The variables that are equivalent to this configuration."""
    found = effective(config, environment)
    return [line for part in _PARTS for line in part(found, config)]


Found = Mapping[str, Setting]


def _identity(found: Found, config: Mapping[str, Any]) -> Iterator[Line]:
    if get_boolean(found["disabled"].value, False):
        yield Line("OTEL_SDK_DISABLED", "true")
    name = found["service_name"].value
    yield Line("OTEL_SERVICE_NAME", name) if name else Line("", "OTEL_SERVICE_NAME: no service_name is given")
    tags = {key[5:]: setting.value for key, setting in found.items() if key.startswith("tags.")}
    if tags:
        pairs = (f"{quote(str(key), safe='')}={quote(str(value), safe='')}" for key, value in tags.items())
        yield Line("OTEL_RESOURCE_ATTRIBUTES", ",".join(pairs))


def _always(param: Any, found: Found) -> Iterator[Line]:
    yield Line("OTEL_TRACES_SAMPLER", f"parentbased_always_{'on' if get_boolean(param, False) else 'off'}")


def _ratio(param: Any, found: Found) -> Iterator[Line]:
    yield Line("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    yield Line("OTEL_TRACES_SAMPLER_ARG", str(param))


def _rate(param: Any, found: Found) -> Iterator[Line]:
    yield Line("", "OpenTelemetry has no rate limiting sampler; this one is of ot-bridge:")
    yield Line("OTEL_TRACES_SAMPLER", "ot_bridge")
    yield Line("OTEL_TRACES_SAMPLER_ARG", f"{param}/s")


def _remote(param: Any, found: Found) -> Iterator[Line]:
    host, port = found["reporting_host"].value, found["sampling_port"].value
    endpoint = found["sampling_endpoint"].value or f"http://{host}:{port}/sampling"
    interval = int(float(found["sampling_refresh_interval"].value) * 1000)
    yield Line("", "OpenTelemetry for Python has no remote sampler; this one is of ot-bridge:")
    yield Line("OTEL_TRACES_SAMPLER", "parentbased_jaeger_remote")
    yield Line(
        "OTEL_TRACES_SAMPLER_ARG",
        f"endpoint={endpoint},pollingIntervalMs={interval},initialSamplingRate={param or 0.001}",
    )


_SAMPLERS: Final[Mapping[str, Callable[[Any, Found], Iterator[Line]]]] = {
    "const": _always,
    "probabilistic": _ratio,
    "ratelimiting": _rate,
    "rate_limiting": _rate,
    "remote": _remote,
}


def _sampling(found: Found, config: Mapping[str, Any]) -> Iterator[Line]:
    kind = found["sampler_type"]
    if kind.source.startswith("OTEL"):
        yield Line(kind.source, kind.value)
        if found["sampler_arg"].value is not None:
            yield Line("OTEL_TRACES_SAMPLER_ARG", found["sampler_arg"].value)
        return
    translate = _SAMPLERS.get(kind.value or "remote")
    if translate is None:
        yield Line("", f"sampler: {kind.value!r} is none of {', '.join(_SAMPLERS)}")
    else:
        yield from translate(found["sampler_param"].value, found)


def _export(found: Found, config: Mapping[str, Any]) -> Iterator[Line]:
    yield Line("OTEL_TRACES_EXPORTER", found["exporter"].value)
    endpoint = found["traces_endpoint"]
    if endpoint.source.startswith("OTEL"):
        yield Line(endpoint.source, endpoint.value)
    else:
        yield Line("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint.value)
    protocol = found["protocol"]
    if protocol.source.startswith("OTEL") or not endpoint.source.startswith("OTEL"):
        yield Line("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.value)
    for name, (variable, factor) in _QUEUE.items():
        setting = found[name]
        if setting.source != "default" and setting.value:
            yield Line(variable, f"{float(setting.value) * factor:g}")
    if get_boolean(found["logging"].value, False):
        yield Line("", "logging: OTEL_TRACES_EXPORTER=otlp,console prints each span, at length")


_QUEUE: Final = {
    "reporter_queue_size": ("OTEL_BSP_MAX_QUEUE_SIZE", 1),
    "reporter_batch_size": ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 1),
    "reporter_flush_interval": ("OTEL_BSP_SCHEDULE_DELAY", 1000),
}

_PACKAGES: Final = {
    "jaeger": "opentelemetry-propagator-jaeger",
    "b3": "opentelemetry-propagator-b3",
    "b3multi": "opentelemetry-propagator-b3",
}
_HEADERS: Final = ("trace_id_header", "baggage_header_prefix", "debug_id_header")


def _propagation(found: Found, config: Mapping[str, Any]) -> Iterator[Line]:
    setting = found["propagation"]
    text = setting.value or "jaeger"
    if not setting.source.startswith("OTEL"):
        text = ",".join(propagators_of(text))
    yield Line("OTEL_PROPAGATORS", text)
    packages = {package for name, package in _PACKAGES.items() if name in text.split(",")}
    if packages:
        yield Line("", f"without ot-bridge that needs {', '.join(sorted(packages))}")
    for name in _HEADERS:
        if found[name].source != "default":
            yield Line("", f"{name}: OpenTelemetry's jaeger propagator knows no header but its own")


def _rest(found: Found, config: Mapping[str, Any]) -> Iterator[Line]:
    yield Line("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", str(found["max_tag_value_length"].value))
    if not get_boolean(found["generate_128bit_trace_id"].value, False):
        yield Line("", "trace ids will have 128 bits: neighbours that know 64 only cut them")
    if config.get("throttler") is not None:
        yield Line("", "throttler: OpenTelemetry does not limit debug traces, nor has it any")


_PARTS: Final = (_identity, _sampling, _export, _propagation, _rest)
