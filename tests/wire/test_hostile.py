"""Whatever a caller sends, nothing leaves the codecs but a `Remote`, None or `BadHeader`."""

from __future__ import annotations

import importlib.util
import logging
import random
import subprocess
import sys
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ot_bridge.errors import BadHeader
from ot_bridge.propagation import Propagator
from ot_bridge.wire import FORMATS, Limits, Remote
from ot_bridge.wire.binary import binary_decode, binary_encode
from tests.generated import at_length, examples, load
from tests.wire import vectors
from tests.wire.hostile import (
    ALL,
    NAMES,
    ON_HTTP,
    ONE_BY_ONE,
    PIECES,
    carrier_from,
    check,
    check_written,
    read,
)

values = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=8).map("".join),
    st.text(max_size=40),
    st.binary(max_size=60),
    st.integers(),
    st.none(),
    st.lists(st.sampled_from(PIECES), max_size=3),
)
carriers = st.dictionaries(st.one_of(st.sampled_from(NAMES), st.text(max_size=5)), values, max_size=5)


@examples(150)
@given(carrier=carriers)
def test_any_carrier_is_decoded_without_an_unexpected_exception(carrier: dict[str, Any]) -> None:
    check(carrier)


@pytest.mark.parametrize("value", [None, [], [[]], 0, "", b"", ["0"], [b"\0"], [5], (), False], ids=repr)
@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_dict_and_its_list_of_items_decode_the_same_for_any_value(name: str, value: Any) -> None:
    for other in (
        {},
        {"b3": "0"},
        {"x-b3-traceid": "1"},
        {"trace_id": 5, "span_id": 6},
        {"uber-trace-id": "1:2:0:1"},
    ):
        check({name: value, **other})
        check({**other, name: value})


@pytest.mark.parametrize(
    "odd", [" ", "\t", "_", "+", "-", "0x", "\u0661", "\u00e9", "g", ":", "\0", ""], ids=repr
)
@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("where", ["before", "inside", "behind", "instead"])
@pytest.mark.parametrize(
    "ids", [("a" * 32, "b" * 16, "0", "1"), ("ab", "c", "1234567890abcdef", "00")], ids=len
)
def test_the_fast_path_accepts_the_same_ids_as_the_decoder(
    odd: str, place: int, where: str, ids: tuple[str, ...]
) -> None:
    fields = list(ids)
    text = fields[place]
    fields[place] = {
        "before": odd + text,
        "inside": text[:2] + odd + text[2:],
        "behind": text + odd,
        "instead": odd + text[len(odd) :],
    }[where]
    for value in (":".join(fields), "-".join(fields[:2] + fields[3:]), "-".join(["00", *fields[:2], "01"])):
        for name in ("uber-trace-id", "b3", "traceparent"):
            check({name: value})


ACCEPTED = [each.values[0] for each in vectors.load() if each.values[0].remote is not None]


@pytest.mark.parametrize("name", dict.fromkeys(each.format for each in ACCEPTED if each.format in ON_HTTP))
def test_one_odd_character_anywhere_in_an_accepted_header_raises_nothing_but_bad_header(name: str) -> None:
    accepted = [each for each in ACCEPTED if each.format == name]
    for vector in accepted:
        for header, value in vector.headers.items():
            for place in range(min(len(value), 80)) if isinstance(value, str) else ():
                for odd in (" ", "_", "+", "x", "g", "\0", "\u0661", "\uff11", "\u00e9", ""):
                    changed = value[:place] + odd + value[place + 1 :]
                    read(ONE_BY_ONE[name], {**vector.headers, header: changed})


def test_two_thousand_carriers_like_the_fuzzers_raise_no_unexpected_exception() -> None:
    _run_random(2_000)


def _run_random(count: int) -> None:
    chance = random.Random(5)
    for _ in range(count):
        check(carrier_from(chance.randbytes(chance.randrange(80))))


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
def test_a_million_generated_headers_raise_no_unexpected_exception() -> None:
    _run_random(load(300_000))  # more than three headers each


