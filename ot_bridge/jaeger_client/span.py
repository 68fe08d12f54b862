"""`Span` under jaeger-client's names: the bridge's span, with what a reporter of old reads off it.

How it works:

1. On the engine's provider a span is one object: jaeger-client's, OpenTracing's and the engine's. What it is
   told is made fit for export once, when it is told (`Tracer.fit`), and noted.
2. Two of jaeger-client's names mean something else to OpenTelemetry: `start_time` and `end_time` are seconds
   here, nanoseconds there. A processor or exporter of OpenTelemetry's gets `as_otel(span)`: an object with
   the same attributes in the same dict, under OpenTelemetry's names.
3. A span that was not sampled and is made to debug later becomes a recorded one: it changes its class.
4. On a provider that a file has described, and around spans that OpenTelemetry code has started, `Span`
   itself stands beside an OpenTelemetry span.
"""

from __future__ import annotations

import contextlib
import logging
import time
import traceback
import weakref
from collections.abc import Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import opentracing
from opentelemetry import trace
from opentelemetry.trace import SpanKind, TraceFlags
from typing_extensions import Self

from ot_bridge import bridge, engine
from ot_bridge.bridge import convert
from ot_bridge.bridge.fused import FusedDropped, FusedSpan
from ot_bridge.bridge.span import TAGS
from ot_bridge.errors import report
from ot_bridge.jaeger_client import records
from ot_bridge.jaeger_client.codecs import span_context_to_string
from ot_bridge.jaeger_client.constants import DEBUG_FLAG, SAMPLED_FLAG
from ot_bridge.jaeger_client.span_context import SpanContext, context_like
from ot_bridge.wire import Remote
from ot_bridge.wire.jaeger import flags_to_bits

if TYPE_CHECKING:
    from ot_bridge.jaeger_client.tracer import Tracer

logger = logging.getLogger("jaeger_tracing")

_BILLION: Final = 1_000_000_000


