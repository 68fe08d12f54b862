"""`Span`: a recorded span that does as little as possible at its start and end.

1. At its start it gets its ids, its name and the time. Each later call is appended to `_notes`. Notes become
   attributes and events when these are first read, in most cases by the export thread (benchmark rows root,
   child and tagged).
2. `ENDED` is the last note. A note after it came too late, from any thread (tests/engine/test_threads.py).
3. A mutable value is copied when it is set, since its owner may change it (tests/engine/test_span.py).
4. The class is a subclass of the SDK's span. It inherits whatever most requests do not use, and makes the
   private attributes of the SDK's spans when they are first read (tests/engine/test_differential.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import time_ns
from typing import Any

from opentelemetry import trace as trace_api
from opentelemetry.sdk import trace as sdk
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode
from opentelemetry.util.types import Attributes, AttributeValue

from ot_bridge.engine.identity import Shared
from ot_bridge.engine.notes import ENDED, MOST_NOTES, Note
from ot_bridge.engine.reading import NotedSpan


class Span(NotedSpan):
    """A recorded span, which is also the `ReadableSpan` that exporters get.

    `Tracer.start` makes it; the class is not to be called.
    """

    _name: str
    _start_time: int
    _running: bool  # deleted by the one call that ends the span

    parent_ids: Any = None  # the parent's SpanContext, or its fields as a tuple; never the parent itself
    _kind = SpanKind.INTERNAL
    _status = Status(StatusCode.UNSET)
    _record_exception = True
    _set_status_on_exception = True
    _record_end_metrics: Callable[[], None] | None = None
    _trace_config = None

    # First the attributes of every span, in the order in which they are set. Then those that many spans have.
    _expected: tuple[str, ...] = (
        *("_settings", "_name", "ids", "parent_ids", "_notes", "_waits", "_guard", "_running", "_end_time"),
        *("_start_time", "_kind", "_read", "_sealed", "_context", "_status"),
    )

    _resource = Shared("resource")
    _sampler = Shared("sampler")
    _limits = Shared("limits")
    _span_processor = Shared("processor")
    _instrumentation_scope = Shared("scope")
    _instrumentation_info = Shared("info")

    @property
    def _parent(self) -> SpanContext | None:
        ids = self.parent_ids
        if type(ids) is tuple:
            ids = self.parent_ids = tuple.__new__(SpanContext, ids)
        return ids  # type: ignore[no-any-return]

    @_parent.setter
    def _parent(self, context: SpanContext | None) -> None:
        self.parent_ids = context

    def _set_rare(self, links: Sequence[trace_api.Link], at_end: Callable[[], None] | None) -> None:
        """Sets what few spans have. at_end: a function of the SDK's metrics, called when the span ends."""
        if links:
            self._links = self._new_links(links)
            self._linked = True
        self._record_end_metrics = at_end

    def get_span_context(self) -> SpanContext:
        return self._context  # type: ignore[no-any-return]

    # Calls while the span runs

    def note(self, note: Note, waits: bool = True) -> None:
        """Appends a note (see the module `notes`). waits: whether its values are immutable."""
        notes = self._notes
        notes.append(note)
        if not waits or len(notes) > MOST_NOTES or not self._waits:
            self._settle()

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        if self._end_time is not None:
            super().set_attribute(key, value)  # which logs that it is too late
        else:
            self.note((key, value), type(value) in self._waits)

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        if self._end_time is not None:
            super().set_attributes(attributes)
        elif attributes:
            self._note_attributes(attributes)

    def _note_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Hook that takes several attributes at once, at the start or later."""
        kept = dict(attributes)
        self.note(kept, self._waits.issuperset(map(type, kept.values())))

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        if self._end_time is not None:
            super().add_event(name, attributes, timestamp)
            return
        kept = dict(attributes) if attributes else None
        waits = not kept or self._waits.issuperset(map(type, kept.values()))
        self.note((name, kept, time_ns() if timestamp is None else timestamp), waits)

    def end(self, end_time: int | None = None) -> None:
        try:
            del self._running  # only one of several threads gets past this line
        except AttributeError:
            sdk.logger.warning("Calling end() on an ended span.")
            return
        self._notes.append(ENDED)  # before the next line, so that an ended span has all its notes
        self._end_time = time_ns() if end_time is None else end_time
        if self._guard is not None:
            with self._guard:  # a thread that holds the lock began its change in time: wait for it
                pass
        if self._record_end_metrics is not None:
            self._record_end_metrics()
        listeners = self._settings.listeners
        if listeners.processors is not listeners.watched._span_processors:
            listeners.refresh()
        for processor in listeners.at_ending:
            processor._on_ending(self)
        for processor in listeners.at_end:
            processor.on_end(self)
