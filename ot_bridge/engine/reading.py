"""Reads spans: their notes become attributes and events when these are first read.

There are three ways to read, the cheapest first:

1. `for_export` hands the notes of an ended span to an encoder as they are. It changes nothing.
2. `_settle_at_once` puts the notes of an ended span into a dict and a tuple, if the SDK would neither clean
   nor cut any of them. It takes no lock and makes none of the SDK's containers.
3. `_settle` puts one note after the other into the SDK's containers, under the span's lock. The result is
   equal to the SDK's (tests/engine/test_differential.py).

Why ways 1 and 2 need no lock (tests/engine/test_threads.py; benchmark rows "export" and "whole"):

4. A thread that reads a running span makes the lock (`_guard`) before it checks whether the span has ended.
   `end` sets `_end_time` before it checks whether there is a lock, and if there is one, waits for it. So if a
   span has ended and has no lock, no other thread is changing its notes.
5. Several threads may run `_settle_at_once` at the same time. They read the same notes and store equal
   results. `_read` is stored before `_sealed`, and `_notes` is emptied last: a thread that finds no notes
   finds the rest.
6. `ENDED` is the last note that counts. Notes after it came too late; they are ignored and logged.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace as trace_api
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.util import BoundedList
from opentelemetry.util.types import Attributes

from ot_bridge.engine.identity import Identity, Lazy
from ot_bridge.engine.notes import ENDED, PLAIN, Reading, bounded, collected, event, log_dropped, read_at_once
from ot_bridge.instance import dict_of
from ot_bridge.otel import SILENCE, set_many

if TYPE_CHECKING:
    from ot_bridge.engine.settings import Settings

_NOTHING: Final[frozenset[type]] = frozenset()
_FREEZES: Final = "_immutable" in sdk.Span.end.__code__.co_names  # this SDK seals attributes


class Contained:
    """An attribute whose value is one of the SDK's containers, made of the notes when it is first read."""

    def __init__(self, own: str, make: Callable[[Any], Any]) -> None:
        self.own = own
        self.make = make

    def __get__(self, span: Any, owner: type | None = None) -> Any:
        if span is None:
            return self
        if span._end_time is None:
            span._waits = _NOTHING
        if span._notes:
            span._settle()
        with span._lock:
            return self.make(span)

    def __set__(self, span: Any, container: Any) -> None:
        with span._lock:
            span._settle()
            setattr(span, self.own, container)


