"""Several formats at once: which format wins, how baggage is merged, and which headers are written."""

from __future__ import annotations

from typing import Any

import pytest

from ot_bridge.errors import BadHeader, ConfigurationError
from ot_bridge.propagation import Propagator
from ot_bridge.wire import FORMATS, Remote, jaeger

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, SPAN = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
SAME = "af7651916cd43dd8448eb211c80319c:b7ad6b7169203331:123:3"


def decode(carrier: dict[str, str], *formats: str, **options: Any) -> Remote | None:
    return Propagator(formats or ("tracecontext", "baggage", "jaeger"), **options).decode(carrier)


def test_the_first_format_with_a_trace_takes_precedence() -> None:
    carrier = {"traceparent": PARENT, "uber-trace-id": "1:2:0:1"}
    assert decode(carrier) == Remote(TRACE, SPAN, sampled=True)
    assert decode(carrier, "jaeger", "tracecontext") == Remote(1, 2, sampled=True)


def test_a_broken_header_of_one_format_does_not_affect_a_valid_one_of_another() -> None:
    assert decode({"traceparent": "broken", "uber-trace-id": "1:2:0:1"}) == Remote(1, 2, sampled=True)
    assert decode({"traceparent": PARENT, "uber-trace-id": "broken"}) == Remote(TRACE, SPAN, sampled=True)


@pytest.mark.parametrize(
    "carrier",
    [
        {"traceparent": "broken"},
        {"traceparent": "broken", "uber-trace-id": "broken too"},
        {"traceparent": "broken", "baggage": "k=v"},
        {"traceparent": "broken", "jaeger-debug-id": "x"},
    ],
    ids=["alone", "two", "with baggage", "with a debug id"],
)
def test_a_broken_header_raises_only_if_no_format_has_a_trace(carrier: dict[str, str]) -> None:
    with pytest.raises(BadHeader) as caught:
        decode(carrier)
    assert caught.value.header == "traceparent"


def test_baggage_of_all_formats_is_merged_and_the_first_listed_format_takes_precedence() -> None:
    carrier = {"baggage": "a=1,b=1", "uberctx-b": "2", "uberctx-c": "2", "uber-trace-id": "1:2:0:1"}
    remote = decode(carrier)
    assert remote is not None
    assert remote.trace_id == 1
    assert remote.baggage == {"a": "1", "b": "1", "c": "2"}
    remote = decode(carrier, "jaeger", "baggage")
    assert remote is not None
    assert remote.baggage == {"a": "1", "b": "2", "c": "2"}


def test_another_format_adds_fields_about_the_same_span() -> None:
    remote = decode({"traceparent": PARENT, "tracestate": "a=b", "uber-trace-id": SAME})
    assert remote == Remote(TRACE, SPAN, 0x123, True, debug=True, tracestate="a=b")


def test_a_header_with_another_trace_adds_only_its_baggage() -> None:
    remote = decode({"traceparent": PARENT, "uber-trace-id": "1:2:3:b", "uberctx-k": "v"})
    assert remote == Remote(TRACE, SPAN, sampled=True, baggage={"k": "v"})


def test_headers_of_the_same_trace_keep_their_format_specific_fields() -> None:
    carrier = {
        "traceparent": PARENT,
        "x-amzn-trace-id": "Root=1-0af76519-16cd43dd8448eb211c80319c;Lineage=a:1",
    }
    remote = decode(carrier, "tracecontext", "xray")
    assert remote == Remote(TRACE, SPAN, sampled=True, extras={"xray.lineage": "a:1"})


def test_a_decision_without_ids_is_kept_until_a_trace_brings_its_own() -> None:
    assert decode({"b3": "0"}, "b3", "tracecontext") == Remote(sampled=False)
    assert decode({"b3": "0", "baggage": "k=v"}, "baggage", "b3") == Remote(sampled=False, baggage={"k": "v"})
    assert decode({"b3": "0", "traceparent": PARENT}, "b3", "tracecontext") == Remote(
        TRACE, SPAN, sampled=True
    )


