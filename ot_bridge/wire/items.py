"""Baggage: which items are written, under which header names, and how the baggage of two formats is merged.

1. `within_limits` drops items by their order and by their size in W3C's form, whatever format writes them.
   Every format therefore drops the same items, whatever another one wrote.
2. Header names have no letter case, and some servers replace `_` by `-` in them. So a key that was part of a
   header name may be changed. If another format carries the key unchanged, `merged` makes one item of both.
3. Two keys that differ only in case are the same header name: the item that was set last is written.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import quote, unquote

from ot_bridge.errors import log_once
from ot_bridge.wire.remote import BAGGAGE_MEMBER, EMPTY, Headers, Limits, Outgoing
from ot_bridge.wire.text import as_text, is_token, is_unsafe, percent

Baggage = Mapping[str, str]
Items = Callable[[Baggage], Iterable[tuple[str, str]]]

_log = logging.getLogger("ot_bridge.wire")
PARTS = 4  # at most this many times the limits are read of one header, so that reading takes bounded time
_PER_CHARACTER = 12  # maximum length of a percent-encoded character: four bytes of UTF-8
# Not "+", which some peers read as a space.
_SAFE_KEY = "!#$&'*.^`|"
_SAFE_VALUE = "!#$&'()*/:<=>?@[]^`{|}"


def member(key: str, value: str, raw: str | None) -> str:
    """One member of a W3C `baggage` header.

    raw: the value and properties as received; they are written again if `value` has not changed.
    """
    if raw is None or unquote(raw.partition(";")[0].rstrip(" \t")) != value:
        raw = quote(value, _SAFE_VALUE, errors="replace")
    return f"{quote(key, _SAFE_KEY, errors='replace')}={raw}"


def within_limits(baggage: Baggage, extras: Mapping[str, str], limits: Limits) -> Baggage:
    """`baggage` itself if it is within `limits`, otherwise the first items that are."""
    most, room = limits.baggage_items, limits.baggage_bytes + 1
    if len(baggage) <= most and not any(name.startswith(BAGGAGE_MEMBER) for name in extras):
        length = sum(len(as_text(key)) + len(as_text(value)) for key, value in baggage.items())
        if _PER_CHARACTER * length + 2 * len(baggage) <= room:
            return baggage
    kept: dict[str, str] = {}
    for key, value in baggage.items():
        size = len(member(as_text(key), as_text(value), extras.get(f"{BAGGAGE_MEMBER}{key}"))) + 1
        if size <= room and len(kept) < most:
            room -= size
            kept[key] = value
    return baggage if len(kept) == len(baggage) else kept


def items_to_write(outgoing: Outgoing, limits: Limits) -> Baggage:
    """The items that an encoder writes. The first time that an item is dropped, the log says so."""
    baggage = outgoing.baggage
    kept = within_limits(baggage, outgoing.extras or EMPTY, limits)
    if kept is not baggage:
        log_once(
            _log,
            logging.WARNING,
            f"there is more baggage than {limits.baggage_items} items or {limits.baggage_bytes} bytes: "
            "the items beyond that are not sent; set fewer items, or raise the propagator's limits",
        )
    return kept


def _by_name(baggage: Baggage) -> Iterable[tuple[str, str]]:
    if len(baggage) == 1:
        return [(as_text(key), as_text(value)) for key, value in baggage.items()]
    texts = ((as_text(key), as_text(value)) for key, value in baggage.items())
    return {key.lower(): (key, value) for key, value in texts}.values()


def url_encoded_items(baggage: Baggage) -> Iterable[tuple[str, str]]:
    """Baggage for HTTP headers: values are percent-encoded; keys that no header name can hold are dropped."""
    return ((key, percent(value)) for key, value in _by_name(baggage) if is_token(key))


def plain_items(baggage: Baggage) -> Iterable[tuple[str, str]]:
    """Baggage without encoding. Items with line breaks or NUL are dropped: they could forge a header."""
    return (item for item in _by_name(baggage) if not any(map(is_unsafe, item)))


class Room:
    """The remaining part of the limits while the baggage of one carrier is read. Other items are skipped."""

    def __init__(self, limits: Limits) -> None:
        self._items, self._bytes = limits.baggage_items, limits.baggage_bytes

    def takes(self, size: int) -> bool:
        """Whether an item of `size` characters still fits. If so, it is counted."""
        if size > self._bytes or not self._items:
            return False
        self._items -= 1
        self._bytes -= size
        return True


def prefixed_items(
    headers: Headers, prefix: str, limits: Limits, read: Callable[[str], str] = str
) -> dict[str, str]:
    """Baggage from the headers whose names begin with `prefix`, up to `limits`."""
    baggage: dict[str, str] = {}
    room: Room | None = None
    for name, value in headers.items():
        if name.startswith(prefix):
            room = room or Room(limits)
            if room.takes(len(name) - len(prefix) + len(value)):
                baggage[name[len(prefix) :]] = read(value)
    return baggage


def merged(first: Baggage, second: Baggage) -> Baggage:
    """The baggage that two formats read from one carrier. If both have an item, the value of `first` wins.

    A key that was part of a header name (see point 2 in the docstring of this module) and the unchanged key
    of the other format are one item, with the unchanged key. If it fits several keys of the other format, the
    values of these are used. Two keys of the same format are never merged.
    """
    if not first or not second or first.keys() == second.keys():
        return first or second
    others: dict[str, list[str]] = {}
    for key in second:
        others.setdefault(_folded(key), []).append(key)
    result: dict[str, str] = {}
    for folded, keys in _grouped(first).items():
        result.update(_merged_alike(keys, others.pop(folded, []), first, second))
    result.update({key: second[key] for keys in others.values() for key in keys})
    return result


def _grouped(baggage: Baggage) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for key in baggage:
        groups.setdefault(_folded(key), []).append(key)
    return groups


def _merged_alike(keys: list[str], others: list[str], first: Baggage, second: Baggage) -> dict[str, str]:
    """`merged` for keys that are equal after `_folded`."""
    if len(keys) == len(others) == 1 and keys != others:
        (key,), (other,) = keys, others
        if _went_through_name_as(key, other):
            return {other: first[key]}
    if len(keys) < len(others):
        keys, others, first, second = others, keys, second, first
    added = {
        key: second[key] for key in others if not any(_went_through_name_as(key, whole) for whole in keys)
    }
    return {**added, **{key: first[key] for key in keys}}


def _went_through_name_as(key: str, whole: str) -> bool:
    """Whether `whole` may become `key` if it is part of a header name."""
    return key != whole and key in (whole.lower(), _folded(whole))


def _folded(key: str) -> str:
    return key.lower().replace("_", "-")
