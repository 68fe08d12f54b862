"""`Span`: OpenTracing's span on any OpenTelemetry span.

Baggage lives in one dict a span, which is also what OpenTelemetry's context holds while the span is
active: what is set by one API is seen by the other. `Span.context` is a frozen picture of it.
"""

from __future__ import annotations

import logging
from collections.abc import ItemsView, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

import opentracing
from opentelemetry import trace
from opentelemetry.baggage import get_baggage
from opentelemetry.context import Context, attach, get_current
from opentelemetry.trace import SpanKind, Status, StatusCode, TraceFlags
from typing_extensions import Self

from ot_bridge import engine
from ot_bridge.bridge import convert, logs
from ot_bridge.bridge.bases import SpanBase
from ot_bridge.bridge.keys import BAGGAGE_KEY
from ot_bridge.bridge.span_context import NO_BAGGAGE, Baggage, SpanContext, from_ids
from ot_bridge.engine.identity import Identity
from ot_bridge.errors import report
from ot_bridge.otel import dropped_by, quieten, set_kind
from ot_bridge.wire import Remote

if TYPE_CHECKING:
    from ot_bridge.bridge.tracer import Tracer

_log = logging.getLogger(__name__)


class LiveBaggage(dict[str, str]):
    """A span's baggage: another thread may set an item while this one goes through `items()`."""

    __slots__ = ()

    def items(self) -> ItemsView[str, str]:  # type: ignore[override]
        return self.copy().items()


def inherited(baggage: Mapping[Any, Any]) -> LiveBaggage:
    """A copy for a span of its own; what OpenTelemetry code has put there may be no text."""
    if type(baggage) is LiveBaggage or type(baggage) is Baggage:
        return LiveBaggage(baggage)
    return LiveBaggage({convert.key_name(name): convert.text(value) for name, value in baggage.items()})


