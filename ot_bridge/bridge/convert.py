"""What OpenTracing says, as OpenTelemetry understands it: names, tags, logs, times. Tables, no state.

Whatever a program names, tags or logs comes through here, once, and becomes something that an exporter can
send (OpenTelemetry specification, "OpenTracing Compatibility", sections "Set Tag" and "Log"). Nothing here
raises, and nothing trusts a value's own code: a value is known by its exact type, or by a class that its
type is derived from, and never compared before that.
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

#: Longest text of one tag or log value, in characters; a batch of spans has to fit in a message.
MAX_TEXT = 65_536
#: Most items of one sequence.
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
    """The status that an `error` tag means. 1 and 0 equal True and False for Python, not here."""
    return STATUSES.get(value) if type(value) in (bool, str) else None


def kind_of(value: object) -> SpanKind | None:
    """The kind that a `span.kind` tag means; None for any other value."""
    return KINDS.get(value) if type(value) is str else None


def priority(value: object) -> bool | None:
    """Whether a `sampling.priority` tag forces sampling (above 0) or forbids it; None for no number."""
    try:
        return int(value) > 0  # type: ignore[call-overload, no-any-return]
    except Exception:
        return None


#: Tags that mean more than an attribute: each reads what a value means, None for nothing.
TAGS: Mapping[str, Callable[[object], SpanKind | StatusCode | bool | None]] = {
    "error": status_of,
    "span.kind": kind_of,
    "sampling.priority": priority,
}


def nanoseconds(seconds: object) -> int | None:
    """Seconds since the epoch, as `time.time()` gives them, in nanoseconds; None for what is no time."""
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
    """`str(value)` that never raises, can be encoded, and is not longer than `MAX_TEXT`."""
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
    """As many of the first as are together not longer than `MAX_TEXT`."""
    lengths = list(accumulate(map(len, texts)))
    return texts if lengths[-1] <= MAX_TEXT else texts[: bisect_right(lengths, MAX_TEXT)]


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

#: Of a value whose class is derived from one of these, as enumerations' and numpy's are: the plain value.
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
    """A tag's value as an attribute's: scalars and sequences of one kind stay, the rest is text."""
    clean = _CLEAN.get(type(value))
    if clean is not None:
        return clean(value)
    plain = _plain(value)
    return text(value) if plain is value else attribute(plain)


def key_name(key: object) -> str:
    """A name that can be encoded; a clean one is in `KNOWN` from now on."""
    if type(key) is not str:
        return text(key)
    if key.isascii() and 0 < len(key) < 100 and key not in TAGS and len(KNOWN) < _MOST_KNOWN:
        KNOWN.add(key)
    return _string(key)


#: Names that were found clean and are none of `TAGS`, so that one look tells: programs use the same few.
KNOWN: Final[set[str]] = set()
_MOST_KNOWN: Final = 1_000


def clean_copy(given: Any) -> dict[str, Value] | None:
    """A copy of a dict in which nothing has to be cleaned, as in most; None for anything else.

    It skips the functions above, which would leave each name and value as it is; test_doors.py holds it and
    them together, and the rows tagged and wsgi pay for it.
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
    """A copy of a mapping, its keys clean names, none of them empty; None for what is no mapping."""
    try:
        pairs = dict(given)
    except Exception:  # no mapping, or one of the program's own that fails
        return None
    return {name: value for key, value in pairs.items() if (name := key_name(key))}


def cleaned(pairs: dict[str, Any]) -> dict[str, Value]:
    return {name: attribute(value) for name, value in pairs.items()}


class Tags(NamedTuple):
    """Tags given at the start: what a sampler may see, and what three of them mean."""

    attributes: dict[str, Value]
    kind: SpanKind = SpanKind.INTERNAL
    status: StatusCode | None = None
    priority: bool | None = None


def tags(given: Any, maps_kind: bool = True) -> Tags:
    """The tags that a span starts with; what is no mapping is no tags. `Tags` are ready as they are."""
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
_new: Final[Any] = tuple.__new__  # as `Tags(…)`, at a third of its price
