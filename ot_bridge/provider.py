"""`build_provider`: a provider as `install()` makes it, from arguments and the standard variables."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, StaticSampler

from ot_bridge.delivery import DeliveryProcessor
from ot_bridge.engine import TracerProvider
from ot_bridge.errors import ConfigurationError

_log = logging.getLogger("ot_bridge")


class ShortIds(RandomIdGenerator):
    """Trace ids of 64 bits, for traces that neighbours with 64-bit ids (`ot-tracer-*`) have a part in."""

    def generate_trace_id(self) -> int:
        return self.generate_span_id()

    def is_trace_id_random(self) -> bool:
        """W3C's random flag promises 56 random bits on the right, made by a generator that fills the id."""
        return False


def build_provider(
    service_name: str | None = None,
    *,
    sampler: Sampler | None = None,
    exporters: Sequence[str | SpanExporter | SpanProcessor] | None = None,
    engine: bool = True,
    trace_id_bits: int = 128,
    xray_ids: bool = False,
    attributes: Mapping[str, Any] | None = None,
    span_limits: SpanLimits | None = None,
) -> SdkTracerProvider:
    """A provider, and nothing registered. attributes: of its resource. xray_ids: trace ids begin with the
    time. The rest is as for `install()`. Raises ConfigurationError.
    """
    # Rooms that only this function enters, so that importing the package does not.
    from ot_bridge.sampling import PerSpanSampler
    from ot_bridge.xray import XRayIdGenerator

    if trace_id_bits not in (64, 128):
        raise ConfigurationError("trace_id_bits", trace_id_bits, "64 or 128")
    named = {SERVICE_NAME: service_name} if service_name else {}
    ids: IdGenerator | None = ShortIds() if trace_id_bits == 64 else None
    if xray_ids:
        ids = XRayIdGenerator()
    provider = (TracerProvider if engine else SdkTracerProvider)(
        sampler=PerSpanSampler(_for_roots(sampler) if sampler else _sampler_from_environment()),
        resource=Resource.create({**(attributes or {}), **named}),
        shutdown_on_exit=False,
        span_limits=span_limits,
        id_generator=ids,
    )
    add_exporters(provider, _from_environment() if exporters is None else exporters)
    return provider


def _for_roots(sampler: Sampler) -> Sampler:
    """`sampler` for roots only: asked again for each child, it would tear traces apart.

    A static one is also asked about what callers have decided, as OpenCensus does.
    """
    if not hasattr(sampler, "should_sample"):
        raise ConfigurationError("sampler", sampler, "an OpenTelemetry sampler is due")
    if isinstance(sampler, StaticSampler):
        return ParentBased(sampler, remote_parent_sampled=sampler, remote_parent_not_sampled=sampler)
    return sampler if isinstance(sampler, ParentBased) else ParentBased(sampler)


def _sampler_from_environment() -> Sampler:
    """What `OTEL_TRACES_SAMPLER` names: of the SDK's (only a provider tells), or another package's."""
    name = os.environ.get("OTEL_TRACES_SAMPLER", "").strip()
    if name and name.lower() not in _SDK_SAMPLERS:
        for entry in _entry_points("opentelemetry_traces_sampler", name):
            made: Sampler = entry.load()(os.environ.get("OTEL_TRACES_SAMPLER_ARG", ""))
            return made
    return SdkTracerProvider(shutdown_on_exit=False).sampler


_SDK_SAMPLERS: Final = {
    parent + name for parent in ("", "parentbased_") for name in ("always_on", "always_off", "traceidratio")
}


def exporter_names(exporters: Sequence[Any] | None) -> Sequence[str]:
    """The exporters' names, as given here or in `OTEL_TRACES_EXPORTER`, or as objects have one; else ""."""
    if exporters is None:
        exporters = os.environ.get("OTEL_TRACES_EXPORTER", "")
    listed = exporters.split(",") if isinstance(exporters, str) else exporters
    return [each.strip() if isinstance(each, str) else str(getattr(each, "name", "")) for each in listed]


def add_exporters(provider: Any, exporters: Sequence[str | SpanExporter | SpanProcessor]) -> None:
    """Adds each to the provider: a processor as it is, an exporter in a batch processor of its own."""
    if isinstance(exporters, str):
        exporters = exporters.split(",")
    each: Any
    for each in exporters:
        name = each.strip() if isinstance(each, str) else None
        if name in ("", "none"):
            continue
        if name is not None:  # every process makes its own
            provider.add_span_processor(DeliveryProcessor(partial(exporter_named, name)))
        elif isinstance(each, SpanProcessor):
            provider.add_span_processor(each)
        elif hasattr(each, "export"):
            provider.add_span_processor(DeliveryProcessor(each))
        else:
            raise ConfigurationError("exporters", each, "names, exporters or span processors are due")


_EXPORTERS: Final = "opentelemetry_traces_exporter"
_HINTS: Final = {
    "otlp": "pip install 'ot-bridge[otlp]', or [otlp-json] beside protobuf 3",
    "xray": "pip install 'ot-bridge[xray]'",
}
#: Names of OpenTelemetry's -> entry points of packages that serve them, in order of preference.
_ALIASES: Final = {"otlp": ("otlp_proto_http", "otlp_json_http", "otlp_proto_grpc")}


def _entry_points(group: str, name: str) -> Iterable[Any]:
    from importlib.metadata import entry_points  # 20 ms that only a name to look up is worth

    return entry_points(group=group, name=name) if name else entry_points(group=group)


def exporter_named(name: str, **options: Any) -> SpanExporter | None:
    """The exporter of that name, made with these options; None for `none`.

    Raises ConfigurationError if nobody has it.
    """
    if name in ("", "none"):
        return None
    if name == "xray" and "AWS_XRAY_DAEMON_ADDRESS" in os.environ:
        name = "xray_daemon"
    for alias in _ALIASES.get(name, (name,)):
        for entry in _entry_points(_EXPORTERS, alias):
            try:
                made: SpanExporter = entry.load()(**options)
            except ImportError:
                continue
            return made
    known = sorted({entry.name for entry in _entry_points(_EXPORTERS, "")} | {"none"})
    raise ConfigurationError("exporters", name, _HINTS.get(name, f"known are {', '.join(known)}"))


def _from_environment() -> Sequence[str | SpanProcessor]:
    named = os.environ.get("OTEL_TRACES_EXPORTER", "").strip()
    if named:
        return named.split(",")
    try:
        processor = DeliveryProcessor(partial(exporter_named, "otlp"))
    except ConfigurationError as missing:
        _log.warning("spans go nowhere: no OTLP exporter is installed (%s)", missing.reason)
        return ()
    if not any(name.startswith("OTEL_EXPORTER_OTLP") for name in os.environ):
        target = getattr(processor.exporter, "_endpoint", "http://localhost:4318/v1/traces")
        _log.warning(
            "spans go to %s; set OTEL_EXPORTER_OTLP_ENDPOINT, or OTEL_TRACES_EXPORTER=none to send none",
            target,
        )
    return (processor,)
