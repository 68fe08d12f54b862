"""`Tracer`: the bridge's tracer with jaeger-client's arguments, on an OpenTelemetry provider of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

import opentracing
from opentelemetry.sdk.trace.sampling import ParentBased
from opentracing import Format, UnsupportedFormatException

from ot_bridge import ids
from ot_bridge._version import __version__
from ot_bridge.bridge import SCOPE_NAME
from ot_bridge.bridge import span_context as contexts
from ot_bridge.bridge.formats import with_current_baggage
from ot_bridge.bridge.keys import BAGGAGE_KEY
from ot_bridge.engine import Tracer as EngineTracer
from ot_bridge.jaeger_client import constants, process, records
from ot_bridge.jaeger_client.closing import Closing, all_of, in_background
from ot_bridge.jaeger_client.codecs import (
    BinaryCodec,
    Codec,
    TextCodec,
    WireCodec,
    ZipkinCodec,
    ZipkinSpanFormat,
)
from ot_bridge.jaeger_client.metrics.metrics import (
    Metrics,
    MetricsFactory,
    TracerMetrics,
    factory,
    silent,
)
from ot_bridge.jaeger_client.reexports import also
from ot_bridge.jaeger_client.reporter import CLOSE_SECONDS
from ot_bridge.jaeger_client.sampler import Forced, Roots
from ot_bridge.jaeger_client.span import Span
from ot_bridge.jaeger_client.span_context import SpanContext as SpanContext
from ot_bridge.jaeger_client.span_context import context_like
from ot_bridge.jaeger_client.starts import Scopes, Starts
from ot_bridge.otel import current
from ot_bridge.sampling.per_span import PerSpanSampler

logger = logging.getLogger("jaeger_tracing")

Reference = opentracing.Reference


class Tracer(Starts):
    """A tracer with jaeger-client's arguments and defaults.

    reporter: gets each sampled span when it ends. sampler: decides on roots; None for the sampler that
    `OTEL_TRACES_SAMPLER` names. scope_manager: replaces OpenTelemetry's context, which holds active spans.
    """

    _closing: Closing | None
    closing_thread = 0  # the thread in which `close()` flushes the processors beside the reporter's

    def __init__(
        self,
        service_name: str,
        reporter: Any,
        sampler: Any,
        metrics: Metrics | None = None,
        metrics_factory: MetricsFactory | None = None,
        trace_id_header: str = constants.TRACE_ID_HEADER,
        generate_128bit_trace_id: bool = False,
        baggage_header_prefix: str = constants.BAGGAGE_HEADER_PREFIX,
        debug_id_header: str = constants.DEBUG_ID_HEADER_KEY,
        one_span_per_rpc: bool = False,
        extra_codecs: Mapping[str, Codec] | None = None,
        tags: Mapping[str, Any] | None = None,
        max_tag_value_length: int = constants.MAX_TAG_VALUE_LENGTH,
        max_traceback_length: int = constants.MAX_TRACEBACK_LENGTH,
        throttler: Any = None,
        scope_manager: opentracing.ScopeManager | None = None,
    ) -> None:
        self.service_name = service_name
        self.reporter = reporter
        self.throttler = throttler
        self.metrics_factory = factory(metrics_factory, metrics)
        self.metrics = TracerMetrics(self.metrics_factory)
        self._counts = not silent(self.metrics_factory)
        self.debug_id_header = debug_id_header
        self.one_span_per_rpc = one_span_per_rpc
        self.max_tag_value_length = max_tag_value_length
        self.max_traceback_length = max_traceback_length
        self.fit = records.fitter(max_tag_value_length, max_traceback_length)
        self.max_trace_id_bits = 128 if generate_128bit_trace_id else 64
        self.tags = process.tags(tags, throttler)
        headers = trace_id_header, baggage_header_prefix, debug_id_header
        self.codecs: dict[str, Any] = {
            Format.TEXT_MAP: TextCodec(False, *headers),
            Format.HTTP_HEADERS: TextCodec(True, *headers),
            Format.BINARY: BinaryCodec(),
            ZipkinSpanFormat: ZipkinCodec(),
            **(extra_codecs or {}),
        }
        reporter.set_process(service_name=service_name, tags=self.tags, max_length=max_tag_value_length)
        self.wrapped = WeakValueDictionary()
        self._sampler = sampler
        self._roots = Roots(sampler) if hasattr(sampler, "is_sampled") else None
        provider = process.provider(self, sampler if self._roots is None else ParentBased(self._roots))
        tracer: Any = provider.get_tracer(SCOPE_NAME, __version__)
        # The class is another one if tracing is off, or if a configuration file describes the provider.
        if not isinstance(tracer, EngineTracer) or one_span_per_rpc:
            self._fast = self._never_fast  # type: ignore[assignment, method-assign]
        elif self._counts:
            self._fast = self._fast_and_counted  # type: ignore[method-assign]
        super().__init__(tracer, provider, scope_manager=scope_manager)
        self._sample_directly()
        self._own_scopes = Scopes(self)
        if scope_manager is None:
            self._scope_manager = self._own_scopes
        self._closing_lock = threading.RLock()
        self.debug_id_tag = debug_id_header
        self._recording = Forced(True, provider.sampler)

    @property
    def sampler(self) -> Any:
        """The sampler that decides on roots. It can be assigned."""
        return self.provider.sampler if self._sampler is None else self._sampler  # type: ignore[union-attr]

    @sampler.setter
    def sampler(self, sampler: Any) -> None:
        self._sampler = sampler
        provider: Any = self.provider
        if self._roots is None:
            self._roots = Roots(sampler)
            provider.sampler = PerSpanSampler(ParentBased(self._roots))
            self._recording = Forced(True, provider.sampler)
        else:
            self._roots.take(sampler)
        self._sample_directly()

    def _sample_directly(self) -> None:
        """Has the tracer call the sampler itself. OpenTelemetry code's tracers call it through `Roots`."""
        tracer: Any = self._otel_tracer
        if self._roots is not None and self._on_engine:
            tracer.sampler = PerSpanSampler(ParentBased(self._roots.sampler))

    def _count(self, span: Span, joined: bool) -> None:
        sampled = "sampled" if span.is_sampled() else "not_sampled"
        getattr(self.metrics, f"spans_started_{sampled}")(1)
        if not span.parent_id:
            getattr(self.metrics, f"traces_{'joined' if joined else 'started'}_{sampled}")(1)

    def report_span(self, span: Span) -> None:
        """Passes a sampled span that has ended to the reporter."""
        self.reporter.report_span(span)
        if self._counts:
            self.metrics.spans_finished(1)

    def inject(self, span_context: Any, format: object, carrier: Any) -> None:
        codec = self._codec(format)
        context = contexts.of(span_context)
        if context is None:
            return
        held: Any = current().get(BAGGAGE_KEY)
        if held:
            context = with_current_baggage(context, held)
        codec.inject(context if isinstance(codec, WireCodec) else context_like(context), carrier)

    def extract(self, format: object, carrier: Any) -> Any:
        return self._codec(format).extract(carrier)

    def _codec(self, format: Any) -> Any:
        codec = self.codecs.get(format)
        if codec is None:
            raise UnsupportedFormatException(format)
        return codec

    def random_id(self) -> int:
        """64 random bits, for programs that call it."""
        return ids.bits(constants.MAX_ID_BITS)

    def close(self) -> Closing:
        """Closes sampler, throttler and reporter, and flushes the provider's other span processors.

        The future is done when the reporter has no span left. Its result is True if none is known to be lost.
        """
        with self._closing_lock:  # reentrant, since a signal handler may call this
            if self._closing is None:
                for part in (self.sampler, self.throttler):
                    getattr(part, "close", lambda: None)()
                others = Closing()
                self._closing = all_of([self.reporter.close(), others])
                in_background(self._flush_others, others)
            return self._closing

    def _flush_others(self) -> bool:
        """Flushes the provider's processors. `Reporting` leaves the reporter alone in this thread."""
        self.closing_thread = threading.get_ident()
        try:
            return self.flush(CLOSE_SECONDS)
        finally:
            self.closing_thread = 0


__getattr__ = also(__name__)
