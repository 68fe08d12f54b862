"""Makes `Tag` and `Log` of `thrift_gen.jaeger.ttypes`, which reporters read, from an OpenTelemetry span.

The kind, status and exceptions of an OpenTelemetry span are converted back to tags and log fields.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Final

import opentracing
from opentelemetry.trace import SpanKind, StatusCode

from ot_bridge import bridge
from ot_bridge.bridge import convert, logs
from ot_bridge.bridge.convert import TAGS
from ot_bridge.jaeger_client import thrift
from ot_bridge.jaeger_client.span_context import context_like

_Log: Final[Any] = thrift.ttypes.Log


def _tag(key: str, value: Any) -> Any:
    """A tag with this value, uncut: values were cut when they were set."""
    return thrift.make_tag(key, value, sys.maxsize, sys.maxsize)


def fitter(longest: int, longest_traceback: int) -> Callable[[Any], Any]:
    """Makes the function that converts a value as jaeger-client does: scalars stay, all else becomes text.

    longest, longest_traceback: the maximum length of a text and of a traceback, in characters.
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
    """Returns `seconds`, or None for 0, since jaeger-client treats 0 as no time."""
    return None if type(seconds) in (int, float) and not seconds else seconds


def ready(given: Any, fit: Callable[[Any], Any]) -> convert.Tags:
    """Converts the tags of a start with `fit`. `Tags`, which an interceptor has prepared, stay unchanged."""
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


def tags_of(span: Any, order: Iterable[str] = ()) -> list[Any]:
    """The tags of an OpenTelemetry span, those in `order` first."""
    pairs = dict(getattr(span, "attributes", None) or {})
    kind = getattr(span, "kind", SpanKind.INTERNAL)
    if kind is not SpanKind.INTERNAL:
        pairs["span.kind"] = kind.name.lower()
    status = getattr(span, "status", None)
    if status is not None and status.status_code in _ERRORS:
        pairs.setdefault("error", _ERRORS[status.status_code])
    first = {key: pairs[key] for key in order if key in pairs}
    return [_tag(key, value) for key, value in {**first, **pairs}.items()]


_FIELDS: Final = {attribute: field for field, attribute in logs.ERROR_FIELDS.items()}


def logs_of(span: Any) -> list[Any]:
    """The logs of an OpenTelemetry span."""
    return [_Log(event.timestamp // 1000, list(_fields(event))) for event in getattr(span, "events", ())]


def _fields(event: Any) -> Iterable[Any]:
    attributes = dict(event.attributes or {})
    if event.name != "exception":
        if "event" not in attributes and event.name != "log":
            yield _tag("event", event.name)
    else:
        recorded = attributes.pop("exception.escaped", None)  # None: the program logged the fields
        yield _tag("event", "error")
        if recorded is not None:
            yield _tag("error.object", attributes.get("exception.message", ""))
        attributes = {_FIELDS.get(key, key): value for key, value in attributes.items() if key != "event"}
    for key, value in attributes.items():
        yield _tag(str(key), value)


def references_of(span: Any) -> list[opentracing.Reference] | None:
    """The links of an OpenTelemetry span as references; None if there are none."""
    return [
        opentracing.Reference(
            (link.attributes or {}).get(bridge.parent.REFERENCE_TYPE, "follows_from"),
            context_like(bridge.SpanContext(link.context)),
        )
        for link in getattr(span, "links", ())
    ] or None
