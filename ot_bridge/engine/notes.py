"""Notes: a span keeps each call as a note while it runs, and converts notes to attributes and events later.

A note is `(key, value)` for an attribute, a dict for attributes given together, `(name, attributes, time)`
for an event (time: nanoseconds), and `ENDED` for the end. A note after `ENDED` is too late, and is ignored.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from opentelemetry.sdk import trace as sdk
from opentelemetry.util.types import Attributes

from ot_bridge.otel import BoundedAttributes

_log = logging.getLogger("ot_bridge.engine")

PLAIN: Final = frozenset({str, int, float, bool})  # immutable values, which need not be copied at once
ENDED: Final = ("ended",)
MOST_NOTES: Final = 256  # maximum number of notes before they are converted, for spans that never end

_TEXT: Final = frozenset({str})

Note: TypeAlias = Any
Collected: TypeAlias = tuple[dict[str, Any], list[Note]]
Reading: TypeAlias = tuple[dict[str, Any], tuple[sdk.Event, ...]]
Uncut: TypeAlias = tuple[int, int, int]  # attributes, events, attributes of one event


def collected(notes: Iterable[Note], uncut: Uncut | None) -> Collected | None:
    """The attributes and event notes of an ended span, unchanged; None if the SDK would cut any of them.

    This counts keys and values but does not check them.
    """
    if uncut is None:
        return None
    attributes: dict[str, Any] = {}
    events: list[Note] = []
    given = 0
    for note in notes:
        if type(note) is dict:
            attributes.update(note)
            given += len(note)
        elif len(note) == 2:
            key, value = note
            attributes[key] = value
            given += 1
        elif note is ENDED:
            break
        elif note[1] and len(note[1]) > uncut[2]:
            return None
        else:
            events.append(note)
    else:  # there is no `ENDED`, so all these notes came too late
        return None
    if len(attributes) != given or given > uncut[0] or len(events) > uncut[1]:
        return None  # too many, or a key was set twice: the SDK moves it to the end
    return attributes, events


def uncut(limits: sdk.SpanLimits) -> Uncut | None:
    """The maximum numbers at which nothing is cut; None if the length of texts is limited."""
    if limits.max_span_attribute_length is not None or limits.max_attribute_length is not None:
        return None
    most = limits.max_span_attributes, limits.max_events, limits.max_event_attributes
    attributes, events, of_an_event = (sys.maxsize if number is None else number for number in most)
    return attributes, events, of_an_event


def read_at_once(notes: Iterable[Note], limits: sdk.SpanLimits, uncut: Uncut | None) -> Reading | None:
    """Attributes and events if nothing has to be cleaned or cut, as for most spans; else None."""
    noted = collected(notes, uncut)
    if noted is None:
        return None
    attributes, events = noted
    if not _TEXT.issuperset(map(type, attributes)) or "" in attributes:
        return None
    if not PLAIN.issuperset(map(type, attributes.values())):
        return None
    return attributes, tuple([event(note, limits) for note in events])


def log_dropped(dropped: int, limit: int | None, owner: str) -> None:
    """Logs, at most once a minute, how many attributes were dropped since the last such line.

    owner: "span" or "event".
    """
    if not dropped:
        return
    last, before = _logged.get(owner, (-60.0, 0))
    now, dropped = time.monotonic(), before + dropped
    if now - last < 60.0:
        _logged[owner] = last, dropped
        return
    _logged[owner] = now, 0
    _log.warning(
        "%d attributes were dropped, the oldest of each %s, which holds %s; raise "
        "OTEL_%s_ATTRIBUTE_COUNT_LIMIT to keep more (logged at most once a minute)",
        *(dropped, owner, limit, owner.upper()),
    )


_logged: dict[str, tuple[float, int]] = {}  # "span", "event" -> time of the last line, number since then


def event(note: tuple[str, Attributes, int], limits: sdk.SpanLimits) -> sdk.Event:
    name, attributes, timestamp = note
    most, longest = limits.max_event_attributes, limits.max_attribute_length
    held = BoundedAttributes(most, attributes, max_value_len=longest)
    log_dropped(held.dropped, most, "event")
    return sdk.Event(name, held, timestamp)


def bounded(limits: sdk.SpanLimits, attributes: Mapping[str, Any] | None, sealed: bool) -> Any:
    """The SDK's container for a span's attributes. sealed: whether it refuses changes."""
    return BoundedAttributes(limits.max_span_attributes, attributes, sealed, limits.max_span_attribute_length)
