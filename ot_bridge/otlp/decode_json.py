"""OTLP in JSON (opentelemetry-proto, "JSON Protobuf Encoding"): decodes requests into records, and encodes.

What is accepted: ids in hexadecimal of either case, 64-bit numbers as numbers or strings, enums as numbers or
names, bytes in base64. Unknown fields are ignored. Any other input raises ValueError.
"""

from __future__ import annotations

import json
import math
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from ot_bridge.otlp.decode import (
    DEEPEST,
    KINDS,
    STATUSES,
    Attributes,
    EventRecord,
    LinkRecord,
    SpanRecord,
    each_readable,
    remote_by,
)


def decode_json(body: bytes | str, unread: list[str] | None = None) -> list[SpanRecord]:
    """The spans of a request, in its order. unread: as for `decode`."""
    try:
        request = json.loads(body)
    except RecursionError as error:
        raise ValueError("values nest deeper than this program can follow") from error
    spans: list[SpanRecord] = []
    for part in _objects(_object(request), "resourceSpans"):
        resource = _pairs(_objects(_object(part.get("resource")), "attributes"))
        for scope_spans in _objects(part, "scopeSpans"):
            scope = _object(scope_spans.get("scope"))
            about = resource, _text(scope.get("name")), _text(scope.get("version"))
            raw = _list(scope_spans, "spans")
            spans += each_readable(raw, lambda span: _span(_object(span), *about), unread)  # noqa: B023
    return spans


def _object(value: Any) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"an object is expected, not {type(value).__name__}")
    return value


def _list(holder: Mapping[str, Any], key: str) -> list[Any]:
    value = holder.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"{key}: a list is expected, not {type(value).__name__}")
    return value


def _objects(holder: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    return map(_object, _list(holder, key))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"a text is expected, not {type(value).__name__}")
    return value


def _integer(value: Any) -> int:
    """A number of at most 64 bits."""
    if not isinstance(value, int | str | float | None):
        raise ValueError(f"a number is expected, not {type(value).__name__}")
    try:
        number = int(value or 0)
    except OverflowError as error:
        raise ValueError(f"no integer: {value}") from error
    if not -(1 << 63) <= number < 1 << 64:
        raise ValueError("a number of more than 64 bits")
    return number


def _hex(value: Any) -> str:
    return bytes.fromhex(_text(value)).hex()


def _named(names: Sequence[str], prefix: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if isinstance(value, str) and value.startswith(prefix):
            return value.removeprefix(prefix)
        number = _integer(value)
        return names[number] if 0 <= number < len(names) else str(number)

    return read


_KIND: Final = _named(KINDS, "SPAN_KIND_")
_CODE: Final = _named(STATUSES, "STATUS_CODE_")


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"true or false is expected, not {type(value).__name__}")
    return value


def _double(value: Any) -> float:
    if not isinstance(value, int | float | str):
        raise ValueError(f"a number is expected, not {type(value).__name__}")
    return float(value)  # "NaN", "Infinity" and "-Infinity" too


def _array(value: Any, depth: int) -> list[Any]:
    return [_value(each, depth) for each in _list(_object(value), "values")]


def _map(value: Any, depth: int) -> Attributes:
    return _pairs(_objects(_object(value), "values"), depth)


_SCALARS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "stringValue": _text,
    "boolValue": _bool,
    "intValue": _integer,
    "doubleValue": _double,
    "bytesValue": lambda value: b64decode(_text(value)),
}
_NESTED: Final[Mapping[str, Callable[[Any, int], Any]]] = {"arrayValue": _array, "kvlistValue": _map}


def _value(value: Any, depth: int = 0) -> Any:
    if depth > DEEPEST:
        raise ValueError(f"values nest deeper than {DEEPEST}")
    for key, found in _object(value).items():
        if found is None:
            continue
        if (scalar := _SCALARS.get(key)) is not None:
            return scalar(found)
        if (nested := _NESTED.get(key)) is not None:
            return nested(found, depth + 1)
    return None


def _pairs(listed: Iterable[Mapping[str, Any]], depth: int = 0) -> Attributes:
    return {_text(pair.get("key")): _value(pair.get("value"), depth) for pair in listed}


def _event(event: Mapping[str, Any]) -> EventRecord:
    return EventRecord(
        _text(event.get("name")),
        _integer(event.get("timeUnixNano")),
        _pairs(_objects(event, "attributes")),
        _integer(event.get("droppedAttributesCount")),
    )


