"""jaeger-client's codecs and ours, on the same generated input: the same ids, flags, baggage and refusals.

Where they differ on purpose, `_accepted_by_us` says so: jaeger-client reads with `int(text, 16)`, which takes
blanks, signs, underscores, `0x` and digits of other scripts, and ids of any length.
"""

from __future__ import annotations

import re
from itertools import product
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jaeger_client import codecs as jaeger_codecs
from jaeger_client.span_context import SpanContext
from opentracing import SpanContextCorruptedException

from ot_bridge.errors import BadHeader
from ot_bridge.propagation import Propagator
from ot_bridge.wire import Remote
from ot_bridge.wire.binary import binary_decode, binary_encode
from tests.generated import at_length, examples

codecs: Any = jaeger_codecs  # untyped

HTTP = codecs.TextCodec(url_encoding=True), Propagator(["jaeger"])
TEXT_MAP = codecs.TextCodec(url_encoding=False), Propagator(["jaeger"]).text_map

ids = st.one_of(
    st.integers(0, (1 << 128) - 1).map(lambda number: f"{number:x}"),
    st.integers(0, (1 << 64) - 1).map(lambda number: f"{number:016x}"),
    st.sampled_from(
        ["", "0", "00", "-1", "+1", "0x1", "1_0", " 1", "1 ", "g", "A", "\uff11", "1" * 33, "%31"]
    ),
)
flags = st.sampled_from(["0", "1", "2", "3", "9", "01", "ff", "FF", "", "-1", "100", "x", "1 ", "%31"])
well_formed = st.builds(
    "{:x}:{:x}:{:x}:{:x}".format,
    st.integers(1, (1 << 128) - 1),
    st.integers(1, (1 << 64) - 1),
    st.integers(0, (1 << 64) - 1),
    st.integers(0, 15),
)
values = st.one_of(
    well_formed,
    st.builds("{}:{}:{}:{}".format, ids, ids, ids, flags),
    st.builds(lambda text: text.replace(":", "%3A"), well_formed),
    st.lists(ids, min_size=1, max_size=6).map(":".join),
    st.text(max_size=20),
)
keys = st.from_regex(r"[a-z][a-z0-9_.-]{0,8}", fullmatch=True)
baggage = st.dictionaries(keys.map("uberctx-".__add__), st.text(max_size=8), max_size=3)
listed = st.text(alphabet="abk=, %20;", max_size=12)


traces = st.dictionaries(st.sampled_from(["uber-trace-id", "Uber-Trace-Id"]), values, max_size=1)


@st.composite
def companions(draw: st.DrawFn) -> dict[str, str]:
    """The other three kinds of header, in any letter case."""
    carrier = draw(baggage)
    if draw(st.booleans()):
        carrier[draw(st.sampled_from(["jaeger-debug-id", "Jaeger-Debug-Id"]))] = draw(st.text(max_size=8))
    if draw(st.booleans()):
        text = draw(listed)
        if (
            not {f"uberctx-{part.strip().split('=')[0]}" for part in unquote(text).split(",")}
            & carrier.keys()
        ):
            carrier["jaeger-baggage"] = text
    return carrier


def _accepted_by_us(carrier: dict[str, str], url_encoded: bool) -> bool:
    """Whether the fields of the trace header are hex digits alone, and not too many."""
    for name, value in carrier.items():
        if name.lower() == "uber-trace-id":
            text = unquote(value) if url_encoded else value
            return bool(re.fullmatch("[0-9a-fA-F]{1,32}(:[0-9a-fA-F]{1,16}){2}:[0-9a-fA-F]{1,2}", text))
    return True


def _theirs(codec: Any, carrier: Any) -> Remote | str | None:
    try:
        context = codec.extract(carrier)
    except SpanContextCorruptedException:
        return "refused"
    return None if context is None else as_remote(context)


def as_remote(context: SpanContext) -> Remote:
    bits = context.flags or 0
    return Remote(
        trace_id=context.trace_id or 0,
        span_id=context.span_id or 0,
        parent_id=context.parent_id or 0,
        sampled=None if context.flags is None else bool(bits & 1),
        debug=bool(bits & 2),
        debug_id=context.debug_id or None,
        baggage=dict(context.baggage),
        extras={"jaeger.flags": f"{bits & ~3:x}"} if bits & ~3 else {},
    )


def _ours(propagator: Propagator, carrier: Any) -> Remote | str | None:
    try:
        return propagator.decode(carrier)
    except BadHeader:
        return "refused"


# Fifty carriers an example, for each of the two variants.
@pytest.mark.parametrize(("codec", "propagator"), [HTTP, TEXT_MAP], ids=["HTTP_HEADERS", "TEXT_MAP"])
@examples(30)
@given(
    heads=st.lists(traces, min_size=10, max_size=10),
    others=st.lists(companions(), min_size=5, max_size=5),
)
def test_both_clients_read_and_refuse_the_same_headers(
    codec: Any, propagator: Propagator, heads: list[dict[str, str]], others: list[dict[str, str]]
) -> None:
    for head, other in product(heads, others):
        carrier = {**head, **other}
        theirs = _theirs(codec, carrier)
        if not _accepted_by_us(carrier, codec.url_encoding):
            theirs = "refused"
        assert _ours(propagator, carrier) == theirs, carrier


