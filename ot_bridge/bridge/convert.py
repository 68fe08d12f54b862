"""Converts OpenTracing's names, tags, log fields and times to OpenTelemetry's. Tables, no state.

Each name and value that a program passes is converted here, once, to something that an exporter can send
(OpenTelemetry specification, "OpenTracing Compatibility", sections "Set Tag" and "Log"). Nothing here raises,
and no code of a value's own class is trusted: functions look at the type of a value, or at the classes that
the type is derived from, before they compare or convert it.
"""

from __future__ import annotations

import traceback
from bisect import bisect_right
from collections.abc import Callable, Mapping
from itertools import accumulate
from types import TracebackType
from typing import Any, Final, NamedTuple, TypeAlias

from opentelemetry.trace import SpanKind, StatusCode

Scalar: TypeAlias = str | bool | int | float
Value: TypeAlias = Scalar | tuple[str, ...] | tuple[bool, ...] | tuple[int, ...] | tuple[float, ...]

#: Maximum length of a text in one tag or log value, in characters. A batch of spans has to fit in a message.
MAX_TEXT = 65_536
#: Maximum number of items in one sequence.
MAX_ITEMS = 1_024

SCALARS: Final = frozenset({str, bool, int, float})

KINDS: Mapping[object, SpanKind] = {
    "client": SpanKind.CLIENT,
    "server": SpanKind.SERVER,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
}

#: Values of the `error` tag; any other value leaves the status unset and stays an attribute.
STATUSES: Mapping[object, StatusCode] = {
    True: StatusCode.ERROR,
    "true": StatusCode.ERROR,
    "True": StatusCode.ERROR,
    False: StatusCode.OK,
    "false": StatusCode.OK,
    "False": StatusCode.OK,
}


def status_of(value: object) -> StatusCode | None:
    """The status that an `error` tag means; None for any other value. 1 and 0 are not taken for booleans."""
    return STATUSES.get(value) if type(value) in (bool, str) else None


def kind_of(value: object) -> SpanKind | None:
    """The kind that a `span.kind` tag means; None for any other value."""
    return KINDS.get(value) if type(value) is str else None


def priority(value: object) -> bool | None:
    """Whether a `sampling.priority` tag forces sampling (above 0) or forbids it; None if it is no number."""
    try:
        return int(value) > 0  # type: ignore[call-overload, no-any-return]
    except Exception:
        return None


#: Tags that have an effect besides the attribute. Each function returns what a value means, or None.
TAGS: Mapping[str, Callable[[object], SpanKind | StatusCode | bool | None]] = {
    "error": status_of,
    "span.kind": kind_of,
    "sampling.priority": priority,
}


def nanoseconds(seconds: object) -> int | None:
    """Converts seconds since the epoch to nanoseconds; None for anything that is no time."""
    if type(seconds) is not float and type(seconds) is not int:
        try:
            seconds = float(seconds)  # type: ignore[arg-type]
        except Exception:
            return None
    try:
        whole = int(seconds)
        result = whole * 1_000_000_000 + round((seconds - whole) * 1e9)
    except (ValueError, OverflowError):
        return None
    return result if 0 <= result < 1 << 63 else None


def text(value: object) -> str:
    """`str(value)`, cut to `MAX_TEXT` characters, with what UTF-8 cannot encode replaced. Never raises."""
    if issubclass(type(value), str):
        return _string(str.__str__(value))
    try:
        return _string(str.__str__(str(value)))
    except Exception:
        return f"<unprintable {class_name(value)}>"


def class_name(value: object) -> str:
    return type.__dict__["__name__"].__get__(type(value))  # type: ignore[no-any-return]


def _string(value: str) -> str:
    if len(value) > MAX_TEXT:
        value = value[:MAX_TEXT]
    if value.isascii():
        return value
    return value.encode("utf-8", "replace").decode("utf-8")


def _integer(value: int) -> Scalar:
    return value if -(1 << 63) <= value < 1 << 63 else hex(value)


def _binary(value: bytes) -> str:
    return _string(value[:MAX_TEXT].decode("utf-8", "backslashreplace"))


def _sequence(value: list[Any] | tuple[Any, ...]) -> Value:
    items: Any = tuple(map(_plain, value[:MAX_ITEMS]))
    kinds = set(map(type, items))
    if len(kinds) == 1 and SCALARS.issuperset(kinds):
        items = tuple(map(attribute, items))
        if set(map(type, items)) == kinds:
            return _fitting(items) if kinds == {str} else items
    return text(value[:MAX_TEXT])


def _fitting(texts: tuple[str, ...]) -> tuple[str, ...]:
    """The first texts whose lengths add up to no more than `MAX_TEXT`."""
    return texts[: bisect_right(list(accumulate(map(len, texts))), MAX_TEXT)]