def test_a_missing_decision_is_taken_only_from_a_header_of_the_same_span() -> None:
    deferred = f"{TRACE:032x}-{SPAN:016x}"
    carrier = {"b3": deferred, "traceparent": PARENT}
    assert decode(carrier, "b3", "tracecontext") == Remote(TRACE, SPAN, sampled=True)
    carrier = {"b3": deferred, "uber-trace-id": "1:2:0:1"}
    assert decode(carrier, "b3", "jaeger") == Remote(TRACE, SPAN, sampled=None)


#: What the Jaeger header says beside a B3 header of trace 1, span 2, with no more than that -> what is read.
BESIDE: dict[str, tuple[str, Remote]] = {
    "the same span": ("1:2:3:3", Remote(1, 2, 3, True, True)),
    "the same span, other flags": ("1:2:3:9", Remote(1, 2, 3, True, extras={"jaeger.flags": "8"})),
    "another span of the trace": ("1:4:3:b", Remote(1, 2, extras={"jaeger.flags": "8"})),
    "another trace": ("5:2:3:b", Remote(1, 2)),
}


@pytest.mark.parametrize(("header", "expected"), BESIDE.values(), ids=BESIDE)
def test_a_second_header_adds_what_it_says_about_the_same_span_or_trace(
    header: str, expected: Remote
) -> None:
    assert decode({"b3": "1-2", "uber-trace-id": header}, "b3", "jaeger") == expected


def test_the_first_header_has_the_last_word_on_everything_that_it_says() -> None:
    carrier = {"b3": "1-2-0-7", "uber-trace-id": "1:2:3:1", "jaeger-debug-id": "one"}
    assert decode(carrier, "b3", "jaeger") == Remote(1, 2, 7, False, debug_id="one")
    assert decode(carrier, "jaeger", "b3") == Remote(1, 2, 3, True, debug_id="one")
    both = [jaeger(), jaeger(trace_id_header="t", debug_id_header="d", baggage_header_prefix="p-")]
    ids = {"jaeger-debug-id": "one", "d": "two", "uber-trace-id": "1:2:0:9", "t": "1:2:0:5"}
    assert Propagator(both).decode(ids) == Remote(1, 2, 0, True, debug_id="one", extras={"jaeger.flags": "8"})


def test_a_decision_of_a_header_without_a_trace_counts_for_no_trace() -> None:
    assert decode({"b3": "d", "uber-trace-id": "1:2:0:0"}, "b3", "jaeger") == Remote(1, 2, sampled=False)
    assert decode({"b3": "1-2", "x-b3-sampled": "1"}, "b3", "b3multi") == Remote(1, 2)


def test_a_debug_id_beside_a_trace_is_kept() -> None:
    remote = decode({"traceparent": PARENT, "jaeger-debug-id": "case"})
    assert remote == Remote(TRACE, SPAN, sampled=True, debug_id="case")


FOREIGN = {"traceparent": PARENT, "baggage": "a=1;p,b=2;q", "uberctx-c": "3"}


@pytest.mark.parametrize(
    ("accepted", "baggage", "extras"),
    [
        (True, {"a": "1", "b": "2", "c": "3"}, {"baggage:a": "1;p", "baggage:b": "2;q"}),
        (False, {}, {}),
        ([], {}, {}),
        (["a", "c", "x"], {"a": "1", "c": "3"}, {"baggage:a": "1;p"}),
    ],
    ids=["all", "none", "an empty list", "listed keys"],
)
def test_incoming_baggage_can_be_ignored(accepted: Any, baggage: Any, extras: Any) -> None:
    remote = decode(FOREIGN, accept_baggage=accepted)
    assert remote == Remote(TRACE, SPAN, sampled=True, baggage=baggage, extras=extras)


def test_a_caller_that_sends_only_baggage_is_ignored_if_no_baggage_is_accepted() -> None:
    assert decode({"baggage": "a=1"}, accept_baggage=False) is None
    assert decode({"baggage": "a=1"}, "baggage", accept_baggage=["b"]) is None
    assert decode({}, accept_baggage=False) is None
    headers: dict[str, str] = {}
    Propagator(["baggage"], accept_baggage=False).encode(Remote(baggage={"own": "1"}), headers)
    assert headers == {"baggage": "own=1"}


