"""`Span` under jaeger-client's names: the bridge's span, with what a reporter of old reads off it."""

from __future__ import annotations

import contextlib
import logging
import time
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import opentracing
from opentelemetry import trace
from opentelemetry.trace import SpanKind, TraceFlags
from typing_extensions import Self

from ot_bridge import bridge
from ot_bridge.bridge import convert
from ot_bridge.bridge.span import TAGS
from ot_bridge.jaeger_client import records
from ot_bridge.jaeger_client.codecs import span_context_to_string
from ot_bridge.jaeger_client.constants import DEBUG_FLAG, SAMPLED_FLAG
from ot_bridge.jaeger_client.reexports import also
from ot_bridge.jaeger_client.span_context import SpanContext, context_like
from ot_bridge.wire import Remote

if TYPE_CHECKING:
    from ot_bridge.jaeger_client.tracer import Tracer

logger = logging.getLogger("jaeger_tracing")

#: What an OpenTelemetry span is marked with while its end is on the way to the reporters.
ENDING = "_ot_bridge_ending"


class Span(bridge.Span):
    """A span of jaeger-client's `Tracer`.

    context: its ids and flags, as a tracer or a test made them. Tags and logs are read from the
    OpenTelemetry span: what was set twice is there once, in the shape of jaeger-client's Thrift objects.
    """

    references: list[opentracing.Reference] | None = None
    _operation_name = ""
    _above: trace.SpanContext | None = None  # the parent, where the OpenTelemetry span does not know it
    _started_at = 0.0
    _shown: tuple[bridge.SpanContext, SpanContext] | None = None  # a frozen context, and ours for it

    def __init__(
        self,
        context: bridge.SpanContext,
        tracer: Tracer,
        operation_name: str,
        tags: Mapping[str, Any] | None = None,
        start_time: float | None = None,
        references: list[opentracing.Reference] | None = None,
    ) -> None:
        made = tracer.span_with_ids(context, operation_name, start_time)
        self.__dict__.update(made.__dict__)
        self.references = references
        for key, value in (tags or {}).items():
            self.set_tag(key, value)

    @classmethod
    def around(cls, tracer: Tracer, span: Any, baggage: Mapping[str, str] | None = None) -> Span:
        """The span that stands for an OpenTelemetry span."""
        self = cls.__new__(cls)
        bridge.Span.__init__(self, tracer, span, baggage)
        if getattr(span, "links", None):
            self.references = records.references_of(span)
        return self

    @property
    def context(self) -> SpanContext:
        plain = super().context
        shown = self._shown
        if shown is None or shown[0] is not plain:
            above = self._above
            made = context_like(plain, 0 if above is None else above.span_id)
            shown = self._shown = plain, made
        return shown[1]

    @property
    def trace_id(self) -> int:
        return int(self.context.trace_id)

    @property
    def span_id(self) -> int:
        return int(self.context.span_id)

    @property
    def parent_id(self) -> int | None:
        return self.context.parent_id

    @property
    def flags(self) -> int:
        return self.context.flags or 0

    def is_sampled(self) -> bool:
        flags = self.priority_flags
        if flags is None:
            flags = self._otel_span.get_span_context().trace_flags
        return bool(flags & SAMPLED_FLAG)

    def is_root(self) -> bool:
        return self._above is None and getattr(self._otel_span, "parent", None) is None

    def is_debug(self) -> bool:
        return bool(self.flags & DEBUG_FLAG)

    def is_rpc(self) -> bool:
        return self._kind in (SpanKind.CLIENT, SpanKind.SERVER)

    def is_rpc_client(self) -> bool:
        return self._kind is SpanKind.CLIENT

    @property
    def _kind(self) -> object:
        return getattr(self._otel_span, "kind", None)

    @property
    def operation_name(self) -> str:
        return getattr(self._otel_span, "name", None) or self._operation_name

    @operation_name.setter
    def operation_name(self, name: str) -> None:
        self.set_operation_name(name)

    def set_operation_name(self, operation_name: str) -> Self:
        self._operation_name = convert.key_name(operation_name)
        return super().set_operation_name(operation_name)

    @property
    def start_time(self) -> float:
        """Seconds since the epoch."""
        moment = getattr(self._otel_span, "start_time", None)
        return self._started_at if moment is None else moment / 1_000_000_000

    @property
    def end_time(self) -> float | None:
        """Seconds since the epoch; None before the end."""
        moment = getattr(self._otel_span, "end_time", None)
        return None if moment is None else moment / 1_000_000_000

    @property
    def tags(self) -> list[records.Tag]:
        return records.tags_of(self._otel_span)

    @property
    def logs(self) -> list[records.Log]:
        return records.logs_of(self._otel_span)

    def set_tag(self, key: str, value: Any) -> Self:
        key = convert.key_name(key)
        if key == "sampling.priority":
            self._prioritize(value)
            return self
        value = self._tracer.fit(value)
        if not records.exportable(key, value) or key in TAGS:
            return super().set_tag(key, value)
        otel_span = self._otel_span
        if otel_span.is_recording():
            otel_span.set_attribute(key, value)
        return self

    def _prioritize(self, value: Any) -> None:
        """Takes the span out of its trace's sampling (0), or makes it one to debug."""
        debug = convert.priority(value)
        if debug is None or (
            debug and (self.is_debug() or not self._tracer.is_debug_allowed(self.operation_name))
        ):
            return
        if debug and not self._otel_span.is_recording():
            context = self.context
            sampled = SpanContext(context.trace_id, context.span_id, context.parent_id, SAMPLED_FLAG)
            self._otel_span = self._tracer.span_with_ids(
                sampled, self.operation_name, self.start_time
            ).unwrap()
        self.mark(debug, value)

    def mark(self, debug: bool, value: Any) -> None:
        """Makes this one to debug, or one that is not sampled; its OpenTelemetry span is as it is."""
        if debug and self.is_debug():
            return
        self.origin = Remote(self.trace_id, sampled=True, debug=True) if debug else None
        self.priority_flags = TraceFlags(SAMPLED_FLAG if debug else 0)
        self._thaw()
        if debug:
            self._set("sampling.priority", value)

    def log_kv(self, key_values: Any, timestamp: float | None = None) -> Self:
        if not self._otel_span.is_recording():
            return self
        fields = convert.named_fields(key_values)
        if fields is None:
            fields = {} if key_values is None else {"payload": key_values}
        fit = self._tracer.fit
        name = fields.get("event", "log")
        is_error = type(name) is str and name == "error"
        raised = fields.get("error.object") if is_error else None
        timestamp = records.moment(timestamp)
        fields = {key: value if value is raised else fit(value) for key, value in fields.items()}
        if (
            timestamp is not None
            or is_error
            or not all(map(records.exportable, (name, *fields), (name, *fields.values())))
        ):
            return super().log_kv(fields, timestamp)
        self._otel_span.add_event(name, fields)
        return self

    def _record(
        self, exception: BaseException, attributes: dict[str, convert.Value], when: int | None
    ) -> None:
        with contextlib.suppress(Exception):  # an exception that cannot be printed
            lines = traceback.format_exception(type(exception), exception, exception.__traceback__)
            attributes.setdefault("exception.stacktrace", "".join(lines)[: self._tracer.max_traceback_length])
            attributes.setdefault("exception.message", self._tracer.fit(str(exception)))
        super()._record(exception, attributes, when)

    def set_baggage_item(self, key: str, value: str | None) -> Self:
        before = self.get_baggage_item(key)
        super().set_baggage_item(key, value)
        fields = {"event": "baggage", "key": key, "value": value}
        return self.log_kv({**fields, "override": "true"} if before else fields)

    def finish(self, finish_time: float | None = None) -> None:
        if self.finished and self.is_sampled():
            logger.warning("Span has already been finished; will not be reported again.")
            return
        otel_span = self._otel_span
        if not otel_span.is_recording():
            self.finished = True
            return
        # The processor at the other end gives this very object to the reporters. The mark goes again
        # at once: a lasting one would be a cycle for the garbage collector, one a span.
        otel_span.__dict__[ENDING] = self
        try:
            super().finish(records.moment(finish_time))
        finally:
            otel_span.__dict__.pop(ENDING, None)

    def info(self, message: str, payload: Any = None) -> Self:
        """Logs an event. Superseded by `log_kv`."""
        return self.log_event(message, payload or None)

    def error(self, message: str, payload: Any = None) -> Self:
        """Logs an event and marks the span as failed. Superseded by `log_kv`."""
        return self.set_tag("error", True).log_event(message, payload or None)

    def __repr__(self) -> str:
        context = self.context
        told = span_context_to_string(
            context.trace_id, context.span_id, context.parent_id, context.flags or 0
        )
        return f"{told} {self._tracer.service_name}.{self.operation_name}"

    _tracer: Tracer

    def remember(self, name: str, above: trace.SpanContext, start_time: float | None) -> None:
        """What only a span that is not recorded has to keep itself."""
        self._operation_name = name
        self._above = above if above.is_valid else None
        self._started_at = start_time or time.time()


__getattr__ = also(__name__)
