"""Reads jaeger-client's packets: the part of Thrift's compact protocol that Jaeger uses.

Sources: "Thrift Compact protocol" (Apache Thrift), and Jaeger's `jaeger.thrift` and `agent.thrift`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from ot_bridge.otlp.decode import BLANK, KINDS, EventRecord, LinkRecord, SpanRecord

_LONGEST: Final = 63  # bits before the last byte of a number


class Compact:
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
            if shift > _LONGEST:
                raise ValueError("a number without an end")

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


_READERS: Final[Mapping[int, Callable[[Compact], Any]]] = {
    3: Compact._byte,
    4: Compact._integer,
    5: Compact._integer,
    6: Compact._integer,
    7: Compact._double,
    8: Compact._binary,
    9: Compact._list,
    12: Compact._struct,
}

_LOW: Final = (1 << 64) - 1
#: vType -> the field of a Tag that holds its value: text, double, boolean, integer, binary.
_VALUES: Final = (3, 4, 5, 6, 7)


def records(packet: bytes) -> list[SpanRecord]:
    """The spans of a packet, which is a Batch (1: the process, 2: the spans).

    Raises ValueError for other bytes.
    """
    try:
        batch = Compact(packet).message()[1]
        process = batch[1]
        resource = {**_tags(process.get(2)), "service.name": process[1]}
        return [_record(span, resource) for span in batch[2]]
    except (IndexError, KeyError, TypeError, AttributeError, struct.error, RecursionError) as error:
        raise ValueError(f"not a packet of jaeger-client: {error!r}") from error


def _tags(listed: Iterable[dict[int, Any]] | None) -> dict[str, Any]:
    return {tag[1]: tag.get(_VALUES[tag[2]]) for tag in listed or ()}


def _trace_id(high: int, low: int) -> str:
    return f"{(high & _LOW) << 64 | low & _LOW:032x}"


def _id(number: int) -> str:
    return f"{number & _LOW:016x}"


def _record(span: Mapping[int, Any], resource: dict[str, Any]) -> SpanRecord:
    attributes = _tags(span.get(10))
    kind = str(attributes.get("span.kind")).upper()
    parent = span.get(4, 0)
    start = int(span[8]) * 1000
    return BLANK._replace(
        trace_id=_trace_id(span[2], span[1]),
        span_id=_id(span[3]),
        parent_id=_id(parent) if parent else "",
        name=str(span[5]),
        kind=kind if kind in KINDS else "INTERNAL",
        start=start,
        end=start + int(span[9]) * 1000,
        status="ERROR" if attributes.get("error") in (True, "true") else "UNSET",
        attributes=attributes,
        events=tuple(map(_event, span.get(11) or ())),
        links=tuple(_links(span.get(6) or (), parent)),
        resource=resource,
    )


def _event(log: Mapping[int, Any]) -> EventRecord:
    fields = _tags(log[2])
    return EventRecord(str(fields.pop("event", "log")), int(log[1]) * 1000, fields, 0)


def _links(references: Iterable[Mapping[int, Any]], parent: int) -> Iterator[LinkRecord]:
    """The references as links, without `child_of` the parent, which is the span's parent id."""
    for each in references:
        kind = "follows_from" if each.get(1) else "child_of"
        if kind != "child_of" or each[4] != parent:
            ids = _trace_id(each[3], each[2]), _id(each[4])
            yield LinkRecord(*ids, "", {"opentracing.ref_type": kind}, 0, 0)
