"""W3C Baggage: `baggage: key=value;property, key2=value2`.

A member that breaks the grammar is skipped. A key that is not a token is percent-encoded when written and
decoded when read, as OpenTelemetry's propagators do. A member with properties is written as it was received
if its value has not changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any
from urllib.parse import unquote

from ot_bridge.wire.items import PARTS, Room, items_to_write, member
from ot_bridge.wire.remote import BAGGAGE_MEMBER, EMPTY, LIMITS, Format, Headers, Limits, Outgoing, Remote
from ot_bridge.wire.text import as_text, cut, text_of

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_OCTETS = r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*"
_member = re.compile(rf"({_TOKEN})[ \t]*=[ \t]*(({_OCTETS})(?:[ \t]*;.*)?)").fullmatch
_PROPERTY = rf"[ \t]*{_TOKEN}[ \t]*(?:=[ \t]*{_OCTETS}[ \t]*)?"  # few members have one


def properties(extras: Mapping[str, str]) -> Mapping[str, str]:
    """The properties of baggage members in `extras`. They stay with the baggage when a new trace begins."""
    return {name: text for name, text in extras.items() if name.startswith(BAGGAGE_MEMBER)}


def decode(headers: Headers, limits: Limits = LIMITS) -> Remote | None:
    value = headers.get("baggage")
    if not value:
        return None
    baggage: dict[str, str] = {}
    extras: dict[str, str] = {}
    room = Room(limits)
    for key, text, raw in _members(
        cut(text_of(value), PARTS * limits.baggage_bytes), PARTS * limits.baggage_items
    ):
        if not room.takes(len(key) + len(raw)):
            continue
        baggage[key] = text
        if ";" in raw:
            extras[BAGGAGE_MEMBER + key] = raw
        else:
            extras.pop(BAGGAGE_MEMBER + key, None)
    return Remote(baggage=baggage, extras=extras or EMPTY) if baggage else None


def _members(value: str, limit: int) -> Iterator[tuple[str, str, str]]:
    """Yields (key, value, value and properties as received) of the first `limit` members, if well-formed."""
    for part in value.split(",", limit)[:limit]:
        match = _member(part.strip(" \t"))
        if match is None:
            continue
        key, raw, text = match.groups()
        if all(re.fullmatch(_PROPERTY, each) for each in raw[len(text) :].split(";")[1:]):
            yield unquote(key) if "%" in key else key, unquote(text) if "%" in text else text, raw


def encode(outgoing: Outgoing, headers: MutableMapping[str, Any], limits: Limits = LIMITS) -> None:
    if not outgoing.baggage:
        return
    extras = outgoing.extras
    members = [
        member(as_text(key), as_text(value), extras.get(f"{BAGGAGE_MEMBER}{key}"))
        for key, value in items_to_write(outgoing, limits).items()
        if key
    ]
    if members:
        headers["baggage"] = ",".join(members)


BAGGAGE = Format("baggage", ("baggage",), decode, encode)
