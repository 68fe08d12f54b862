"""Each format reads what its standard and its neighbours write, and refuses what they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from ot_bridge.errors import BadHeader
from ot_bridge.propagation import Propagator
from ot_bridge.wire import FORMATS, LIMITS, Remote
from ot_bridge.wire.remote import NOT_SAMPLED
from tests.wire.hostile import read_usual
from tests.wire.vectors import Vector, documents, load

VECTORS = load()
READ = [
    each
    for each in VECTORS
    if each.values[0].remote is not None
    # these write no decision without ids
    and not (each.values[0].format in ("ottrace", "grpc-trace-bin") and each.values[0].remote == NOT_SAMPLED)
]


@pytest.mark.parametrize("vector", VECTORS)
def test_the_vector_is_decoded_or_refused_as_expected(vector: Vector) -> None:
    propagator = Propagator([vector.format])
    usual = read_usual(propagator, vector.headers)
    assert usual is None or (vector.refused is None and usual == vector.remote)
    if vector.refused is None:
        assert propagator.decode(vector.headers) == vector.remote
        return
    with pytest.raises(BadHeader) as caught:
        propagator.decode(vector.headers)
    header, position = vector.refused
    assert caught.value.header == header
    assert position is None or caught.value.position == position


@pytest.mark.parametrize("vector", READ)
def test_the_decoded_vector_can_be_encoded_and_decoded_again(vector: Vector) -> None:
    assert vector.remote is not None
    headers: dict[str, Any] = {}
    propagator = Propagator([vector.format], raw=True)
    propagator.encode(vector.remote, headers)
    remote = vector.remote
    if vector.format == "zipkin-span-format" and remote.sampled is None:
        remote = remote._replace(sampled=False)  # its flags always say one or the other
    assert propagator.decode(headers) == remote


@pytest.mark.parametrize("vector", VECTORS)
def test_the_codec_itself_agrees_on_plain_headers(vector: Vector) -> None:
    headers = _lower(vector.headers)
    if any(isinstance(value, list) for value in headers.values()):
        headers = {
            name: value if isinstance(value, str) else ",".join(value) for name, value in headers.items()
        }
    decode = FORMATS[vector.format].decode
    if vector.refused is None:
        assert decode(headers, LIMITS) == vector.remote
    else:
        with pytest.raises(BadHeader):
            decode(headers, LIMITS)


def test_every_format_has_enough_vectors_each_with_its_source() -> None:
    found = {document["format"]: document for document in documents()}
    missing = [f"tests/vectors/{name}.json" for name in FORMATS if name not in found]
    assert missing == [], "CONTRIBUTING.md says what these files hold"
    assert {*found} == {*FORMATS}
    for name, document in found.items():
        assert document.keys() == {"format", "about", "can", "cases"}, name
        assert {*document["can"]} <= {"open", "debug", "baggage"}, name
        assert len(document["cases"]) >= 25, name
        assert all(case["source"] for case in document["cases"]), name
        assert len({case["id"] for case in document["cases"]}) == len(document["cases"]), name


@pytest.mark.parametrize("name", [document["format"] for document in documents()])
def test_a_format_writes_one_of_its_vectors_word_for_word(name: str) -> None:
    read = [each.values[0] for each in READ if each.values[0].format == name]
    assert any(_written(vector) == _lower(vector.headers) for vector in read)


def _written(vector: Vector) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    FORMATS[vector.format].encode(vector.remote or Remote(), headers)
    return _lower(headers)


def _lower(headers: dict[str, Any]) -> dict[str, Any]:
    return {name.lower(): value for name, value in headers.items()}


@pytest.mark.parametrize("ids", [(1 << 128, 1), (1, 1 << 64), (-1, 1), (1, -1)], ids=str)
def test_an_id_that_no_traceparent_can_hold_is_not_written(ids: tuple[int, int]) -> None:
    headers: dict[str, Any] = {}
    FORMATS["tracecontext"].encode(Remote(*ids, sampled=True, tracestate="k=v"), headers)
    assert headers == {}