class Span(bridge.Span):
    """A span of jaeger-client's `Tracer`.

    context: its ids and flags, as a tracer or a test made them. Tags and logs are read back in the shape of
    jaeger-client's Thrift objects; a tag that was set twice is there once.
    """

    references: list[opentracing.Reference] | None = None
    _order: dict[str, None] | None = None  # see `RecordedSpan._ordered`
    parent_ids: Any = None  # the parent's context, as a tuple, where the OpenTelemetry span does not know it
    _operation_name = ""
    _started_at = 0.0
    _ours: tuple[bridge.SpanContext, SpanContext] | None = None  # a frozen context, and ours for it
    _tracer: Tracer

    def __init__(
        self,
        context: bridge.SpanContext,
        tracer: Tracer,
        operation_name: str,
        tags: Mapping[str, Any] | None = None,
        start_time: float | None = None,
        references: list[opentracing.Reference] | None = None,
    ) -> None:
        self._become(tracer.span_with_ids(context, operation_name, start_time))
        self.references = references
        for key, value in (tags or {}).items():
            self.set_tag(key, value)

    def _become(self, other: Span) -> None:
        self.__class__ = type(other)
        self.__dict__.update(other.__dict__)

    @classmethod
    def around(cls, tracer: Tracer, span: Any, baggage: Mapping[str, str] | None = None) -> Span:
        """The span that stands for an OpenTelemetry span."""
        self = cls.__new__(cls)
        bridge.Span.__init__(self, tracer, span, baggage)
        if getattr(span, "links", None):
            self.references = records.references_of(span)
        return self

    def remember(self, name: str, above: Any, start_time: float | None) -> None:
        """What only a span that is not recorded has to keep itself. above: the parent's context."""
        self._operation_name = name
        self.parent_ids = above if above is not None and above[5] else None
        self._started_at = start_time or time.time()

    @property
    def context(self) -> SpanContext:
        plain = super().context
        ours = self._ours
        if ours is None or ours[0] is not plain:
            above = self.parent_ids
            ours = self._ours = plain, context_like(plain, above[1] if above else 0)
            ours[1].__dict__["span"] = weakref.ref(self)
        return ours[1]

    def take_ids(self, context: SpanContext) -> None:
        """Has the ids and flags that were assigned to its `context` from now on."""
        old = self._otel_span.get_span_context()
        ids = trace.SpanContext(
            context.trace_id, context.span_id, old.is_remote, old.trace_flags, old.trace_state
        )
        above = self.parent_ids
        if (context.parent_id or 0) != (above[1] if above else 0):
            above = trace.SpanContext(ids.trace_id, context.parent_id or 0, False, ids.trace_flags)
            self.parent_ids = tuple(above) if above.is_valid else None
        self._put_ids(ids)
        if "flags" in context.__dict__:
            sampled, debug, extras = flags_to_bits(context.flags or 0)
            told = debug or extras
            self.origin = Remote(ids.trace_id, sampled=sampled, debug=debug, extras=extras) if told else None
            self.priority_flags = TraceFlags(sampled)
        self._thaw()
        self._ours = super().context, context

    def _put_ids(self, ids: trace.SpanContext) -> None:
        with contextlib.suppress(AttributeError):
            self._otel_span._context = ids

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

    def is_debug(self) -> bool:
        return bool(self.flags & DEBUG_FLAG)

    def is_rpc(self) -> bool:
        return self._rpc_kind in (SpanKind.CLIENT, SpanKind.SERVER)

    def is_rpc_client(self) -> bool:
        return self._rpc_kind is SpanKind.CLIENT

    @property
    def _rpc_kind(self) -> object:
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
        return self._started_at if moment is None else moment / _BILLION

    @property
    def end_time(self) -> float | None:
        """Seconds since the epoch; None before the end."""
        moment = getattr(self._otel_span, "end_time", None)
        return None if moment is None else moment / _BILLION

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
        return super().set_tag(key, self._tracer.fit(value))

    def _prioritize(self, value: Any) -> None:
        """Takes the span out of its trace's sampling (0), or makes it one to debug."""
        debug = convert.priority(value)
        if debug is None or (
            debug and (self.is_debug() or not self._tracer.is_debug_allowed(self.operation_name))
        ):
            return
        if debug and not self._otel_span.is_recording():
            self._record_from_now_on()
        self.mark(debug, value)

    def _record_from_now_on(self) -> None:
        context = self.context
        sampled = SpanContext(context.trace_id, context.span_id, context.parent_id, SAMPLED_FLAG)
        made = self._tracer.span_with_ids(sampled, self.operation_name, self.start_time)
        kept = {"references": self.references, "_baggage": self._baggage}
        self._become(made)
        self.__dict__.update(kept)

    def mark(self, debug: bool, value: Any) -> None:
        """Makes this one to debug, or one that is not sampled; what is recorded of it is as it is."""
        if debug and self.is_debug():
            return
        self.origin = Remote(self.trace_id, sampled=True, debug=True) if debug else None
        self.priority_flags = TraceFlags(SAMPLED_FLAG if debug else 0)
        self._thaw()
        if debug:
            self._set("sampling.priority", convert.attribute(self._tracer.fit(value)))

    def log_kv(self, key_values: Any, timestamp: float | None = None) -> Self:
        if not self._otel_span.is_recording():
            return self
        fields = convert.named_fields(key_values)
        if fields is None:
            fields = {} if key_values is None else {"payload": key_values}
        fit = self._tracer.fit
        name = fields.get("event")
        raised = fields.get("error.object") if type(name) is str and name == "error" else None
        fields = {key: value if value is raised else fit(value) for key, value in fields.items()}
        return super().log_kv(fields, records.moment(timestamp))

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
        if self.finished:
            if self.is_sampled():
                logger.warning("Span has already been finished; will not be reported again.")
            return
        super().finish(records.moment(finish_time))

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


class _OnTheEngine(Span):
    """What a recorded span and one that is not sampled have in common."""

    ids: Any
    _shown: Any

    @property
    def trace_id(self) -> int:
        return self.ids[0]  # type: ignore[no-any-return]

    @property
    def span_id(self) -> int:
        return self.ids[1]  # type: ignore[no-any-return]

    @property
    def told(self) -> bridge.SpanContext:
        """Its context as the bridge has it, which costs less than `context`."""
        return self._shown  # type: ignore[no-any-return]

    def is_sampled(self) -> bool:
        flags = self.priority_flags
        return (self.ids[3] if flags is None else flags) & 1 == 1

    def _put_ids(self, ids: trace.SpanContext) -> None:
        self.ids = tuple(ids)
        self.__dict__.pop("_context", None)


