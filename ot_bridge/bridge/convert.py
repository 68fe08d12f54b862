"""What OpenTracing says, as OpenTelemetry understands it: tags, logs, times. Tables, no state.

Nothing here raises: whatever a program tags or logs becomes something that an exporter can send
(OpenTelemetry specification, "OpenTracing Compatibility", sections "Set Tag" and "Log").
"""

from __future__ import annotations

import sys
import traceback
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from types import TracebackType
from typing import Any, NamedTuple, TypeAlias

from opentelemetry.trace import SpanKind, StatusCode

Scalar: TypeAlias = str | bool | int | float
Value: TypeAlias = Scalar | tuple[str, ...] | tuple[bool, ...] | tuple[int, ...] | tuple[float, ...]

#: Longest text of one tag or log value, in characters; a batch of spans has to fit in a message.
MAX_TEXT = 65_536
#: Most items of one sequence.
MAX_ITEMS = 1_024

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


def priority(value: object) -> bool | None:
    """Whether a `sampling.priority` tag forces sampling (above 0) or forbids it; None for no number."""
    try:
        return int(value) > 0  # type: ignore[call-overload, no-any-return]
    except Exception:
        return None


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
    try:
        shown = str(value)
    except Exception:
        return f"<unprintable {type(value).__name__}>"
    return _string(str.__str__(shown))


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
    items: Any = value[:MAX_ITEMS]
    kinds = {type(item) for item in items}
    if len(kinds) == 1 and kinds <= {str, bool, int, float}:
        items = tuple(_CLEAN[type(item)](item) for item in items)
        if {type(item) for item in items} == kinds:
            return _fitting(items) if kinds == {str} else items
    return text(value[:MAX_TEXT])


def _fitting(texts: tuple[str, ...]) -> tuple[str, ...]:
    """As many of the first as are together not longer than `MAX_TEXT`."""
    lengths = list(accumulate(map(len, texts)))
    return texts if lengths[-1] <= MAX_TEXT else texts[: bisect_right(lengths, MAX_TEXT)]


def _type(value: type) -> str:
    module = value.__module__
    return value.__qualname__ if module == "builtins" else f"{module}.{value.__qualname__}"


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


def attribute(value: object) -> Value:
    """A tag's value as an attribute's: scalars and sequences of one kind stay, the rest is text."""
    return _CLEAN.get(type(value), text)(value)


def attributes(pairs: Iterable[tuple[object, object]]) -> dict[str, Value]:
    """Names and values as an exporter can send them; a pair whose name is empty is left out."""
    return {name: attribute(value) for key, value in pairs if (name := key_name(key))}


def key_name(key: object) -> str:
    return _string(key) if type(key) is str else text(key)


def fit(plain: Mapping[str, Any]) -> bool:
    """Whether scalars by name are such that `attributes` would leave them all as they are."""
    for value in plain.values():
        if type(value) is str:
            if len(value) > MAX_TEXT or not (value.isascii() or _string(value) == value):
                return False
        elif type(value) is int and not -(1 << 63) <= value < 1 << 63:
            return False
    names = "".join(plain)
    return len(names) <= MAX_TEXT and (names.isascii() or _string(names) == names)


class Tags(NamedTuple):
    """Tags given at the start: what a sampler may see, and what three of them mean."""

    attributes: dict[str, Value]
    kind: SpanKind = SpanKind.INTERNAL
    status: StatusCode | None = None
    priority: bool | None = None


def tags(given: Any, maps_kind: bool = True) -> Tags:
    """The tags that a span starts with; what is no mapping is no tags. `Tags` are ready as they are."""
    if type(given) is Tags:
        return given
    try:
        if not given:
            return Tags({})
        pairs = dict(given)
    except Exception:  # no mapping, or one of the program's own that fails
        return Tags({})
    kind, status, sampled = SpanKind.INTERNAL, None, None
    if "span.kind" in pairs and maps_kind and (named := KINDS.get(_plain(pairs["span.kind"]))):
        kind = named
        del pairs["span.kind"]
    if "error" in pairs and (status := status_of(pairs["error"])) is not None:
        del pairs["error"]
    if "sampling.priority" in pairs:
        sampled = priority(pairs["sampling.priority"])
    return Tags(attributes(pairs.items()), kind, status, sampled)


def _plain(value: object) -> str | None:
    return value if type(value) is str else None


class Event(NamedTuple):
    """A log: a named event, or (`exception` given) a recorded exception with the rest beside it."""

    name: str
    attributes: dict[str, Value]
    exception: BaseException | None = None


#: OpenTracing's log fields for an error -> attributes of OpenTelemetry's `exception` event.
ERROR_FIELDS: Mapping[object, str] = {
    "error.kind": "exception.type",
    "message": "exception.message",
    "stack": "exception.stacktrace",
}


def event(key_values: Any) -> Event:
    """The event that a `log_kv` call means: named by its `event` field, else `log`."""
    fields: dict[object, object] = {}
    try:
        fields.update(key_values or {})
    except Exception:  # no mapping, or one of the program's own that fails
        fields["payload"] = key_values
    named = fields.get("event")
    if named != "error":
        return Event("log" if named is None else text(named) or "log", attributes(fields.items()))
    raised = fields.pop("error.object", None)
    handled = sys.exc_info()[1]
    if handled is not None and raised is type(handled):  # grpcio-opentracing logs the class alone
        raised = handled
    if isinstance(raised, BaseException):
        # The recorded exception says all of these itself, but a message of the program's own stays.
        if fields.get("message") == text(raised):
            del fields["message"]
        fields.pop("error.kind", None)
        fields.pop("stack", None)
        return Event("exception", attributes(fields.items()), raised)
    if raised is not None:
        fields.setdefault("error.kind" if isinstance(raised, type) else "message", raised)
    return Event("exception", attributes((ERROR_FIELDS.get(k, k), v) for k, v in fields.items()))
