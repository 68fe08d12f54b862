"""Spans that do at start and end only what cannot wait.

A span is born with its ids, its name and the time. What is told to it while it runs is noted in
`_notes`, a list that only grows, and is cleaned, counted and cut to the SDK's limits when first read:
for most spans, by the thread that exports them. `ENDED` is the last note: a note behind it came too
late, whichever thread it came from. Values that their owner could still change are never left waiting.

Both classes are the SDK's and the API's own underneath. Whatever is not on the request path of every
span is inherited; the private attributes that the SDK's spans have are there too, made when asked for.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping, Sequence
from time import time_ns
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace as trace_api
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
from opentelemetry.util.types import Attributes, AttributeValue

from .notes import ENDED, MOST_NOTES, PLAIN, Fits, Told, as_told, bounded, event, set_many

if TYPE_CHECKING:
    from .wiring import Wiring

_NOTHING: Final[frozenset[type]] = frozenset()
_FREEZES: Final = "_immutable" in sdk.Span.end.__code__.co_names  # this SDK seals attributes


class _Lazy:
    """An attribute made by a method when first read. Assigning it replaces it, as with any attribute."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self.make = make.__name__  # by name, so that a subclass may make it otherwise

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, span: Any, owner: type | None = None) -> Any:
        if span is None:
            return self
        made = getattr(span, self.make)()
        setattr(span, self.name, made)
        return made


class _Shared:
    """An attribute that all spans of a tracer have in common. It, too, can be assigned."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, span: Any, owner: type | None = None) -> Any:
        return self if span is None else getattr(span._wiring, self.name)


class Born:
    """A span's identity, and its `SpanContext` when somebody asks for it."""

    _ids: tuple[int, int, bool, TraceFlags, TraceState, bool]  # the fields of a SpanContext

    def _make_context(self) -> SpanContext:
        """The hook for spans whose context is more than an OpenTelemetry one. Called once, at first use."""
        return tuple.__new__(SpanContext, self._ids)

    _context: Any = _Lazy(_make_context)


class DroppedSpan(Born, trace_api.NonRecordingSpan):
    """A span that the sampler decided against: ids to propagate, and nothing recorded."""


