"""`Span`: OpenTracing's span on any OpenTelemetry span.

A span keeps its baggage in one dict, and OpenTelemetry's context holds the same dict while the span is
active, so that each API sees the items that the other sets. `Span.context` has a frozen copy of it.

Without a lock, several threads may use a span (tests/bridge/test_threads.py):

1. `dict_of(span).setdefault` is atomic, so that all threads get the same baggage dict.
2. A change replaces `_frozen` by a new list. A thread that made its context from the old values puts it into
   the old list, which is not read any more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, ItemsView, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

import opentracing
from opentelemetry import trace
from opentelemetry.baggage import get_baggage
from opentelemetry.context import Context, attach, get_current
from opentelemetry.trace import SpanKind, Status, StatusCode, TraceFlags

from ot_bridge import engine
from ot_bridge.bridge import convert, logs
from ot_bridge.bridge.bases import SpanBase
from ot_bridge.bridge.keys import BAGGAGE_KEY
from ot_bridge.bridge.span_context import NO_BAGGAGE, Baggage, SpanContext, from_ids
from ot_bridge.engine.identity import Identity
from ot_bridge.errors import log_failure
from ot_bridge.instance import dict_of
from ot_bridge.otel import dropped_by, last_event, quietly, set_kind
from ot_bridge.wire import Remote

if TYPE_CHECKING:
    from typing_extensions import Self

    from ot_bridge.bridge.tracer import Tracer

_log = logging.getLogger("ot_bridge.bridge")


class LiveBaggage(dict[str, str]):
    """A span's baggage. `items()` is a copy, since another thread may set an item during an iteration."""

    __slots__ = ()

    def items(self) -> ItemsView[str, str]:  # type: ignore[override]
        return self.copy().items()


def inherited(baggage: Mapping[Any, Any]) -> LiveBaggage:
    """A copy for a new span. Items that OpenTelemetry code has set may be no text and are converted."""
    if type(baggage) is LiveBaggage or type(baggage) is Baggage:
        return LiveBaggage(baggage)
    return LiveBaggage({convert.key_name(name): convert.text(value) for name, value in baggage.items()})