def test_every_format_in_the_list_is_written() -> None:
    headers: dict[str, Any] = {}
    Propagator(list(FORMATS), raw=True).encode(
        Remote(TRACE, SPAN, 5, True, baggage={"k": "v"}, tracestate="a=b"), headers
    )
    assert {name.lower() for name in headers} >= {
        "traceparent", "tracestate", "baggage", "uber-trace-id", "uberctx-k", "b3", "x-b3-traceid",
        "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "ot-tracer-traceid", "ot-baggage-k",
        "x-amzn-trace-id", "grpc-trace-bin", "binary", "trace_id", "traceflags",
    }  # fmt: skip


def test_without_a_trace_baggage_and_decisions_are_still_written() -> None:
    headers: dict[str, str] = {}
    propagator = Propagator([name for name in FORMATS if name != "binary"])
    propagator.encode(Remote(sampled=False, baggage={"k": "v"}), headers)
    assert headers == {
        "baggage": "k=v",
        "uberctx-k": "v",
        "b3": "0",
        "X-B3-Sampled": "0",
        "ot-baggage-k": "v",
        "X-Amzn-Trace-Id": "Sampled=0",
    }
    headers.clear()
    propagator.encode(Remote(), headers)
    assert headers == {}


def test_a_debug_id_without_a_span_is_forwarded() -> None:
    headers: dict[str, str] = {}
    Propagator(["jaeger"]).encode(Remote(debug_id="case 42"), headers)
    assert headers == {"jaeger-debug-id": "case%2042"}


def test_text_maps_carry_baggage_as_it_is() -> None:
    remote = Remote(1, 2, sampled=True, baggage={"k": "a b%20c"})
    http: dict[str, str] = {}
    text_map: dict[str, str] = {}
    propagator = Propagator(["jaeger"], accept_baggage=["k"])
    propagator.encode(remote, http)
    propagator.text_map.encode(remote, text_map)
    assert http["uberctx-k"] == "a%20b%2520c"
    assert text_map["uberctx-k"] == "a b%20c"
    assert propagator.decode(http) == propagator.text_map.decode(text_map) == remote
    assert propagator.text_map.decode({"uberctx-other": "v"}) is None
    assert Propagator(["b3"]).text_map.formats == Propagator(["b3"]).formats


def test_jaegers_headers_can_have_other_names() -> None:
    format = jaeger(
        trace_id_header="Trace_ID",
        baggage_header_prefix="Ctx_",
        debug_id_header="Debug",
        baggage_header="Bag",
    )
    propagator = Propagator([format])
    headers: dict[str, str] = {}
    propagator.encode(Remote(1, 2, sampled=True, baggage={"k": "v"}), headers)
    assert headers == {"trace-id": "1:2:0:1", "ctx-k": "v"}
    assert propagator.decode(headers) == Remote(1, 2, sampled=True, baggage={"k": "v"})
    assert propagator.decode({"DEBUG": "x", "bag": "a=b"}) == Remote(debug_id="x", baggage={"a": "b"})
    assert propagator.decode({"uber-trace-id": "1:2:0:1"}) is None


@pytest.mark.parametrize(("url_encoded", "text"), [(True, "a b"), (False, "a%20b")])
def test_jaegers_values_are_url_encoded_or_not(url_encoded: bool, text: str) -> None:
    read = Propagator([jaeger(url_encoded=url_encoded)]).decode
    assert read({"uberctx-k": "a%20b"}) == Remote(baggage={"k": text})
    assert read({"jaeger-baggage": "k=a%20b"}) == Remote(baggage={"k": text})
    assert read({"jaeger-debug-id": "a%20b"}) == Remote(debug_id=text)


def test_an_unknown_format_is_refused_at_construction() -> None:
    with pytest.raises(ConfigurationError, match="expected one of tracecontext, baggage, jaeger"):
        Propagator(["jager"])


def test_the_fields_are_the_names_that_may_be_written() -> None:
    assert Propagator(["tracecontext", "b3"]).fields == {"traceparent", "tracestate", "b3"}
