"""`Tracer` with jaeger-client's arguments: the bridge's, on an OpenTelemetry provider of its own."""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Mapping
from typing import Any, Final

import opentracing
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentracing import Format, UnsupportedFormatException

from ot_bridge import bridge, ids
from ot_bridge._version import __version__
from ot_bridge.bridge import SCOPE_NAME, convert
from ot_bridge.bridge import context as contexts
from ot_bridge.bridge.formats import with_current_baggage
from ot_bridge.bridge.keys import BAGGAGE_KEY, SCOPE_KEY
from ot_bridge.bridge.parent import Parent, named
from ot_bridge.engine import TracerProvider as EngineProvider
from ot_bridge.jaeger_client import constants, process, records
from ot_bridge.jaeger_client.closing import Closing, all_of
from ot_bridge.jaeger_client.codecs import (
    BinaryCodec,
    Codec,
    TextCodec,
    WireCodec,
    ZipkinCodec,
    ZipkinSpanFormat,
)
from ot_bridge.jaeger_client.metrics.metrics import (
    TRACER,
    Counters,
    Metrics,
    MetricsFactory,
    factory,
    silent,
)
from ot_bridge.jaeger_client.reexports import also
from ot_bridge.jaeger_client.reporter import flush
from ot_bridge.jaeger_client.sampler import AsItsCaller, Recording, TheseIds, otel_sampler
from ot_bridge.jaeger_client.span import Span
from ot_bridge.jaeger_client.span_context import SpanContext, context_like
from ot_bridge.jaeger_client.throttler import is_allowed
from ot_bridge.otel import current

logger = logging.getLogger("jaeger_tracing")

Reference = opentracing.Reference

_NO_TAGS: Final = convert.Tags({})


