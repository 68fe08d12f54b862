"""R17 to R21 and S12: injecting and extracting headers."""

from __future__ import annotations

from collections import UserDict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage
from opentelemetry.context import attach, detach
from opentelemetry.propagators.textmap import TextMapPropagator
from opentracing import (
    Format,
    InvalidCarrierException,
    SpanContextCorruptedException,
    UnsupportedFormatException,
)

from ot_bridge.bridge import SpanContext, Tracer, create_tracer
from ot_bridge.engine import TracerProvider
from ot_bridge.propagation import WsgiHeaders
from tests.conftest import Recorded, recorded
from tests.generated import at_length, examples
from tests.ids import param_id

TRACE, SPAN = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
PARENT = f"00-{TRACE:032x}-{SPAN:016x}-01"
BOTH = [Format.HTTP_HEADERS, Format.TEXT_MAP]


def _injected(tracer: Tracer, context: Any, format: str = Format.HTTP_HEADERS) -> dict[str, str]:
    carrier: dict[str, str] = {}
    tracer.inject(context, format, carrier)
    return carrier


@pytest.mark.parametrize("format", BOTH)
def test_R17_inject_uses_the_propagator_of_the_format(format: str) -> None:
    tracer = recorded({format: "b3"}).tracer
    assert list(_injected(tracer, tracer.start_span("a").context, format)) == ["b3"]


USUAL = {
    "uber-trace-id": ("1:2:3:1", "1:0:3:1", (1, 2, 3, 1)),
    "traceparent": (f"00-{TRACE:032x}-{SPAN:016x}-03", f"00-{0:032x}-{SPAN:016x}-03", (TRACE, SPAN, 0, 3)),
    "b3": ("000000000000000a-000000000000000b-0", "0-b-0", (10, 11, 0, 0)),
}