test_both_clients_read_and_refuse_the_same_headers_at_length = at_length(
    test_both_clients_read_and_refuse_the_same_headers, 1000
)


remotes = st.builds(
    lambda **fields: Remote(**fields),
    trace_id=st.integers(1, (1 << 128) - 1),
    span_id=st.integers(1, (1 << 64) - 1),
    parent_id=st.integers(0, (1 << 64) - 1),
    sampled=st.booleans(),
    debug=st.booleans(),
    baggage=st.dictionaries(
        keys, st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"])), max_size=3
    ),
)


def _context(remote: Remote) -> SpanContext:
    bits = (1 if remote.sampled else 0) | (2 if remote.debug else 0)
    return SpanContext(remote.trace_id, remote.span_id, remote.parent_id, bits, dict(remote.baggage))


@pytest.mark.parametrize(("codec", "propagator"), [HTTP, TEXT_MAP], ids=["HTTP_HEADERS", "TEXT_MAP"])
@examples(60)
@given(remote=remotes)
def test_both_clients_write_the_same_headers(codec: Any, propagator: Propagator, remote: Remote) -> None:
    theirs: dict[str, str] = {}
    ours: dict[str, str] = {}
    codec.inject(_context(remote), theirs)
    propagator.encode(remote, ours)
    assert ours == theirs
    assert propagator.decode(theirs) == remote
    assert as_remote(codec.extract(ours)) == remote


test_both_clients_write_the_same_headers_at_length = at_length(test_both_clients_write_the_same_headers, 5000)


@examples(60)
@given(remote=remotes)
def test_both_clients_write_the_same_bytes_for_the_binary_carrier(remote: Remote) -> None:
    theirs = bytearray()
    codecs.BinaryCodec().inject(_context(remote), theirs)
    assert binary_encode(remote) == bytes(theirs)
    assert binary_decode(theirs) == remote
    assert as_remote(codecs.BinaryCodec().extract(bytearray(binary_encode(remote)))) == remote


test_both_clients_write_the_same_bytes_for_the_binary_carrier_at_length = at_length(
    test_both_clients_write_the_same_bytes_for_the_binary_carrier, 5000
)


@examples(60)
@given(remote=remotes)
def test_both_clients_write_the_same_integers_for_tchannel(remote: Remote) -> None:
    remote = remote._replace(baggage={})
    theirs: dict[str, Any] = {}
    ours: dict[str, Any] = {}
    codecs.ZipkinCodec().inject(_context(remote), theirs)
    propagator = Propagator(["zipkin-span-format"], raw=True)
    propagator.encode(remote, ours)
    assert ours == theirs
    assert propagator.decode(theirs) == remote
    assert propagator.decode(type("Carrier", (), theirs)) == remote
    assert as_remote(codecs.ZipkinCodec().extract(ours)) == remote


test_both_clients_write_the_same_integers_for_tchannel_at_length = at_length(
    test_both_clients_write_the_same_integers_for_tchannel, 5000
)


@examples(60)
@given(remote=remotes)
def test_jaeger_client_and_we_read_each_others_b3_headers(remote: Remote) -> None:
    propagator = Propagator(["b3multi"])
    sampled = bool(remote.sampled) and not remote.debug
    remote = remote._replace(baggage={}, sampled=sampled)  # it writes debug alone, or sampled alone
    theirs: dict[str, str] = {}
    ours: dict[str, str] = {}
    codecs.B3Codec(generate_128bit_trace_id=remote.trace_id >> 64 != 0).inject(_context(remote), theirs)
    propagator.encode(remote, ours)
    assert {**theirs, **ours} == ours
    assert as_remote(codecs.B3Codec().extract(ours)) == remote
    decided = remote.debug or remote.sampled or None  # what it does not sample, it leaves open
    assert propagator.decode(theirs) == remote._replace(sampled=decided)


test_jaeger_client_and_we_read_each_others_b3_headers_at_length = at_length(
    test_jaeger_client_and_we_read_each_others_b3_headers, 5000
)


MALFORMED = [
    "",
    "abc",
    "abc:def:0",
    "abc:def:0:1:2",
    "x:def:0:1",
    "0:def:0:1",
    "abc:0:0:1",
    "abc:def:-1:1",
    "abc:def::1",
    "abc:def:0:-1",
]


@pytest.mark.parametrize("value", MALFORMED)
def test_ten_malformed_ids_are_refused_by_both(value: str) -> None:
    with pytest.raises(SpanContextCorruptedException):
        HTTP[0].extract({"uber-trace-id": value})
    with pytest.raises(BadHeader):
        HTTP[1].decode({"uber-trace-id": value})
