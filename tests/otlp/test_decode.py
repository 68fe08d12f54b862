"""Decoding OTLP requests, of ot_bridge's and of OpenTelemetry's encoder; truncated and hostile bytes."""

from __future__ import annotations

import inspect
import json
import random
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from ot_bridge.otlp.decode import BLANK, DEEPEST, EventRecord, LinkRecord, SpanRecord, decode
from ot_bridge.otlp.decode_json import decode_json
from ot_bridge.otlp.encode import encode
from ot_bridge.otlp.varint import sized
from tests.generated import at_length, short
from tests.otlp.sides import CONTEXT, on_engine, on_sdk, readable
from tests.otlp.test_against_theirs import READABLE

REMOTE = SpanContext(CONTEXT.trace_id, 2, True, TraceFlags(1), TraceState([("a", "1"), ("b", "2")]))
ATTRIBUTES = {
    "text": "Ü",
    "empty": "",
    "yes": True,
    "no": False,
    "n": -7,
    "zero": 0,
    "x": -0.5,
    "bytes": b"\0",
    "none": None,
    "list": ["a", 1, None, ["b"]],
    "map": {"k": {"l": 1}, "m": []},
}
FULL = readable(
    name="GET /",
    parent=REMOTE,
    kind=SpanKind.SERVER,
    start_time=10,
    end_time=20,
    attributes=ATTRIBUTES,
    events=[Event("e", {"k": 1}, 15), Event("f", None, 16)],
    links=[Link(REMOTE, {"l": "m"})],
    status=Status(StatusCode.ERROR, "broken"),
    resource=Resource({"service.name": "shop", "pid": 7}),
)


def test_a_record_holds_all_of_a_span() -> None:
    (record,) = decode(encode([FULL]).body)
    trace_id = "0102030405060708090a0b0c0d0e0f10"
    assert record == SpanRecord(
        trace_id=trace_id,
        span_id="1112131415161718",
        parent_id="0000000000000002",
        parent_is_remote=True,
        trace_state="",
        name="GET /",
        kind="SERVER",
        start=10,
        end=20,
        status="ERROR",
        status_message="broken",
        attributes=ATTRIBUTES,
        events=(EventRecord("e", 15, {"k": 1}, 0), EventRecord("f", 16, {}, 0)),
        links=(LinkRecord(trace_id, "0000000000000002", "a=1,b=2", {"l": "m"}, 0, 0x301),),
        flags=0x301,
        dropped_attributes=0,
        dropped_events=0,
        dropped_links=0,
        resource={"service.name": "shop", "pid": 7},
        scope_name="tests",
        scope_version="1.0",
    )
    assert record.service == "shop"
    assert [type(value) for value in record.attributes.values()] == list(map(type, ATTRIBUTES.values()))


@pytest.mark.parametrize(
    ("flags", "is_remote"),
    [
        (0, None),
        (1, None),
        (3, None),
        (0x200, None),
        (0x100, False),
        (0x101, False),
        (0x300, True),
        (0x303, True),
    ],
)
def test_the_flags_say_whether_the_parent_is_remote_if_that_is_known(
    flags: int, is_remote: bool | None
) -> None:
    of_json = f'{{"resourceSpans": [{{"scopeSpans": [{{"spans": [{{"flags": {flags}}}]}}]}}]}}'
    of_bytes = b"\x85\x01" + flags.to_bytes(4, "little")
    for part in (b"\x12", b"\x12", b"\x0a"):
        of_bytes = part + bytes((len(of_bytes),)) + of_bytes
    (read,), (also,) = decode(of_bytes), decode_json(of_json)
    assert read == also == BLANK._replace(flags=flags, parent_is_remote=is_remote)


def test_an_empty_span_is_a_record_of_nothing() -> None:
    (record,) = decode(b"\x0a\x04\x12\x02\x12\x00")
    assert (record.trace_id, record.parent_id, record.name, record.kind) == ("", "", "", "UNSPECIFIED")
    assert (record.status, record.parent_is_remote, record.service, record.start) == ("UNSET", None, "", 0)
    assert (record.attributes, record.events, record.links, record.resource) == ({}, (), (), {})
    assert record == BLANK
    assert decode_json('{"resourceSpans": [{"scopeSpans": [{"spans": [{}]}]}]}') == [BLANK]


def test_empty_events_links_and_values_are_records_of_nothing() -> None:
    span = b"\x5a\x00\x6a\x00\x7a\x00\x4a\x00\x4a\x05\x0a\x01k\x12\x00"
    (record,) = decode(b"\x0a" + sized(b"\x0a\x00\x12" + sized(b"\x0a\x00\x12" + sized(span))))
    assert record == BLANK._replace(
        attributes={"": None, "k": None},
        events=(EventRecord("", 0, {}, 0),),
        links=(LinkRecord("", "", "", {}, 0, 0),),
    )
    empty: Any = {"events": [{}], "links": [{}], "status": {}, "attributes": [{}, {"key": "k", "value": {}}]}
    part = {"resource": {}, "scopeSpans": [{"scope": {}, "spans": [empty]}]}
    assert decode_json(json.dumps({"resourceSpans": [part]})) == [record]


