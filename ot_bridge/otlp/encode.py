"""Encodes spans as an `ExportTraceServiceRequest` (opentelemetry-proto, collector/trace/v1 and trace/v1).

1. A span is read in one of two ways. A span with a method `for_export` (see `Offer`) returns the values as
   the program set them. Any other span, and one whose `for_export` returns None, is read through the
   properties of the SDK's `ReadableSpan`, for which the SDK has cleaned and cut everything. Both ways give
   the same bytes (tests/otlp/test_two_readings.py); the first takes a tenth of the time (benchmark row
   "export").
2. The first way cleans nothing. Values that need cleaning (a key that is empty or not UTF-8, a value of
   another type, a text that is too long) are noticed while they are encoded. Then the span is read the second
   way.
3. Spans are grouped over the whole batch by resource and scope. Two resources or scopes that are different
   objects belong to one group if their bytes are equal.
4. If the code of a span raises, only that span is lost, not the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from struct import Struct
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import DEFAULT_TRACE_STATE, SpanKind, Status, StatusCode

from ot_bridge.otlp.values import NAMES, PLAIN, Unfit, begin, name, parts
from ot_bridge.otlp.varint import sized, text, varint

SLICE: Final = 16  # spans that are encoded without a pause
LONGEST: Final = 65_536  # maximum number of bytes of attributes, or of a name, in the first way

_ROOT: Final = Struct("<2s16s2s8sBQBQHIBB").pack
_CHILD: Final = Struct("<2s16s2s8s2s8sBQBQHIBB").pack
_TIME: Final = Struct("<BQ").pack
_FLAGS: Final = Struct("<BI").pack
_32_BITS: Final = (1 << 32) - 1
_64_BITS: Final = (1 << 64) - 1
_KNOWN: Final = 0x100  # "whether the parent is remote is known"
_REMOTE: Final = 0x200
_UNSET: Final = StatusCode.UNSET
_OK: Final = b"\x7a\x02\x18\x01"

Ids: TypeAlias = tuple[int, int, bool, int, Any, bool]  # as in a SpanContext
Log: TypeAlias = tuple[str, dict[str, Any] | None, int]
Offered: TypeAlias = tuple[
    Ids, Ids | None, str, SpanKind, int, int, Status, Mapping[str, Any], Sequence[Log], Any, Any
]


class Offer(Protocol):
    """A span that can be read without the SDK's objects."""

    def for_export(self) -> Offered | None:
        """The values of an ended span, or None if it has to be read through its properties.

        (ids, the parent's ids or None, name, kind, start and end in nanoseconds, status, attributes, events,
        resource, scope). An event is (name, attributes or None, nanoseconds). A span from which anything was
        dropped, or which has links, returns None. Each key occurs once, in the SDK's order. Keys, values and
        names may need cleaning. None of the values changes afterwards.
        """
        ...


class Encoded(NamedTuple):
    """body: one request, b"" if there is nothing to send. failed: how many spans could not be encoded."""

    body: bytes
    failed: int


def encode(spans: Sequence[ReadableSpan], between: Callable[[], object] | None = None) -> Encoded:
    """The request for ended spans, of any tracer provider.

    between: a function that is called after every 16 spans except the last, to let other threads run.
    """
    begin()
    batch = _Batch()
    failed = 0
    for start in range(0, len(spans), SLICE):
        if start and between is not None:
            between()
        failed += batch.take(spans[start : start + SLICE])
    return Encoded(batch.body(), failed)


