"""A recorded span, which does at its start and end only what cannot wait.

1. At its start it gets its ids, its name and the time. What is set while it runs is appended to `_notes`, and
   becomes attributes and events when it is first read: for most spans, by the thread that exports them.
2. `ENDED` is the last note. A note behind it came too late, from whichever thread.
3. A value that its owner could still change does not wait: it is copied when it is set.
4. The span is a subclass of the SDK's. What is not on the path of every request is inherited, and the private
   attributes of the SDK's spans are there, made when they are first read.
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
    """A recorded span, which becomes its own `ReadableSpan` when it ends.

    Made by `Tracer.start`, never by calling the class.
    """

    _name: str
    _start_time: int
    _running: bool  # deleted by the one call that ends the span

    parent_ids: Any = None  # those of a local parent, or a remote parent's SpanContext: never the parent
    _kind = SpanKind.INTERNAL
    _status = Status(StatusCode.UNSET)
    _record_exception = True
    _set_status_on_exception = True
    _record_end_metrics: Callable[[], None] | None = None
    _trace_config = None

    # First as they are set at the start of each span, then what many get later.
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

    def _furnish(self, links: Sequence[trace_api.Link], counted: Callable[[], None] | None) -> None:
        if links:
            self._links = self._new_links(links)
            self._linked = True
        if counted:
            self._record_end_metrics = counted

    def get_span_context(self) -> SpanContext:
        return self._context  # type: ignore[no-any-return]

    # What a running span is given

    def note(self, note: Note, waits: bool = True) -> None:
        """Takes an attribute or event (see `notes`); waits: whether its values will not change."""
        notes = self._notes
        notes.append(note)
        if not waits or len(notes) > MOST_NOTES or not self._waits:
            self._settle()

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        if self._end_time is not None:
            super().set_attribute(key, value)  # says that it is too late
        else:
            self.note((key, value), type(value) in self._waits)

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        if self._end_time is not None:
            super().set_attributes(attributes)
        elif attributes:
            self._note_attributes(attributes)

    def _note_attributes(self, attributes: Mapping[str, Any]) -> None:
        """The hook for attributes given many at once, at start or later."""
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
            del self._running  # of several threads, one gets past this line
        except AttributeError:
            sdk.logger.warning("Calling end() on an ended span.")
            return
        self._notes.append(ENDED)  # before the next line: of an ended span, all notes are there
        self._end_time = time_ns() if end_time is None else end_time
        if self._guard is not None:
            with self._guard:  # a change that holds the lock was in time: let it finish
                pass
        settings = self._settings
        if settings.metrics is not None and self._record_end_metrics is not None:
            self._record_end_metrics()
        listeners = settings.listeners
        if listeners.processors is not listeners.watched._span_processors:
            listeners.refresh()
        for processor in listeners.at_ending:
            processor._on_ending(self)
        for processor in listeners.at_end:
            processor.on_end(self)
