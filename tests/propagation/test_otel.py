"""The propagator as OpenTelemetry uses it: from context to headers and back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import baggage, trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import Getter, Setter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ot_bridge.propagation import Propagator, get_remote, set_remote, trace_state, undecided
from ot_bridge.wire import Remote

TRACE, SPAN = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
PARENT = f"00-{TRACE:032x}-{SPAN:016x}-"


class UpperGetter(Getter[dict[str, str]]):
    """A carrier of its own kind, as ASGI's scope is one."""

    def get(self, carrier: dict[str, str], key: str) -> list[str] | None:
        value = carrier.get("X" + key.upper())
        return None if value is None else [value]

    def keys(self, carrier: dict[str, str]) -> list[str]:
        return [key[1:] for key in carrier]


class UpperSetter(Setter[dict[str, str]]):
    def set(self, carrier: dict[str, str], key: str, value: str) -> None:
        carrier["X" + key.upper()] = value


def injected(propagator: Propagator, context: Context) -> dict[str, str]:
    headers: dict[str, str] = {}
    propagator.inject(headers, context)
    return headers


def test_extract_sets_span_baggage_and_remote() -> None:
    carrier = {"traceparent": PARENT + "03", "tracestate": "a=b", "baggage": "k=v", "uberctx-j": "w"}
    context = Propagator().extract(carrier)
    span_context = trace.get_current_span(context).get_span_context()
    assert (span_context.trace_id, span_context.span_id) == (TRACE, SPAN)
    assert span_context.is_remote
    assert span_context.trace_flags == 3
    assert span_context.trace_state.to_header() == "a=b"
    assert dict(baggage.get_all(context)) == {"k": "v", "j": "w"}
    assert get_remote(context) == Propagator().decode(carrier)


@pytest.mark.parametrize(
    "carrier", [{}, {"traceparent": "broken"}, None, 7], ids=["empty", "broken", "None", "7"]
)
def test_extract_does_not_change_the_context_if_nothing_can_be_read(carrier: Any) -> None:
    context = baggage.set_baggage("k", "v", Context())
    assert Propagator().extract(carrier, context) is context
    assert Propagator().extract(carrier) == {}


def test_a_broken_header_is_logged_only_at_debug_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "ot_bridge")
    Propagator().extract({"uber-trace-id": "1:2:x:1"})
    assert [record.levelname for record in caplog.records] == ["DEBUG"]
    assert "parent id has a character that is not a hex digit: '1:2:x:1'" in caplog.text


def test_a_carrier_of_any_kind_is_read_and_written_through_getter_and_setter() -> None:
    propagator = Propagator(["jaeger"])
    carrier: dict[str, str] = {}
    sent = Propagator(["jaeger"]).extract({"uber-trace-id": "1:2:0:1", "uberctx-user": "bob"})
    propagator.inject(carrier, sent, UpperSetter())
    assert carrier == {"XUBER-TRACE-ID": "1:2:0:1", "XUBERCTX-USER": "bob"}
    assert get_remote(propagator.extract(carrier, getter=UpperGetter())) == get_remote(sent)
    assert Propagator(["b3"]).extract({"XB3": "0"}, getter=UpperGetter())
    assert Propagator(["b3"]).extract({}, Context(), UpperGetter()) == {}


@pytest.mark.parametrize(
    "headers",
    [
        {"uber-trace-id": "1:2:3:3"},
        {"uber-trace-id": "1:2:3:b"},
        {"b3": "00000000000000010000000000000002-0000000000000003"},
        {"b3": "0"},
        {"jaeger-debug-id": "case"},
        {"X-Amzn-Trace-Id": "Root=1-67891233-abcdef012345678912345678"},
        {"X-Amzn-Trace-Id": "Root=1-67891233-abcdef012345678912345678;Parent=53995c3f42cd8ad8;Lineage=a:1"},
        {"baggage": "k=v;property"},
        {"traceparent": PARENT + "02", "tracestate": "a=b"},
    ],
    ids=lambda headers: ", ".join(headers.values()),
)
def test_an_extracted_context_is_injected_with_the_same_headers(headers: dict[str, str]) -> None:
    propagator = Propagator(["tracecontext", "baggage", "jaeger", "b3", "xray"])
    only = [format for format in propagator.formats if set(map(str.lower, headers)) & set(format.fields)]
    assert injected(Propagator(only), propagator.extract(headers)) == headers


Within = Callable[[dict[str, str], Propagator], dict[str, str]]


def below_a_span(headers: dict[str, str], propagator: Propagator, sampler: Any = ALWAYS_ON) -> dict[str, str]:
    """The headers that a service with its own span sends."""
    tracer = TracerProvider(sampler=sampler, shutdown_on_exit=False).get_tracer("t")
    with tracer.start_as_current_span("s", propagator.extract(headers)) as span:
        context = trace.set_span_in_context(span, propagator.extract(headers))
        return injected(propagator, context)


def test_debug_and_lineage_are_forwarded_below_a_span_of_ours() -> None:
    out = below_a_span({"uber-trace-id": f"{TRACE:x}:{SPAN:x}:0:b"}, Propagator(["jaeger"]))
    trace_id, span_id, parent_id, flags = out["uber-trace-id"].split(":")
    assert (int(trace_id, 16), int(parent_id, 16), flags) == (TRACE, SPAN, "b")
    assert int(span_id, 16) not in (0, SPAN)
    header = {
        "X-Amzn-Trace-Id": f"Root=1-0af76519-{TRACE & (1 << 96) - 1:024x};Parent={SPAN:016x};Lineage=a:1"
    }
    assert below_a_span(header, Propagator(["xray"]))["X-Amzn-Trace-Id"].endswith(";Sampled=1;Lineage=a:1")