class _Batch:
    """Encoded spans by resource and scope, in the order of first appearance."""

    def __init__(self) -> None:
        self._resources: dict[bytes, tuple[bytes, dict[bytes, list[bytes]]]] = {}
        self._seen: dict[tuple[int, int], tuple[list[bytes], Any, Any]] = {}  # by the ids of the kept objects

    def take(self, spans: Sequence[ReadableSpan]) -> int:
        """Adds spans. Returns the number of those that could not be encoded."""
        failed = 0
        last: Any = self  # no resource
        last_scope: Any = None
        group: list[bytes] = []
        for span in spans:
            try:
                encoded, resource, scope = as_offered(span) or _as_read(span)
                if resource is not last or scope is not last_scope:
                    group = self._group(resource, scope)
                    last, last_scope = resource, scope
                group.append(b"\x12" + varint(len(encoded)))
                group.append(encoded)
            except Exception:
                failed += 1
        return failed

    def _group(self, resource: Any, scope: Any) -> list[bytes]:
        seen = self._seen.get((id(resource), id(scope)))
        if seen is not None:
            return seen[0]
        key, head = _resource(resource)
        _, scopes = self._resources.setdefault(key, (head, {}))
        group = scopes.setdefault(_scope(scope), [])
        self._seen[id(resource), id(scope)] = group, resource, scope
        return group

    def body(self) -> bytes:
        resources = []
        for head, scopes in self._resources.values():
            groups = [b"\x12" + sized(b"".join((scope, *spans))) for scope, spans in scopes.items() if spans]
            if groups:
                resources.append(b"\x0a" + sized(b"".join((head, *groups))))
        return b"".join(resources)


def _tagged(tag: bytes, attributes: Sequence[bytes], dropped_tag: bytes, dropped: int) -> bytes:
    """The fields for attributes and for the number of dropped attributes."""
    encoded = tag + tag.join(attributes) if attributes else b""
    return encoded + _count(dropped_tag, dropped)


def _count(tag: bytes, dropped: int) -> bytes:
    return tag + varint(min(dropped, _32_BITS)) if dropped > 0 else b""


def _schema(resource_or_scope: Any) -> bytes:
    url = resource_or_scope.schema_url
    return b"\x1a" + name(url) if url else b""


def _resource(resource: Any) -> tuple[bytes, bytes]:
    """The key of a resource, and the fields of its `ResourceSpans` without the spans."""
    attributes, lost = parts(resource.attributes)
    lost += getattr(resource.attributes, "dropped", 0)
    schema = _schema(resource)
    head = b"\x0a" + sized(_tagged(b"\x0a", attributes, b"\x10", lost)) + schema
    return b"\x0a".join((*sorted(attributes), schema, varint(lost))), head


def _scope(scope: Any) -> bytes:
    """The fields of a `ScopeSpans` without the spans."""
    if scope is None:
        return b"\x0a\x00"
    message = b"\x0a" + name(scope.name)
    if scope.version:
        message += b"\x12" + name(scope.version)
    given = getattr(scope, "attributes", None)
    attributes, lost = parts(given)
    message += _tagged(b"\x1a", attributes, b"\x20", lost + getattr(given, "dropped", 0))
    return b"\x0a" + sized(message) + _schema(scope)


def _head(ids: Any, parent: Any, kind: Any, start: Any, end: Any) -> bytes:
    """The fields of fixed length: ids, times, flags, kind. Raises if a value is not of its type."""
    if not ids[5]:
        raise ValueError("the ids are zeros")
    flags = ids[3] & 0xFF | _KNOWN
    trace_id = ids[0].to_bytes(16, "big")
    span_id = ids[1].to_bytes(8, "big")
    number = kind._value_ + 1
    if parent is None:
        return _ROOT(
            b"\x0a\x10", trace_id, b"\x12\x08", span_id, 0x39, start, 0x41, end, 0x185, flags, 0x30, number
        )
    if parent[2]:
        flags |= _REMOTE
    above = parent[1].to_bytes(8, "big")
    ids_fields = b"\x0a\x10", trace_id, b"\x12\x08", span_id, b"\x22\x08", above
    return _CHILD(*ids_fields, 0x39, start, 0x41, end, 0x185, flags, 0x30, number)


def _state(state: Any) -> bytes:
    """The field `trace_state`, the text of the header. It has the same number in spans and in links."""
    pairs = ",".join([f"{key}={value}" for key, value in state.items()]) if state else ""
    return b"\x1a" + text(pairs) if pairs else b""


def _status(status: Status) -> bytes:
    code = status.status_code
    if code is _UNSET:
        return b""
    if code is StatusCode.OK:
        return _OK
    message = b"\x12" + name(status.description) if status.description else b""
    return b"\x7a" + sized(message + b"\x18\x02")