def _type(value: type) -> str:
    module = type.__dict__["__module__"].__get__(value)
    name = type.__dict__["__qualname__"].__get__(value)
    return text(name if module == "builtins" or type(module) is not str else f"{module}.{name}")


def _traceback(value: TracebackType) -> str:
    return _string("".join(traceback.format_tb(value)))


def _same(value: Any) -> Any:
    return value


_CLEAN: dict[type, Callable[[Any], Value]] = {
    str: _string,
    bool: _same,
    int: _integer,
    float: _same,
    bytes: _binary,
    list: _sequence,
    tuple: _sequence,
    type: _type,
    TracebackType: _traceback,
}

#: Base class -> the function that gives the plain value of an instance of a subclass (enumerations, numpy).
_PLAIN: Final[tuple[tuple[type, Callable[[Any], Any]], ...]] = (
    (str, str.__str__),
    (int, int.__pos__),
    (float, float.__pos__),
)


def _plain(value: object) -> Any:
    kind = type(value)
    if kind not in SCALARS:
        for base, plain in _PLAIN:
            if issubclass(kind, base):
                return plain(value)
    return value


def attribute(value: object) -> Value:
    """Converts a tag's value to an attribute's: scalars and sequences of one type stay, the rest is text."""
    clean = _CLEAN.get(type(value))
    if clean is not None:
        return clean(value)
    plain = _plain(value)
    return text(value) if plain is value else attribute(plain)


def key_name(key: object) -> str:
    """Converts a key to a name that can be encoded, and adds a name that needs no change to `KNOWN`."""
    if type(key) is not str:
        return text(key)
    if key.isascii() and 0 < len(key) < 100 and key not in TAGS and len(KNOWN) < _MOST_KNOWN:
        KNOWN.add(key)
    return _string(key)


#: Names that need no cleaning and are not in `TAGS`. Programs use the same few names, so one look-up decides.
KNOWN: Final[set[str]] = set()
_MOST_KNOWN: Final = 1_000


def clean_copy(given: Any) -> dict[str, Value] | None:
    """A copy of a dict in which no name or value needs cleaning; None for anything else.

    Most dicts need none. This skips `key_name` and `attribute`, which would return each name and value
    unchanged. tests/bridge/test_names_and_values.py checks that both ways agree; benchmark rows tagged and
    wsgi need it.
    """
    if type(given) is not dict:
        return None
    pairs: dict[Any, Any] = given.copy()
    for name, value in pairs.items():
        if type(name) is not str or not (name in KNOWN or name in TAGS or key_name(name) == name != ""):
            return None
        kind = type(value)
        if kind is str:
            if not value.isascii() or len(value) > MAX_TEXT:
                return None
        elif kind is int:
            if not -(1 << 63) <= value < 1 << 63:
                return None
        elif kind is not bool and kind is not float:
            return None
    return pairs


def named_fields(given: Any) -> dict[str, Any] | None:
    """A copy of a mapping with clean, non-empty names; None for anything that is no mapping."""
    try:
        pairs = dict(given)
    except Exception:  # no mapping, or one of the program's own that fails
        return None
    return {name: value for key, value in pairs.items() if (name := key_name(key))}


def cleaned(pairs: dict[str, Any]) -> dict[str, Value]:
    return {name: attribute(value) for name, value in pairs.items()}


class Tags(NamedTuple):
    """The tags given at a span's start: its attributes, and the meanings of the three tags in `TAGS`."""

    attributes: dict[str, Value]
    kind: SpanKind = SpanKind.INTERNAL
    status: StatusCode | None = None
    priority: bool | None = None


def tags(given: Any, maps_kind: bool = True) -> Tags:
    """Converts the tags that a span starts with. `Tags` are returned unchanged; no mapping means no tags."""
    if given is None:
        return _NO_TAGS
    if type(given) is Tags:
        return given
    fast = clean_copy(given)
    pairs = named_fields(given) if fast is None else fast
    if not pairs:
        return _NO_TAGS
    kind, status, sampled = SpanKind.INTERNAL, None, None
    if "span.kind" in pairs and maps_kind and (named := kind_of(pairs["span.kind"])):
        kind = named
        del pairs["span.kind"]
    if "error" in pairs and (status := status_of(pairs["error"])) is not None:
        del pairs["error"]
    if "sampling.priority" in pairs:
        sampled = priority(pairs["sampling.priority"])
    return _new(Tags, (cleaned(pairs) if fast is None else pairs, kind, status, sampled))  # type: ignore[no-any-return]


_NO_TAGS: Final = Tags({})
_new: Final[Any] = tuple.__new__  # makes what `Tags(…)` makes, in a third of the time
