"""Baggage as a whole: how much of it goes out, as which headers, and what two formats' baggage is together.

1. What is too much for the limits is left out by its order and its size in W3C's form, which every format
   reckons alike; so each format leaves out the same items, and none of the others has to know of it.
2. A header's name has no letter case, and some servers read `_` in it as `-`. A key that travelled in a name
   has lost these; where another format has the key whole, both are one item (`joined`).
3. As header names, keys that differ only in case are one: the item that was set last goes out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import quote, unquote

from ..errors import say_once
from .remote import BAGGAGE_MEMBER, EMPTY, Headers, Limits, Outgoing
from .text import as_text, is_token, is_unsafe, percent

Baggage = Mapping[str, str]
Items = Callable[[Baggage], Iterable[tuple[str, str]]]

_log = logging.getLogger(__name__)
_PER_CHARACTER = 12  # the most that one character takes when percent-encoded: four bytes of UTF-8
# Not "+", which some peers read as a space.
_SAFE_KEY = "!#$&'*.^`|"
_SAFE_VALUE = "!#$&'()*/:<=>?@[]^`{|}"


def member(key: str, value: str, raw: str | None) -> str:
    """An item as W3C has it. raw: its value and properties as they came in, which stay if it is unchanged."""
    if raw is None or unquote(raw.partition(";")[0].rstrip(" \t")) != value:
        raw = quote(value, _SAFE_VALUE, errors="replace")
    return f"{quote(key, _SAFE_KEY, errors='replace')}={raw}"


def fitting(baggage: Baggage, extras: Mapping[str, str], limits: Limits) -> Baggage:
    """`baggage` itself if it is within the limits, else the items that are; the earlier ones first."""
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


def going_out(outgoing: Outgoing, limits: Limits) -> Baggage:
    """The items to write. Every encoder asks this; the first that leaves one out says so in the log."""
    baggage = outgoing.baggage
    kept = fitting(baggage, outgoing.extras or EMPTY, limits)
    if kept is not baggage:
        say_once(
            _log,
            logging.WARNING,
            f"there is more baggage than {limits.baggage_items} items or {limits.baggage_bytes} bytes: "
            "what is over goes out in no header; set less of it, or raise the limits of the propagator",
        )
    return kept


def _by_name(baggage: Baggage) -> Iterable[tuple[str, str]]:
    if len(baggage) == 1:
        return [(as_text(key), as_text(value)) for key, value in baggage.items()]
    texts = ((as_text(key), as_text(value)) for key, value in baggage.items())
    return {key.lower(): (key, value) for key, value in texts}.values()


def url_encoded_items(baggage: Baggage) -> Iterable[tuple[str, str]]:
    """Baggage as HTTP headers. An item whose key cannot be part of a header name stays behind."""
    return ((key, percent(value)) for key, value in _by_name(baggage) if is_token(key))


def plain_items(baggage: Baggage) -> Iterable[tuple[str, str]]:
    """Baggage as it is, but for items that could forge a line of a text protocol."""
    return (item for item in _by_name(baggage) if not any(map(is_unsafe, item)))


def prefixed_items(
    headers: Headers, prefix: str, limits: Limits, read: Callable[[str], str] = str
) -> dict[str, str]:
    """Baggage from the headers whose names begin with `prefix`, as far as the limits go."""
    room = limits.baggage_bytes
    baggage: dict[str, str] = {}
    for name, value in headers.items():
        if not name.startswith(prefix):
            continue
        room -= len(name) - len(prefix) + len(value)
        if room < 0 or len(baggage) >= limits.baggage_items:
            break
        baggage[name[len(prefix) :]] = read(value)
    return baggage


def joined(first: Baggage, second: Baggage) -> Baggage:
    """The baggage of both, from two formats of one carrier; where both have an item, the value of `first`.

    A key of one that is what a header's name leaves of a key of the other is that key, and is spelled as the
    other has it. Where it is what is left of several, theirs are the values. Keys of one format stay apart.
    """
    if not first or not second or first.keys() == second.keys():
        return first or second
    others: dict[str, list[str]] = {}
    for key in second:
        others.setdefault(_folded(key), []).append(key)
    result: dict[str, str] = {}
    for folded, keys in _grouped(first).items():
        result.update(_same(keys, others.pop(folded, []), first, second))
    result.update({key: second[key] for keys in others.values() for key in keys})
    return result


def _grouped(baggage: Baggage) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for key in baggage:
        groups.setdefault(_folded(key), []).append(key)
    return groups


def _same(keys: list[str], others: list[str], first: Baggage, second: Baggage) -> dict[str, str]:
    """`joined` for the keys that are alike."""
    if len(keys) == len(others) == 1 and keys != others:
        (key,), (other,) = keys, others
        if _is_left_of(key, other):
            return {other: first[key]}
    if len(keys) < len(others):
        keys, others, first, second = others, keys, second, first
    added = {key: second[key] for key in others if not any(_is_left_of(key, whole) for whole in keys)}
    return {**added, **{key: first[key] for key in keys}}


def _is_left_of(key: str, whole: str) -> bool:
    """Whether `key` is what a header's name leaves of `whole`."""
    return key != whole and key in (whole.lower(), _folded(whole))


def _folded(key: str) -> str:
    return key.lower().replace("_", "-")
