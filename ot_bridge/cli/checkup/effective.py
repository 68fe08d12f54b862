"""The effective configuration of `install()` in this environment: every value and its origin."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.sdk.resources import SERVICE_NAME, Resource

from ot_bridge import choices
from ot_bridge._version import __version__
from ot_bridge.cli.checkup import file
from ot_bridge.cli.checkup.model import Row, source, variable
from ot_bridge.declared import FILE
from ot_bridge.delivery.settings import Settings as QueueSettings
from ot_bridge.errors import ConfigurationError
from ot_bridge.exporters import exporters_in_environment, protocol
from ot_bridge.otlp.settings import Settings
from ot_bridge.propagation import parse_propagators
from ot_bridge.propagation.parse import names_in_environment
from ot_bridge.provider import disabled
from ot_bridge.semconv.groups import VARIABLE, opt_in
from ot_bridge.variables import text

_PACKAGES: Final = ("opentelemetry-api", "opentelemetry-sdk", "protobuf", "grpcio", "opentracing")
_OTLP: Final = "OTEL_EXPORTER_OTLP_"
_DEFAULT_PROPAGATORS: Final = "tracecontext,baggage,jaeger"


def rows(service_name: str | None = None) -> Iterator[Row]:
    """All rows."""
    packages = (f"{name} {_version(name)}" for name in _PACKAGES if _version(name))
    found = ", ".join([f"ot-bridge {__version__}", *packages])
    yield Row("python", f"{platform.python_version()}  {sys.executable}", found)
    if text(FILE):
        yield from file.rows()
        return
    if disabled():
        yield Row("disabled", "true", "OTEL_SDK_DISABLED")
    resource = choices.resource(service_name, {})
    yield Row("service.name", str(resource.attributes[SERVICE_NAME]), _name_source(service_name))
    yield from _resource(resource)
    yield _sampler()
    yield _propagators()
    yield _id_generator()
    yield from _exporters()
    yield _semconv()
    yield from _queue()


def _semconv() -> Row:
    groups = (f"{group}/dup" if dup else group for group, dup in opt_in().items())
    return Row("semconv", ",".join(groups) or "as the program sets them", source(VARIABLE))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _name_source(given: str | None) -> str:
    if given:
        return "argument"
    in_attributes = "service.name=" in text("OTEL_RESOURCE_ATTRIBUTES").replace(" ", "")
    return source("OTEL_SERVICE_NAME", default="OTEL_RESOURCE_ATTRIBUTES" if in_attributes else "default")


def _resource(resource: Resource) -> Iterator[Row]:
    tags = {
        key: value
        for key, value in resource.attributes.items()
        if key != SERVICE_NAME and not key.startswith("telemetry.sdk.")
    }
    if tags:
        pairs = ", ".join(f"{key}={value}" for key, value in tags.items())
        yield Row(
            "resource", pairs, source("OTEL_RESOURCE_ATTRIBUTES", "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS")
        )


def _sampler() -> Row:
    made = choices.sampler_in_environment()
    if made is None:
        return Row("sampler", "parentbased_always_on", "default")
    argument = text("OTEL_TRACES_SAMPLER_ARG")
    names = "OTEL_TRACES_SAMPLER" + (" + OTEL_TRACES_SAMPLER_ARG" if argument else "")
    return Row("sampler", " ".join(filter(None, (text("OTEL_TRACES_SAMPLER"), argument))), names)


def propagators() -> list[str]:
    """The names of the formats that are read and written."""
    return _named_propagators() or _default_propagators().split(",")


def _default_propagators() -> str:
    return _DEFAULT_PROPAGATORS + (",xray" if _to_xray() else "")


def _named_propagators() -> list[str]:
    return names_in_environment(_default_propagators())


def textmap() -> TextMapPropagator:
    """The propagator that reads and writes headers."""
    if text(FILE):
        return file.provider_of(text(FILE)).textmap or CompositePropagator([])
    return parse_propagators(propagators())


def _propagators() -> Row:
    source = "OTEL_PROPAGATORS" if _named_propagators() else "default of ot-bridge"
    return Row("propagators", ", ".join(propagators()), source)


def _to_xray() -> bool:
    return any(name.startswith("xray") for name in exporters_in_environment())


def _id_generator() -> Row:
    if choices.id_generator_in_environment() is not None:
        return Row("trace ids", text("OTEL_PYTHON_ID_GENERATOR"), "OTEL_PYTHON_ID_GENERATOR")
    names = propagators()
    kind = "64 bits" if "ottrace" in names else "128 bits"
    if "xray" in names and kind != "64 bits":
        kind = "128 bits, with X-Ray's time in them"
    return Row("trace ids", kind, "default for these propagators")


def _exporters() -> Iterator[Row]:
    names = exporters_in_environment()
    if not names:
        yield Row("exporter", "none", source("OTEL_TRACES_EXPORTER"))
    for name in names:
        if name.lower() != "otlp":
            yield Row("exporter", name, "OTEL_TRACES_EXPORTER")
            continue
        chosen = protocol()
        by = source(f"{_OTLP}TRACES_PROTOCOL", f"{_OTLP}PROTOCOL", "OTEL_TRACES_EXPORTER")
        yield Row("exporter", f"otlp ({chosen})", by)
        yield from _otlp(chosen)


def _otlp(chosen: str) -> Iterator[Row]:
    traces, general = f"{_OTLP}TRACES_ENDPOINT", f"{_OTLP}ENDPOINT"
    if chosen == "grpc":
        yield Row(
            "  endpoint",
            variable(source(traces, general)) or "http://localhost:4317",
            source(traces, general),
        )
    else:
        who = source(traces, general)
        yield Row("  endpoint", target(), f"{general} + /v1/traces" if who == general else who)
    for option, default in (("TIMEOUT", "10"), ("COMPRESSION", "none"), ("HEADERS", "")):
        who = source(f"{_OTLP}TRACES_{option}", f"{_OTLP}{option}")
        if who != "default":
            yield Row(f"  {option.lower()}", variable(who) or default, who)


def target() -> str:
    """The address to which OTLP over HTTP is sent, without secrets."""
    return Settings().target


def _queue() -> Iterator[Row]:
    try:
        chosen = QueueSettings(None, None, None, None)
    except ConfigurationError as error:  # pragma: no cover - only arguments raise it
        yield Row("delivery", str(error), "")
        return
    names = [name for name in os.environ if name.startswith("OTEL_BSP_")]
    value = f"queue of {chosen.queue} spans, batches of {chosen.batch}, every {chosen.delay:g} s"
    yield Row("delivery", value, ", ".join(sorted(names)) or "default")


def as_text(value: Any) -> str:
    return "-" if value is None else str(value)
