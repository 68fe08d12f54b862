"""OTLP in JSON: the specification's mapping, requests of protobuf's own JSON writer, and malformed ones."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from ot_bridge.otlp.decode import DEEPEST, SpanRecord, decode
from ot_bridge.otlp.decode_json import decode_json, encode_json
from tests.generated import at_length, short
from tests.otlp.test_against_theirs import READABLE
from tests.otlp.test_decode import FULL

TRACE = "5b8aa5a2d2c872e8321cf37308d69df2"
SPAN: dict[str, Any] = {
    "traceId": TRACE.upper(),
    "spanId": "00000000000000AB",
    "name": "GET",
    "kind": "SPAN_KIND_SERVER",
    "startTimeUnixNano": "1700000000000000001",
    "endTimeUnixNano": 1700000000000000002,
    "status": {"code": "STATUS_CODE_ERROR", "message": "no"},
    "unknown": [1],
    "flags": 0x301,
}


def request(**fields: Any) -> str:
    """A request with one span: `SPAN` with these fields."""
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{**SPAN, **fields}]}]}], "more": 1})


def read(**fields: Any) -> SpanRecord:
    (found,) = decode_json(request(**fields))
    return found


def read_value(value: Any) -> Any:
    return read(attributes=[{"key": "k", "value": value}]).attributes["k"]


def test_ids_times_names_and_flags_are_read_as_the_specification_says() -> None:
    found = read()
    assert (found.trace_id, found.span_id, found.kind) == (TRACE, "00000000000000ab", "SERVER")
    assert (found.start, found.end) == (1700000000000000001, 1700000000000000002)
    assert (found.status, found.status_message, found.parent_is_remote) == ("ERROR", "no", True)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"stringValue": "Ü"}, "Ü"),
        ({"boolValue": False}, False),
        ({"intValue": str(2**63 - 1)}, 2**63 - 1),
        ({"intValue": -5}, -5),
        ({"doubleValue": 0.5}, 0.5),
        ({"doubleValue": "-Infinity"}, float("-inf")),
        ({"bytesValue": "AAE="}, b"\0\1"),
        ({"arrayValue": {"values": [{"boolValue": True}, {}]}}, [True, None]),
        ({"arrayValue": {}}, []),
        ({"kvlistValue": {"values": [{"key": "a", "value": {"stringValue": "b"}}]}}, {"a": "b"}),
        ({}, None),
        (None, None),
        ({"stringValue": None, "intValue": 1}, 1),
        ({"valueOfALaterVersion": 1}, None),
    ],
)
def test_each_kind_of_value_is_read(value: Any, expected: Any) -> None:
    found = read_value(value)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 0.5])
def test_a_number_that_json_has_no_word_for_is_written_as_protobuf_writes_it(value: float) -> None:
    span = read(attributes=[{"key": "k", "value": {"doubleValue": value}}])
    written = json.loads(encode_json([span]), parse_constant=lambda word: pytest.fail(word))
    (attribute,) = written["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"]
    official = MessageToDict(AnyValue(double_value=value))
    assert attribute["value"] == official
    assert str(read_value(attribute["value"])) == str(value)


@pytest.mark.parametrize(("number", "name"), [(0, "UNSPECIFIED"), (2, "SERVER"), (5, "CONSUMER"), (6, "6")])
def test_a_kind_may_be_a_number_even_of_a_later_version(number: int, name: str) -> None:
    assert read(kind=number).kind == name


@pytest.mark.parametrize(("number", "name"), [(0, "UNSET"), (1, "OK"), (2, "ERROR"), (3, "3")])
def test_a_status_may_be_a_number_even_of_a_later_version(number: int, name: str) -> None:
    assert read(status={"code": number}).status == name


@pytest.mark.parametrize(
    "empty", ["{}", '{"resourceSpans": null}', '{"resourceSpans": [{"scopeSpans": [{}]}]}']
)
def test_a_request_without_spans_is_read(empty: str) -> None:
    assert decode_json(empty) == []


MALFORMED = {
    "an id that is not hexadecimal": {"traceId": "xyz"},
    "an id that is a number": {"spanId": 1},
    "a name that is a list": {"name": ["GET"]},
    "a time that is a list": {"startTimeUnixNano": [1]},
    "a time of more than 64 bits": {"endTimeUnixNano": str(2**64)},
    "a time that is infinite": {"endTimeUnixNano": float("inf")},
    "a time in words": {"endTimeUnixNano": "noon"},
    "attributes that are an object": {"attributes": {"k": "v"}},
    "an event that is a text": {"events": ["e"]},
    "a status that is a number": {"status": 2},
    "a bool that is a text": {"attributes": [{"key": "k", "value": {"boolValue": "false"}}]},
    "a double that is a list": {"attributes": [{"key": "k", "value": {"doubleValue": []}}]},
    "bytes that are not base64": {"attributes": [{"key": "k", "value": {"bytesValue": "A"}}]},
}


@pytest.mark.parametrize("fields", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_span_is_left_out_alone_or_raises_valueerror(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (the text differs)
        decode_json(request(**fields))
    spans = [{**SPAN, **fields}, SPAN]
    unread: list[str] = []
    (found,) = decode_json(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}), unread)
    assert (found, len(unread)) == (read(), 1)


@pytest.mark.parametrize(
    "body",
    ["", "[]", "{", '"text"', '{"resourceSpans": 1}', '{"resourceSpans": [1]}', "[" * 100_000, b"\xff"],
)
def test_a_malformed_request_raises_valueerror(body: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (the text differs)
        decode_json(body)


@pytest.mark.parametrize("levels", [DEEPEST, DEEPEST + 1])
def test_values_nested_too_deeply_raise_valueerror(levels: int) -> None:
    value: Any = {"intValue": 7}
    for _ in range(levels):
        value = {"arrayValue": {"values": [value]}}
    if levels <= DEEPEST:
        assert "7" in str(read_value(value))
    else:
        with pytest.raises(ValueError, match=f"deeper than {DEEPEST}"):
            read_value(value)


def _with_ids_in_hexadecimal(value: Any) -> Any:
    """OTLP's one difference from protobuf's JSON: ids are hexadecimal, not base64."""
    if isinstance(value, list):
        return [_with_ids_in_hexadecimal(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64decode(each).hex()
        if key in ("traceId", "spanId", "parentSpanId") and isinstance(each, str)
        else _with_ids_in_hexadecimal(each)
        for key, each in value.items()
    }


@short
@given(st.lists(READABLE, max_size=4, unique_by=lambda span: span.context.span_id))
def test_protobufs_own_json_is_read_as_its_bytes_are(spans: list[Any]) -> None:
    message = encode_spans(spans)
    found = decode_json(json.dumps(_with_ids_in_hexadecimal(MessageToDict(message))))
    assert repr(found) == repr(decode(message.SerializeToString()))


test_protobufs_own_json_is_read_as_its_bytes_are_at_length = at_length(
    test_protobufs_own_json_is_read_as_its_bytes_are
)


@short
@given(st.lists(READABLE, max_size=4, unique_by=lambda span: span.context.span_id))
def test_what_is_written_in_json_is_read_back_unchanged(spans: list[Any]) -> None:
    records = decode(encode_spans([*spans, FULL]).SerializeToString())
    assert sorted(map(repr, decode_json(encode_json(records)))) == sorted(map(repr, records))
