"""What a span was told, as notes: how they become what an exporter reads.

A note is `(key, value)` for an attribute, a dict for attributes given together, `(name, attributes,
time)` for an event, and `ENDED` for the end. A note behind `ENDED` came too late.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from opentelemetry.sdk import trace as sdk
from opentelemetry.util.types import Attributes

from ot_bridge.otel import QuietAttributes

_log = logging.getLogger(__name__)

PLAIN: Final = frozenset({str, int, float, bool})  # values that nobody can change: they may wait
ENDED: Final = ("ended",)
MOST_NOTES: Final = 256  # what a span that never ends may hold unsettled

_TEXT: Final = frozenset({str})

Note: TypeAlias = Any
Told: TypeAlias = tuple[dict[str, Any], tuple[sdk.Event, ...]]


def as_told(notes: Iterable[Note], limits: sdk.SpanLimits) -> Told | None:
    """Attributes and events, if there is nothing to clean or to cut, as for most spans; else None."""
    attributes: dict[str, Any] = {}
    events: list[Note] = []
    told = 0
    for note in notes:
        if type(note) is dict:
            if not is_plain(note):
                return None
            attributes.update(note)
            told += len(note)
        elif len(note) == 2:
            key, value = note
            if type(key) is not str or type(value) not in PLAIN:
                return None
            attributes[key] = value
            told += 1
        elif note is ENDED:
            break
        else:
            events.append(note)
    most, most_events = limits.max_span_attributes, limits.max_events
    if (
        len(attributes) != told  # what is set again moves to the end
        or "" in attributes
        or (most is not None and told > most)
        or (most_events is not None and len(events) > most_events)
        or limits.max_span_attribute_length is not None
    ):
        return None
    return attributes, tuple([event(each, limits) for each in events]) if events else ()


def is_plain(attributes: Mapping[Any, Any]) -> bool:
    return _TEXT.issuperset(map(type, attributes)) and PLAIN.issuperset(map(type, attributes.values()))


def say_dropped(dropped: int, limit: int | None, silence: list[float] = [-60.0, 0.0]) -> None:  # noqa: B006
    """Logs how many attributes were dropped since it was last said; at most once a minute."""
    silence[1] += dropped
    now = time.monotonic()
    if now - silence[0] >= 60.0:
        _log.warning(
            "%d attributes were dropped, the oldest of each span, since a span holds %s; raise "
            "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT to keep more (said once a minute at most)",
            *(silence[1], limit),
        )
        silence[:] = now, 0.0


def event(note: tuple[str, Attributes, int], limits: sdk.SpanLimits) -> sdk.Event:
    name, attributes, timestamp = note
    most, longest = limits.max_event_attributes, limits.max_attribute_length
    return sdk.Event(name, QuietAttributes(most, attributes, max_value_len=longest), timestamp)


def bounded(limits: sdk.SpanLimits, attributes: Mapping[str, Any] | None, sealed: bool) -> Any:
    """The SDK's container for a span's attributes."""
    return QuietAttributes(limits.max_span_attributes, attributes, sealed, limits.max_span_attribute_length)


def as_offered(notes: Iterable[Note], limits: sdk.SpanLimits) -> tuple[dict[str, Any], list[Note]] | None:
    """Attributes and events of an ended span as they were told; None if the SDK would cut any of it.

    Keys and values are not looked at, apart from counting them.
    """
    attributes: dict[str, Any] = {}
    events: list[Note] = []
    told = 0
    for note in notes:
        if type(note) is dict:
            attributes.update(note)
            told += len(note)
        elif len(note) == 2:
            key, value = note
            attributes[key] = value
            told += 1
        elif note is ENDED:
            break
        else:
            events.append(note)
    else:  # what is there came too late
        return None
    most = limits.max_span_attributes
    if (
        len(attributes) != told  # what is set again moves to the end
        or (most is not None and told > most)
        or (events and not _may_stay(events, limits))
        or limits.max_span_attribute_length is not None
    ):
        return None
    return attributes, events


def _may_stay(events: list[Note], limits: sdk.SpanLimits) -> bool:
    most, most_events = limits.max_event_attributes, limits.max_events
    return (
        limits.max_attribute_length is None
        and (most_events is None or len(events) <= most_events)
        and (most is None or all(not event[1] or len(event[1]) <= most for event in events))
    )