class RecordedSpan(_OnTheEngine, FusedSpan):
    """A sampled span on the engine's provider."""

    _expected: tuple[str, ...] = (*FusedSpan._expected, "_tracer", "finished", "_raised", "_baggage")

    @property
    def start_time(self) -> float:  # type: ignore[override]
        """Seconds since the epoch."""
        return self._start_time / _BILLION

    @property
    def end_time(self) -> float | None:  # type: ignore[override]
        """Seconds since the epoch; None before the end."""
        return None if self._end_time is None else self._end_time / _BILLION

    def set_tag(self, key: str, value: Any) -> Self:
        if type(key) is not str or not key.isascii() or self._end_time is not None or not key:
            return super().set_tag(key, value)
        if key in TAGS:
            self._ordered().setdefault(key)
            return super().set_tag(key, value)
        # Most values are such that there is nothing to fit.
        kind = type(value)
        if kind is str:
            if len(value) > self._tracer.max_tag_value_length or not value.isascii():
                value = self._tracer.fit(value)
        elif kind is not bool and (kind is not int or not -_BILLION < value < _BILLION):
            value = self._tracer.fit(value)
        self.note((key, value))
        return self

    def log_kv(self, key_values: Any, timestamp: float | None = None) -> Self:
        if timestamp or type(key_values) is not dict or self._end_time is not None:
            return super().log_kv(key_values, timestamp)
        name = key_values.get("event", "log")
        if type(name) is not str or not name or name == "error":
            return super().log_kv(key_values)
        fit = self._tracer.fit
        fields = {}
        for key, value in key_values.items():
            if type(key) is not str or not key.isascii() or not key:
                return super().log_kv(key_values)
            fields[key] = fit(value)
        self.note((fit(name), fields, time.time_ns()))
        return self

    def finish(self, finish_time: float | None = None) -> None:
        if finish_time or self.finished or self._end_time is not None:
            super().finish(finish_time)
            return
        self.finished = True
        self._raised = None
        try:
            _end(self)
        except Exception:
            report(logger, "a reporter or span processor raised at the end of a span")

    @property
    def tags(self) -> list[records.Tag]:
        return records.tags_of(self, self._ordered())

    def _ordered(self) -> dict[str, None]:
        """The tags so far, in the order in which each was set first."""
        order: dict[str, None] = self.__dict__.setdefault("_order", {})
        for note in self._notes:
            if type(note) is dict:
                order.update(dict.fromkeys(note))
            elif len(note) == 2:
                order.setdefault(note[0])
        return order

    def _settle(self) -> None:
        self._ordered()  # which the SDK's container, where notes may go, forgets
        super()._settle()

    def end(self, end_time: int | None = None) -> None:
        """As OpenTelemetry code ends it. What a later priority decided holds: the reporters read it."""
        _end(self, end_time)


_end: Final = engine.Span.end


class UnsampledSpan(_OnTheEngine, FusedDropped):
    """A span on the engine's provider that is not sampled."""

    _expected = (
        *(*FusedDropped._expected, "_tracer", "finished", "_baggage"),
        *("_operation_name", "_started_at", "parent_ids"),
    )

    start_time = property(attrgetter("_started_at"))
    end_time = None

    def set_tag(self, key: str, value: Any) -> Self:
        if type(key) is str and key == "sampling.priority":
            self._prioritize(value)
        return self

    def log_kv(self, key_values: Any, timestamp: float | None = None) -> Self:
        return self

    def finish(self, finish_time: float | None = None) -> None:
        self.finished = True


class _AsOTel(FusedSpan):
    """See `as_otel`."""


def as_otel(span: Any) -> Any:
    """The span as OpenTelemetry's processors and exporters read it."""
    if not isinstance(span, RecordedSpan):
        return span._otel_span if isinstance(span, Span) else span
    made = object.__new__(_AsOTel)
    made.__dict__ = span.__dict__
    return made
