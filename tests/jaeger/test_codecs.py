"""Codecs used on their own, on both sides; and headers that jaeger-client leaves out or forgives."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.propagators.composite import CompositePropagator
from opentracing import Format, InvalidCarrierException, SpanContextCorruptedException
from opentracing.ext import tags as ext

from ot_bridge.jaeger_client import codecs
from ot_bridge.propagation import Propagator
from ot_bridge.wire import Remote
from tests.jaeger.sides import OURS, Side, both

UNDECIDED = {"X-B3-TraceId": f"{1:016x}", "X-B3-SpanId": f"{2:016x}"}
SERVER = {ext.SPAN_KIND: ext.SPAN_KIND_RPC_SERVER}
CODECS = {
    "b3": lambda side: side.package.codecs.B3Codec(),
    "text": lambda side: side.package.codecs.TextCodec(),
    "http": lambda side: side.package.codecs.TextCodec(url_encoding=True),
    "zipkin": lambda side: side.package.codecs.ZipkinCodec(),
}


@pytest.mark.parametrize("name", CODECS)
def test_a_codec_accepts_a_span_in_place_of_its_context(name: str) -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer()
        span = tracer.start_span("op", child_of=side.package.SpanContext(1, 2, None, 1, {"k": "v"}))
        written: list[dict[str, Any]] = []
        for subject in (span, span.context):
            carrier: dict[str, Any] = {}
            if not (name in ("text", "http") and subject is span):  # there the real one finds no baggage
                CODECS[name](side).inject(subject, carrier)
                written.append(
                    {
                        key: str(value)
                        .replace(f"{span.span_id:016x}", "own")
                        .replace(f"{span.span_id:x}", "own")
                        for key, value in carrier.items()
                    }
                )
        return [{**each, "span_id": "own"} for each in written]

    both(program)


@pytest.mark.parametrize("name", CODECS)
def test_a_codec_writes_the_parent_of_a_context_with_another_baggage_item(name: str) -> None:
    def program(side: Side) -> Any:
        carrier: dict[str, Any] = {}
        context = side.package.SpanContext(1, 2, 3, 1).with_baggage_item("k", "v")
        CODECS[name](side).inject(context, carrier)
        return carrier

    assert "3" in str(both(program))


def test_the_binary_codec_accepts_a_span_too() -> None:
    tracer, _ = OURS.tracer()
    span = tracer.start_span("op")
    of_span, of_context = bytearray(), bytearray()
    codecs.BinaryCodec().inject(span, of_span)
    codecs.BinaryCodec().inject(span.context, of_context)
    assert of_span == of_context != b""


def test_a_codec_accepts_an_object_with_the_attributes_of_a_context_and_refuses_others() -> None:
    class Context:
        trace_id, span_id, parent_id, flags = 1, 2, None, 1

    class WithBaggage(Context):
        baggage = {"k": "v"}

    carrier: dict[str, str] = {}
    codecs.B3Codec().inject(Context(), carrier)
    assert carrier == {**UNDECIDED, "X-B3-Sampled": "1"}
    codecs.TextCodec().inject(WithBaggage(), carrier := {})
    assert carrier == {"uber-trace-id": "1:2:0:1", "uberctx-k": "v"}
    with pytest.raises(InvalidCarrierException):
        codecs.B3Codec().inject(object(), carrier := {})
    assert carrier == {}


@pytest.mark.parametrize(
    "headers",
    [
        {"X-B3-TraceId": "1"},
        {"X-B3-SpanId": "2"},
        {"X-B3-TraceId": "1", "X-B3-SpanId": "0"},
        {"X-B3-TraceId": "0", "X-B3-SpanId": "2", "X-B3-Sampled": "1"},
        {"x-b3-traceid": "1", "X-B3-ParentSpanId": "3"},
        {"X-B3-TraceId": None, "X-B3-SpanId": "2"},
        {},
    ],
    ids=str,
)
def test_an_incomplete_b3_context_is_extracted_as_none(headers: dict[str, Any]) -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer(extra_codecs={"b3": side.package.codecs.B3Codec()})
        return tracer.extract("b3", headers)

    assert both(program) is None
    assert codecs.codec_of(Propagator(["jaeger", "b3multi"])).extract(headers) is None


def test_a_broken_b3_context_raises() -> None:
    def program(side: Side) -> Any:
        with pytest.raises(SpanContextCorruptedException):
            side.package.codecs.B3Codec().extract({"X-B3-TraceId": "1", "X-B3-SpanId": "xyz"})

    both(program)


@pytest.mark.parametrize("carrier", [[], (), set(), "", b""], ids=repr)
@pytest.mark.parametrize(
    "format", [Format.TEXT_MAP, Format.HTTP_HEADERS, Format.BINARY, "zipkin-span-format", "b3"]
)
def test_an_empty_list_set_or_text_is_not_a_valid_carrier(format: str, carrier: Any) -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer(extra_codecs={"b3": side.package.codecs.B3Codec()})
        with pytest.raises(InvalidCarrierException):
            tracer.extract(format, carrier)

    both(program)
    with pytest.raises(InvalidCarrierException):
        codecs.codec_of(Propagator(["b3"])).extract(carrier)
    with pytest.raises(InvalidCarrierException):
        codecs.codec_of(CompositePropagator([Propagator(["b3"])])).extract(carrier)


@pytest.mark.parametrize("name", ["b3", "b3multi", "ottrace", "xray"])
@pytest.mark.parametrize("sampled", [None, False], ids=["undecided", "a no"])
def test_a_joined_span_forwards_an_undecided_sampling_decision_as_undecided(
    name: str, sampled: bool | None
) -> None:
    codec = codecs.codec_of(Propagator([name]))
    tracer, reporter = OURS.tracer(one_span_per_rpc=True, extra_codecs={name: codec})
    carrier: dict[str, str] = {}
    Propagator([name]).encode(Remote(1, 2, sampled=sampled), carrier)
    span = tracer.start_span("op", child_of=tracer.extract(name, carrier), tags=SERVER)
    assert not span.is_sampled()
    sent: dict[str, str] = {}
    tracer.inject(span.context, name, sent)
    assert sent == carrier
    child: dict[str, str] = {}
    tracer.inject(tracer.start_span("inner", child_of=span).context, name, child)
    assert Propagator([name]).decode(child).sampled is False  # type: ignore[union-attr]
    span.finish()
    assert reporter.get_spans() == []


def test_an_ordinary_child_of_an_undecided_b3_context_is_decided_by_the_sampler() -> None:
    for decision in (True, False):
        tracer, _ = OURS.tracer(OURS.package.ConstSampler(decision), extra_codecs={"b3": codecs.B3Codec()})
        span = tracer.start_span("op", child_of=tracer.extract("b3", UNDECIDED))
        carrier: dict[str, str] = {}
        tracer.inject(span.context, "b3", carrier)
        assert carrier["X-B3-Sampled"] == str(int(decision))


def test_a_joined_span_forwards_the_tracestate_of_its_caller() -> None:
    codec = codecs.codec_of(Propagator(["tracecontext"]))
    tracer, _ = OURS.tracer(one_span_per_rpc=True, extra_codecs={"w3c": codec})
    caller = {"traceparent": f"00-{1:032x}-{2:016x}-01", "tracestate": "a=1,ot=th:8"}
    span = tracer.start_span("op", child_of=tracer.extract("w3c", caller), tags=SERVER)
    sent: dict[str, str] = {}
    tracer.inject(span.context, "w3c", sent)
    assert sent == caller
