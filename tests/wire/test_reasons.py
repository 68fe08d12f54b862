"""Why a value is refused, and where, field by field."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from ot_bridge.errors import BadHeader
from ot_bridge.wire import FORMATS
from ot_bridge.wire.remote import NOT_SAMPLED

T, S, R = "1" * 32, "2" * 16, f"Root=1-12345678-{'9' * 24}"
HEADER = {"tracecontext": "traceparent", "jaeger": "uber-trace-id", "b3": "b3", "xray": "x-amzn-trace-id"}
NOT_LOWER, NOT_HEX = (
    "has a character that is not a lower-case hex digit",
    "has a character that is not a hex digit",
)
#: The format of one header -> rows of a value, the first wrong character, and the reason.
ONE: dict[str, list[tuple[str, int, str]]] = {
    "tracecontext": [
        (f"0-{T}-{S}-01", 1, "version has fewer than 2 digits"),
        (f"000-{T}-{S}-01", 2, "version has more than 2 digits"),
        (f"0G-{T}-{S}-01", 1, f"version {NOT_LOWER}"),
        (f"0A-{T}-{S}-01", 1, f"version {NOT_LOWER}"),
        (f"00-{T[1:]}-{S}-01", 34, "trace id has fewer than 32 digits"),
        (f"00-{T}1-{S}-01", 35, "trace id has more than 32 digits"),
        (f"00-{'A' * 32}-{S}-01", 3, f"trace id {NOT_LOWER}"),
        (f"00-{'0' * 32}-{S}-01", 3, "trace id is zero"),
        (f"00-{T}-{S[1:]}-01", 51, "parent id has fewer than 16 digits"),
        (f"00-{T}-{S}2-01", 52, "parent id has more than 16 digits"),
        (f"00-{T}-{'B' * 16}-01", 36, f"parent id {NOT_LOWER}"),
        (f"00-{T}-{'0' * 16}-01", 36, "parent id is zero"),
        (f"00-{T}-{S}-1", 54, "flags has fewer than 2 digits"),
        (f"00-{T}-{S}-011", 55, "flags has more than 2 digits"),
        (f"00-{T}-{S}-0G", 54, f"flags {NOT_LOWER}"),
        (f"00-{T}-{S}-", 53, "flags is missing"),
        (f"00-{T}-{S}", 52, "ends before the flags"),
        (f"00-{T}", 35, "ends before the parent id"),
        ("00", 2, "ends before the trace id"),
        ("", 0, "version is missing"),
        (f"00-{T}-{S}-01-", 55, "goes on after its last field"),
        (f"ff-{T}-{S}-01", 0, "version ff is not allowed"),
        (f"01-{T}-{S}-01.", 55, "flags has more than 2 digits"),
        ("0" * 513, 512, "has more than 512 characters"),
    ],
    "jaeger": [
        (f"{T}1:2:0:1", 32, "trace id has more than 32 digits"),
        ("x:2:0:1", 0, f"trace id {NOT_HEX}"),
        (":2:0:1", 0, "trace id is missing"),
        ("0:2:0:1", 0, "trace id is zero"),
        (f"1:{S}2:0:1", 18, "span id has more than 16 digits"),
        ("1:x:0:1", 2, f"span id {NOT_HEX}"),
        ("1::0:1", 2, "span id is missing"),
        ("1:0:0:1", 2, "span id is zero"),
        (f"1:2:{S}2:1", 20, "parent id has more than 16 digits"),
        ("1:2:x:1", 4, f"parent id {NOT_HEX}"),
        ("1:2::1", 4, "parent id is missing"),
        ("1:2:0:001", 8, "flags has more than 2 digits"),
        ("1:2:0:x", 6, f"flags {NOT_HEX}"),
        ("1:2:0:", 6, "flags is missing"),
        ("1:2:0", 5, "ends before the flags"),
        ("1:2", 3, "ends before the parent id"),
        ("1", 1, "ends before the span id"),
        ("1:2:0:1:", 7, "goes on after its last field"),
    ],
    "b3": [
        (f"{T}1-2-1", 32, "trace id has more than 32 digits"),
        ("x-2", 0, f"trace id {NOT_HEX}"),
        ("-2", 0, "trace id is missing"),
        ("0-2", 0, "trace id is zero"),
        (f"1-{S}2", 18, "span id has more than 16 digits"),
        ("1-x", 2, f"span id {NOT_HEX}"),
        ("1-", 2, "span id is missing"),
        ("1-0", 2, "span id is zero"),
        ("1-0-1", 2, "span id is zero"),
        ("0-0-d", 0, "trace id is zero"),
        ("12-3-x", 5, "sampling state is none of 0, 1, d"),
        ("1-2-", 4, "sampling state is none of 0, 1, d"),
        ("1-2-11", 4, "sampling state is none of 0, 1, d"),
        (f"1-2-1-{S}3", 22, "parent id has more than 16 digits"),
        ("1-2-1-x", 6, f"parent id {NOT_HEX}"),
        ("1-2-1-", 6, "parent id is missing"),
        ("1-2-1-3-", 7, "goes on after its last field"),
        ("2", 1, "ends before the span id"),
        ("dd", 2, "ends before the span id"),
    ],
    "xray": [
        (R.replace("1-", "2-", 1), 5, "Root is not 1, a time and a random part, or is zero"),
        (R.replace("1-", "0-", 1), 5, "Root's version is zero"),
        (R.replace("1-", "11-", 1), 6, "Root's version has more than 1 digits"),
        (R.replace("8-", "-", 1), 14, "Root's time has fewer than 8 digits"),
        (R.replace("8-", "89-", 1), 15, "Root's time has more than 8 digits"),
        (R.replace("8-", "x-", 1), 14, f"Root's time {NOT_HEX}"),
        (R[:-1], 39, "Root's random part has fewer than 24 digits"),
        (R + "9", 40, "Root's random part has more than 24 digits"),
        (R[:15], 15, "ends before the Root's random part"),
        ("Root=", 5, "Root's version is missing"),
        (f"Root=1-00000000-{'0' * 24}", 5, "Root is not 1, a time and a random part, or is zero"),
        (f"{R}-1", 40, "goes on after its last field"),
        (f"{R};Parent={S[1:]}", 63, "Parent has fewer than 16 digits"),
        (f"{R};Parent={S}2", 64, "Parent has more than 16 digits"),
        (f"{R};Parent={'0' * 16}", 48, "Parent is zero"),
        (f"{R};Parent=x{S[1:]}", 48, f"Parent {NOT_HEX}"),
        (f"{R}; Parent = ", 51, "Parent is missing"),
        ("Self=1; Root = x", 15, f"Root's version {NOT_HEX}"),
        ("x" * 2049, 2048, "has more than 2048 characters"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "position", "reason"),
    [(name, *row) for name, rows in ONE.items() for row in rows],
    ids=[f"{name} {number}" for name, rows in ONE.items() for number in range(len(rows))],
)
def test_a_refused_value_is_explained(name: str, value: str, position: int, reason: str) -> None:
    with pytest.raises(BadHeader) as refused:
        FORMATS[name].decode({HEADER[name]: value})
    found = refused.value
    assert (found.header, found.position, found.reason) == (HEADER[name], position, reason)


#: Formats of several headers or values -> a good carrier, and rows of a change, its position and the reason.
TID = bytes(range(1, 17))
HEAD = struct.pack(">QQQQBI", 0, 1, 2, 0, 1, 1)
SEVERAL: dict[str, tuple[dict[str, Any], list[tuple[str, Any, int | None, str]]]] = {
    "b3multi": (
        {"x-b3-traceid": "1", "x-b3-spanid": "2"},
        [
            ("x-b3-traceid", f"{T}1", 32, "trace id has more than 32 digits"),
            ("x-b3-traceid", "x", 0, f"trace id {NOT_HEX}"),
            ("x-b3-traceid", "", 0, "trace id is missing"),
            ("x-b3-traceid", "0", 0, "trace id is zero"),
            ("x-b3-spanid", f"{S}2", 16, "span id has more than 16 digits"),
            ("x-b3-spanid", "1x", 1, f"span id {NOT_HEX}"),
            ("x-b3-spanid", "", 0, "span id is missing"),
            ("x-b3-spanid", "0", 0, "span id is zero"),
            ("x-b3-parentspanid", f"{S}2", 16, "parent id has more than 16 digits"),
            ("x-b3-parentspanid", "x", 0, f"parent id {NOT_HEX}"),
            ("x-b3-sampled", "2", 0, "is none of 0, 1, true, false, d"),
            ("x-b3-sampled", "truex", 0, "is none of 0, 1, true, false, d"),
            ("x-b3-sampled", "falsey", 0, "is none of 0, 1, true, false, d"),
        ],
    ),
    "ottrace": (
        {"ot-tracer-traceid": "1", "ot-tracer-spanid": "2"},
        [
            ("ot-tracer-traceid", f"{T}1", 32, "trace id has more than 32 digits"),
            ("ot-tracer-traceid", "x", 0, f"trace id {NOT_HEX}"),
            ("ot-tracer-traceid", "", 0, "trace id is missing"),
            ("ot-tracer-traceid", "0", 0, "trace id is zero"),
            ("ot-tracer-spanid", f"{S}2", 16, "span id has more than 16 digits"),
            ("ot-tracer-spanid", "x", 0, f"span id {NOT_HEX}"),
            ("ot-tracer-spanid", "", 0, "span id is missing"),
            ("ot-tracer-spanid", "0", 0, "span id is zero"),
            ("ot-tracer-sampled", "2", 0, "is neither true nor false"),
            ("ot-tracer-sampled", "falsey", 0, "is neither true nor false"),
        ],
    ),
    "grpc-trace-bin": (
        {"grpc-trace-bin": b"\0\0" + TID},
        [
            ("grpc-trace-bin", b"", 0, "is not of version 0"),
            ("grpc-trace-bin", b"\1\0" + TID, 0, "is not of version 0"),
            ("grpc-trace-bin", b"\0", 1, "has no trace id"),
            ("grpc-trace-bin", b"\0\1" + TID, 1, "has no trace id"),
            ("grpc-trace-bin", b"\0\0" + TID[1:], 1, "has no trace id"),
            ("grpc-trace-bin", bytes(18), 2, "trace id is zero"),
            ("grpc-trace-bin", bytes(18) + b"\2\1", 2, "trace id is zero"),
            ("grpc-trace-bin", "text", None, "is not bytes"),
        ],
    ),
    "binary": (
        {"binary": HEAD + b"\0\0\0\1a\0\0\0\1b"},
        [
            ("binary", b"", 0, "has 0 bytes, not 37 or more"),
            ("binary", HEAD[:36], 36, "has 36 bytes, not 37 or more"),
            ("binary", HEAD, 37, "ends before the length of a baggage item"),
            ("binary", HEAD + b"\0\0\0", 37, "ends before the length of a baggage item"),
            ("binary", HEAD + b"\0\0\0\2a", 37, "ends inside a baggage item"),
            ("binary", HEAD + b"\0\0\0\1a", 42, "ends before the length of a baggage item"),
            ("binary", HEAD + b"\0\0\0\1a\0\0\0\1", 42, "ends inside a baggage item"),
            ("binary", HEAD + b"\0\0\0\1\xff\0\0\0\1a", None, "baggage is not UTF-8"),
        ],
    ),
    "zipkin-span-format": (
        {"trace_id": (1 << 128) - 1, "span_id": (1 << 64) - 1, "parent_id": (1 << 64) - 1, "traceflags": 255},
        [
            ("trace_id", 1 << 128, None, "is not an integer of 128 bits, 1 or more"),
            ("trace_id", -1, None, "is not an integer of 128 bits, 1 or more"),
            ("trace_id", "1", None, "is not an integer of 128 bits, 1 or more"),
            ("span_id", 1 << 64, None, "is not an integer of 64 bits, 1 or more"),
            ("span_id", 0, None, "is not an integer of 64 bits, 1 or more"),
            ("span_id", True, None, "is not an integer of 64 bits, 1 or more"),
            ("parent_id", 1 << 64, None, "is not an integer of 64 bits, 0 or more"),
            ("parent_id", -1, None, "is not an integer of 64 bits, 0 or more"),
            ("traceflags", 256, None, "is not an integer of 8 bits, 0 or more"),
            ("traceflags", -1, None, "is not an integer of 8 bits, 0 or more"),
        ],
    ),
}


@pytest.mark.parametrize(
    ("name", "header", "value", "position", "reason"),
    [(name, *row) for name, (_, rows) in SEVERAL.items() for row in rows],
    ids=[f"{name} {number}" for name, (_, rows) in SEVERAL.items() for number in range(len(rows))],
)
def test_a_refused_value_beside_good_ones_is_explained(
    name: str, header: str, value: Any, position: int | None, reason: str
) -> None:
    good = SEVERAL[name][0]
    assert FORMATS[name].decode(good) is not None
    with pytest.raises(BadHeader) as refused:
        FORMATS[name].decode({**good, header: value})
    found = refused.value
    assert (found.header, found.position, found.reason) == (header, position, reason)


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("b3", {"b3": "0-0-0"}),
        ("b3", {"b3": "0-2-0"}),
        ("b3", {"b3": "1-0-0"}),
        ("b3", {"b3": "0"}),
        ("b3multi", {"x-b3-traceid": "0", "x-b3-spanid": "2", "x-b3-sampled": "0"}),
        ("b3multi", {"x-b3-traceid": "1", "x-b3-spanid": "0", "x-b3-sampled": "false"}),
        ("b3multi", {"x-b3-sampled": "FALSE"}),
        ("ottrace", {"ot-tracer-traceid": "0", "ot-tracer-spanid": "0", "ot-tracer-sampled": "F"}),
        ("xray", {"x-amzn-trace-id": f"Root=1-00000000-{'0' * 24};Sampled=0"}),
        ("xray", {"x-amzn-trace-id": "Sampled=0"}),
        ("grpc-trace-bin", {"grpc-trace-bin": bytes(18) + b"\2\0"}),
        ("grpc-trace-bin", {"grpc-trace-bin": bytes(18) + b"\1" + bytes(8) + b"\2\0"}),
    ],
)
def test_ids_of_zero_with_the_decision_not_to_sample_are_only_a_decision(
    name: str, headers: dict[str, Any]
) -> None:
    assert FORMATS[name].decode(headers) == NOT_SAMPLED


@pytest.mark.parametrize(("length", "refused"), [(2048, False), (2049, True)])
def test_an_xray_header_has_at_most_2048_characters(length: int, refused: bool) -> None:
    headers = {"x-amzn-trace-id": f"{R};".ljust(length, "x")}
    if refused:
        with pytest.raises(BadHeader):
            FORMATS["xray"].decode(headers)
    else:
        assert FORMATS["xray"].decode(headers) is not None
