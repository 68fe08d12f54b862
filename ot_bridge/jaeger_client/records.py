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
from ot_bridge.bridge.span import TAGS
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


def fit(value: Any, max_length: int, max_traceback_length: int) -> Any:
    """A tag's value as jaeger-client would send it: a scalar, text for all else, cut to its length."""
    kind = type(value)
    if kind is int or kind is bool or kind is float:
        return value
    if kind is str:
        return value if len(value) <= max_length else value[:max_length]
    return _text_or_scalar(value, max_length, max_traceback_length)


def exportable(key: object, value: object) -> bool:
    """Whether a tag can be exported as it is. Most can; for the others there is `convert`."""
    if type(key) is not str or not key or not key.isascii():
        return False
    kind = type(value)
    if kind is str:
        return value.isascii()  # type: ignore[attr-defined, no-any-return]
    return kind is bool or kind is float or (kind is int and -_HALF <= value < _HALF)  # type: ignore[operator]


_HALF: Final = 1 << 63


def _text_or_scalar(value: Any, max_length: int, max_traceback_length: int) -> Any:
    for kind, plain in _SCALARS:
        if issubclass(type(value), kind):
            return plain(value)
    if type(value) is TracebackType:
        return str(convert.attribute(value))[:max_traceback_length]
    return convert.text(value)[:max_length]


def moment(seconds: Any) -> Any:
    """A time as it was given; None for 0, which jaeger-client reads as not given."""
    return None if type(seconds) in (int, float) and not seconds else seconds


def ready(given: Any, fit: Callable[[Any], Any]) -> convert.Tags:
    """The tags that a span starts with; those of interceptors, made ready once, are as they are."""
    if type(given) is convert.Tags:
        return given
    pairs = convert.named_fields(given) or {}
    kind = SpanKind.INTERNAL
    plain: dict[str, Any] = {}
    special: dict[Any, Any] = {}
    for key, value in pairs.items():
        value = fit(value)
        if key == "span.kind" and (named := convert.kind_of(value)) is not None:
            kind = named
        elif key not in TAGS and exportable(key, value):
            plain[key] = value
        else:
            special[key] = value
    if not special:
        return convert.Tags(plain, kind)
    rest = convert.tags(special)
    return rest._replace(attributes={**plain, **rest.attributes}, kind=kind)


# Of subclasses, as enumerations have them.
_SCALARS: Final[tuple[tuple[type, Callable[[Any], Any]], ...]] = ((int, int.__pos__), (float, float.__pos__))


_ERRORS: Final[Mapping[StatusCode, bool]] = {StatusCode.ERROR: True, StatusCode.OK: False}


def tags_of(span: Any) -> list[Tag]:
    """The tags of an OpenTelemetry span."""
    pairs = dict(getattr(span, "attributes", None) or {})
    kind = getattr(span, "kind", SpanKind.INTERNAL)
    if kind is not SpanKind.INTERNAL:
        pairs["span.kind"] = kind.name.lower()
    status = getattr(span, "status", None)
    if status is not None and status.status_code in _ERRORS:
        pairs.setdefault("error", _ERRORS[status.status_code])
    return [make_tag(key, value) for key, value in pairs.items()]


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
