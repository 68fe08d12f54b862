"""The reading half of a span: its notes become attributes and events when they are first read.

There are three ways to read, from the cheapest on:

1. `for_export` hands the notes of an ended span to an encoder as they are. It changes nothing.
2. `_settle_at_once` puts the notes of an ended span into a dict and a tuple, where the SDK would neither
   clean nor cut any of them. It takes no lock and makes none of the SDK's containers.
3. `_settle` puts note by note into the SDK's containers, under the span's lock. The result is the SDK's to
   the letter (tests/engine/test_differential.py).

Why ways 1 and 2 need no lock (tests/engine/test_threads.py; benchmark rows "export" and "whole"):

4. A thread that reads a running span makes the lock (`_guard`) before it checks whether the span has ended.
   `end` sets `_end_time` before it checks whether there is a lock, and if there is one, waits for it. So if a
   span has ended and has no lock, no other thread is changing its notes.
5. Several threads may run `_settle_at_once` at the same time. They read the same notes and store equal
   results. `_read` is stored before `_sealed`, and `_notes` is emptied last: a thread that finds no notes
   finds the rest.
6. `ENDED` is the last note that counts. Notes behind it came from a thread that was late and are logged.
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
from ot_bridge.engine.notes import ENDED, PLAIN, Reading, bounded, collected, event, read_at_once, say_dropped
from ot_bridge.otel import set_many

if TYPE_CHECKING:
    from ot_bridge.engine.settings import Settings

_NOTHING: Final[frozenset[type]] = frozenset()
_FREEZES: Final = "_immutable" in sdk.Span.end.__code__.co_names  # this SDK seals attributes


class Contained:
    """An attribute that holds one of the SDK's containers, made of the notes when it is first read."""

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

    _waits = PLAIN  # types of values that need not be looked at when they are noted
    _linked = False
    _settling = False
    _sealed = False
    _guard: Any = None  # the lock, once somebody has needed one
    _own_attributes: Any = None  # the SDK's containers, or what a processor put in their place
    _own_events: Any = None
    _read: Reading | None = None

    def _make_lock(self) -> Any:
        self._guard = self.__dict__.setdefault("_made_guard", threading.RLock())  # one for all threads
        return self._guard

    _lock: Any = Lazy(_make_lock)

    def _make_links(self) -> Any:
        with self._lock:
            self._linked = True
            return self.__dict__.setdefault("_links", self._new_links(()))

    _links = Lazy(_make_links)

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
        if self._read is not None or self._sealed:
            return not notes or ENDED in notes  # else a note came too late, which is logged
        if self._own_attributes is not None or self._own_events is not None:
            return False
        settings = self._settings
        read = read_at_once(notes, settings.limits, settings.uncut)
        if read is None:
            return False
        self._read = read  # in this order
        self._sealed = True
        self._notes = []
        return True

    def _settle_one(self, note: Any) -> None:
        if self._sealed:
            sdk.logger.warning("Setting attribute on ended span.")
        elif note is ENDED:
            self._sealed = True
            if self._own_attributes is not None:
                if self._own_attributes.dropped:
                    say_dropped(self._own_attributes.dropped, self._settings.limits.max_span_attributes)
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

    # The SDK's containers. Who holds one while the span runs sees later changes, too.
    _attributes: Any = Contained("_own_attributes", _bounded_attributes)
    _events: Any = Contained("_own_events", _bounded_events)

    # The same for exporters, without the containers where nothing has made them

    def _reading(self, container: Any) -> Reading | None:
        """What the notes came to; None where one of the SDK's containers has it, and may have changed it."""
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
        """The notes of the ended span as they are, or None: see `ot_bridge.otlp.encode.Offer`.

        The third way: it makes no attributes and events at all, and changes nothing. It skips all that
        cleans and cuts. tests/otlp/test_two_readings.py holds it and the properties together, and the row
        "export" of the benchmarks pays for it.
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
        """Whether the ended span may have an attribute of one of these names, or `key` with this value.

        It makes no attributes to see that.
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
        """Whether the SDK's containers have nothing yet."""
        with self._lock:
            return self._own_attributes is None and self._own_events is None

    def __copy__(self) -> NotedSpan:
        self._settle()
        copied = object.__new__(type(self))
        shared = {
            name: value for name, value in self.__dict__.items() if name not in ("_made_guard", "_lock")
        }
        copied.__dict__.update(shared, _notes=[], _guard=None)
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> sdk.ReadableSpan:
        return copy.deepcopy(self._readable_span(), memo)
