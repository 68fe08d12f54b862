"""Sampling decisions for an incomplete caller context, and for a span with its own sampler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from opentelemetry import propagate, trace
from opentelemetry.context import attach, detach
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler, SamplingResult
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentracing import Format

from ot_bridge.bridge import Tracer, create_tracer
from ot_bridge.bridge.altered import AsRoot, AsSampled, AsUnsampled
from ot_bridge.errors import ConfigurationError
from ot_bridge.propagation import parse_propagators
from tests.bridge.test_starting_spans import Watching
from tests.conftest import Recorded, recorded
from tests.ids import param_id

ROOT = "Root=1-5759e988-bd862e3fe1be46a994272793"
TRACE = 0x5759E988BD862E3FE1BE46A994272793
FORMATS = "b3,b3multi,jaeger,xray"

#: what came in -> whether it is sampled under a sampler that takes callers at their word and samples roots
DECISIONS = [
    ({"b3": "0"}, False),
    ({"b3": "1"}, True),
    ({"x-b3-sampled": "0"}, False),
    ({"x-amzn-trace-id": f"{ROOT};Sampled=0"}, False),
    ({"x-amzn-trace-id": f"{ROOT};Sampled=1"}, True),
    ({"x-amzn-trace-id": ROOT}, True),
    ({"b3": "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1"}, True),
    ({"b3": "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-0"}, False),
]


def _tracer(provider_class: type[TracerProvider], sampler: Sampler, propagators: Any = FORMATS) -> Tracer:
    return create_tracer(provider_class(sampler, shutdown_on_exit=False), propagators=propagators)


def _extracted(tracer: Tracer, headers: dict[str, str], how: str) -> Any:
    """A span for a request with these headers, its context extracted by either API."""
    if how == "opentracing":
        return tracer.start_span("a", child_of=tracer.extract(Format.HTTP_HEADERS, headers))
    token = attach(parse_propagators(FORMATS).extract(headers))
    try:
        return tracer.start_span("a")
    finally:
        detach(token)


@pytest.mark.parametrize("how", ["opentracing", "opentelemetry"])
@pytest.mark.parametrize(("headers", "sampled"), DECISIONS, ids=param_id)
def test_a_callers_sampling_decision_applies_even_if_the_caller_sends_no_span(
    provider_class: type[TracerProvider], headers: dict[str, str], sampled: bool, how: str
) -> None:
    span = _extracted(_tracer(provider_class, ParentBased(ALWAYS_ON)), headers, how)
    assert span.context.sampled is sampled


@pytest.mark.parametrize("how", ["opentracing", "opentelemetry"])
@pytest.mark.parametrize("headers", [{"b3": "1"}, {"x-amzn-trace-id": f"{ROOT};Sampled=1"}], ids=param_id)
def test_a_sampler_that_is_not_parent_based_ignores_the_callers_decision(
    provider_class: type[TracerProvider], headers: dict[str, str], how: str
) -> None:
    assert _extracted(_tracer(provider_class, ALWAYS_OFF), headers, how).context.sampled is False
    obeying = _tracer(provider_class, ParentBased(ALWAYS_OFF))
    assert _extracted(obeying, headers, how).context.sampled is True


@pytest.mark.parametrize("how", ["opentracing", "opentelemetry"])
@pytest.mark.parametrize(
    "headers",
    [{"x-amzn-trace-id": ROOT}, {"b3": "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1"}],
    ids=param_id,
)
def test_the_root_sampler_decides_if_the_caller_has_not_decided(
    provider_class: type[TracerProvider], headers: dict[str, str], how: str
) -> None:
    tracer = _tracer(provider_class, ParentBased(ALWAYS_OFF, remote_parent_sampled=ALWAYS_ON))
    assert _extracted(tracer, headers, how).context.sampled is False
    tracer = _tracer(provider_class, ParentBased(ALWAYS_ON, remote_parent_not_sampled=ALWAYS_OFF))
    assert _extracted(tracer, headers, how).context.sampled is True


@pytest.mark.parametrize("how", ["opentracing", "opentelemetry"])
def test_a_trace_id_without_a_span_id_is_continued_by_a_root_span(how: str) -> None:
    otel = recorded(FORMATS)
    span = _extracted(otel.tracer, {"x-amzn-trace-id": ROOT}, how)
    child = otel.tracer.start_span("b", child_of=span)
    child.finish()
    span.finish()
    assert span.context.trace_id == child.context.trace_id == TRACE
    assert otel.spans["a"].parent is None
    assert otel.spans["b"].parent is not None
    assert span.context.span_id not in (0, child.context.span_id)


@pytest.mark.parametrize("how", ["opentracing", "opentelemetry"])
@pytest.mark.parametrize(
    ("headers", "tag"), [({"b3": "d"}, None), ({"jaeger-debug-id": "7"}, "7")], ids=param_id
)
def test_a_debug_request_is_sampled_by_any_sampler(
    provider_class: type[TracerProvider], headers: dict[str, str], tag: str | None, how: str
) -> None:
    span = _extracted(_tracer(provider_class, ParentBased(ALWAYS_OFF)), headers, how)
    assert (span.context.sampled, span.context.debug) == (True, True)
    assert span.unwrap().attributes.get("jaeger-debug-id") == tag


def test_a_sampling_decision_without_ids_survives_a_composite_with_foreign_propagators(
    provider_class: type[TracerProvider],
) -> None:
    formats = [parse_propagators(FORMATS), TraceContextTextMapPropagator()]
    tracer = _tracer(provider_class, ParentBased(ALWAYS_ON), CompositePropagator(formats))
    found = tracer.extract(Format.HTTP_HEADERS, {"b3": "0"})
    assert tracer.start_span("a", child_of=found).context.sampled is False
    found = tracer.extract(Format.HTTP_HEADERS, {"x-amzn-trace-id": ROOT})
    assert tracer.start_span("a", child_of=found).context.trace_id == TRACE


def test_the_callers_decision_does_not_apply_to_other_traces(otel: Recorded) -> None:
    token = attach(parse_propagators(FORMATS).extract({"b3": "0"}))
    nobody: Any = None
    with otel.tracer.scope_manager.activate(nobody, False):
        assert otel.tracer.start_span("a").context.sampled is True
    assert otel.tracer.start_span("b", ignore_active_span=True).context.sampled is True
    assert otel.tracer.start_span("c").context.sampled is False
    detach(token)


def test_samplers_that_apply_a_callers_decision_name_the_original_sampler() -> None:
    made = [kind(Watching()) for kind in (AsUnsampled, AsSampled, AsRoot)]
    assert [sampler.get_description() for sampler in made] == [
        "AsUnsampled{Watching}",
        "AsSampled{Watching}",
        "AsRoot{Watching}",
    ]


def test_each_span_may_have_a_new_sampler(otel: Recorded) -> None:
    for number in range(100):
        sampler = ParentBased(ALWAYS_ON if number % 2 else ALWAYS_OFF)
        assert otel.tracer.start_span("a", sampler=sampler).context.sampled is bool(number % 2)


@dataclass
class Unhashable(Sampler):
    """As a sampler that is a plain dataclass is, and one without a truth value."""

    decision: Sampler = ALWAYS_OFF

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        return self.decision.should_sample(*args, **kwargs)

    def get_description(self) -> str:
        return "Unhashable"

    def __bool__(self) -> bool:
        raise RuntimeError("no truth")


def test_a_span_may_have_a_sampler_that_is_not_hashable(otel: Recorded) -> None:
    for sampler in Unhashable(ALWAYS_ON), Unhashable(ALWAYS_OFF):
        for _ in range(2):
            span = otel.tracer.start_span("a", sampler=sampler)
            assert span.context.sampled is (sampler.decision is ALWAYS_ON)


def test_a_sampler_first_used_before_a_fork_gives_later_spans_the_resource_of_the_child(
    otel: Recorded,
) -> None:
    otel.tracer.start_span("before", sampler=ALWAYS_ON).finish()
    tracer: Any = otel.tracer
    native = tracer.unwrap()
    native.resource = Resource({"process.pid": 7})
    otel.tracer.start_span("after", sampler=ALWAYS_ON).finish()
    assert "process.pid" not in otel.spans["before"].resource.attributes
    assert otel.spans["after"].resource.attributes["process.pid"] == 7


def test_before_opentelemetrys_provider_is_set_spans_are_not_recorded_and_nothing_raises() -> None:
    tracer = create_tracer(trace.ProxyTracerProvider(), propagators=FORMATS)
    for tags in {}, {"sampling.priority": 1}, {"sampling.priority": 0}:
        assert not tracer.start_span("a", tags=tags).unwrap().is_recording()
    found = tracer.extract(Format.HTTP_HEADERS, {"x-amzn-trace-id": ROOT})
    tracer.start_span("a", child_of=found).finish()


class RaisesAtTheEnd(SpanProcessor):
    def on_end(self, span: Any) -> None:
        raise RuntimeError("no")


class RaisesAtTheStart(SpanProcessor):
    def on_start(self, span: Any, parent_context: Any = None) -> None:
        raise RuntimeError("no")


@pytest.mark.parametrize("processor", [RaisesAtTheStart, RaisesAtTheEnd])
@pytest.mark.parametrize("tags", [None, {"a": 1}, {"error": True}], ids=param_id)
def test_a_processor_that_raises_loses_spans_and_is_logged_once(
    provider_class: type[TracerProvider], processor: Any, tags: Any, caplog: pytest.LogCaptureFixture
) -> None:
    provider = provider_class(shutdown_on_exit=False)
    provider.add_span_processor(processor())
    tracer = create_tracer(provider, propagators=FORMATS)
    for _ in range(3):
        with tracer.start_active_span("a", tags=tags) as scope:
            tracer.start_span("b", child_of=scope.span).finish(7)
    assert tracer.active_span is None
    (message,) = {record.getMessage() for record in caplog.records}
    assert "processor" in message
    assert len(caplog.records) <= 2  # once for each module that says it


@pytest.mark.parametrize("spec", [7, [7], {"text_map": 7}, "nonsense", object()], ids=param_id)
def test_invalid_propagators_are_a_configuration_error(spec: Any) -> None:
    with pytest.raises(ConfigurationError):
        create_tracer(propagators=spec)


def test_a_format_may_use_opentelemetrys_global_propagator() -> None:
    tracer = recorded({Format.TEXT_MAP: None, Format.HTTP_HEADERS: "b3"}).tracer
    carrier: dict[str, str] = {}
    tracer.inject(tracer.start_span("a").context, Format.TEXT_MAP, carrier)
    assert carrier.keys() <= propagate.get_global_textmap().fields
    assert carrier


def test_samplers_get_tags_in_the_form_in_which_they_are_exported(
    provider_class: type[TracerProvider],
) -> None:
    sampler = Watching()
    tracer = create_tracer(provider_class(sampler, shutdown_on_exit=False))
    tracer.start_span("a", tags={7: "seven", "one": 1})
    tracer.start_active_span("a", tags={7: "seven", "one": 1}).close()
    assert [seen["attributes"] for seen in sampler.seen] == [{"7": "seven", "one": 1}] * 2