class Span(SpanBase):
    """A span of OpenTracing's API (OpenTracing specification, "Span").

    tracer: the tracer that made it. span: the OpenTelemetry span that it works on. baggage: str to str,
    inherited. origin: see `SpanContext`. No method raises, whatever its arguments. After `finish()` names,
    tags and logs are ignored.
    """

    # Class attributes, since most spans never set these.
    _frozen: list[SpanContext] | None = None  # the value of `context`, once made; a new list at each change
    _baggage: LiveBaggage | None = None
    _raised: BaseException | None = None  # the last recorded exception
    origin: Remote | None = None
    priority_flags: TraceFlags | None = None  # the trace flags after a later `sampling.priority`
    finished = False

    def __init__(self, tracer: Tracer, span: trace.Span, baggage: Mapping[str, str] | None = None) -> None:
        self._tracer = tracer
        self._otel_span: Any = span
        if baggage:
            self._baggage = inherited(baggage)

    @property
    def tracer(self) -> Tracer:
        return self._tracer

    @property
    def context(self) -> SpanContext:
        """The frozen `SpanContext` that children and other processes need: ids, flags, baggage."""
        # See point 2 in the docstring of this module. The list has to exist before its content is read. It is
        # not kept in `__dict__`, because that would slow down every attribute of the span.
        frozen = self._frozen
        if frozen is None:
            frozen = self._frozen = []
        if not frozen:
            ids, above = self.ids, self.parent_ids
            if self.priority_flags is not None:
                ids = (*ids[:3], self.priority_flags, *ids[4:])
            baggage = Baggage(self._baggage) if self._baggage else NO_BAGGAGE
            frozen.append(from_ids(ids, baggage, self.origin, 0 if above is None else above[1]))
        return frozen[0]

    _plain_context = context  # for subclasses whose `context` is another

    @property
    def ids(self) -> Any:
        """The six values of the OpenTelemetry span's context."""
        return self._otel_span.get_span_context()

    @property
    def parent_ids(self) -> Any:
        """The six values of its parent's context; None if it has no parent."""
        return getattr(self._otel_span, "parent", None)

    def _thaw(self) -> None:
        """Discards the frozen context after a change. `context` makes a new one when it is next read."""
        self._frozen = []

    def unwrap(self) -> trace.Span:
        """The OpenTelemetry span."""
        return self._otel_span  # type: ignore[no-any-return]

    def _alive(self) -> trace.Span | None:
        """The OpenTelemetry span if it is recorded and has not ended, else None."""
        span: trace.Span = self._otel_span
        if span.is_recording():
            return span
        if getattr(span, "end_time", None) is not None:
            _log.debug("the span is finished, and a change to it was ignored: %r", self)
        return None

    def set_operation_name(self, operation_name: str) -> Self:
        """Renames the span."""
        if (span := self._alive()) is not None:
            span.update_name(convert.key_name(operation_name))
        return self

    def set_tag(self, key: str, value: Any) -> Self:
        """Sets an attribute, or what `error`, `span.kind` and `sampling.priority` mean (`convert.TAGS`).

        value: any object; see `convert.attribute`. OpenTelemetry specification, "OpenTracing Compatibility",
        section "Set Tag".
        """
        name = convert.key_name(key)
        meaning = convert.TAGS[name](value) if name in convert.TAGS else None
        if meaning is None or not self._apply(meaning):
            self._set(name, value)
        return self

    def _apply(self, meaning: SpanKind | StatusCode | bool) -> bool:
        """Applies what a tag means. False if the tag has to become an attribute as well."""
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
            quietly(span.set_attribute, name, convert.attribute(value))

    def log_kv(self, key_values: Any, timestamp: float | None = None) -> Self:
        """Adds an event with the name in the `event` field, or `log`. A log of an error records an exception.

        key_values: a mapping of names to any objects. timestamp: seconds since the epoch; None is now.
        """
        if (span := self._alive()) is not None:
            name, attributes, exception = logs.event(key_values)
            when = None if timestamp is None else convert.nanoseconds(timestamp)
            if exception is None:
                self._add(span.add_event, name, attributes, when)
            else:
                self._record(exception, attributes, when)
        return self

    def _add(self, add: Callable[..., None], *arguments: Any) -> None:
        """Adds an event with a method of the OpenTelemetry span."""
        quietly(add, *arguments)
        if not isinstance(self._otel_span, Identity):  # spans of the engine log it themselves
            engine.log_dropped(*dropped_by(last_event(self._otel_span)), "event")

    def _record(
        self, exception: BaseException, attributes: dict[str, convert.Value], when: int | None
    ) -> None:
        if self._raised is exception:
            return
        self._raised = exception
        try:
            self._add(self._otel_span.record_exception, exception, attributes, when)
        except Exception:  # an exception whose own str() raises
            attributes["exception.type"] = convert.attribute(type(exception))
            attributes["exception.message"] = convert.text(exception)
            self._add(self._otel_span.add_event, "exception", attributes, when)

    def log_event(self, event: Any, payload: Any = None) -> Self:
        """Deprecated in OpenTracing 2: logs `event` and `payload` as `log_kv` does."""
        return self.log_kv({"event": event} if payload is None else {"event": event, "payload": payload})

    def log(self, **kwargs: Any) -> Self:
        """Deprecated in OpenTracing 2: logs `event`, `payload` and `timestamp` as `log_kv` does."""
        fields = {name: kwargs[name] for name in ("event", "payload") if name in kwargs}
        return self.log_kv(fields, kwargs.get("timestamp"))

    def set_baggage_item(self, key: str, value: str | None) -> Self:
        """Sets an item that children and downstream processes inherit. None as the value removes it."""
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
            # OpenTelemetry code has set its own baggage, which replaces the dict of this span in the context.
            attach(Context({**current, BAGGAGE_KEY: {**(held or {}), **items}}))  # type: ignore[dict-item]
        return self

    def _live_baggage(self) -> LiveBaggage:
        items = self._baggage
        if items is None:  # see point 1 in the docstring of this module
            items = self._baggage = dict_of(self).setdefault("_made_baggage", LiveBaggage())
        return items

    def get_baggage_item(self, key: str) -> str | None:
        """The item's value, or None. While the span is active, OpenTelemetry's baggage takes precedence."""
        name, current = convert.key_name(key), get_current()
        if trace.get_current_span(current) is self._otel_span:
            value = get_baggage(name, current)
            if value is not None:
                return convert.text(value)
        return None if self._baggage is None else self._baggage.get(name)

    def finish(self, finish_time: float | None = None) -> None:
        """Ends the span. finish_time: seconds since the epoch; None is now."""
        self.finished = True
        self._raised = None  # its traceback refers to frames that refer to this span
        if (span := self._alive()) is not None:
            try:
                span.end(None if finish_time is None else convert.nanoseconds(finish_time))
            except Exception:
                log_failure(_log, "a span processor raised at the end of a span")
            if not isinstance(span, Identity):  # spans of the engine log it themselves
                engine.log_dropped(*dropped_by(span), "span")

    def fail(self, exception: BaseException) -> None:
        """Sets status ERROR, and adds an `exception` event unless `exception` is the last one recorded."""
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
        # OpenTracing's own scopes call this with any kind of span.
        if isinstance(span, Span):
            # Closing a generator before its end raises GeneratorExit in it. That is no failure.
            if exc_val is not None and not isinstance(exc_val, GeneratorExit):
                span.fail(exc_val)
        else:
            opentracing.Span._on_error(span, exc_type, exc_val, exc_tb)  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        context = self._otel_span.get_span_context()
        name = getattr(self._otel_span, "name", "")
        return f"<{type(self).__name__} {name!r} {context.trace_id:032x}:{context.span_id:016x}>"