def _link(link: Mapping[str, Any]) -> LinkRecord:
    return LinkRecord(
        _hex(link.get("traceId")),
        _hex(link.get("spanId")),
        _text(link.get("traceState")),
        _pairs(_objects(link, "attributes")),
        _integer(link.get("droppedAttributesCount")),
        _integer(link.get("flags")),
    )


def _span(span: Mapping[str, Any], resource: Attributes, scope_name: str, scope_version: str) -> SpanRecord:
    status = _object(span.get("status"))
    flags = _integer(span.get("flags"))
    return SpanRecord(
        trace_id=_hex(span.get("traceId")),
        span_id=_hex(span.get("spanId")),
        parent_id=_hex(span.get("parentSpanId")),
        parent_is_remote=remote_by(flags),
        trace_state=_text(span.get("traceState")),
        name=_text(span.get("name")),
        kind=_KIND(span.get("kind")),
        start=_integer(span.get("startTimeUnixNano")),
        end=_integer(span.get("endTimeUnixNano")),
        status=_CODE(status.get("code")),
        status_message=_text(status.get("message")),
        attributes=_pairs(_objects(span, "attributes")),
        events=tuple(map(_event, _objects(span, "events"))),
        links=tuple(map(_link, _objects(span, "links"))),
        flags=flags,
        dropped_attributes=_integer(span.get("droppedAttributesCount")),
        dropped_events=_integer(span.get("droppedEventsCount")),
        dropped_links=_integer(span.get("droppedLinksCount")),
        resource=resource,
        scope_name=scope_name,
        scope_version=scope_version,
    )


# Encoding


def encode_json(spans: Iterable[SpanRecord]) -> str:
    """A request with these spans. Integers of 64 bits are strings, as the specification demands."""
    grouped: dict[str, tuple[Attributes, dict[tuple[str, str], list[Any]]]] = {}
    for span in spans:
        key = json.dumps(_out_pairs(span.resource))
        _, scopes = grouped.setdefault(key, (span.resource, {}))
        scopes.setdefault((span.scope_name, span.scope_version), []).append(_out_span(span))
    parts = [
        {
            "resource": {"attributes": _out_pairs(resource)},
            "scopeSpans": [
                {"scope": {"name": name, "version": version}, "spans": listed}
                for (name, version), listed in scopes.items()
            ],
        }
        for resource, scopes in grouped.values()
    ]
    return json.dumps({"resourceSpans": parts}, separators=(",", ":"))


def _out_pairs(attributes: Attributes) -> list[Any]:
    return [{"key": key, "value": _out(value)} for key, value in attributes.items()]


def _out_double(value: float) -> Any:
    if math.isfinite(value):
        return {"doubleValue": value}
    return {"doubleValue": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}


_OUT: Final[Mapping[type, Callable[[Any], Any]]] = {
    str: lambda value: {"stringValue": value},
    bool: lambda value: {"boolValue": value},
    int: lambda value: {"intValue": str(value)},
    float: _out_double,
    bytes: lambda value: {"bytesValue": b64encode(value).decode()},
    list: lambda value: {"arrayValue": {"values": [_out(each) for each in value]}},
    dict: lambda value: {"kvlistValue": {"values": _out_pairs(value)}},
}


def _out(value: Any) -> Any:
    return _OUT[type(value)](value) if value is not None else {}


def _out_span(span: SpanRecord) -> dict[str, Any]:
    return {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "parentSpanId": span.parent_id,
        "traceState": span.trace_state,
        "name": span.name,
        "kind": KINDS.index(span.kind) if span.kind in KINDS else int(span.kind),
        "startTimeUnixNano": str(span.start),
        "endTimeUnixNano": str(span.end),
        "attributes": _out_pairs(span.attributes),
        "droppedAttributesCount": span.dropped_attributes,
        "events": [
            {
                "timeUnixNano": str(each.time),
                "name": each.name,
                "attributes": _out_pairs(each.attributes),
                "droppedAttributesCount": each.dropped_attributes,
            }
            for each in span.events
        ],
        "droppedEventsCount": span.dropped_events,
        "links": [
            {
                "traceId": each.trace_id,
                "spanId": each.span_id,
                "traceState": each.trace_state,
                "attributes": _out_pairs(each.attributes),
                "droppedAttributesCount": each.dropped_attributes,
                "flags": each.flags,
            }
            for each in span.links
        ],
        "droppedLinksCount": span.dropped_links,
        "status": {
            "message": span.status_message,
            "code": STATUSES.index(span.status) if span.status in STATUSES else int(span.status),
        },
        "flags": span.flags,
    }
