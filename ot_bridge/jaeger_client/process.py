"""The tags of a tracer's process, and the OpenTelemetry provider that makes its spans."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import Sampler
from opentracing import Format

from ot_bridge import ids
from ot_bridge.choices import span_limits
from ot_bridge.declared import declared
from ot_bridge.delivery import DeliveryProcessor
from ot_bridge.engine import TracerProvider as EngineProvider
from ot_bridge.jaeger_client import constants
from ot_bridge.jaeger_client.recorded import RecordedSpan, as_otel
from ot_bridge.jaeger_client.reporter import flush
from ot_bridge.jaeger_client.span import Span
from ot_bridge.jaeger_client.utils import host_name, local_ip
from ot_bridge.propagation.parse import names_in_environment
from ot_bridge.provider import NoExporter, build_provider
from ot_bridge.registered import global_provider, set_global_provider

if TYPE_CHECKING:
    from ot_bridge.jaeger_client.tracer import Tracer


def tags(given: Mapping[str, Any] | None, throttler: Any) -> dict[str, Any]:
    """The tags of this process: the given ones and those that jaeger-client adds."""
    made = {constants.JAEGER_VERSION_TAG_KEY: constants.JAEGER_CLIENT_VERSION, **(given or {})}
    if made.get(constants.JAEGER_IP_TAG_KEY) is None:
        made[constants.JAEGER_IP_TAG_KEY] = local_ip()
    if made.get(constants.JAEGER_HOSTNAME_TAG_KEY) is None:
        made[constants.JAEGER_HOSTNAME_TAG_KEY] = host_name()
    if throttler is not None:
        client_id = ids.bits(63)
        throttler.set_client_id(client_id)
        made[constants.CLIENT_UUID_TAG_KEY] = client_id
    return made


#: Limits that jaeger-client does not have. Without an environment variable they are off.
_FREE: Final = ("max_events", "max_links", "max_span_attributes", "max_event_attributes")


def provider(tracer: Tracer, sampler: Sampler | None) -> TracerProvider:
    """Makes the provider of a tracer. Spans that end in it are passed to the tracer's reporter.

    With `OTEL_CONFIG_FILE` it is the provider of that file, which names the sampler and the exporters. If the
    file cannot be read, all spans count as lost.
    """
    file = declared()
    if file is not None and isinstance(file.provider, TracerProvider):
        file.provider.add_span_processor(Reporting(tracer))
        return file.provider
    exporters: list[SpanProcessor] = [Reporting(tracer)]
    if file is not None and file.provider is None:  # it cannot be read
        exporters.append(DeliveryProcessor(NoExporter))
    attributes = {key: tracer.fit(value) for key, value in tracer.tags.items() if value is not None}
    name = tracer.service_name
    return build_provider(
        None if name is None else str(name),  # jaeger-client accepts any object
        sampler=sampler,
        exporters=exporters,
        engine=Provider,
        usual_ids="short" if tracer.max_trace_id_bits == 64 else "",
        attributes=attributes,
        span_limits=span_limits(_FREE),
    )


class Reporting(SpanProcessor):
    """Passes ended spans to the tracer's reporter, as jaeger-client's objects.

    A provider that is not the engine's passes on a copy of the span; the reporter gets the tracer's own span.
    A span that OpenTelemetry code has started is wrapped.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def on_end(self, span: ReadableSpan) -> None:
        ours: Any = span
        if type(ours) is RecordedSpan:
            flags = ours.priority_flags
            if (ours.ids[3] if flags is None else flags) & 1:
                self._tracer.report_span(ours)
            return
        if not isinstance(span, Span):
            known = self._tracer.wrapped.get(span.context.span_id) if span.context else None
            ours = known or Span.around(self._tracer, span)
        if ours.is_sampled():
            self._tracer.report_span(ours)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Flushes the reporter, but not for `Tracer.close()`, which closes the reporter at the same time."""
        if self._tracer.closing_thread == threading.get_ident():
            return True
        return flush(self._tracer.reporter, timeout_millis / 1000)


class _WithOTelSpans(SpanProcessor):
    """Wraps a processor of OpenTelemetry's, and passes it spans under OpenTelemetry's names."""

    def __init__(self, processor: SpanProcessor) -> None:
        self._processor = processor
        for name in ("shutdown", "force_flush"):
            setattr(self, name, getattr(processor, name))

    def on_start(self, span: Any, parent_context: Context | None = None) -> None:
        self._processor.on_start(as_otel(span), parent_context)

    def _on_ending(self, span: Any) -> None:
        self._processor._on_ending(as_otel(span))

    def on_end(self, span: ReadableSpan) -> None:
        self._processor.on_end(as_otel(span))


class Provider(EngineProvider):
    """The engine's provider: reporters get jaeger-client's spans, other processors OpenTelemetry's."""

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        ours = isinstance(span_processor, Reporting)
        super().add_span_processor(span_processor if ours else _WithOTelSpans(span_processor))


def share(tracer: Tracer) -> None:
    """Lets OpenTelemetry's instrumentation take part in the traces, unless it is set up already."""
    if global_provider() is not None:
        return
    set_global_provider(tracer.provider)
    propagator = getattr(tracer.codecs[Format.HTTP_HEADERS], "propagator", None)
    if propagator is not None and not names_in_environment("the configuration's propagation"):
        propagate.set_global_textmap(propagator)
