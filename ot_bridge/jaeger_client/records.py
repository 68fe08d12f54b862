"""What a reporter reads: `Tag` and `Log`, in the shape of Jaeger's Thrift structures, without Thrift.

They are read off an OpenTelemetry span. What OpenTelemetry keeps in places of its own (kind, status,
exceptions) turns into the tags and fields again that it was given as.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from types import TracebackType
from typing import Any, Final, NamedTuple

import opentracing
from opentelemetry.trace import SpanKind, StatusCode

from ot_bridge import bridge
from ot_bridge.bridge import convert
from ot_bridge.bridge.convert import TAGS
from ot_bridge.jaeger_client.span_context import context_like


class TagType(IntEnum):
    STRING = 0
    DOUBLE = 1
    BOOL = 2
    LONG = 3
    BINARY = 4


class Tag(NamedTuple):
    """One tag or log field; the value is in the attribute that `vType` names, the others are None."""

    key: str
    vType: TagType
    vStr: str | None = None
    vDouble: float | None = None
    vBool: bool | None = None
    vLong: int | None = None
    vBinary: bytes | None = None

    @property
    def value(self) -> Any:
        return self[_PLACES[self.vType]]


class Log(NamedTuple):
    """timestamp: microseconds since the epoch."""

    timestamp: int
    fields: list[Tag]


_TYPES: Final[Mapping[type, TagType]] = {
    bool: TagType.BOOL,
    int: TagType.LONG,
    float: TagType.DOUBLE,
    str: TagType.STRING,
}
_PLACES: Final[Mapping[TagType, int]] = {
    TagType.STRING: 2,
    TagType.DOUBLE: 3,
    TagType.BOOL: 4,
    TagType.LONG: 5,
    TagType.BINARY: 6,
}


def make_tag(key: str, value: Any) -> Tag:
    """The tag with this value; what is no scalar is text."""
    kind = _TYPES.get(type(value))
    if kind is None:
        kind, value = TagType.STRING, str(value)
    values: list[Any] = [None] * 5
    values[_PLACES[kind] - 2] = value
    return Tag(key, kind, *values)


def fitter(longest: int, longest_traceback: int) -> Callable[[Any], Any]:
    """Makes a value what jaeger-client would send, and an exporter can: a scalar, or text for all else.

    longest, longest_traceback: characters of a text and of a traceback.
    """

    def fit(value: Any) -> Any:
        kind = type(value)
        if kind is str:
            if len(value) <= longest and value.isascii():
                return value
            return convert.attribute(value[:longest])
        if kind is bool or kind is float:
            return value
        for base, plain in _NUMBERS:
            if issubclass(kind, base):
                return convert.attribute(plain(value))
        if kind is TracebackType:
            return str(convert.attribute(value))[:longest_traceback]
        return convert.text(value)[:longest]

    return fit


_NUMBERS: Final[tuple[tuple[type, Callable[[Any], Any]], ...]] = (
    (int, int.__pos__),
    (float, float.__pos__),
)


def moment(seconds: Any) -> Any:
    """A time as it was given; None for 0, which jaeger-client reads as not given."""
    return None if type(seconds) in (int, float) and not seconds else seconds


def ready(given: Any, fit: Callable[[Any], Any]) -> convert.Tags:
    """The tags that a span starts with; those of interceptors, made ready once, are as they are."""
    if type(given) is convert.Tags:
        return given
    pairs = convert.named_fields(given) or {}
    plain: dict[str, Any] = {}
    for key, value in pairs.items():
        if key in TAGS or not key.isascii():
            return convert.tags({key: fit(value) for key, value in pairs.items()})
        plain[key] = fit(value)
    return _new(convert.Tags, (plain, SpanKind.INTERNAL, None, None))  # type: ignore[no-any-return]


_new: Final[Any] = tuple.__new__


_ERRORS: Final[Mapping[StatusCode, bool]] = {StatusCode.ERROR: True, StatusCode.OK: False}


def tags_of(span: Any, order: Iterable[str] = ()) -> list[Tag]:
    """The tags of an OpenTelemetry span, those in `order` first."""
    pairs = dict(getattr(span, "attributes", None) or {})
    kind = getattr(span, "kind", SpanKind.INTERNAL)
    if kind is not SpanKind.INTERNAL:
        pairs["span.kind"] = kind.name.lower()
    status = getattr(span, "status", None)
    if status is not None and status.status_code in _ERRORS:
        pairs.setdefault("error", _ERRORS[status.status_code])
    first = {key: pairs[key] for key in order if key in pairs}
    return [make_tag(key, value) for key, value in {**first, **pairs}.items()]


_FIELDS: Final = {attribute: field for field, attribute in convert.ERROR_FIELDS.items()}


def logs_of(span: Any) -> list[Log]:
    """The logs of an OpenTelemetry span."""
    return [Log(event.timestamp // 1000, list(_fields(event))) for event in getattr(span, "events", ())]


def _fields(event: Any) -> Iterable[Tag]:
    attributes = dict(event.attributes or {})
    if event.name != "exception":
        if "event" not in attributes and event.name != "log":
            yield make_tag("event", event.name)
    else:
        recorded = attributes.pop("exception.escaped", None)  # else it was told, field by field
        yield make_tag("event", "error")
        if recorded is not None:
            yield make_tag("error.object", attributes.get("exception.message", ""))
        attributes = {_FIELDS.get(key, key): value for key, value in attributes.items() if key != "event"}
    for key, value in attributes.items():
        yield make_tag(str(key), value)


def references_of(span: Any) -> list[opentracing.Reference] | None:
    """The links of an OpenTelemetry span, as references."""
    return [
        opentracing.Reference(
            (link.attributes or {}).get(bridge.parent.REFERENCE_TYPE, "follows_from"),
            context_like(bridge.SpanContext(link.context)),
        )
        for link in getattr(span, "links", ())
    ] or None
