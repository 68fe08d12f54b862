"""`build_provider`: makes a provider from the arguments of `install()` and the standard variables."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import DEFAULT_ON, Sampler

from ot_bridge import choices
from ot_bridge.delivery import DeliveryProcessor
from ot_bridge.engine import TracerProvider
from ot_bridge.errors import ConfigurationError
from ot_bridge.exporters import default_target, exporter_factory, exporters_in_environment, is_none
from ot_bridge.semconv.groups import OptIn, opt_in
from ot_bridge.semconv.wrapping import renaming
from ot_bridge.variables import is_true, loaded, text

_log = logging.getLogger("ot_bridge")


#: The id generators for `trace_id_bits`, and for the choices of this package.
_IDS: Final[Mapping[object, str]] = {
    64: "ot_bridge.ids:ShortIds",
    128: "ot_bridge.ids:RandomIds",
    "short": "ot_bridge.ids:ShortIds",
    "xray": "ot_bridge.xray.ids:XRayIdGenerator",
    "": "ot_bridge.ids:RandomIds",
}


def build_provider(
    service_name: str | None = None,
    *,
    sampler: Sampler | str | None = None,
    exporters: Sequence[str | SpanExporter | SpanProcessor] | None = None,
    engine: bool | type[SdkTracerProvider] = True,
    trace_id_bits: int | None = None,
    usual_ids: str = "",
    attributes: Mapping[str, Any] | None = None,
    span_limits: SpanLimits | None = None,
) -> SdkTracerProvider:
    """Makes a provider, and registers nothing. Raises ConfigurationError.

    attributes: of its resource. engine: as for `install()`, or a class of providers. usual_ids: `short` or
    `xray`, the kind of ids if neither `trace_id_bits` nor `OTEL_PYTHON_ID_GENERATOR` selects one. The other
    arguments are those of `install()`.
    """
    from ot_bridge.sampling.per_span import PerSpanSampler  # not when the package is imported

    if not isinstance(service_name, str | None):
        raise ConfigurationError("service_name", service_name, "expected a text")
    if trace_id_bits not in (None, 64, 128):
        raise ConfigurationError("trace_id_bits", trace_id_bits, "expected 64 or 128")
    chosen = choices.for_roots(sampler) if sampler else choices.sampler_in_environment() or DEFAULT_ON
    processors = processors_of(exporters)
    kind = engine if isinstance(engine, type) else TracerProvider if engine else SdkTracerProvider
    provider = kind(
        sampler=PerSpanSampler(chosen),
        resource=choices.resource(service_name, attributes or {}),
        shutdown_on_exit=False,
        span_limits=span_limits or choices.span_limits(),
        id_generator=_ids(trace_id_bits, usual_ids),
    )
    for processor in processors:
        provider.add_span_processor(processor)
    return provider


def _ids(bits: int | None, usual: str) -> IdGenerator:
    """The id generator.

    Our generators mark trace ids as random only if `OT_BRIDGE_RANDOM_FLAG` is true (docs/headers.md).
    """
    if bits is None and (named := choices.id_generator_in_environment()) is not None:
        return named
    made: IdGenerator = loaded(_IDS[usual if bits is None else bits])(is_true("OT_BRIDGE_RANDOM_FLAG"))
    return made


def disabled() -> bool:
    """Whether `OTEL_SDK_DISABLED` is true, so that nothing is recorded and exported."""
    return is_true("OTEL_SDK_DISABLED")


class NoExporter(SpanExporter):
    """Stands in for an exporter that cannot be made. Every span counts as lost, so `flush()` is False."""

    target = "an exporter that could not be made"
    refusing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """Does nothing."""


def processors_of(
    exporters: Iterable[str | SpanExporter | SpanProcessor] | str | None, semconv: str | None = None
) -> list[SpanProcessor]:
    """Returns the given processors, and a `DeliveryProcessor` for each exporter.

    exporters: None for those that the environment names. semconv: the groups of names that exporters
    translate. Raises ConfigurationError before it makes any of them.
    """
    given = exporters is not None
    if exporters is None:
        exporters = _in_environment()
    if isinstance(exporters, str):
        exporters = exporters.split(",")
    if not isinstance(exporters, Iterable):
        raise ConfigurationError("exporters", exporters, f"expected a list: {_DUE}")
    opted = opt_in(semconv)
    ready = [_ready(each) for each in exporters]
    if disabled():
        return []
    return [made for each in ready if (made := _processor(each, given, opted)) is not None]


_DUE: Final = "names, exporters or span processors"


def _ready(each: Any) -> Any:
    """A factory for a name, None for the name `none`. Returns a processor or an exporter unchanged."""
    if isinstance(each, str):
        return exporter_factory(each) or (None if is_none(each) else NoExporter)
    if not (isinstance(each, SpanProcessor) or callable(getattr(each, "export", None))):
        raise ConfigurationError("exporters", each, f"expected {_DUE}")
    return each


def _processor(ready: Any, given: bool, opted: OptIn) -> SpanProcessor | None:
    """Makes the processor for a result of `_ready`, or None. given: whether it came from an argument."""
    if ready is None or isinstance(ready, SpanProcessor):
        return ready
    try:
        return DeliveryProcessor(renaming(ready, opted))
    except Exception as error:
        if given and isinstance(error, ConfigurationError):
            raise
        log_unmade(ready, error)
        return DeliveryProcessor(NoExporter)


def log_unmade(exporter: Any, error: Exception) -> None:
    """Logs that an exporter cannot be made, for example because of a variable that it reads."""
    made = getattr(exporter, "func", exporter)
    _log.error("%s cannot be made (%s); nothing is exported by it", made, error)


def _in_environment() -> Sequence[str]:
    names = exporters_in_environment()
    if not (
        text("OTEL_TRACES_EXPORTER")
        or disabled()
        or any(name.startswith("OTEL_EXPORTER_OTLP") for name in os.environ)
    ):
        _log.warning(
            "spans go to %s; set OTEL_EXPORTER_OTLP_ENDPOINT, or OTEL_TRACES_EXPORTER=none to send none",
            default_target(),
        )
    return names


def exporter_names(exporters: Any) -> Sequence[str]:
    """The names of the exporters, given or in `OTEL_TRACES_EXPORTER`. For an object its `name`, or ""."""
    if exporters is None:
        exporters = text("OTEL_TRACES_EXPORTER")
    listed = exporters.split(",") if isinstance(exporters, str) else exporters
    if not isinstance(listed, Iterable):
        raise ConfigurationError("exporters", exporters, f"expected a list: {_DUE}")
    return [each.strip() if isinstance(each, str) else str(getattr(each, "name", "")) for each in listed]
