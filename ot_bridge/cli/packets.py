"""Spans as two clients sent them, in one form: jaeger-client's UDP packets, and OTLP requests.

The packets are Thrift's compact protocol ("Thrift Compact protocol", Apache Thrift; Jaeger's `jaeger.thrift`
and `agent.thrift`), read here as far as Jaeger uses it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Seen(NamedTuple):
    """One span. Ids are integers, 0 for none; times microseconds; references are (type, trace, span)."""

    trace_id: int
    span_id: int
    parent_id: int
    name: str
    start: int
    duration: int
    tags: tuple[tuple[str, Any], ...]
    logs: tuple[tuple[int, Mapping[str, Any]], ...]
    references: tuple[tuple[str, int, int], ...]
    service: str
    process: Mapping[str, Any]


class _Compact:
    """Reads structs as dicts by field id, lists as lists."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def message(self) -> dict[int, Any]:
        """The arguments of a call."""
        self._at += 2  # protocol, version and type
        self._varint()  # sequence number
        self._binary()  # method
        return self._struct()

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def _integer(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)

    def _double(self) -> float:
        self._at += 8
        value: float = struct.unpack_from("<d", self._data, self._at - 8)[0]
        return value

    def _binary(self) -> str:
        length = self._varint()
        self._at += length
        return self._data[self._at - length : self._at].decode("utf-8", "replace")

    def _list(self) -> list[Any]:
        head = self._byte()
        size = head >> 4 if head >> 4 != 15 else self._varint()
        return [self._value(head & 15, True) for _ in range(size)]

    def _struct(self) -> dict[int, Any]:
        found: dict[int, Any] = {}
        field = 0
        while head := self._byte():
            field = field + (head >> 4) if head >> 4 else self._integer()
            found[field] = self._value(head & 15, False)
        return found

    def _value(self, kind: int, listed: bool) -> Any:
        if kind in (1, 2):
            return self._byte() == 1 if listed else kind == 1
        return _READERS[kind](self)


_READERS: Final[Mapping[int, Callable[[_Compact], Any]]] = {
    3: _Compact._byte,
    4: _Compact._integer,
    5: _Compact._integer,
    6: _Compact._integer,
    7: _Compact._double,
    8: _Compact._binary,
    9: _Compact._list,
    12: _Compact._struct,
}

_LOW: Final = (1 << 64) - 1
#: vType -> the field of a Tag that holds its value: text, double, boolean, integer, binary.
_VALUES: Final = (3, 4, 5, 6, 7)


def _tags(listed: Iterable[dict[int, Any]] | None) -> tuple[tuple[str, Any], ...]:
    return tuple((tag[1], tag.get(_VALUES[tag[2]])) for tag in listed or ())


def _id(high: int, low: int) -> int:
    return (high & _LOW) << 64 | low & _LOW


def from_packet(data: bytes) -> Iterator[Seen]:
    """The spans in one of jaeger-client's packets."""
    batch = _Compact(data).message()[1]
    for span in batch[2]:
        yield Seen(
            trace_id=_id(span[2], span[1]),
            span_id=span[3] & _LOW,
            parent_id=span[4] & _LOW,
            name=span[5],
            start=span[8],
            duration=span[9],
            tags=_tags(span.get(10)),
            logs=tuple((log[1], dict(_tags(log[2]))) for log in span.get(11) or ()),
            references=tuple(
                ("follows_from" if each[1] else "child_of", _id(each[3], each[2]), each[4] & _LOW)
                for each in span.get(6) or ()
            ),
            service=batch[1][1],
            process=dict(_tags(batch[1].get(2))),
        )


_KINDS: Final = {2: "server", 3: "client", 4: "producer", 5: "consumer"}
_ERRORS: Final = {1: False, 2: True}  # status code -> the `error` tag that it stands for
_FIELDS: Final = {
    "exception.type": "error.kind",
    "exception.message": "message",
    "exception.stacktrace": "stack",
}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    found = getattr(value, kind) if kind else None
    return [_value(each) for each in found.values] if kind == "array_value" and found else found


def _attributes(attributes: Any) -> dict[str, Any]:
    return {each.key: _value(each.value) for each in attributes}


def _fields(event: Any) -> dict[str, Any]:
    fields = _attributes(event.attributes)
    if event.name != "exception":
        return fields if event.name == "log" else {"event": event.name, **fields}
    fields.pop("exception.escaped", None)
    return {**{_FIELDS.get(name, name): value for name, value in fields.items()}, "event": "error"}


def from_otlp(body: bytes) -> Iterator[Seen]:
    """The spans in an OTLP request, in Jaeger's terms."""
    for part in ExportTraceServiceRequest.FromString(body).resource_spans:
        process = _attributes(part.resource.attributes)
        service = process.pop("service.name", "")
        for span in (span for scope in part.scope_spans for span in scope.spans):
            tags = _attributes(span.attributes)
            if span.kind in _KINDS:
                tags["span.kind"] = _KINDS[span.kind]
            if span.status.code in _ERRORS:
                tags.setdefault("error", _ERRORS[span.status.code])
            yield Seen(
                trace_id=int.from_bytes(span.trace_id, "big"),
                span_id=int.from_bytes(span.span_id, "big"),
                parent_id=int.from_bytes(span.parent_span_id, "big"),
                name=span.name,
                start=span.start_time_unix_nano // 1000,
                duration=(span.end_time_unix_nano - span.start_time_unix_nano) // 1000,
                tags=tuple(tags.items()),
                logs=tuple((event.time_unix_nano // 1000, _fields(event)) for event in span.events),
                references=tuple(
                    (
                        _attributes(link.attributes).get("opentracing.ref_type", "follows_from"),
                        int.from_bytes(link.trace_id, "big"),
                        int.from_bytes(link.span_id, "big"),
                    )
                    for link in span.links
                ),
                service=service,
                process=process,
            )
