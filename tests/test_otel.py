"""OpenTelemetry's private names, each read off objects that its public functions made."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from opentelemetry import baggage, trace
from opentelemetry import context as context_api
from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import (
    is_http_instrumentation_enabled,
    is_instrumentation_enabled,
    suppress_http_instrumentation,
    suppress_instrumentation,
)
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace import sampling
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ot_bridge import otel


def _tracer(**options: Any) -> Any:
    return sdk.TracerProvider(shutdown_on_exit=False, **options).get_tracer("t")


def test_the_settings_of_a_tracer_are_all_that_the_sdks_tracer_has() -> None:
    assert vars(_tracer()).keys() <= otel.TRACER_SETTINGS


def test_each_private_name_that_the_installed_sdk_does_not_have_is_found() -> None:
    tracer = _tracer()
    for name in otel.NEEDED["tracer"]:
        delattr(tracer, name)
    assert otel.lacking(tracer) == [f"tracer.{name}" for name in otel.NEEDED["tracer"]]


def test_an_sdk_whose_spans_cannot_be_made_lacks_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk, "_Span", None)
    assert otel.lacking(_tracer()) == ["span"]


def test_the_keys_of_the_context_are_those_of_the_api() -> None:
    span = trace.NonRecordingSpan(trace.SpanContext(1, 2, False))
    assert dict(trace.set_span_in_context(span, Context())) == {otel.SPAN_KEY: span}
    assert dict(baggage.set_baggage("a", "b", Context())) == {otel.BAGGAGE_KEY: {"a": "b"}}


def test_the_context_of_exporters_has_all_keys_that_keep_instrumentations_from_tracing() -> None:
    kept: set[str] = {"suppress_instrumentation"}
    for suppress in suppress_instrumentation, suppress_http_instrumentation:
        with suppress():
            kept |= context_api.get_current().keys()
    assert dict(otel.UNTRACED) == dict.fromkeys(kept, True)
    token = otel.attach(otel.UNTRACED)
    assert otel.current() is context_api.get_current() is otel.UNTRACED
    assert not is_instrumentation_enabled()
    assert not is_http_instrumentation_enabled()
    otel.reset(token)
    assert is_instrumentation_enabled()


def test_a_token_of_another_context_is_an_error() -> None:
    token = otel.attach(otel.UNTRACED)
    otel.reset(token)
    with pytest.raises(RuntimeError):
        otel.reset(token)


#: Kind of span -> its number.
PARENTS = ("root", "remote unsampled", "remote sampled", "local unsampled", "local sampled")


@pytest.mark.parametrize("kind", range(5), ids=PARENTS)
def test_the_sampler_for_each_kind_of_parent_is_found(kind: int) -> None:
    samplers = [sampling.TraceIdRatioBased(number / 8) for number in range(5)]
    parent_based = sampling.ParentBased(
        samplers[0],
        remote_parent_not_sampled=samplers[1],
        remote_parent_sampled=samplers[2],
        local_parent_not_sampled=samplers[3],
        local_parent_sampled=samplers[4],
    )
    assert otel.delegate(parent_based, kind) is samplers[kind]
    assert otel.delegate(sampling.ALWAYS_ON, kind) is None


def test_the_decision_of_a_static_sampler_is_found() -> None:
    assert otel.static_decision(sampling.ALWAYS_ON) is sampling.Decision.RECORD_AND_SAMPLE
    assert otel.static_decision(sampling.ALWAYS_OFF) is sampling.Decision.DROP
    assert otel.static_decision(sampling.TraceIdRatioBased(0.5)) is None


class Switch:
    def __init__(self, on: bool) -> None:
        self._is_enabled = lambda: on


def test_a_tracer_is_enabled_unless_its_configurator_says_otherwise() -> None:
    assert [otel.is_enabled(each) for each in (Switch(True), Switch(False), _tracer(), object())] == [
        *(True, False, True, True)
    ]


def test_a_tracer_counts_its_spans_only_if_that_is_switched_on() -> None:
    assert otel.metrics_of(_tracer()) is None
    assert otel.metrics_of(object()) is None
    counting = _tracer()
    counting._tracer_metrics = counts = object()
    assert otel.metrics_of(counting) is counts


def test_the_tracer_behind_a_proxy_is_found() -> None:
    assert isinstance(otel.behind_proxy(trace.ProxyTracer("t")), trace.NoOpTracer)
    tracer = _tracer()
    assert otel.behind_proxy(tracer) is tracer


def test_only_the_sdks_spans_change_their_kind() -> None:
    span = _tracer().start_span("a")
    assert otel.set_kind(span, trace.SpanKind.CLIENT) is True
    assert span.kind is trace.SpanKind.CLIENT
    assert otel.set_kind(trace.INVALID_SPAN, trace.SpanKind.CLIENT) is False


def test_dropped_attributes_are_counted_with_their_limit() -> None:
    limits = sdk.SpanLimits(max_span_attributes=2, max_event_attributes=1)
    span = _tracer(span_limits=limits).start_span("a", attributes=dict.fromkeys("abcde", 1))
    assert otel.last_event(span) is None
    span.add_event("first")
    span.add_event("second", dict.fromkeys("abc", 1))
    assert otel.dropped_by(span) == (3, 2)
    assert otel.last_event(span).name == "second"
    assert otel.dropped_by(otel.last_event(span)) == (2, 1)
    assert otel.dropped_by(trace.INVALID_SPAN) == (0, None)
    assert otel.last_event(trace.INVALID_SPAN) is None


def test_the_sdks_line_for_each_dropped_attribute_is_kept_back_only_in_a_quiet_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    full = "Attributes dict is full. Dropping key"
    logger = logging.getLogger("opentelemetry.attributes")

    def call(text: str) -> str:
        logger.warning(text)
        return text

    assert otel.quietly(call, full) == full
    assert otel.quietly(call, "another") == "another"
    call(full)
    with pytest.raises(ZeroDivisionError):
        otel.quietly(lambda: 1 // 0)
    call("after an error: Attributes dict is full.")
    call(full)
    assert caplog.messages == ["another", full, "after an error: Attributes dict is full.", full]


def test_the_propagators_of_a_composite_one_are_found() -> None:
    single = TraceContextTextMapPropagator()
    assert otel.parts_of(CompositePropagator([single])) == [single]
    assert otel.parts_of(single) == [single]


def test_the_global_provider_can_be_replaced_and_given_back() -> None:
    before = otel.provider_slot()
    first, second = (sdk.TracerProvider(shutdown_on_exit=False) for _ in range(2))
    try:
        otel.hold_provider(None)
        assert otel.held_provider() is None
        trace.set_tracer_provider(first)
        assert otel.held_provider() is first
        otel.hold_provider(second)
        assert trace.get_tracer_provider() is otel.provider_slot()[0] is second
    finally:
        otel.hold_provider(*before)
    assert otel.provider_slot() == before
