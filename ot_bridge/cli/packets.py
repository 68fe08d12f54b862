"""Spans as two clients sent them, in one form: jaeger-client's UDP packets, and OTLP requests.

The packets are Thrift's compact protocol ("Thrift Compact protocol", Apache Thrift; Jaeger's `jaeger.thrift`
and `agent.thrift`), read here as far as Jaeger uses it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ot_bridge.view.packets import LOW, batch, tags, trace_id


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


def from_packet(data: bytes) -> Iterator[Seen]:
    """The spans in one of jaeger-client's packets."""
    found = batch(data)
    for span in found[2]:
        yield Seen(
            trace_id=trace_id(span[2], span[1]),
            span_id=span[3] & LOW,
            parent_id=span[4] & LOW,
            name=span[5],
            start=span[8],
            duration=span[9],
            tags=tags(span.get(10)),
            logs=tuple((log[1], dict(tags(log[2]))) for log in span.get(11) or ()),
            references=tuple(
                ("follows_from" if each[1] else "child_of", trace_id(each[3], each[2]), each[4] & LOW)
                for each in span.get(6) or ()
            ),
            service=found[1][1],
            process=dict(tags(found[1].get(2))),
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
