"""Decodes an `ExportTraceServiceRequest` into records, for the viewer and the command line.

Unknown fields are ignored. Bytes that end too early, are not protobuf or nest deeper than `DEEPEST` raise
ValueError. Nothing else is raised, whatever the bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from ot_bridge.otlp.wire import BYTES, FIXED32, FIXED64, VARINT, every, fields, one, read, signed, tag, text

DEEPEST: Final = 64  # levels of lists and maps

KINDS: Final = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
STATUSES: Final = ("UNSET", "OK", "ERROR")
_HAS_IS_REMOTE: Final = 0x100
_IS_REMOTE: Final = 0x200

Attributes: TypeAlias = dict[str, Any]


class EventRecord(NamedTuple):
    """time: nanoseconds since the epoch."""

    name: str
    time: int
    attributes: Attributes
    dropped_attributes: int


class LinkRecord(NamedTuple):
    """Ids in hexadecimal; flags: the low 8 bits are W3C's trace flags."""

    trace_id: str
    span_id: str
    trace_state: str
    attributes: Attributes
    dropped_attributes: int
    flags: int


class SpanRecord(NamedTuple):
    """A span as it was received. The records of one request share their resources.

    Ids in hexadecimal; parent_id "" for a root; parent_is_remote: None if the sender did not say; kind: a
    name in `KINDS`; status: a name in `STATUSES`; start, end: nanoseconds since the epoch. Attributes are
    str, bool, int, float, bytes, None, lists and dicts of these.
    """

    trace_id: str
    span_id: str
    parent_id: str
    parent_is_remote: bool | None
    trace_state: str
    name: str
    kind: str
    start: int
    end: int
    status: str
    status_message: str
    attributes: Attributes
    events: tuple[EventRecord, ...]
    links: tuple[LinkRecord, ...]
    flags: int
    dropped_attributes: int
    dropped_events: int
    dropped_links: int
    resource: Attributes
    scope_name: str
    scope_version: str

    @property
    def service(self) -> str:
        """The resource's `service.name`."""
        return str(self.resource.get("service.name", ""))


#: An empty span. Code that makes records from other sources than OTLP replaces its fields.
BLANK: Final = SpanRecord(
    "", "", "", None, "", "", KINDS[0], 0, 0, STATUSES[0], "", {}, (), (), 0, 0, 0, 0, {}, "", ""
)


def decode(body: bytes, unread: list[str] | None = None) -> list[SpanRecord]:
    """The spans of a request, in its order. Raises ValueError if `body` is not such a request.

    unread: if it is given, a span that cannot be read is left out, and the reason is appended to this list.
    """
    try:
        return [
            span
            for each, resource_spans in fields(body)
            if each == _RESOURCE_SPANS
            for span in _resource_spans(resource_spans, unread)
        ]
    except RecursionError as error:
        raise ValueError("values nest deeper than this program can follow") from error


def _hex(content: memoryview) -> str:
    return content.hex()


def _double(bits: int) -> float:
    return float(struct.unpack("<d", bits.to_bytes(8, "little"))[0])


def _named(names: tuple[str, ...]) -> Callable[[int], str]:
    return lambda number: names[number] if number < len(names) else str(signed(number))


def _array(content: memoryview, depth: int) -> list[Any]:
    return [_value(item, depth) for each, item in fields(content) if each == _ITEM]


def _pairs(contents: Iterable[memoryview], depth: int = 0) -> Attributes:
    made = {}
    for content in contents:
        key, value = "", None
        for each, found in fields(content):
            if each == _ITEM:
                key = text(found)
            elif each == _VALUE:
                value = _value(found, depth)
        made[key] = value
    return made


def _map(content: memoryview, depth: int) -> Attributes:
    return _pairs((item for each, item in fields(content) if each == _ITEM), depth)


def _value(content: memoryview, depth: int = 0) -> Any:
    """The value in an `AnyValue`; None if it is empty."""
    if depth > DEEPEST:
        raise ValueError(f"values nest deeper than {DEEPEST}")
    value = None
    for each, found in fields(content):
        if each in _SCALARS:
            value = _SCALARS[each](found)
        elif each in _NESTED:
            value = _NESTED[each](found, depth + 1)
    return value


_RESOURCE_SPANS: Final = tag(1, BYTES)
_ITEM: Final = tag(1, BYTES)  # of lists and maps; the key of a pair
_VALUE: Final = tag(2, BYTES)
_SCALARS: Final[Mapping[int, Callable[[Any], Any]]] = {
    tag(1, BYTES): text,
    tag(2, VARINT): bool,
    tag(3, VARINT): signed,
    tag(4, FIXED64): _double,
    tag(7, BYTES): bytes,
}
_NESTED: Final[Mapping[int, Callable[[Any, int], Any]]] = {tag(5, BYTES): _array, tag(6, BYTES): _map}


def _same(value: Any) -> Any:
    return value