@pytest.mark.parametrize("header", USUAL)
@pytest.mark.parametrize("wsgi", [False, True], ids=["headers", "environ"])
def test_a_single_tracing_header_is_read_by_the_fast_path(
    header: str, wsgi: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracer = recorded("tracecontext,jaeger,b3,b3multi").tracer
    value, zero, ids = USUAL[header]

    def extract(**more: Any) -> Any:
        carrier: Any = {header: value, **more}
        if wsgi:
            carrier = WsgiHeaders({f"HTTP_{k.upper().replace('-', '_')}": v for k, v in carrier.items()})
        found = tracer.extract(Format.HTTP_HEADERS, carrier)
        return found and (found.trace_id, found.span_id, found.parent_id, found.trace_flags)

    assert extract(host="example.com") == ids  # and it is known now that `host` means nothing
    monkeypatch.setattr(Tracer, "_extract", lambda *given: None)
    assert extract() == extract(host="example.org") == ids
    assert extract(accept="*/*") is None  # which might mean something
    for other in ("tracestate", "jaeger-debug-id", "uberctx-k", "x-b3-flags"):
        assert extract(**{other: "1"}) is None
    for unusual in ("", "x", value + "z", zero, 5, None, [value]):
        assert extract(**{header: unusual}) is None


def test_a_carrier_that_is_not_a_plain_dict_is_not_read_by_the_fast_path(
    tracer: Tracer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for carrier in (UserDict({"traceparent": PARENT}), [("traceparent", PARENT)], WsgiHeaders(UserDict())):
        with monkeypatch.context() as patched:
            patched.setattr(Tracer, "_extract", lambda *given: "closer")
            assert tracer.extract(Format.HTTP_HEADERS, carrier) == "closer"  # type: ignore[comparison-overlap]


@pytest.mark.parametrize("format", BOTH)
def test_R18_inject_carries_the_spans_baggage(tracer: Tracer, format: str) -> None:
    span = tracer.start_span("a").set_baggage_item("user", "ann")
    carrier = _injected(tracer, span.context, format)
    assert carrier["baggage"] == "user=ann"
    assert carrier["uberctx-user"] == "ann"


def test_R18_inject_carries_baggage_without_a_valid_span_context(tracer: Tracer) -> None:
    carrier = _injected(tracer, SpanContext(baggage={"user": "ann"}))
    assert carrier == {"baggage": "user=ann", "uberctx-user": "ann"}


def test_R18_inject_accepts_a_span_as_well_as_its_context(tracer: Tracer) -> None:
    span = tracer.start_span("a").set_baggage_item("user", "ann")
    assert _injected(tracer, span) == _injected(tracer, span.context)


def test_R18_inject_does_not_change_other_entries_of_the_carrier(tracer: Tracer) -> None:
    carrier = {"accept": "*/*"}
    tracer.inject(tracer.start_span("a").context, Format.HTTP_HEADERS, carrier)
    assert carrier["accept"] == "*/*"


@pytest.mark.parametrize("format", [*BOTH, Format.BINARY])
def test_R18_extract_returns_what_inject_has_written(tracer: Tracer, format: str) -> None:
    carrier: Any = bytearray() if format == Format.BINARY else {}
    span = tracer.start_span("a").set_baggage_item("Key", "välue; x=1, y")
    tracer.inject(span.context, format, carrier)
    found = tracer.extract(format, carrier)
    assert found is not None
    assert found[:2] == span.context[:2]
    assert (found.sampled, found.is_remote) == (True, True)
    assert span.context.baggage.items() <= {"key": "välue; x=1, y", **found.baggage}.items()


@pytest.mark.parametrize("format", ["zipkin-span-format", "", 7, None, [], {}], ids=param_id)
def test_R19_an_unknown_format_raises_unsupported_format(tracer: Tracer, format: Any) -> None:
    with pytest.raises(UnsupportedFormatException):
        tracer.inject(tracer.start_span("a").context, format, {})
    with pytest.raises(UnsupportedFormatException):
        tracer.extract(format, {})


def _each(formats: list[str], *carriers: Any) -> list[tuple[str, Any]]:
    return [(format, carrier) for format in formats for carrier in carriers]


WRONG_TARGETS = [
    *_each(BOTH, None, 5, "text", b"x", (), object()),
    *_each([Format.BINARY], None, 5, "text", b"x", {}, []),
]


@pytest.mark.parametrize(("format", "carrier"), WRONG_TARGETS, ids=param_id)
def test_R19_inject_into_a_carrier_that_cannot_be_written_raises_invalid_carrier(
    tracer: Tracer, format: str, carrier: Any
) -> None:
    with pytest.raises(InvalidCarrierException):
        tracer.inject(tracer.start_span("a").context, format, carrier)


WRONG_SOURCES = [
    *_each(BOTH, None, 5, "text", ["ab", "c"], [("a",)], object()),
    *_each([Format.BINARY], None, 5, "text", {}, []),
]


@pytest.mark.parametrize(("format", "carrier"), WRONG_SOURCES, ids=param_id)
def test_R19_extract_from_a_carrier_that_cannot_be_read_raises_invalid_carrier(
    tracer: Tracer, format: str, carrier: Any
) -> None:
    with pytest.raises(InvalidCarrierException):
        tracer.extract(format, carrier)


BROKEN: list[tuple[str, Any]] = [
    (Format.HTTP_HEADERS, {"traceparent": "garbage"}),
    (Format.HTTP_HEADERS, {"uber-trace-id": "1:2"}),
    (Format.TEXT_MAP, {"uber-trace-id": "x:y:z:1"}),
    (Format.BINARY, b"short"),
    (Format.BINARY, bytearray(b"\0" * 32 + b"\1\0\0\0\7")),
]


@pytest.mark.parametrize(("format", "carrier"), BROKEN, ids=param_id)
def test_R19_a_broken_header_raises_span_context_corrupted(tracer: Tracer, format: str, carrier: Any) -> None:
    with pytest.raises(SpanContextCorruptedException):
        tracer.extract(format, carrier)


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Raising(UserDict[str, str]):
    """A carrier of the program whose methods raise."""

    def __setitem__(self, name: str, value: str) -> None:
        raise RuntimeError("out of order")

    def items(self) -> Any:
        raise Unprintable


class Broken(TextMapPropagator):
    """A propagator of the program whose methods raise."""

    def inject(self, *args: Any, **kwargs: Any) -> None:
        raise Unprintable

    extract: Any = inject
    fields: Any = frozenset[str]()


@pytest.mark.parametrize(
    ("propagators", "carrier"),
    [("jaeger", Raising()), (Broken(), {})],
    ids=["carrier", "propagator"],
)
def test_R19_an_error_in_the_programs_carrier_or_propagator_raises_invalid_carrier(
    propagators: Any, carrier: Any
) -> None:
    tracer = recorded({Format.HTTP_HEADERS: propagators}).tracer
    with pytest.raises(InvalidCarrierException):
        tracer.inject(tracer.start_span("a").context, Format.HTTP_HEADERS, carrier)
    with pytest.raises(InvalidCarrierException):
        tracer.extract(Format.HTTP_HEADERS, carrier)


NOTHING = [
    *_each(BOTH, {}, [], {"accept": "*/*"}),
    *_each([Format.BINARY], b"", bytearray(), bytearray(37)),
]


@pytest.mark.parametrize(("format", "carrier"), NOTHING, ids=param_id)
def test_R20_extract_returns_none_if_the_carrier_has_no_tracing_headers(
    tracer: Tracer, format: str, carrier: Any
) -> None:
    assert tracer.extract(format, carrier) is None


@pytest.fixture(params=["ours", "opentelemetrys"])
def reading(request: pytest.FixtureRequest) -> Tracer:
    """A tracer on our propagators, and one on OpenTelemetry's."""
    if request.param == "ours":
        return recorded("tracecontext,baggage").tracer
    from opentelemetry.baggage.propagation import W3CBaggagePropagator
    from opentelemetry.propagators.composite import CompositePropagator
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return recorded(CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])).tracer