# The first way


def as_offered(span: Any) -> tuple[bytes, Any, Any] | None:
    """Encodes a span in the first way. Returns it with resource and scope; None if that is not possible."""
    offers = getattr(span, "for_export", None)
    if offers is None:
        return None
    try:
        offered = offers()
        if offered is None:
            return None
        ids, parent, title, kind, start, end, status, attributes, events, resource, scope = offered
        pieces = [_head(ids, parent, kind, start, end), b"*", _short(title)]
        if ids[4] is not DEFAULT_TRACE_STATE:
            pieces.append(_state(ids[4]))
        if attributes:
            pieces += b"J", _plain(b"J", attributes)
        for title, attributes, moment in events:
            message = _TIME(0x09, moment) + b"\x12" + _short(title)
            if attributes:
                message += b"\x1a" + _plain(b"\x1a", attributes)
            pieces += b"Z", varint(len(message)), message
        if status.status_code is not _UNSET:
            pieces.append(_status(status))
        return b"".join(pieces), resource, scope
    except Exception:  # a value needs cleaning: see 2 in the docstring of this module
        return None


def _short(title: str) -> bytes:
    encoded = NAMES[title] if type(title) is str else b""
    if 0 < len(encoded) <= LONGEST:
        return encoded
    raise Unfit(title)


def _plain(tag: bytes, attributes: Mapping[str, Any]) -> bytes:
    """Attributes as they were given, joined by `tag`. Raises `Unfit` if they need cleaning."""
    known = [PLAIN[type(value)][key][value] for key, value in attributes.items() if type(key) is str]
    encoded = tag.join(known)
    if len(known) != len(attributes) or len(encoded) > LONGEST:
        raise Unfit(attributes)
    return encoded


# The second way


def _as_read(span: ReadableSpan) -> tuple[bytes, Any, Any]:
    """Encodes a span in the second way. Returns it with its resource and scope."""
    context: Any = span.get_span_context()
    above = span.parent
    parent = above if above is not None and above.span_id else None
    head = _head(
        _ids(context), parent and _ids(parent), span.kind, _time(span.start_time), _time(span.end_time)
    )
    attributes, lost = parts(span.attributes)
    pieces = [head, b"*", name(span.name), _state(context.trace_state)]
    pieces.append(_tagged(b"J", attributes, b"P", lost + span.dropped_attributes))
    pieces += [b"Z" + sized(_event(event)) for event in span.events]
    pieces.append(_count(b"`", span.dropped_events))
    pieces += [b"j" + sized(_link(link)) for link in span.links]
    pieces.append(_count(b"p", span.dropped_links))
    pieces.append(_status(span.status))
    return b"".join(pieces), span.resource, span.instrumentation_scope


def _ids(context: Any) -> Ids:
    if isinstance(context, tuple):
        return context
    names = "trace_id", "span_id", "is_remote", "trace_flags", "trace_state", "is_valid"
    return tuple([getattr(context, name) for name in names])


def _time(moment: Any) -> int:
    """A time in nanoseconds; 0 for a value that is not a time."""
    try:
        moment = int(moment)
    except Exception:
        return 0
    return moment if 0 <= moment <= _64_BITS else 0


def _event(event: Any) -> bytes:
    attributes, lost = parts(event.attributes)
    message = _TIME(0x09, _time(event.timestamp)) + b"\x12" + name(event.name)
    return message + _tagged(b"\x1a", attributes, b"\x20", lost + event.dropped_attributes)


def _link(link: Any) -> bytes:
    ids = _ids(link.context)
    flags = ids[3] & 0xFF | _KNOWN | (_REMOTE if ids[2] else 0)
    message = b"\x0a\x10" + ids[0].to_bytes(16, "big") + b"\x12\x08" + ids[1].to_bytes(8, "big")
    attributes, lost = parts(link.attributes)
    message += _state(ids[4]) + _tagged(b"\x22", attributes, b"\x28", lost + link.dropped_attributes)
    return message + _FLAGS(0x35, flags)