@pytest.mark.parametrize(
    ("kind", "kind_name", "status", "status_name"),
    [(5, "CONSUMER", 2, "ERROR"), (6, "6", 3, "3"), (99, "99", 9, "9")],
)
def test_a_kind_or_status_of_later_versions_is_its_number(
    kind: int, kind_name: str, status: int, status_name: str
) -> None:
    (record,) = decode(b"\x0a\x0a\x12\x08\x12\x06\x30%c\x7a\x02\x18%c" % (kind, status))
    assert (record.kind, record.status) == (kind_name, status_name)


def test_an_empty_body_has_no_spans() -> None:
    assert decode(b"") == []


@pytest.mark.parametrize("make", [on_engine, on_sdk])
def test_items_dropped_by_the_limits_are_counted(make: Any) -> None:
    side = make(span_limits=sdk.SpanLimits(max_attributes=1, max_events=1, max_links=1))
    span = side.tracer.start_span("made", links=[Link(CONTEXT), Link(CONTEXT, {"a": 1, "b": 2})])
    span.set_attributes({"a": 1, "b": 2})
    for _ in range(3):
        span.add_event("e", {"a": 1, "b": 2, "c": 3})
    span.end()
    (record,) = decode(encode(side.spans).body)
    assert (record.dropped_attributes, record.dropped_events, record.dropped_links) == (1, 2, 1)
    assert (record.events[0].dropped_attributes, record.links[0].dropped_attributes) == (2, 1)


@short
@given(st.lists(READABLE, max_size=4, unique_by=lambda span: span.context.span_id))
def test_requests_of_opentelemetrys_encoder_are_read(spans: list[Any]) -> None:
    records = decode(encode_spans(spans).SerializeToString())
    by_id = {span.context.span_id: span for span in spans}
    assert len(records) == len(spans)
    for record in records:
        span = by_id[int(record.span_id, 16)]
        assert (record.trace_id, record.name) == (f"{span.context.trace_id:032x}", span.name)
        assert (record.kind, record.status) == (span.kind.name, span.status.status_code.name)
        assert (record.start, record.end) == (span.start_time, span.end_time or 0)
        given = {
            key: list(value) if isinstance(value, tuple) else value for key, value in span.attributes.items()
        }
        assert repr(record.attributes) == repr(given)
        assert [event.name for event in record.events] == [event.name for event in span.events]
        assert len(record.links) == len(span.links)


test_requests_of_opentelemetrys_encoder_are_read_at_length = at_length(
    test_requests_of_opentelemetrys_encoder_are_read
)


# Hostile bytes

BODY = encode([FULL, FULL]).body


def _read(body: bytes) -> int:
    """How many spans, -1 for ValueError."""
    try:
        return len(decode(body))
    except ValueError:
        return -1


def test_a_request_that_is_cut_anywhere_raises_valueerror() -> None:
    assert [_read(BODY[:end]) for end in range(1, len(BODY))] == [-1] * (len(BODY) - 1)


def test_bytes_that_were_changed_are_read_or_raise_valueerror() -> None:
    chance = random.Random(7)
    for _ in range(500):
        changed = bytearray(BODY)
        for _ in range(chance.randint(1, 4)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        assert -1 <= _read(bytes(changed)) <= len(BODY)


@short
@given(st.binary(max_size=100))
def test_any_bytes_are_read_or_raise_valueerror(body: bytes) -> None:
    _read(body)
    _read(b"\x0a" + sized(b"\x12" + sized(b"\x12" + sized(body))))


@pytest.mark.parametrize("tag", [b"\x2a", b"\x32"], ids=["lists", "maps"])
@pytest.mark.parametrize("levels", [DEEPEST, DEEPEST + 1, 10_000])
def test_values_nested_too_deeply_raise_valueerror(tag: bytes, levels: int) -> None:
    value = b"\x18\x07"
    for _ in range(levels):
        value = b"\x0a" + sized(value) if tag == b"\x2a" else b"\x0a" + sized(b"\x0a\x00\x12" + sized(value))
        value = tag + sized(value)
    span = b"\x4a" + sized(b"\x0a\x01k\x12" + sized(value))
    body = b"\x0a" + sized(b"\x12" + sized(b"\x12" + sized(span)))
    assert _read(body) == (1 if levels <= DEEPEST else -1)


def test_the_deepest_value_that_is_written_can_be_read() -> None:
    value: Any = "deep"
    for _ in range(200):
        value = {"k": value}
    (record,) = decode(encode([readable(attributes={"k": value})]).body)
    assert "deep" in str(record.attributes)


def test_a_program_near_its_own_recursion_limit_gets_a_valueerror_too() -> None:
    value: Any = "deep"
    for _ in range(25):
        value = [value]
    body = encode([readable(attributes={"k": value})]).body

    def deep(levels: int) -> int:
        return deep(levels - 1) if levels else _read(body)

    room = sys.getrecursionlimit() - len(inspect.stack())
    assert {deep(room - left) for left in (40, 60, 80)} <= {-1, 1}


def test_our_requests_are_decoded_the_same_after_protobuf_has_rewritten_them() -> None:
    request = ExportTraceServiceRequest.FromString(BODY)
    assert decode(request.SerializeToString()) == decode(BODY)