def test_R20_all_fields_of_a_valid_context_are_extracted(reading: Tracer) -> None:
    found = reading.extract(
        Format.HTTP_HEADERS, {"traceparent": PARENT, "tracestate": "a=1,b=2", "baggage": "user=ann"}
    )
    assert found is not None
    assert (found.trace_id, found.span_id, found.is_remote) == (TRACE, SPAN, True)
    assert (found.sampled, found.tracestate, found.baggage) == (True, "a=1,b=2", {"user": "ann"})


def test_R21_baggage_alone_is_a_context(reading: Tracer) -> None:
    found = reading.extract(Format.HTTP_HEADERS, {"baggage": "user=ann"})
    assert found is not None
    assert (found.is_valid, found.baggage) == (False, {"user": "ann"})
    span = reading.start_span("a", child_of=found)
    assert span.get_baggage_item("user") == "ann"


@pytest.mark.parametrize(
    "more", [{}, {"jaeger-debug-id": "ticket 7"}, {"b3": "1"}], ids=["alone", "debug", "b3"]
)
def test_a_root_span_forwards_the_properties_of_received_baggage(
    tracer: Tracer, more: dict[str, str]
) -> None:
    found = tracer.extract(Format.HTTP_HEADERS, {"baggage": "user=ann;since=2019, k=v", **more})
    with tracer.start_active_span("a", child_of=found):
        span = tracer.start_span("b")
        assert _injected(tracer, span)["baggage"] == "user=ann;since=2019,k=v"
        span.set_baggage_item("user", "bob")
        assert _injected(tracer, span)["baggage"] == "user=bob,k=v"


def test_R20_extract_returns_none_for_an_empty_carrier(reading: Tracer) -> None:
    assert reading.extract(Format.HTTP_HEADERS, {}) is None


@pytest.mark.parametrize("propagators", ["jaeger", ["jaeger", TextMapPropagator]], ids=["ours", "composite"])
def test_R21_a_debug_id_alone_is_a_context_that_starts_a_debug_trace(propagators: Any) -> None:
    if isinstance(propagators, list):
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        propagators = ["jaeger", TraceContextTextMapPropagator()]
    otel = recorded(propagators)
    found = otel.tracer.extract(Format.HTTP_HEADERS, {"jaeger-debug-id": "ticket 7"})
    assert found is not None
    assert (found.is_valid, found.debug_id) == (False, "ticket 7")
    span = otel.tracer.start_span("a", child_of=found)
    assert (span.context.sampled, span.context.debug) == (True, True)
    assert _injected(otel.tracer, span)["uber-trace-id"].endswith(":0:3")
    span.finish()
    assert dict(otel.spans["a"].attributes or {}) == {"jaeger-debug-id": "ticket 7"}
    assert otel.spans["a"].parent is None