class Tracer(bridge.Tracer):
    """reporter: is given each sampled span when it ends. sampler: decides on roots; None for the one that
    `OTEL_TRACES_SAMPLER` names. The other arguments are jaeger-client's, with its defaults.

    Spans are kept active in OpenTelemetry's context, unless there is a scope_manager.
    """

    wrapper_class = staticmethod(Span.around)
    _closing: Closing | None

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
        self.metrics = Counters(TRACER, self.metrics_factory)
        self._counts = not silent(self.metrics_factory)
        self.debug_id_header = debug_id_header
        self.one_span_per_rpc = one_span_per_rpc
        self.max_tag_value_length = max_tag_value_length
        self.max_traceback_length = max_traceback_length
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
        provider = process.provider(self, otel_sampler(sampler))
        self._reports_alone = isinstance(provider, EngineProvider)  # no file has described another's provider
        tracer = provider.get_tracer(SCOPE_NAME, __version__)
        super().__init__(tracer, provider, scope_manager=scope_manager)
        self.debug_id_tag = debug_id_header
        self._closing_lock = threading.RLock()
        self.sampler: Any = provider.sampler if sampler is None else sampler
        self._recording = Recording(provider.sampler)

    def start_span(
        self,
        operation_name: str | None = None,
        child_of: Any = None,
        references: Any = None,
        tags: Any = None,
        start_time: float | None = None,
        ignore_active_span: bool = False,
        *,
        sampler: Any = None,
    ) -> Span:
        start = _NO_TAGS if tags is None else records.ready(tags, self.fit)
        server = start.kind is trace.SpanKind.SERVER
        listed: list[Any] = []
        if references is not None:
            references = references if type(references) is list else [references]
            listed = [each for each in references if getattr(each, "referenced_context", None) is not None]
            child_of = self._parent(child_of, listed, ignore_active_span)
        debug: bool | None = None
        if "sampling.priority" in start.attributes:
            start, debug, sampler = self._priority(operation_name, start, sampler)
        if self.throttler is not None:
            child_of, sampler = self._throttled(operation_name, child_of, sampler)
        joined = self._joined(child_of, ignore_active_span) if server and self.one_span_per_rpc else None
        if joined is not None:
            span = self.span_with_ids(joined, operation_name, start_time, start)
        else:
            start_time = records.moment(start_time)
            span = super().start_span(  # type: ignore[assignment]
                operation_name, child_of, listed, start, start_time, ignore_active_span, sampler=sampler
            )
        if listed:
            span.references = listed
        if debug is not None:
            span.mark(debug, tags["sampling.priority"])
        if self._counts:
            self._count(span, server)
        return span

    def _parent(self, child_of: Any, references: list[Any], ignore_active: bool) -> Any:
        """Here the active span goes before references, and the first of these before others."""
        if child_of is None and not ignore_active:
            child_of = self.active_span
        above = contexts.of(child_of)
        unfit = above is None or not above.is_valid
        return references[0].referenced_context if unfit and references else child_of

    def fit(self, value: Any) -> Any:
        """A tag's value, as jaeger-client would send it."""
        return records.fit(value, self.max_tag_value_length, self.max_traceback_length)

    def _priority(
        self, name: str | None, start: convert.Tags, sampler: Any
    ) -> tuple[convert.Tags, bool | None, Any]:
        """The other tags; whether this one asks for a debug span (None: for nothing); who then decides."""
        attributes = {**start.attributes}
        debug = convert.priority(attributes.pop("sampling.priority"))
        start = start._replace(attributes=attributes, priority=None)
        if debug is None or (debug and not self.is_debug_allowed(_text(name))):
            return start, None, sampler
        return start, debug, self._recording if debug else ALWAYS_OFF

    def _throttled(self, name: str | None, child_of: Any, sampler: Any) -> tuple[Any, Any]:
        """Takes its debug id away from a caller who has had enough debug traces."""
        asked = contexts.of(child_of)
        if asked is None or asked.debug_id is None or self.is_debug_allowed(_text(name)):
            return child_of, sampler
        return SpanContext(baggage=asked.baggage), ALWAYS_OFF

    def is_debug_allowed(self, *args: Any, **kwargs: Any) -> bool:
        """Whether one more debug span may start, for this operation."""
        return is_allowed(self.throttler, *args, **kwargs)

    def _joined(self, child_of: Any, ignore_active: bool) -> bridge.SpanContext | None:
        """The client's span that a server's shares, as Zipkin has it."""
        context = contexts.of(child_of)
        if context is None and not ignore_active:
            context = contexts.of(self.active_span)
        return context if context is not None and context.is_valid else None

    def _implicit(self) -> Parent:
        scope: Any = current().get(SCOPE_KEY)
        if scope is not None and getattr(scope.span, "priority_flags", None) is not None:
            active = self._own_scopes.active
            if active is not None and active is scope and isinstance(active.span, Span):
                return named(active.span, None) or super()._implicit()  # made to debug while it was active
        return super()._implicit()

    def span_with_ids(
        self, context: bridge.SpanContext, name: str | None, start_time: float | None = None, tags: Any = None
    ) -> Span:
        """A span that has the ids and the sampling decision of `context`, rather than a child of it."""
        tracer: Any = copy.copy(self._otel_tracer)
        tracer.sampler = AsItsCaller(context)
        tracer.id_generator = TheseIds(context.trace_id, context.span_id)
        above = trace.SpanContext(context.trace_id, context.parent_id or 0, True, context.trace_flags)
        around = trace.set_span_in_context(trace.NonRecordingSpan(above), current())
        parent = Parent(around, context.baggage, context.origin)
        start = convert.tags(tags)
        start_time = records.moment(start_time)
        moment = None if start_time is None else convert.nanoseconds(start_time)
        span = self._begin(tracer, _text(name), parent, start, moment)
        if start.status is not None:
            span.unwrap().set_status(trace.Status(start.status))
        if context.origin is not None:
            self._continue(span, context.origin)
        return span

    def _begin(
        self, tracer: trace.Tracer | None, name: str, parent: Parent, start: convert.Tags, moment: int | None
    ) -> Span:
        span: Any = super()._begin(tracer, name, parent, start, moment)
        if not span.unwrap().is_recording():
            above = trace.get_current_span(parent.context).get_span_context()
            span.remember(name, above, None if moment is None else moment / 1_000_000_000)
        return span  # type: ignore[no-any-return]

    def _count(self, span: Span, joined: bool) -> None:
        sampled = "sampled" if span.is_sampled() else "not_sampled"
        getattr(self.metrics, f"spans_started_{sampled}")(1)
        if span.is_root():
            getattr(self.metrics, f"traces_{'joined' if joined else 'started'}_{sampled}")(1)

    def report_span(self, span: Span) -> None:
        """Called with each sampled span when it ends."""
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
        """64 random bits. Not used here."""
        return ids.bits(constants.MAX_ID_BITS)

    def flush(self, timeout: float = 30.0) -> bool:
        """Has the reporter send what it has; whether that was done within `timeout` seconds."""
        return flush(self.reporter, timeout) if self._reports_alone else super().flush(timeout)

    def close(self) -> Closing:
        """Closes sampler and reporter; the future is over when the reporter has no span left."""
        with self._closing_lock:  # a signal handler gets in, and closes what is closed already
            if self._closing is None:
                getattr(self.sampler, "close", lambda: None)()
                self._closing = all_of([self.reporter.close()])
            return self._closing


def _text(name: object) -> str:
    return "" if name is None else convert.key_name(name)


__getattr__ = also(__name__)
