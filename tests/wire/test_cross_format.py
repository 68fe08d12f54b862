"""From any format into any other: what should survive does, and the documentation says what does not."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from ot_bridge.propagation import Propagator
from ot_bridge.wire import FORMATS, Remote
from ot_bridge.wire.losses import losses
from tests.wire.cross_format import PAGE, SAMPLES, section
from tests.wire.vectors import documents

TRACING = [name for name in FORMATS if name != "baggage"]
PAIRS = list(product(TRACING, TRACING))
LOW = (1 << 64) - 1


def across(remote: Remote, *names: str) -> Remote:
    """What is left of `remote` after services that each read what the one before wrote."""
    for name in names:
        headers: dict[str, Any] = {}
        propagator = Propagator([name], raw=True)
        propagator.encode(remote, headers)
        remote = propagator.decode(headers) or Remote()
    return remote


@pytest.mark.parametrize(("source", "target"), PAIRS, ids=list(map("->".join, PAIRS)))
def test_ids_and_decisions_survive_a_conversion_between_formats(source: str, target: str) -> None:
    mask = LOW if "ottrace" in (source, target) else (1 << 128) - 1
    for sample in SAMPLES:
        carried = across(sample, source)
        arrived = across(sample, source, target)
        assert arrived.trace_id == sample.trace_id & mask
        assert arrived.span_id == sample.span_id
        if carried.sampled is not None:
            assert arrived.sampled == carried.sampled


@pytest.mark.parametrize("trace_id", [1, LOW, LOW + 1, 1 << 127, (1 << 128) - 1], ids=hex)
@pytest.mark.parametrize("name", TRACING)
def test_ids_of_every_length_survive_a_conversion_between_formats(name: str, trace_id: int) -> None:
    arrived = across(Remote(trace_id, 1, sampled=True), name)
    if name == "ottrace" and not trace_id & LOW:
        assert arrived == Remote()  # an id of zero means no id
    else:
        assert arrived.trace_id == (trace_id & LOW if name == "ottrace" else trace_id)


#: A format -> which of "open", "debug" and "baggage" its headers can say, as its vectors' file has it.
CAN = {document["format"]: {*document["can"]} for document in documents()}
DEBUG, OPEN, BAGGAGE = ([name for name in CAN if what in CAN[name]] for what in ("debug", "open", "baggage"))


@pytest.mark.parametrize("name", CAN)
def test_a_format_can_say_what_its_vectors_file_has_and_nothing_else(name: str) -> None:
    shown = {
        "open": across(Remote(1, 2), name) == Remote(1, 2),
        "debug": across(Remote(1, 2, sampled=True, debug=True), name).debug,
        "baggage": bool(across(Remote(1, 2, sampled=True, baggage={"k": "v"}), name).baggage),
    }
    assert {what for what, can in shown.items() if can} == CAN[name]


@pytest.mark.parametrize(("source", "target"), list(product(DEBUG, DEBUG)))
def test_debug_survives_in_every_format_that_can_express_it(source: str, target: str) -> None:
    assert across(Remote(1, 2, sampled=True, debug=True), source, target).debug


@pytest.mark.parametrize(("source", "target"), list(product(OPEN, OPEN)))
def test_an_undecided_decision_survives_in_every_format_that_can_express_it(source: str, target: str) -> None:
    assert across(Remote(1, 2), source, target) == Remote(1, 2)


@pytest.mark.parametrize("name", [name for name in CAN if name in TRACING and name not in OPEN])
def test_an_undecided_decision_is_not_sampled_in_formats_that_cannot_express_it(name: str) -> None:
    assert across(Remote(1, 2), name).sampled is False


@pytest.mark.parametrize(("source", "target"), list(product(BAGGAGE, BAGGAGE)))
def test_baggage_survives_in_every_format_that_can_carry_it(source: str, target: str) -> None:
    items = {"user": "b ob", "empty": "", "signs": "a=b,c;d+e%20"}
    assert across(Remote(1, 2, sampled=True, baggage=items), source, target).baggage == items


def test_losses_lists_the_fields_that_a_format_cannot_carry() -> None:
    full = SAMPLES[0]
    assert losses(full, FORMATS["ottrace"]) == (
        "upper half of the trace id",
        "parent id",
        "tracestate",
        "jaeger.flags",
        "w3c.random",
        "xray.lineage",
    )
    assert losses(full, FORMATS["baggage"])[:4] == ("trace id", "span id", "parent id", "sampling decision")
    assert losses(Remote(1, 2, sampled=True), FORMATS["b3"]) == ()


def test_every_part_that_is_lost_has_its_name() -> None:
    everything = Remote(1 << 64, 2, 3, True, True, "d", {"k": "v"}, "a=b", {"w3c.random": "1"})
    assert losses(everything._replace(baggage={"": "v"}), FORMATS["baggage"]) == (
        *("trace id", "span id", "parent id", "sampling decision", "debug", "debug id", "baggage"),
        *("tracestate", "w3c.random"),
    )
    for trace_id, lost in (
        (1 << 64 | 1, ("upper half of the trace id",)),
        (1 << 64, ("trace id", "span id")),
    ):
        assert losses(Remote(trace_id, 2), FORMATS["ottrace"]) == lost


def test_the_table_in_the_docs_is_the_generated_one() -> None:
    assert section() in PAGE.read_text("utf-8"), "run python -m tests.wire.cross_format"