@pytest.mark.parametrize("flags", ["00", "01", "02", "03", "09", "ff"])
def test_S12_traceparent_flags_have_only_bits_that_the_specification_defines(
    tracer: Tracer, flags: str
) -> None:
    found = tracer.extract(Format.HTTP_HEADERS, {"traceparent": PARENT[:-2] + flags})
    child = tracer.start_span("a", child_of=found)
    sent = int(_injected(tracer, child)["traceparent"][-2:], 16)
    assert sent & ~3 == 0
    assert sent & 1 == int(flags, 16) & 1


@pytest.mark.parametrize(("flags", "debug"), [("0", False), ("1", False), ("3", True)])
def test_S12_jaeger_flags_never_gain_the_debug_bit_by_themselves(
    tracer: Tracer, flags: str, debug: bool
) -> None:
    found = tracer.extract(Format.HTTP_HEADERS, {"uber-trace-id": f"{TRACE:x}:{SPAN:x}:0:{flags}"})
    span = tracer.start_span("a", child_of=found)
    for each in span, tracer.start_span("b", child_of=span):
        assert _injected(tracer, each)["uber-trace-id"].endswith(f":{flags}")
        assert each.context.debug is debug


def test_S12_the_flags_of_a_trace_are_kept_when_jaeger_and_w3c_headers_are_both_sent(tracer: Tracer) -> None:
    carrier = _injected(tracer, tracer.start_span("a"))
    assert carrier["uber-trace-id"].endswith(":1")
    assert int(carrier["traceparent"][-2:], 16) & 1


def test_inject_also_sends_baggage_that_opentelemetry_code_has_added(otel: Recorded) -> None:
    with otel.tracer.start_active_span("a") as scope:
        scope.span.set_baggage_item("one", "1")
        token = attach(baggage.set_baggage("two", 2))
        carrier = _injected(otel.tracer, scope.span.context)
        other = _injected(otel.tracer, otel.tracer.start_span("b", ignore_active_span=True).context)
        detach(token)
    assert carrier["baggage"] == "one=1,two=2"
    assert "baggage" not in other


_ID = st.integers(0, 1 << 64) | st.integers(0, 1 << 128) | st.sampled_from([0, 1, TRACE, SPAN])
_VALUES = {
    "uber-trace-id": st.builds("{:x}:{:x}:{:x}:{:x}".format, _ID, _ID, _ID, st.integers(0, 9)),
    "traceparent": st.builds("00-{:032x}-{:016x}-{:02x}".format, _ID, _ID, st.integers(0, 9)),
    "b3": st.builds("{:032x}-{:016x}-{}".format, _ID, _ID, st.sampled_from(["0", "1", "d"])),
}
_FAST = create_tracer(TracerProvider(shutdown_on_exit=False), propagators="jaeger,tracecontext,b3")


@pytest.mark.parametrize("header", _VALUES)
@examples(60)
@given(data=st.data())
def test_the_fast_path_reads_the_same_as_the_full_decoder(header: str, data: Any) -> None:
    value = data.draw(_VALUES[header])
    environ = WsgiHeaders({f"HTTP_{header.upper().replace('-', '_')}": value})
    seen = [_extracted(carrier) for carrier in ({header: value}, environ, [(header, value)])]
    assert seen[0] == seen[1] == seen[2]


test_the_fast_path_reads_the_same_as_the_full_decoder_at_length = at_length(
    test_the_fast_path_reads_the_same_as_the_full_decoder
)


def _extracted(carrier: Any) -> Any:
    try:
        found: Any = _FAST.extract(Format.HTTP_HEADERS, carrier)
    except SpanContextCorruptedException as error:
        return str(error)
    names = "parent_id", "sampled", "debug", "baggage", "origin", "tracestate", "links", "is_valid"
    return tuple(found), type(found), dict(found.extras), [getattr(found, name) for name in names]