class Span(SpanBase):
    """A span of OpenTracing's API (specification, "Span").

    tracer: the one that made it. span: the OpenTelemetry span that does the work. baggage: str to str,
    inherited. origin: see `SpanContext`. No method raises, whatever it is given, and every call after
    `finish()` is ignored.
    """

    # Most spans never get any of these of their own.
    _frozen: list[SpanContext] | None = None  # what `context` shows, once made; a new list at each change
    _baggage: LiveBaggage | None = None
    _raised: BaseException | None = None  # the one recorded last
    origin: Remote | None = None
    priority_flags: TraceFlags | None = None  # what a later `sampling.priority` made of the trace flags
    finished = False

    def __init__(self, tracer: Tracer, span: trace.Span, baggage: Mapping[str, str] | None = None) -> None:
        self._tracer = tracer
        self._otel_span: Any = span
        if not isinstance(span, Identity):
            quieten(span)
        if baggage:
            self._baggage = inherited(baggage)

    @property
    def tracer(self) -> Tracer:
        return self._tracer

    @property
    def context(self) -> SpanContext:
        """What children and other processes need: ids, flags, baggage; frozen."""
        frozen = self._frozen
        return frozen[0] if frozen else self._freeze()

    _shown = context  # for subclasses whose `context` is another

    def _freeze(self) -> SpanContext:
        otel = self._otel_span.get_span_context()
        parent = getattr(self._otel_span, "parent", None)
        return self._keep(otel, parent.span_id if parent is not None else 0)

    def _keep(self, ids: Any, parent_id: int) -> SpanContext:
        # Without a lock: a change by another thread makes the list that this is kept in an old one. The list
        # has to be there before what it will hold is read. `__dict__` would slow all attributes of the span.
        frozen = self._frozen
        if frozen is None:
            frozen = self._frozen = []
        if not frozen:
            if self.priority_flags is not None:
                ids = (*ids[:3], self.priority_flags, *ids[4:])
            baggage = Baggage(self._baggage) if self._baggage else NO_BAGGAGE
            frozen.append(from_ids(ids, baggage, self.origin, parent_id))
        return frozen[0]

    def _thaw(self) -> None:
        """Something that `context` shows has changed: it is made anew when next asked for."""
        self._frozen = []

    def unwrap(self) -> trace.Span:
        """The OpenTelemetry span."""
        return self._otel_span  # type: ignore[no-any-return]

    def _alive(self) -> trace.Span | None:
        """The OpenTelemetry span, while it is recorded and has not ended."""
        span: trace.Span = self._otel_span
        if span.is_recording():
            return span
        if getattr(span, "end_time", None) is not None:
            _log.debug("ignored: the span is finished already: %r", self)
        return None

    def set_operation_name(self, operation_name: str) -> Self:
        """Renames the span."""
        if (span := self._alive()) is not None:
            span.update_name(convert.key_name(operation_name))
        return self

    def set_tag(self, key: str, value: Any) -> Self:
        """Sets an attribute; `error`, `span.kind` and `sampling.priority` mean more (`convert.TAGS`)."""
        name = convert.key_name(key)
        meaning = convert.TAGS[name](value) if name in convert.TAGS else None
        if meaning is None or not self._apply(meaning):
            self._set(name, value)
        return self

    def _apply(self, meaning: SpanKind | StatusCode | bool) -> bool:
        """Does what a tag means. Whether that is all: if not, the tag is an attribute as well."""
        if isinstance(meaning, bool):
            old = self._otel_span.get_span_context().trace_flags
            if meaning != old & 1 or self.priority_flags is not None:
                self.priority_flags = TraceFlags(old | 1 if meaning else old & ~1)
                self._thaw()
            return False
        span = self._alive()
        if isinstance(meaning, SpanKind):
            return self._tracer.maps_kind and (span is None or set_kind(span, meaning))
        if span is not None:
            span.set_status(Status(meaning))
        return True

    def _set(self, name: str, value: object) -> None:
        if name and (span := self._alive()) is not None:
            span.set_attribute(name, convert.attribute(value))

    def log_kv(self, key_values: Any, timestamp: float | None = None) -> Self:
        """Adds an event, named by the `event` field, else `log`; timestamp: seconds since the epoch."""
        if (span := self._alive()) is not None:
            name, attributes, exception = logs.event(key_values)
            when = None if timestamp is None else convert.nanoseconds(timestamp)
            if exception is None:
                span.add_event(name, attributes, when)
            else:
                self._record(exception, attributes, when)
        return self

    def _record(
        self, exception: BaseException, attributes: dict[str, convert.Value], when: int | None
    ) -> None:
        if self._raised is exception:
            return
        self._raised = exception
        try:
            self._otel_span.record_exception(exception, attributes, when)
        except Exception:  # an exception whose own str() raises
            attributes["exception.type"] = convert.attribute(type(exception))
            attributes["exception.message"] = convert.text(exception)
            self._otel_span.add_event("exception", attributes, when)

    def log_event(self, event: Any, payload: Any = None) -> Self:
        """OpenTracing 1's way to log; `log_kv` is today's."""
        return self.log_kv({"event": event} if payload is None else {"event": event, "payload": payload})

    def log(self, **kwargs: Any) -> Self:
        """OpenTracing 1's way to log: `event`, `payload`, `timestamp`."""
        fields = {name: kwargs[name] for name in ("event", "payload") if name in kwargs}
        return self.log_kv(fields, kwargs.get("timestamp"))

    def set_baggage_item(self, key: str, value: str | None) -> Self:
        """Sets an item that children and downstream processes get; None takes it away."""
        name, text = convert.key_name(key), None if value is None else convert.text(value)
        items = self._live_baggage()
        if text is None:
            items.pop(name, None)
        else:
            items[name] = text
        self._thaw()
        current = get_current()
        held = current.get(BAGGAGE_KEY)
        if held is not items and trace.get_current_span(current) is self._otel_span:
            # OpenTelemetry code has put baggage of its own above ours.
            attach(Context({**current, BAGGAGE_KEY: {**(held or {}), **items}}))  # type: ignore[dict-item]
        return self

    def _live_baggage(self) -> LiveBaggage:
        items = self._baggage
        if items is None:  # another thread may be here, too: both get the same
            items = self._baggage = self.__dict__.setdefault("_made_baggage", LiveBaggage())
        return items

    def get_baggage_item(self, key: str) -> str | None:
        """The item's value: the span's own, or what OpenTelemetry code has set while it is active."""
        name, current = convert.key_name(key), get_current()
        if trace.get_current_span(current) is self._otel_span:
            value = get_baggage(name, current)
            if value is not None:
                return convert.text(value)
        return None if self._baggage is None else self._baggage.get(name)

    def finish(self, finish_time: float | None = None) -> None:
        """Ends the span; finish_time: seconds since the epoch, else now."""
        self.finished = True
        self._raised = None  # which refers to frames, and they to this span
        if (span := self._alive()) is not None:
            try:
                span.end(None if finish_time is None else convert.nanoseconds(finish_time))
            except Exception:
                report(_log, "a span processor raised at the end of a span")
            if not isinstance(span, Identity):  # which says it itself
                dropped, limit = dropped_by(span)
                if dropped:
                    engine.say_dropped(dropped, limit)

    def fail(self, exception: BaseException) -> None:
        """Marks the span as failed by `exception`: status ERROR and, once for each, an `exception` event."""
        span = self._alive()
        if span is None:
            return
        description = f"{convert.class_name(exception)}: {convert.text(exception)}"
        span.set_status(Status(StatusCode.ERROR, description))
        self._record(exception, {}, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self._on_error(self, exc_type, exc_val, exc_tb)
        self.finish()

    @staticmethod
    def _on_error(span: Any, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        # OpenTracing's own scopes call this on whatever span they hold.
        if isinstance(span, Span):
            # GeneratorExit is how a generator is closed that is not read to its end: that is no failure.
            if exc_val is not None and not isinstance(exc_val, GeneratorExit):
                span.fail(exc_val)
        else:
            opentracing.Span._on_error(span, exc_type, exc_val, exc_tb)  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        context = self._otel_span.get_span_context()
        name = getattr(self._otel_span, "name", "")
        return f"<{type(self).__name__} {name!r} {context.trace_id:032x}:{context.span_id:016x}>"