class Span(Born, sdk.Span):
    """A recorded span, which becomes its own `ReadableSpan` when it ends.

    Made by `Tracer.start`, never by calling the class.
    """

    _wiring: Wiring
    _name: str
    _start_time: int
    _notes: list[Any]
    _running: bool  # deleted by the one call that ends the span

    _parent_ids: Any = None  # those of a local parent, or a remote parent's SpanContext: never the parent
    _kind = SpanKind.INTERNAL
    _status = Status(StatusCode.UNSET)
    _end_time: int | None = None
    _record_exception = True
    _set_status_on_exception = True
    _record_end_metrics: Callable[[], None] | None = None
    _trace_config = None

    _waits = PLAIN
    _linked = False
    _settling = False
    _sealed = False
    _guard: Any = None  # the lock, once somebody has needed one
    _own_attributes: Any = None
    _own_events: Any = None
    _told: Told | None = None

    _resource = _Shared("resource")
    _sampler = _Shared("sampler")
    _limits = _Shared("limits")
    _span_processor = _Shared("processor")
    _instrumentation_scope = _Shared("scope")
    _instrumentation_info = _Shared("info")

    @property
    def _parent(self) -> SpanContext | None:
        ids = self._parent_ids
        if type(ids) is tuple:
            ids = self._parent_ids = tuple.__new__(SpanContext, ids)
        return ids  # type: ignore[no-any-return]

    @_parent.setter
    def _parent(self, context: SpanContext | None) -> None:
        self._parent_ids = context

    def _make_lock(self) -> Any:
        self._guard = self.__dict__.setdefault("_made_guard", threading.RLock())  # one for all threads
        return self._guard

    _lock: Any = _Lazy(_make_lock)

    def _make_links(self) -> Any:
        with self._lock:
            self._linked = True
            return self.__dict__.setdefault("_links", self._new_links(()))

    _links = _Lazy(_make_links)

    def _furnish(
        self, kind: SpanKind, links: Sequence[trace_api.Link], counted: Callable[[], None] | None
    ) -> None:
        self._kind = kind
        if links:
            self._links = self._new_links(links)
            self._linked = True
        self._record_end_metrics = counted

    def get_span_context(self) -> SpanContext:
        return self._context  # type: ignore[no-any-return]

    # What is told to a running span

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        if self._end_time is not None:
            super().set_attribute(key, value)  # says that it is too late
            return
        notes = self._notes
        notes.append((key, value))
        if type(value) not in self._waits or len(notes) > MOST_NOTES:
            self._settle()

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        if self._end_time is not None:
            super().set_attributes(attributes)
        elif attributes:
            self._note_attributes(attributes)

    def _note_attributes(self, attributes: Mapping[str, Any]) -> None:
        """The hook for attributes given many at once, at start or later."""
        kept = dict(attributes)
        self._notes.append(kept)
        if not self._waits.issuperset(map(type, kept.values())) or len(self._notes) > MOST_NOTES:
            self._settle()

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        if self._end_time is not None:
            super().add_event(name, attributes, timestamp)
            return
        kept = dict(attributes) if attributes else None
        self._notes.append((name, kept, time_ns() if timestamp is None else timestamp))
        waits = not kept or self._waits.issuperset(map(type, kept.values()))
        if not waits or len(self._notes) > MOST_NOTES:
            self._settle()

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
        wiring = self._wiring
        if wiring.metrics is not None and self._record_end_metrics is not None:
            self._record_end_metrics()
        listeners = wiring.listeners
        if listeners.processors is not listeners.watched._span_processors:
            listeners.refresh()
        for processor in listeners.at_ending:
            processor._on_ending(self)
        for processor in listeners.at_end:
            processor.on_end(self)

    # What has been told, when somebody asks

    # Hooks for spans that note what may not yet be fit to export: whether all is, and what to make of a note
    _fits: Fits | None = None
    _fit: Callable[[Any], Any] | None = None

    def _settle(self) -> None:
        """Makes of the notes, in order, what the SDK would have made of each at once."""
        # Who read the span while it ran has made the lock: without one, nobody is at work on the notes.
        if self._end_time is not None and self._guard is None and self._settle_at_once():
            return
        with self._lock:
            if self._settling:  # a value's own `__str__`, or a log handler, came back here
                return
            if self._end_time is not None and self._settle_at_once():
                return
            self._settling = True
            notes = self._notes
            done = 0
            try:
                for note in notes:
                    done += 1
                    self._settle_one(note)
            finally:
                # Last, so that who sees no notes sees all that they said.
                if self._sealed:
                    self._notes = notes[done:]
                else:
                    del notes[:done]
                self._settling = False

    def _settle_at_once(self) -> bool:
        """For a span that has ended: whether nothing is left to settle.

        Several threads may do this at a time, without a lock: they read the same and come to the same.
        """
        notes = self._notes
        if self._sealed:
            return not notes
        if self._own_attributes is not None or self._own_events is not None:
            return False
        told = as_told(notes, self._wiring.limits, self._fits)
        if told is None:
            return False
        self._told = told
        self._sealed = True
        self._notes = []
        return True

    def _settle_one(self, note: Any) -> None:
        if self._sealed:
            sdk.logger.warning("Setting attribute on ended span.")
        elif note is ENDED:
            self._sealed = True
            if _FREEZES and self._own_attributes is not None:
                self._own_attributes._immutable = True
        else:
            if self._fit is not None:
                note = self._fit(note)
            if type(note) is dict:
                set_many(self._bounded_attributes(), note)
            elif note and len(note) == 2:
                self._bounded_attributes()[note[0]] = note[1]
            elif note:
                self._bounded_events().append(event(note, self._wiring.limits))

    def _bounded_attributes(self) -> Any:
        if self._own_attributes is None:
            told = self._told[0] if self._told else None
            self._own_attributes = bounded(self._wiring.limits, told, _FREEZES and self._sealed)
        return self._own_attributes

    def _bounded_events(self) -> Any:
        if self._own_events is None:
            told = self._told[1] if self._told else ()
            self._own_events = BoundedList.from_seq(self._wiring.limits.max_events, told)
        return self._own_events

    @property
    def _attributes(self) -> Any:
        """The SDK's container. Who holds it while the span runs sees later changes, too."""
        if self._end_time is None:
            self._waits = _NOTHING
        if self._notes:
            self._settle()
        with self._lock:
            return self._bounded_attributes()

    @_attributes.setter
    def _attributes(self, attributes: Any) -> None:
        with self._lock:
            self._settle()
            self._own_attributes = attributes

    @property
    def _events(self) -> Any:
        if self._notes:
            self._settle()
        with self._lock:
            return self._bounded_events()

    @_events.setter
    def _events(self, events: Any) -> None:
        with self._lock:
            self._settle()
            self._own_events = events

    # The same for exporters, without the containers where nobody has asked for them

    @property
    def attributes(self) -> Attributes:
        if self._notes:
            self._settle()
        if self._told and self._own_attributes is None:
            return MappingProxyType(self._told[0])
        return MappingProxyType(self._attributes or {})

    @property
    def dropped_attributes(self) -> int:
        if self._notes:
            self._settle()
        return 0 if self._told and self._own_attributes is None else super().dropped_attributes

    @property
    def events(self) -> Sequence[sdk.Event]:
        if self._notes:
            self._settle()
        if self._told and self._own_events is None:
            return self._told[1]
        return tuple(self._events)

    @property
    def dropped_events(self) -> int:
        if self._notes:
            self._settle()
        return 0 if self._told and self._own_events is None else super().dropped_events

    @property
    def links(self) -> Sequence[trace_api.Link]:
        return tuple(self._links) if self._linked else ()

    @property
    def dropped_links(self) -> int:
        return super().dropped_links if self._linked else 0

    def __copy__(self) -> Span:
        self._settle()
        copied = object.__new__(type(self))
        shared = {
            name: value for name, value in self.__dict__.items() if name not in ("_made_guard", "_lock")
        }
        copied.__dict__.update(shared, _notes=[], _guard=None)
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> sdk.ReadableSpan:
        return copy.deepcopy(self._readable_span(), memo)