_RESOURCE: Final = dict([every("attributes", 1, _same)])
_SCOPE: Final = dict([one("name", 1, BYTES, text), one("version", 2, BYTES, text)])
_RESOURCE_SPANS_FIELDS: Final = dict([every("resource", 1, bytes), every("scopes", 2, _same)])
_SCOPE_SPANS: Final = dict([every("scope", 1, bytes), every("spans", 2, _same)])
_STATUS: Final = dict([one("message", 2, BYTES, text), one("code", 3, VARINT, _named(STATUSES))])
_EVENT: Final = dict(
    [
        one("time", 1, FIXED64, int),
        one("name", 2, BYTES, text),
        every("attributes", 3, _same),
        one("dropped_attributes", 4, VARINT, int),
    ]
)
_LINK: Final = dict(
    [
        one("trace_id", 1, BYTES, _hex),
        one("span_id", 2, BYTES, _hex),
        one("trace_state", 3, BYTES, text),
        every("attributes", 4, _same),
        one("dropped_attributes", 5, VARINT, int),
        one("flags", 6, FIXED32, int),
    ]
)


def _event(content: memoryview) -> EventRecord:
    found = read(content, _EVENT)
    attributes = _pairs(found.get("attributes", ()))
    return EventRecord(
        found.get("name", ""), found.get("time", 0), attributes, found.get("dropped_attributes", 0)
    )


def _link(content: memoryview) -> LinkRecord:
    found: dict[str, Any] = {"trace_id": "", "span_id": "", "trace_state": "", "flags": 0}
    found |= {"dropped_attributes": 0, **read(content, _LINK)}
    found["attributes"] = _pairs(found.get("attributes", ()))
    return LinkRecord(**found)


_SPAN: Final = dict(
    [
        one("trace_id", 1, BYTES, _hex),
        one("span_id", 2, BYTES, _hex),
        one("trace_state", 3, BYTES, text),
        one("parent_id", 4, BYTES, _hex),
        one("name", 5, BYTES, text),
        one("kind", 6, VARINT, _named(KINDS)),
        one("start", 7, FIXED64, int),
        one("end", 8, FIXED64, int),
        every("attributes", 9, _same),
        one("dropped_attributes", 10, VARINT, int),
        every("events", 11, _event),
        one("dropped_events", 12, VARINT, int),
        every("links", 13, _link),
        one("dropped_links", 14, VARINT, int),
        every("status", 15, bytes),
        one("flags", 16, FIXED32, int),
    ]
)
_NOTHING: Final = {
    **dict.fromkeys(("trace_id", "span_id", "trace_state", "parent_id", "name"), ""),
    **dict.fromkeys(("start", "end", "flags", "dropped_attributes", "dropped_events", "dropped_links"), 0),
    "kind": KINDS[0],
}


def _span(content: memoryview, shared: Mapping[str, Any]) -> SpanRecord:
    found = {**_NOTHING, **read(content, _SPAN)}
    status = read(b"".join(found.get("status", ())), _STATUS)  # the parts of a message are concatenated
    flags = found["flags"]
    return SpanRecord(
        **{
            **found,
            **shared,
            "attributes": _pairs(found.get("attributes", ())),
            "events": tuple(found.get("events", ())),
            "links": tuple(found.get("links", ())),
            "status": status.get("code", STATUSES[0]),
            "status_message": status.get("message", ""),
            "parent_is_remote": remote_by(flags),
        }
    )


def remote_by(flags: int) -> bool | None:
    """Whether a span's flags mark its parent as remote; None if they do not say."""
    return bool(flags & _IS_REMOTE) if flags & _HAS_IS_REMOTE else None


def _resource_spans(content: memoryview, unread: list[str] | None) -> list[SpanRecord]:
    found = read(content, _RESOURCE_SPANS_FIELDS)
    resource = read(b"".join(found.get("resource", ())), _RESOURCE)
    attributes = _pairs(resource.get("attributes", ()))
    spans: list[SpanRecord] = []
    for scope_spans in found.get("scopes", ()):
        inner = read(scope_spans, _SCOPE_SPANS)
        scope = read(b"".join(inner.get("scope", ())), _SCOPE)
        shared = {
            "resource": attributes,
            "scope_name": scope.get("name", ""),
            "scope_version": scope.get("version", ""),
        }
        spans += each_readable(inner.get("spans", ()), lambda span: _span(span, shared), unread)  # noqa: B023
    return spans


_Raw = TypeVar("_Raw")


def each_readable(
    spans: Iterable[_Raw], decoded: Callable[[_Raw], SpanRecord], unread: list[str] | None
) -> Iterator[SpanRecord]:
    """Decodes each span. With a list `unread`, it leaves out a span that raises ValueError (see `decode`)."""
    for span in spans:
        try:
            yield decoded(span)
        except ValueError as error:
            if unread is None:
                raise
            unread.append(str(error))
