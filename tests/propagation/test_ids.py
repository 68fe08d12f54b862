"""The short ways for ids, `read_ids` and `write_ids`; names once seen; the entry points of formats."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any

import pytest
from opentelemetry import trace

from ot_bridge.propagation import Propagator, WsgiHeaders, trace_state
from ot_bridge.wire import Remote
from tests.wire.hostile import read_usual

T, S = f"{1 << 64 | 0xA:032x}", f"{0xB:016x}"
WIDE = 1 << 64 | 0xA
#: A format's header, and its usual values with their ids and flags.
USUAL: dict[str, tuple[str, dict[str, tuple[int, int, int, int]]]] = {
    "tracecontext": (
        "traceparent",
        {f"00-{T}-{S}-{flags:02x}": (WIDE, 0xB, 0, flags & 3) for flags in (0, 1, 2, 3, 4, 0xFF)},
    ),
    "jaeger": (
        "uber-trace-id",
        {
            f"{T}:{S}:0:1": (WIDE, 0xB, 0, 1),
            f"{T}:{S}:{0xC:016x}:0": (WIDE, 0xB, 0xC, 0),
            f"{T}:{S}:c:01": (WIDE, 0xB, 0xC, 1),
            f"{T}:b:0:00": (WIDE, 0xB, 0, 0),
            f"a:{S}:0:1": (0xA, 0xB, 0, 1),
            "a:b:c:0": (0xA, 0xB, 0xC, 0),
        },
    ),
    "b3": ("b3", {f"{T}-{S}-1": (WIDE, 0xB, 0, 1), "a-b-0": (0xA, 0xB, 0, 0)}),
}
CASES = [(name, header, text, ids) for name, (header, each) in USUAL.items() for text, ids in each.items()]


def environ_of(headers: Mapping[str, str]) -> dict[str, Any]:
    return {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}


@pytest.mark.parametrize(("name", "header", "text", "ids"), CASES, ids=[f"{c[0]} {c[2]}" for c in CASES])
def test_ids_are_read_from_a_header_that_is_alone(
    name: str, header: str, text: str, ids: tuple[int, int, int, int]
) -> None:
    propagator = Propagator([name, "baggage"])
    for carrier in ({header: text}, WsgiHeaders(environ_of({header: text}))):
        assert propagator.read_ids(carrier) == ids
        found = propagator.decode(carrier)
        assert found is not None
        assert (found.trace_id, found.span_id, found.parent_id, found.sampled) == (*ids[:3], bool(ids[3] & 1))


NOT_USUAL = {
    "jaeger": [
        f"{'0' * 33}a:b:0:1", f"a:{'0' * 16}b:0:1", f"a:b:{'0' * 16}c:1", "a:b:0", "a:b:0:1:1", "a:b:0:2",
        ":b:0:1", "a::0:1", "a:b::1", "a:b:0:", "x:b:0:1", f"{T}:{S}:{S}:001", f"a:b:0: {'0' * 60}",
    ],
    "tracecontext": [f"01-{T}-{S}-01", f"00-{T}-{S}-1", f"00-{T}-{S}-01 ", f"00-{T}-{S}"],
    "b3": ["a-b", "a-b-d", "a-b-1-c", "1", f"0{T}-b-1", f"a-0{S}-1"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in NOT_USUAL.items() for text in texts]
)
def test_other_values_are_left_to_the_decoder(name: str, text: str) -> None:
    headers = {USUAL[name][0]: text}
    for carrier in (headers, WsgiHeaders(environ_of(headers))):
        assert read_usual(Propagator([name]), carrier) is None


@pytest.mark.parametrize("name", USUAL)
def test_a_carrier_with_other_headers_of_the_formats_or_of_another_kind_is_left_to_the_decoder(
    name: str,
) -> None:
    header, texts = USUAL[name]
    headers = {header: next(iter(texts))}
    propagator = Propagator([name, "baggage"])
    more = {**headers, "baggage": "k=v"}
    carriers = [
        {}, {"host": "h"}, more, WsgiHeaders(environ_of(more)), WsgiHeaders({}), MappingProxyType(headers),
        WsgiHeaders(MappingProxyType(environ_of(headers))), list(headers.items()), None,
    ]  # fmt: skip
    assert [propagator.read_ids(carrier) for carrier in carriers] == [None] * len(carriers)


@pytest.mark.parametrize("wsgi", [False, True], ids=["headers", "WSGI"])
@pytest.mark.parametrize(("name", "learned"), [("x" * 59, True), ("x" * 60, False)], ids=["59", "60"])
def test_a_name_without_meaning_is_remembered_unless_it_is_long(name: str, learned: bool, wsgi: bool) -> None:
    propagator = Propagator()
    other = name if wsgi else f"HTTP_{name}"  # 64 characters or 65, in a WSGI environment with the prefix
    headers = {"uber-trace-id": "a:b:0:1", other: "1"}
    carrier: Any = WsgiHeaders(environ_of(headers)) if wsgi else headers
    assert propagator.read_ids(carrier) is None
    assert propagator.decode(carrier) == Remote(0xA, 0xB, sampled=True)
    assert propagator.read_ids(carrier) == ((0xA, 0xB, 0, 1) if learned else None)
    assert propagator.decode(carrier) == Remote(0xA, 0xB, sampled=True)


@pytest.mark.parametrize("wsgi", [False, True], ids=["headers", "WSGI"])
def test_headers_of_baggage_are_not_remembered_as_names_without_meaning(wsgi: bool) -> None:
    propagator = Propagator()
    headers = {"uber-trace-id": "a:b:0:1", "uberctx-k": "v", "x-other": "1"}
    carrier: Any = WsgiHeaders(environ_of(headers)) if wsgi else headers
    for _ in range(2):
        assert propagator.decode(carrier) == Remote(0xA, 0xB, sampled=True, baggage={"k": "v"})
        assert propagator.read_ids(carrier) is None


def test_a_propagator_without_prefixes_remembers_names_with_one() -> None:
    propagator = Propagator(["tracecontext"])
    carrier = {"traceparent": f"00-{T}-{S}-01", "uberctx-k": "v"}
    propagator.decode(carrier)
    assert propagator.read_ids(carrier) == (WIDE, 0xB, 0, 1)


def test_the_memory_for_names_is_bounded() -> None:
    propagator = Propagator()
    for number in range(3000):
        propagator.decode({"uber-trace-id": "a:b:0:1", f"x-{number}": "1"})
    headers = {"uber-trace-id": "a:b:0:1"}
    assert propagator.read_ids({**headers, "x-1000": ""}) is not None
    assert propagator.read_ids({**headers, "x-1024": ""}) is None


SENT = (WIDE, 0xB, False, 3, None, None)
WRITTEN = {
    "tracecontext,jaeger": (("traceparent", f"00-{T}-{S}-03"), ("uber-trace-id", f"{WIDE:x}:b:c:1")),
    "jaeger,baggage": (("uber-trace-id", f"{WIDE:x}:b:c:1"),),
    "tracecontext,b3": None,
    "ottrace": None,
    "b3multi": None,
    "xray": None,
}


@pytest.mark.parametrize(("names", "pairs"), WRITTEN.items())
def test_ids_are_written_where_each_format_has_a_short_way(names: str, pairs: Any) -> None:
    write = Propagator(names.split(",")).write_ids
    assert (None if write is None else write(SENT, 0xC)) == pairs


#: The name of an entry point -> the formats of its propagator.
ENTRIES = {
    "b3": ["b3"],
    "b3multi": ["b3multi"],
    "jaeger": ["jaeger"],
    "ottrace": ["ottrace"],
    "xray": ["xray"],
    "ot_bridge": ["tracecontext", "baggage", "jaeger"],
    "ot_bridge_tracecontext": ["tracecontext"],
    "ot_bridge_baggage": ["baggage"],
    "ot_bridge_jaeger": ["jaeger"],
    "ot_bridge_b3": ["b3"],
    "ot_bridge_b3multi": ["b3multi"],
    "ot_bridge_ottrace": ["ottrace"],
    "ot_bridge_xray": ["xray"],
    "ot_bridge_grpc_trace_bin": ["grpc-trace-bin"],
    "ot_bridge_binary": ["binary"],
    "ot_bridge_zipkin_span_format": ["zipkin-span-format"],
}


def test_every_entry_point_makes_the_propagator_of_its_format() -> None:
    ours = {
        each.name: [format.name for format in each.load()().formats]
        for each in entry_points(group="opentelemetry_propagator")
        if each.value.startswith("ot_bridge.")
    }
    assert {name: formats for name, formats in ours.items() if name in ENTRIES} == ENTRIES


def test_a_tracestate_becomes_opentelemetrys_class_and_an_empty_one_too() -> None:
    assert trace_state("") == trace.TraceState()
    assert trace_state("1a=b=c,d=e").to_header() == "1a=b=c,d=e"


LISTED = {
    "a mapping": {"Baggage": ["a=1", ("b=2",), None]},
    "pairs": [("baggage", "a=1"), ("x", "y"), ("BAGGAGE", "b=2")],
    "bytes": [(b"Baggage", b"a=1"), (b"baggage", bytearray(b"b=2"))],
}


@pytest.mark.parametrize("carrier", LISTED.values(), ids=LISTED)
def test_the_values_of_a_repeated_header_are_joined(carrier: Any) -> None:
    assert Propagator().decode(carrier) == Remote(baggage={"a": "1", "b": "2"})
