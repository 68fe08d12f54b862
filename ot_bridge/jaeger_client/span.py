"""`Span`: the bridge's span with all attributes of jaeger-client's.

This class wraps an OpenTelemetry span of a provider that a configuration file describes, or one that
OpenTelemetry code has started. The engine's provider makes spans of the classes in `recorded`.
"""

from __future__ import annotations

import contextlib
import logging
import traceback
import weakref
from collections.abc import Iterable, Mapping
from time import time_ns
from typing import TYPE_CHECKING, Any, Final

import opentracing
from opentelemetry import trace
from opentelemetry.trace import SpanKind, TraceFlags

from ot_bridge import bridge
from ot_bridge.bridge import convert
from ot_bridge.instance import dict_of
from ot_bridge.jaeger_client import records
from ot_bridge.jaeger_client.codecs import span_context_to_string
from ot_bridge.jaeger_client.constants import DEBUG_FLAG, SAMPLED_FLAG
from ot_bridge.jaeger_client.reexports import also
from ot_bridge.jaeger_client.span_context import SpanContext, context_like
from ot_bridge.wire import Remote
from ot_bridge.wire.jaeger import flags_to_bits

if TYPE_CHECKING:
    from typing_extensions import Self

    from ot_bridge.jaeger_client.tracer import Tracer

logger = logging.getLogger("jaeger_tracing")

BILLION: Final = 1_000_000_000


class Span(bridge.Span):
    """A span with jaeger-client's names.

    context: its ids and flags. start_time: seconds since the epoch. `tags` and `logs` are lists of
    jaeger-client's Thrift objects; a tag that was set twice is in the list once.
    """

    references: list[opentracing.Reference] | None = None
    _above: Any = None  # the parent's context as a tuple, if the OpenTelemetry span does not have it
    _name = ""
    _started_at = 0  # nanoseconds
    _ours: tuple[bridge.SpanContext, SpanContext] | None = (
        None  # a frozen context, and ours that is equal to it
    )
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
        """Turns this object, which the program keeps, into `other` (see `recorded`, invariant 3).

        References and baggage stay, since `other` has none.
        """
        self.__class__ = type(other)
        self.__dict__.update(dict_of(other))

    @classmethod
    def around(cls, tracer: Tracer, span: Any, baggage: Mapping[str, str] | None = None) -> Span:
        """Wraps an OpenTelemetry span."""
        self = cls.__new__(cls)
        bridge.Span.__init__(self, tracer, span, baggage)
        if getattr(span, "links", None):
            self.references = records.references_of(span)
        return self

    @property
    def parent_ids(self) -> Any:
        return super().parent_ids if self._above is None else self._above

    @parent_ids.setter
    def parent_ids(self, above: Any) -> None:
        self._above = above

    def keep_order(self, keys: Iterable[str]) -> None:
        """Keeps the order of the tags given at the start, some of which become no attributes."""
        self.__dict__["_order"] = dict.fromkeys(keys)

    def _ordered(self) -> dict[str, None]:
        """The keys of the tags, in the order in which each was first set."""
        order: dict[str, None] = dict_of(self).setdefault("_order", {})
        return order

    def remember(self, name: str, above: trace.SpanContext, start_time: int | None) -> None:
        """Keeps values that an unsampled span of another provider does not keep. start_time: nanoseconds."""
        self._name = name
        self.parent_ids = above if above.is_valid else None
        self._started_at = time_ns() if start_time is None else start_time

    @property
    def context(self) -> SpanContext:
        plain = super().context
        ours = self._ours
        if ours is None or ours[0] is not plain:
            ours = self._ours = plain, context_like(plain)
            ours[1].__dict__["span"] = weakref.ref(self)
        return ours[1]

    def take_ids(self, context: SpanContext) -> None:
        """Takes over the ids and flags that the program has assigned to its `context`."""
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
            self.origin = None
            if debug or extras:
                self.origin = Remote(ids.trace_id, sampled=sampled, debug=debug, extras=extras)
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
        return getattr(self._otel_span, "name", None) or self._name

    @operation_name.setter
    def operation_name(self, name: str) -> None:
        self.set_operation_name(name)

    def set_operation_name(self, operation_name: str) -> Self:
        if not hasattr(self._otel_span, "name"):
            self._name = convert.key_name(operation_name)
        return super().set_operation_name(operation_name)

    @property
    def start_time(self) -> float:
        """Seconds since the epoch."""
        moment = getattr(self._otel_span, "start_time", None)
        return (self._started_at if moment is None else moment) / BILLION

    @property
    def end_time(self) -> float | None:
        """Seconds since the epoch; None before the end."""
        moment = getattr(self._otel_span, "end_time", None)
        return None if moment is None else moment / BILLION

    @property
    def tags(self) -> list[Any]:
        return records.tags_of(self._otel_span, self._ordered())

    @property
    def logs(self) -> list[Any]:
        return records.logs_of(self._otel_span)

    def set_tag(self, key: str, value: Any) -> Self:
        key = convert.key_name(key)
        if key == "sampling.priority":
            self._prioritize(value)
            return self
        self._ordered().setdefault(key)
        return super().set_tag(key, self._tracer.fit(value))

    def _prioritize(self, value: Any) -> None:
        """Unsamples the span (`sampling.priority` 0), or makes it a debug span (above 0)."""
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
        self._become(self._tracer.span_with_ids(sampled, self.operation_name, self.start_time))

    def mark(self, debug: bool, value: Any) -> None:
        """Sets the flags of a debug span or of an unsampled span. What is recorded stays."""
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
        with contextlib.suppress(Exception):  # raised by the `__str__` of the exception
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
        """Logs an event. Deprecated: use `log_kv`."""
        return self.log_event(message, payload or None)

    def error(self, message: str, payload: Any = None) -> Self:
        """Logs an event and marks the span as failed. Deprecated: use `log_kv`."""
        return self.set_tag("error", True).log_event(message, payload or None)

    def __repr__(self) -> str:
        context = self.context
        ids = span_context_to_string(context.trace_id, context.span_id, context.parent_id, context.flags or 0)
        return f"{ids} {self._tracer.service_name}.{self.operation_name}"


__getattr__ = also(__name__)
