"""The limits of header formats, at the limit and one beyond it."""

from __future__ import annotations

import pytest

from ot_bridge.errors import BadHeader
from ot_bridge.propagation import Propagator
from ot_bridge.wire import w3c
from ot_bridge.wire.remote import LIMITS, Remote
from ot_bridge.wire.text import cut

PARENT = f"00-{0xA:032x}-{0xB:016x}-01"


def _state(tracestate: str) -> str:
    return Propagator(["tracecontext"]).decode({"traceparent": PARENT, "tracestate": tracestate}).tracestate  # type: ignore[union-attr]


def test_the_limits_are_those_that_the_docstring_promises() -> None:
    assert vars(LIMITS) == {"baggage_items": 64, "baggage_bytes": 8192, "tracestate_bytes": 8192}


@pytest.mark.parametrize(("members", "kept"), [(31, 31), (32, 32), (33, 0)])
def test_a_tracestate_has_at_most_32_members(members: int, kept: int) -> None:
    found = _state(",".join(f"k{n}=v" for n in range(members)))
    assert len(list(filter(None, found.split(",")))) == kept


@pytest.mark.parametrize(("empty", "kept"), [(256, "a=1"), (257, "")])
def test_a_tracestate_is_parsed_only_up_to_256_commas(empty: int, kept: str) -> None:
    assert _state("," * empty + "a=1") == kept


@pytest.mark.parametrize(("length", "kept"), [(256, True), (257, False)])
@pytest.mark.parametrize("part", ["key", "value"])
def test_a_key_and_a_value_of_tracestate_have_at_most_256_characters(
    part: str, length: int, kept: bool
) -> None:
    member = f"{'k' * length}=v" if part == "key" else f"k={'v' * length}"
    assert _state(member) == (member if kept else "")


@pytest.mark.parametrize(("length", "kept"), [(128, True), (129, False)])
def test_members_above_128_characters_are_removed_first_from_a_long_tracestate(
    length: int, kept: bool
) -> None:
    long = f"a={'v' * (length - 2)}"
    rest = ",".join(f"k{n}=v" for n in range(10))
    assert w3c.shorten(f"{long},{rest}", 170) == (cut(f"{long},{rest}", 170) if kept else rest)
    assert w3c.shorten(f"{long},{rest}", len(f"{long},{rest}")) == f"{long},{rest}"


@pytest.mark.parametrize(("blanks", "read"), [(512 - 55, True), (513 - 55, False)])
def test_a_traceparent_has_at_most_512_characters_with_its_blanks(blanks: int, read: bool) -> None:
    propagator = Propagator(["tracecontext"])
    headers = {"traceparent": PARENT + " " * blanks}
    if read:
        found = propagator.decode(headers)
        assert found is not None
        assert found.trace_id == 0xA
    else:
        with pytest.raises(BadHeader, match="has more than 512 characters"):
            propagator.decode(headers)


def test_a_jaeger_header_of_any_length_may_have_each_character_encoded() -> None:
    value = f"{0xA:032x}:{0xB:016x}:{0xC:016x}:01"
    encoded = "".join(f"%{ord(char):02X}" for char in value)
    plain, found = (Propagator(["jaeger"]).decode({"uber-trace-id": text}) for text in (value, encoded))
    assert found == plain is not None


@pytest.mark.parametrize(("given", "kept"), [(1023, 1023), (1024, 1024), (1025, 1024)])
def test_a_debug_id_has_at_most_1024_characters(given: int, kept: int) -> None:
    found = Propagator(["jaeger"]).decode({"jaeger-debug-id": "d" * given})
    assert found is not None
    assert found.debug_id == "d" * kept


@pytest.mark.parametrize(("items", "kept"), [(63, 63), (64, 64), (65, 64)])
@pytest.mark.parametrize("name", ["baggage", "jaeger", "ottrace"])
def test_64_items_of_baggage_are_sent_and_read(name: str, items: int, kept: int) -> None:
    baggage = {f"k{n}": "v" for n in range(items)}
    headers: dict[str, str] = {}
    Propagator([name, "tracecontext"]).encode(Remote(1, 2, 0, True, baggage=baggage), headers)
    found = Propagator([name, "tracecontext"]).decode(headers)
    assert found is not None
    assert dict(found.baggage) == dict(list(baggage.items())[:kept])


@pytest.mark.parametrize(("length", "kept"), [(8190, True), (8191, False)])
def test_8192_bytes_of_baggage_are_sent(length: int, kept: bool) -> None:
    headers: dict[str, str] = {}
    Propagator(["baggage"]).encode(Remote(1, 2, 0, True, baggage={"k": "v" * length}), headers)
    assert ("baggage" in headers) is kept


SPELLED = {
    "b3multi": ["X-B3-TraceId", "X-B3-SpanId", "X-B3-ParentSpanId", "X-B3-Sampled"],
    "xray": ["X-Amzn-Trace-Id"],
    "b3": ["b3"],
    "jaeger": ["uber-trace-id"],
    "tracecontext": ["traceparent"],
}


@pytest.mark.parametrize("name", SPELLED)
def test_header_names_are_written_as_their_standards_spell_them(name: str) -> None:
    headers: dict[str, str] = {}
    Propagator([name]).encode(Remote(1, 2, 3, True), headers)
    assert list(headers) == SPELLED[name]