def test_a_negative_sampling_decision_of_ours_removes_the_debug_flag() -> None:
    out = below_a_span({"uber-trace-id": f"{TRACE:x}:{SPAN:x}:0:3"}, Propagator(["jaeger"]), ALWAYS_OFF)
    assert out["uber-trace-id"].endswith(":0")


def test_a_span_of_ours_decides_an_undecided_trace() -> None:
    out = below_a_span({"b3": f"{TRACE:032x}-{SPAN:016x}"}, Propagator(["b3"]))
    assert out["b3"].split("-")[2:] == ["1", f"{SPAN:016x}"]


def test_the_random_flag_of_a_trace_id_is_kept() -> None:
    assert below_a_span({"traceparent": PARENT + "03"}, Propagator())["traceparent"][-2:] == "03"


def test_another_trace_keeps_only_the_baggage_and_its_properties() -> None:
    propagator = Propagator(["jaeger", "baggage"])
    context = propagator.extract({"uber-trace-id": "1:2:0:b", "baggage": "k=v;p"})
    other = trace.NonRecordingSpan(trace.SpanContext(5, 6, False, trace.TraceFlags(1)))
    out = injected(propagator, trace.set_span_in_context(other, context))
    assert out == {"uber-trace-id": "5:6:0:1", "uberctx-k": "v", "baggage": "k=v;p"}
    random = trace.NonRecordingSpan(trace.SpanContext(5, 6, False, trace.TraceFlags(3)))
    out = injected(Propagator(["tracecontext"]), trace.set_span_in_context(random, context))
    assert out["traceparent"].endswith("-03")


def test_a_changed_value_loses_the_properties_of_the_old_one() -> None:
    propagator = Propagator(["baggage"])
    context = propagator.extract({"baggage": "k=v;p,l=w;q"})
    assert injected(propagator, baggage.set_baggage("k", "new", context)) == {"baggage": "k=new,l=w;q"}


def test_a_trace_without_a_span_sets_no_span_but_is_remembered() -> None:
    context = Propagator(["xray"]).extract({"x-amzn-trace-id": "Root=1-67891233-abcdef012345678912345678"})
    assert trace.get_current_span(context) is trace.INVALID_SPAN
    remote = get_remote(context)
    assert remote is not None
    assert remote.trace_id == 0x67891233ABCDEF012345678912345678


def test_inject_takes_the_current_context_if_none_is_given() -> None:
    token = attach(Propagator().extract({"traceparent": PARENT + "01"}))
    try:
        headers: dict[str, str] = {}
        Propagator(["tracecontext"]).inject(headers)
    finally:
        detach(token)
    assert headers == {"traceparent": PARENT + "01"}


def test_inject_writes_nothing_for_an_empty_context() -> None:
    assert injected(Propagator(), Context()) == {}


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_opentelemetry_baggage_that_is_not_text_is_written_as_text() -> None:
    context = baggage.set_baggage("n", 7, Context())
    assert injected(Propagator(), context) == {"baggage": "n=7", "uberctx-n": "7"}
    context = baggage.set_baggage("n", Unprintable(), Context())
    assert injected(Propagator(["jaeger"]), context) == {"uberctx-n": "%3CUnprintable%3E"}
    assert injected(Propagator(["baggage"]), context)["baggage"].startswith("n=")


def test_the_remote_of_a_context_can_be_set_and_read() -> None:
    assert get_remote(Context()) is None
    assert get_remote() is None
    context = set_remote(Remote(1, 2), Context())
    assert get_remote(context) == Remote(1, 2)
    token = attach(context)
    try:
        assert get_remote() == Remote(1, 2)
    finally:
        detach(token)


def test_a_foreign_propagator_in_a_composite_does_not_affect_ours() -> None:
    composite = CompositePropagator([Propagator(["jaeger"]), TraceContextTextMapPropagator()])
    context = composite.extract({"uber-trace-id": "1:2:0:3"})
    headers: dict[str, str] = {}
    composite.inject(headers, context)
    assert headers == {"uber-trace-id": "1:2:0:3", "traceparent": f"00-{1:032x}-{2:016x}-01"}


@pytest.mark.parametrize(
    ("came", "goes"),
    [
        ("a=1", "a=1"),
        ("a=1,ot=th:c", "a=1"),
        ("ot=rv:1;th:c;x:y,a=1", "ot=rv:1;x:y,a=1"),
        ("ot=rv:1", "ot=rv:1"),
    ],
)
def test_the_sampling_threshold_is_removed_from_tracestate_if_its_decision_is_not_used(
    came: str, goes: str
) -> None:
    assert undecided(trace_state(came)).to_header() == goes


@pytest.mark.parametrize("flags", ["00", "01", "02", "03"])
def test_the_random_flag_is_injected_as_the_context_has_it(flags: str) -> None:
    propagator, headers = Propagator(["tracecontext"]), {"traceparent": f"00-{1:032x}-{2:016x}-{flags}"}
    sent: dict[str, str] = {}
    propagator.inject(sent, propagator.extract(headers))
    assert sent == headers


def test_header_names_that_are_too_long_for_the_cache_are_still_read() -> None:
    propagator = Propagator(["jaeger"])
    for _ in range(2):
        assert propagator.decode({"x" * 65: "1", "Uber-Trace-Id": "1:2:0:1"}) == Remote(1, 2, sampled=True)