class NotedSpan(Identity, sdk.Span):
    """A span whose `_notes` become attributes and events."""

    _settings: Settings
    _name: str
    ids: Any
    parent_ids: Any
    _kind: Any
    _start_time: int
    _status: Any
    _resource: Any
    _instrumentation_scope: Any
    _notes: list[Any]
    _end_time: int | None = None

    _waits = PLAIN  # types of values that are not converted when they are noted
    _linked = False
    _settling = False
    _sealed = False
    _guard: Any = None  # the lock, once a thread has needed one
    _own_attributes: Any = None  # the SDK's containers, or what a processor put in their place
    _own_events: Any = None
    _read: Reading | None = None

    def _make_lock(self) -> Any:
        self._guard = dict_of(self).setdefault("_made_guard", threading.RLock())  # one for all threads
        return self._guard

    _lock: Any = Lazy(_make_lock)

    def _make_links(self) -> Any:
        with self._lock:
            self._linked = True
            return dict_of(self).setdefault("_links", self._new_links(()))

    _links = Lazy(_make_links)

    def _settle(self) -> None:
        """Converts the notes, in order, to what the SDK would have made of each call at once."""
        # Without a lock, no other thread changes the notes (invariant 4).
        if self._end_time is not None and self._guard is None and self._settle_at_once():
            return
        with self._lock:
            if self._settling:  # called again by the `__str__` of a value, or by a log handler
                return
            if self._end_time is not None and self._settle_at_once():
                return
            self._settling = SILENCE.on = True
            notes = self._notes
            done = 0
            try:
                for note in notes:
                    done += 1
                    self._settle_one(note)
            finally:
                # Last, so that a thread that finds no notes finds their result (invariant 5).
                if self._sealed:
                    self._notes = notes[done:]
                else:
                    del notes[:done]
                self._settling = SILENCE.on = False

    def _settle_at_once(self) -> bool:
        """Converts the notes of an ended span without a lock (invariant 5). True if none are left."""
        notes = self._notes
        if self._read is not None or self._sealed:
            return not notes or ENDED in notes  # False if a note came too late, which `_settle` logs
        if self._own_attributes is not None or self._own_events is not None:
            return False
        settings = self._settings
        read = read_at_once(notes, settings.limits, settings.uncut)
        if read is None:
            return False
        self._read = read  # the order of these lines matters: invariant 5
        self._sealed = True
        self._notes = []
        return True

    def _settle_one(self, note: Any) -> None:
        if self._sealed:
            sdk.logger.warning("Setting attribute on ended span.")
        elif note is ENDED:
            self._sealed = True
            if self._own_attributes is not None:
                limit = self._settings.limits.max_span_attributes
                log_dropped(self._own_attributes.dropped, limit, "span")
                if _FREEZES:
                    self._own_attributes._immutable = True
        else:
            if type(note) is dict:
                set_many(self._bounded_attributes(), note)
            elif note and len(note) == 2:
                self._bounded_attributes()[note[0]] = note[1]
            elif note:
                self._bounded_events().append(event(note, self._settings.limits))

    def _bounded_attributes(self) -> Any:
        if self._own_attributes is None:
            read = self._read[0] if self._read else None
            self._own_attributes = bounded(self._settings.limits, read, _FREEZES and self._sealed)
        return self._own_attributes

    def _bounded_events(self) -> Any:
        if self._own_events is None:
            read = self._read[1] if self._read else ()
            self._own_events = BoundedList.from_seq(self._settings.limits.max_events, read)
        return self._own_events

    # The SDK's containers. A processor that holds one while the span runs sees later changes, too.
    _attributes: Any = Contained("_own_attributes", _bounded_attributes)
    _events: Any = Contained("_own_events", _bounded_events)

    # What exporters read. It makes no containers, and reads those that exist

    def _reading(self, container: Any) -> Reading | None:
        """The attributes and events of the notes; None if one of the SDK's containers has them instead."""
        if self._notes:
            self._settle()
        return self._read if container is None else None

    @property
    def attributes(self) -> Attributes:
        read = self._reading(self._own_attributes)
        return MappingProxyType(self._attributes or {} if read is None else read[0])

    @property
    def dropped_attributes(self) -> int:
        return super().dropped_attributes if self._reading(self._own_attributes) is None else 0

    @property
    def events(self) -> Sequence[sdk.Event]:
        read = self._reading(self._own_events)
        return tuple(self._events) if read is None else read[1]

    @property
    def dropped_events(self) -> int:
        return super().dropped_events if self._reading(self._own_events) is None else 0

    @property
    def links(self) -> Sequence[trace_api.Link]:
        return tuple(self._links) if self._linked else ()

    @property
    def dropped_links(self) -> int:
        return super().dropped_links if self._linked else 0

    def for_export(self) -> Any:
        """The notes of the ended span, unchanged, or None: see `ot_bridge.otlp.encode.Offer`.

        This is way 1: it makes no containers, and skips all cleaning and cutting.
        tests/otlp/test_two_readings.py checks that it agrees with the properties; benchmark row export needs
        it.
        """
        notes = self._notes
        if self._end_time is None or self._linked or not (self._guard is None or self._all_is_noted()):
            return None
        read = collected(notes, self._settings.uncut)
        if read is None:
            return None
        attributes, events = read
        return (
            *(self.ids, self.parent_ids, self._name, self._kind, self._start_time, self._end_time),
            *(self._status, attributes, events, self._resource, self._instrumentation_scope),
        )

    def mentions(self, names: frozenset[str], key: str = "", value: Any = None) -> bool:
        """Whether the ended span may have an attribute with one of these names, or `key` with this value.

        This does not convert the notes.
        """
        if self._read is not None or self._own_attributes is not None:
            attributes = self.attributes or {}
            return not names.isdisjoint(attributes) or (key in attributes and attributes[key] == value)
        for note in self._notes:
            if type(note) is dict:
                if not names.isdisjoint(note) or (key in note and note[key] == value):
                    return True
            elif len(note) == 2 and (note[0] in names or (note[0] == key and note[1] == value)):
                return True
        return False

    def _all_is_noted(self) -> bool:
        """Whether neither of the SDK's containers exists yet."""
        with self._lock:
            return self._own_attributes is None and self._own_events is None

    def __copy__(self) -> NotedSpan:
        self._settle()
        copied = object.__new__(type(self))
        shared = {
            name: value for name, value in dict_of(self).items() if name not in ("_made_guard", "_lock")
        }
        copied.__dict__.update(shared, _notes=[], _guard=None)
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> sdk.ReadableSpan:
        return copy.deepcopy(self._readable_span(), memo)
