"""`Span` on the engine's provider: one object is the span of jaeger-client, OpenTracing and the engine.

Invariants, with the tests of tests/jaeger:

1. Each tag and log value is converted for export once, when it is set (`Tracer.fit`), and noted
   (test_spans.py; benchmark rows dropin-*).
2. `start_time` and `end_time` are seconds in jaeger-client and nanoseconds in OpenTelemetry. A processor or
   exporter of OpenTelemetry gets `as_otel(span)`: an object that shares the `__dict__` of the span and has
   OpenTelemetry's properties (test_spans.py).
3. The program keeps its reference to a span that was not sampled and is turned into a debug span. So that
   object has to become a recorded span: `Span._become` assigns its `__class__` and `__dict__` (test_spans.py,
   test_throttler.py).
4. jaeger-client keeps tags in the order in which each was first set. The SDK's container moves a tag that is
   set again to the end, and kind and status are no attributes. `_order` keeps the order (test_spans.py).
"""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace

from ot_bridge import bridge, engine
from ot_bridge.bridge.convert import TAGS
from ot_bridge.bridge.engine_spans import EngineDroppedSpan, EngineSpan
from ot_bridge.errors import log_failure
from ot_bridge.instance import dict_of
from ot_bridge.jaeger_client.span import BILLION, Span, logger
from ot_bridge.jaeger_client.span_context import SpanContext, plain_context

if TYPE_CHECKING:
    from typing_extensions import Self


class _OnTheEngine(Span):
    """The common part of recorded and unsampled spans."""

    ids: Any
    parent_ids: Any = None
    _plain_context: Any

    @property
    def trace_id(self) -> int:
        return self.ids[0]  # type: ignore[no-any-return]

    @property
    def span_id(self) -> int:
        return self.ids[1]  # type: ignore[no-any-return]

    @property
    def plain(self) -> bridge.SpanContext:
        """The context as a `bridge.SpanContext`, which takes less time to make than `context`."""
        return self._plain_context  # type: ignore[no-any-return]

    def is_sampled(self) -> bool:
        flags = self.priority_flags
        return (self.ids[3] if flags is None else flags) & 1 == 1

    def _put_ids(self, ids: trace.SpanContext) -> None:
        self.ids = tuple(ids)
        self.__dict__.pop("_context", None)


class RecordedSpan(_OnTheEngine, EngineSpan):
    """A sampled span on the engine's provider."""

    _expected: tuple[str, ...] = (*EngineSpan._expected, "_tracer", "finished", "_raised", "_baggage")

    @property
    def start_time(self) -> float:  # type: ignore[override]
        """Seconds since the epoch."""
        return self._start_time / BILLION

    @property
    def end_time(self) -> float | None:  # type: ignore[override]
        """Seconds since the epoch; None before the end."""
        return None if self._end_time is None else self._end_time / BILLION

    def set_tag(self, key: str, value: Any) -> Self:
        if type(key) is not str or not key.isascii() or self._end_time is not None or not key or key in TAGS:
            return super().set_tag(key, value)
        # Most values need no conversion.
        kind = type(value)
        if kind is str:
            if len(value) > self._tracer.max_tag_value_length or not value.isascii():
                value = self._tracer.fit(value)
        elif kind is not bool and (kind is not int or not -BILLION < value < BILLION):
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
        self.note((fields.get("event", "log"), fields, time_ns()))
        return self

    def finish(self, finish_time: float | None = None) -> None:
        if finish_time or self._end_time is not None:
            super().finish(finish_time)
            return
        self.finished = True
        self._raised = None
        try:
            _end(self)
        except Exception:
            log_failure(logger, "a reporter or span processor raised at the end of a span")

    def _ordered(self) -> dict[str, None]:
        order = super()._ordered()
        for note in self._notes:
            if type(note) is dict:
                order.update(dict.fromkeys(note))
            elif len(note) == 2:
                order.setdefault(note[0])
        return order

    def _settle(self) -> None:
        self._ordered()  # before the notes go into the SDK's container, which does not keep the order
        super()._settle()

    def end(self, end_time: int | None = None) -> None:
        """Ends the span for OpenTelemetry code. A later `sampling.priority` stays valid."""
        _end(self, end_time)


_end: Final = engine.Span.end


class UnsampledSpan(_OnTheEngine, EngineDroppedSpan):
    """A span on the engine's provider that is not sampled."""

    _expected = (
        *(*EngineDroppedSpan._expected, "_tracer", "finished", "_baggage"),
        *("_name", "parent_ids", "_start_time"),
    )

    remembers = True
    _start_time: int

    @property
    def start_time(self) -> float:
        """Seconds since the epoch."""
        return self._start_time / BILLION

    end_time = None

    def set_tag(self, key: str, value: Any) -> Self:
        if type(key) is str and key == "sampling.priority":
            self._prioritize(value)
        return self

    def log_kv(self, key_values: Any, timestamp: float | None = None) -> Self:
        return self

    def finish(self, finish_time: float | None = None) -> None:
        self.finished = True


class _AsOTel(EngineSpan):
    """A recorded span with OpenTelemetry's properties: see `as_otel`."""


class _Shared(dict[str, Any]):
    """The `__dict__` of two objects. If they share a plain dict, Python 3.13.0 frees its values too early."""


def as_otel(span: Any) -> Any:
    """The span with OpenTelemetry's properties, for processors and exporters."""
    if not isinstance(span, RecordedSpan):
        return span.unwrap() if isinstance(span, Span) else span
    held = dict_of(span)
    if type(held) is not _Shared:
        held = span.__dict__ = _Shared(held)
    made = object.__new__(_AsOTel)
    made.__dict__ = held
    return made


def plain_parent(parent: Any) -> Any:
    """The bridge's context of one of our spans or contexts; any other parent unchanged."""
    kind = type(parent)
    if issubclass(kind, _OnTheEngine):
        return parent.plain
    return plain_context(parent) if issubclass(kind, SpanContext) else parent