test_any_carrier_is_decoded_without_an_unexpected_exception_at_length = at_length(
    test_any_carrier_is_decoded_without_an_unexpected_exception, 10_000
)


@pytest.mark.fuzz
@pytest.mark.timeout(3600)
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="pip install atheris")
def test_a_coverage_guided_fuzzer_finds_nothing() -> None:
    command = [sys.executable, "-m", "tests.wire.hostile", f"-runs={load(100_000)}", "-seed=5"]
    subprocess.run(command, check=True, capture_output=True, timeout=3500)


MEGABYTE = 1 << 20
LONG = {
    "digits": "1" * MEGABYTE,
    "blanks": " " * MEGABYTE,
    "colons": ":" * MEGABYTE,
    "dashes": "-" * MEGABYTE,
    "commas": "," * MEGABYTE,
    "semicolons": ";" * MEGABYTE,
    "equals signs": "=" * MEGABYTE,
    "percent signs": "%" * MEGABYTE,
    "encoded colons": "%3A" * (MEGABYTE // 3),
    "members": "a=b," * (MEGABYTE // 4),
    "one member": "a=" + "b" * MEGABYTE,
    "properties": "a=b" + ";p" * (MEGABYTE // 2),
    "a valid start": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-" + "x" * MEGABYTE,
    "line breaks": "\r\n" * (MEGABYTE // 2),
}
READERS = {
    **{name: name for format in FORMATS.values() if not format.raw for name in format.fields},
    "uberctx-k": "jaeger",
    "ot-baggage-k": "ottrace",
}


@pytest.mark.parametrize("value", LONG.values(), ids=LONG)
@pytest.mark.parametrize("name", READERS)
def test_only_a_small_part_of_a_megabyte_is_read(name: str, value: str) -> None:
    """Time is in proportion to what is read, and what is read is held: so memory is the measure."""
    carrier = {"traceparent": PIECES[0], "x-b3-traceid": "1", "x-b3-spanid": "1", name: value}
    _survive(carrier)  # objects that are created only once exist now
    tracemalloc.start()
    try:
        _survive(carrier)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 256_000


def _survive(carrier: dict[str, Any]) -> None:
    try:
        str(ALL.decode(carrier))
    except BadHeader as error:
        str(error)


@pytest.mark.parametrize("data", [b"\0" * MEGABYTE, b"\xff" * MEGABYTE], ids=["zeros", "ones"])
@pytest.mark.parametrize("name", ["binary", "grpc-trace-bin"])
def test_only_a_small_part_of_a_megabyte_of_bytes_is_read(name: str, data: bytes) -> None:
    tracemalloc.start()
    try:
        _survive({name: data})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 256_000


def test_twenty_thousand_headers_of_one_name_are_joined_once() -> None:
    pairs = [("tracestate", f"k{number}=v") for number in range(20_000)]
    tracemalloc.start()
    try:
        remote = ALL.decode([("traceparent", PIECES[0]), *pairs])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert remote is not None
    assert remote.tracestate == ""  # too many members
    assert peak < 4_000_000


def test_the_cache_of_irrelevant_header_names_is_bounded() -> None:
    propagator = Propagator()
    for number in range(5_000):
        propagator.decode({f"x-{number}": "v", "traceparent": PIECES[0]})
        propagator.decode({"x" * 1000 + str(number): "v"})
    plain = propagator._wanted.headers.plain
    assert 1000 < len(plain) <= 1024
    assert max(map(len, plain)) <= 64
    assert propagator.decode({"x-4999": "v", "Uber-Trace-Id": "1:2:0:1"}) == Remote(1, 2, sampled=True)


def test_the_log_shows_a_refused_value_escaped_and_cut(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ALL.extract({"uber-trace-id": "1:2\r\nERROR all is lost\x1b[31m" + "x" * 10_000})
    [record] = caplog.records
    assert record.levelno == logging.DEBUG
    assert record.name == "ot_bridge.propagation"
    message = record.getMessage()
    assert "\\r\\nERROR" in message
    assert message.isprintable()
    assert len(message) < 250


HOSTILE_BAGGAGE = {
    "line\r\nbreak": "v",
    "nul\0": "v",
    "": "v",
    "a b": "v",
    "ü": "v",
    "line": "a\r\nb",
    "nul": "a\0b",
    "lone": "\ud800",
    "umlaut": "ü",
    "long": "x" * 10_000,
}


def test_baggage_set_by_the_application_is_written_in_a_safe_form() -> None:
    check_written(Remote(1, 2, baggage=HOSTILE_BAGGAGE))


def test_baggage_that_is_not_text_is_converted_to_text() -> None:
    baggage: Any = {b"bytes": b"\xc3\xbc", 1: 2.5, "none": None}
    headers: dict[str, Any] = {}
    Propagator(["jaeger", "baggage"]).encode(Remote(baggage=baggage), headers)
    assert headers == {
        "uberctx-bytes": "%C3%BC",
        "uberctx-1": "2.5",
        "uberctx-none": "None",
        "baggage": "bytes=%C3%BC,1=2.5,none=None",
    }


def test_the_user_can_set_limits() -> None:
    limits = Limits(baggage_items=2, baggage_bytes=20, tracestate_bytes=10)
    propagator = Propagator(limits=limits)
    carrier = {
        "traceparent": PIECES[0],
        "tracestate": "a=1,b=2,c=3,d=4",
        "baggage": "a=1,b=2,c=3",
        "uberctx-x": "1",
        "uberctx-y": "x" * 100,
    }
    remote = propagator.decode(carrier)
    assert remote is not None
    assert remote.tracestate == "a=1,b=2"
    assert remote.baggage == {"a": "1", "b": "2"}
    headers: dict[str, str] = {}
    propagator.encode(Remote(baggage={"long": "x" * 20, "a": "1", "b": "2", "c": "3"}), headers)
    assert headers == {"baggage": "a=1,b=2", "uberctx-a": "1", "uberctx-b": "2"}


TOO_LONG = "x" * 9000
OVER: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "baggage": ("baggage", [{"baggage": f"b={TOO_LONG},a=1"}, {"baggage": f"a=1,b={TOO_LONG}"}]),
    "prefix": (
        "jaeger",
        [{"uberctx-b": TOO_LONG, "uberctx-a": "1"}, {"uberctx-a": "1", "uberctx-b": TOO_LONG}],
    ),
    "jaeger-baggage": (
        "jaeger",
        [{"jaeger-baggage": f"b={TOO_LONG},a=1"}, {"jaeger-baggage": f"a=1,b={TOO_LONG}"}],
    ),
    "ottrace": ("ottrace", [{"ot-baggage-b": TOO_LONG, "ot-baggage-a": "1"}]),
}


@pytest.mark.parametrize("case", OVER)
def test_only_the_item_over_the_limit_is_dropped(case: str) -> None:
    name, carriers = OVER[case]
    for carrier in carriers:
        remote = Propagator([name]).decode(carrier)
        assert remote is not None
        assert remote.baggage == {"a": "1"}


def test_only_the_item_over_the_limit_is_dropped_in_the_binary_carrier() -> None:
    data = binary_encode(Remote(1, 2, baggage={"b": TOO_LONG, "a": "1"}), Limits(baggage_bytes=10_000))
    remote = binary_decode(data)
    assert remote is not None
    assert remote.baggage == {"a": "1"}


def test_if_no_baggage_fits_no_header_is_written() -> None:
    headers: dict[str, str] = {}
    propagator = Propagator(["baggage"], limits=Limits(baggage_bytes=20))
    propagator.encode(Remote(baggage={"long": "x" * 20}), headers)
    assert headers == {}


def test_jaeger_baggage_in_a_text_map_is_not_decoded() -> None:
    carrier = {"uber-trace-id": "1:2:0:1", "jaeger-baggage": "a=%2F, b=2, none"}
    propagator = Propagator(["jaeger"])
    for codec, a in ((propagator, "/"), (propagator.text_map, "%2F")):
        remote = codec.decode(carrier)
        assert remote is not None
        assert remote.baggage == {"a": a, "b": "2"}
