"""The table of formats, what each format writes, and the short ways of those that have one."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from ot_bridge.propagation import Propagator
from ot_bridge.wire import EMPTY, FORMATS, RANDOM_TRACE_ID, Remote
from ot_bridge.wire.baggage import properties

T, S = "1" * 32, "2" * 16
#: Name -> the lower-case names of its headers, their other spellings, prefixes, the usual header, raw.
TABLE: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], str | None, bool]] = {
    "tracecontext": (("traceparent", "tracestate"), (), (), "traceparent", False),
    "baggage": (("baggage",), (), (), None, False),
    "jaeger": (
        ("uber-trace-id", "jaeger-debug-id", "jaeger-baggage"), (), ("uberctx-",), "uber-trace-id", False),
    "b3": (("b3",), (), (), "b3", False),
    "b3multi": (
        ("x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags"),
        ("X-B3-TraceId", "X-B3-SpanId", "X-B3-ParentSpanId", "X-B3-Sampled", "X-B3-Flags"), (), None, False),
    "ottrace": (
        ("ot-tracer-traceid", "ot-tracer-spanid", "ot-tracer-sampled"), (), ("ot-baggage-",), None, False),
    "xray": (("x-amzn-trace-id",), ("X-Amzn-Trace-Id",), (), None, False),
    "grpc-trace-bin": (("grpc-trace-bin",), (), (), None, True),
    "binary": (("binary",), (), (), None, True),
    "zipkin-span-format": (("trace_id", "span_id", "parent_id", "traceflags"), (), (), None, True),
}  # fmt: skip


def test_each_format_has_the_headers_and_the_short_way_of_its_standard() -> None:
    found = {
        name: (each.fields, each.spelled, each.prefixes, each.usual.name if each.usual else None, each.raw)
        for name, each in FORMATS.items()
    }
    assert {name: each for name, each in found.items() if name in TABLE} == TABLE
    assert [each.name for each in FORMATS.values()] == [*FORMATS]
    assert len(FORMATS) == len([*FORMATS]) >= len(TABLE)
    assert "b3" in FORMATS
    assert "b4" not in FORMATS
    assert [name for name, each in FORMATS.items() if each.text_map is not None] == ["jaeger"]


#: What a context is written as, and by which formats.
FULL = Remote(0xA, 0xB, 0xC, True, False, None, {"k": "v"}, "a=b")
WRITTEN: dict[str, dict[str, Any]] = {
    "tracecontext": {"traceparent": f"00-{0xA:032x}-{0xB:016x}-01", "tracestate": "a=b"},
    "baggage": {"baggage": "k=v"},
    "jaeger": {"uber-trace-id": "a:b:c:1", "uberctx-k": "v"},
    "b3": {"b3": f"{0xA:016x}-{0xB:016x}-1-{0xC:016x}"},
    "b3multi": {
        "X-B3-TraceId": f"{0xA:016x}", "X-B3-SpanId": f"{0xB:016x}", "X-B3-ParentSpanId": f"{0xC:016x}",
        "X-B3-Sampled": "1",
    },
    "ottrace": {
        "ot-tracer-traceid": f"{0xA:016x}", "ot-tracer-spanid": f"{0xB:016x}", "ot-tracer-sampled": "true",
        "ot-baggage-k": "v",
    },
    "xray": {"X-Amzn-Trace-Id": f"Root=1-00000000-{0xA:024x};Parent={0xB:016x};Sampled=1"},
    "grpc-trace-bin": {"grpc-trace-bin": b"\0\0" + bytes(15) + b"\x0a\1" + bytes(7) + b"\x0b\2\1"},
    "binary": {"binary": struct.pack(">QQQQBI", 0, 0xA, 0xB, 0xC, 1, 1) + b"\0\0\0\1k\0\0\0\1v"},
    "zipkin-span-format": {"trace_id": 0xA, "span_id": 0xB, "parent_id": 0xC, "traceflags": 1},
}  # fmt: skip


@pytest.mark.parametrize("name", WRITTEN)
def test_a_context_is_written_in_the_form_of_its_standard(name: str) -> None:
    headers: dict[str, Any] = {}
    FORMATS[name].encode(FULL, headers)
    assert headers == WRITTEN[name]


#: Parts of a context -> what each format writes of it, if anything.
PARTS: dict[str, tuple[Remote, dict[str, dict[str, Any]]]] = {
    "nothing": (Remote(), {"binary": {"binary": bytes(37)}}),
    "a decision": (
        Remote(sampled=True),
        {
            "b3": {"b3": "1"}, "b3multi": {"X-B3-Sampled": "1"}, "xray": {"X-Amzn-Trace-Id": "Sampled=1"},
            "binary": {"binary": bytes(32) + b"\1" + bytes(4)},
        },
    ),
    "a decision against": (
        Remote(sampled=False),
        {
            "b3": {"b3": "0"}, "b3multi": {"X-B3-Sampled": "0"}, "xray": {"X-Amzn-Trace-Id": "Sampled=0"},
            "binary": {"binary": bytes(37)},
        },
    ),
    "debug": (
        Remote(sampled=True, debug=True),
        {
            "b3": {"b3": "d"}, "b3multi": {"X-B3-Flags": "1"}, "xray": {"X-Amzn-Trace-Id": "Sampled=1"},
            "binary": {"binary": bytes(32) + b"\3" + bytes(4)},
        },
    ),
    "a trace without a span": (
        Remote(0xA),
        {
            "xray": {"X-Amzn-Trace-Id": f"Root=1-00000000-{0xA:024x}"},
            "grpc-trace-bin": {"grpc-trace-bin": b"\0\0" + bytes(15) + b"\x0a"},
            "binary": {"binary": bytes(15) + b"\x0a" + bytes(21)},
        },
    ),
    "a debug id": (
        Remote(debug_id="one two"),
        {"jaeger": {"jaeger-debug-id": "one%20two"}, "binary": {"binary": bytes(37)}},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("remote", "written"), PARTS.values(), ids=PARTS)
def test_what_a_format_cannot_say_is_left_out(remote: Remote, written: dict[str, dict[str, Any]]) -> None:
    found: dict[str, dict[str, Any]] = {}
    for name, each in FORMATS.items():
        each.encode(remote, found.setdefault(name, {}))
    assert {name: headers for name, headers in found.items() if headers} == written


def test_the_wide_half_of_an_id_is_written_where_there_is_one() -> None:
    wide = Remote(1 << 64, 0xB, sampled=None)
    headers: dict[str, Any] = {}
    Propagator(["b3", "b3multi", "xray", "jaeger", "ottrace"]).encode(wide, headers)
    assert headers == {
        "b3": f"{1 << 64:032x}-{0xB:016x}",
        "X-B3-TraceId": f"{1 << 64:032x}",
        "X-B3-SpanId": f"{0xB:016x}",
        "X-Amzn-Trace-Id": f"Root=1-00000000-{1 << 64:024x};Parent={0xB:016x}",
        "uber-trace-id": f"{1 << 64:x}:b:0:0",
    }


@pytest.mark.parametrize("parent_id", [0, 0xC], ids=["root", "child"])
@pytest.mark.parametrize("flags", range(4))
@pytest.mark.parametrize("name", [name for name, each in FORMATS.items() if each.usual])
def test_the_short_ways_of_a_format_agree_with_its_codec(name: str, flags: int, parent_id: int) -> None:
    each = FORMATS[name]
    assert each.usual is not None
    extras = RANDOM_TRACE_ID if flags & 2 else EMPTY
    headers: dict[str, Any] = {}
    sampled = bool(flags & 1)
    each.encode(Remote(1 << 64 | 0xA, 0xB, parent_id, sampled, extras=extras), headers)
    (text,) = headers.values()
    if each.usual.write is not None:
        assert each.usual.write(1 << 64 | 0xA, 0xB, parent_id, flags) == text
    if name != "b3" or not parent_id:
        kept = flags if name == "tracecontext" else flags & 1
        parent = parent_id if name == "jaeger" else 0
        assert each.usual.read(text) == (1 << 64 | 0xA, 0xB, parent, kept)


LONG = f"{'1' * 32}:{'2' * 16}:{'3' * 16}:01"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(
            ("jaeger", each)
            for each in ("a::0:1", ":b:0:1", "a:b::1", "a:b:0:2", "a:b:0", f"{LONG}0", "0" * 70)
        ),
        *(("jaeger", each) for each in (f"0{LONG}", "x:b:0:1", f"{'1' * 33}:b:0:1", f"a:{'2' * 17}:0:1")),
        *(("tracecontext", each) for each in (f"01-{T}-{S}-01", f"00-{T}-{S}-1")),
        *(("b3", each) for each in ("a-b", "a-b-d", "a-b-1-c")),
    ],
)
def test_the_short_way_leaves_other_values_to_the_codec(name: str, text: str) -> None:
    usual = FORMATS[name].usual
    assert usual is not None
    with pytest.raises((ValueError, LookupError, AttributeError)):
        usual.read(text)


def test_the_short_way_of_traceparent_reads_the_known_flags_among_all() -> None:
    usual = FORMATS["tracecontext"].usual
    assert usual is not None
    for flags in range(256):
        value = f"00-{T}-{S}-{flags:02x}"
        remote = FORMATS["tracecontext"].decode({"traceparent": value})
        assert remote is not None
        known = bool(remote.sampled) + 2 * bool(remote.extras)
        assert usual.read(value) == (int(T, 16), int(S, 16), 0, known)


def test_the_short_way_of_jaeger_reads_the_longest_value() -> None:
    usual = FORMATS["jaeger"].usual
    assert usual is not None
    assert usual.read(LONG) == (int("1" * 32, 16), int("2" * 16, 16), int("3" * 16, 16), 1)


def test_only_the_properties_of_baggage_stay_with_it_in_a_new_trace() -> None:
    extras = {"baggage:k": "v;p", "baggage:": "v;q", "jaeger.flags": "8", "w3c.random": "1", "bag": "x"}
    assert properties(extras) == {"baggage:k": "v;p", "baggage:": "v;q"}
