"""S4 and S5: the tags `span.kind` and `sampling.priority`."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ParentBased,
    Sampler,
    TraceIdRatioBased,
)
from opentelemetry.trace import SpanKind
from opentracing import Format

from ot_bridge.bridge import create_tracer
from tests.conftest import Recorded, recorded
from tests.ids import param_id

KINDS = [
    ("client", SpanKind.CLIENT),
    ("server", SpanKind.SERVER),
    ("producer", SpanKind.PRODUCER),
    ("consumer", SpanKind.CONSUMER),
]


@pytest.mark.parametrize(("tag", "kind"), KINDS)
def test_S4_span_kind_tags_are_kinds_at_the_start_and_later(otel: Recorded, tag: str, kind: SpanKind) -> None:
    otel.tracer.start_span("initial", tags={"span.kind": tag}).finish()
    otel.tracer.start_span("later").set_tag("span.kind", tag).finish()
    for name in "initial", "later":
        assert otel.spans[name].kind is kind
        assert "span.kind" not in (otel.spans[name].attributes or {})


@pytest.mark.parametrize("value", ["local", 3, None, ["server"]], ids=param_id)
def test_S4_an_unknown_kind_stays_an_attribute(otel: Recorded, value: Any) -> None:
    otel.tracer.start_span("initial", tags={"span.kind": value}).finish()
    otel.tracer.start_span("later").set_tag("span.kind", value).finish()
    for name in "initial", "later":
        assert otel.spans[name].kind is SpanKind.INTERNAL
        assert "span.kind" in (otel.spans[name].attributes or {})


def test_S4_an_option_turns_the_mapping_of_kinds_off() -> None:
    otel = recorded("jaeger", maps_kind=False)
    otel.tracer.start_span("x", tags={"span.kind": "server"}).set_tag("span.kind", "client").finish()
    assert otel.spans["x"].kind is SpanKind.INTERNAL
    assert dict(otel.spans["x"].attributes or {}) == {"span.kind": "client"}


@pytest.mark.parametrize("sampler", [ALWAYS_OFF, ParentBased(ALWAYS_OFF), TraceIdRatioBased(0)], ids=param_id)
def test_S5_a_priority_above_zero_forces_sampling(
    sampler: Sampler, provider_class: type[TracerProvider]
) -> None:
    tracer = create_tracer(provider_class(sampler, shutdown_on_exit=False), propagators="jaeger")
    assert tracer.start_span("x", tags={"sampling.priority": 1}).context.sampled is True
    assert tracer.start_span("x", tags={"sampling.priority": "2"}).unwrap().is_recording()
    assert tracer.start_span("x").context.sampled is False


def test_S5_priority_zero_prevents_sampling_even_below_a_sampled_parent(otel: Recorded) -> None:
    with otel.tracer.start_active_span("parent"):
        span = otel.tracer.start_span("x", tags={"sampling.priority": 0})
    assert span.context.sampled is False
    assert not span.unwrap().is_recording()
    assert span.context.trace_id == otel.spans["parent"].context.trace_id


def test_S5_a_priority_set_later_applies_to_children_and_to_inject(otel: Recorded) -> None:
    with otel.tracer.start_active_span("parent") as scope:
        scope.span.set_tag("sampling.priority", 0)
        implicit, explicit = (
            otel.tracer.start_span("implicit"),
            otel.tracer.start_span("explicit", child_of=scope.span),
        )
        carrier: dict[str, str] = {}
        otel.tracer.inject(scope.span.context, Format.TEXT_MAP, carrier)
    assert carrier["uber-trace-id"].endswith(":0:0")
    assert int(carrier["traceparent"][-2:], 16) & 1 == 0
    assert not implicit.unwrap().is_recording()
    assert not explicit.unwrap().is_recording()
    assert implicit.context.trace_id == explicit.context.trace_id == otel.spans["parent"].context.trace_id
    assert "parent" in otel.spans  # the decision of the exported span itself does not change


def test_S5_a_later_priority_of_one_samples_the_children_of_an_unsampled_span(
    provider_class: type[TracerProvider],
) -> None:
    tracer = create_tracer(
        provider_class(ParentBased(ALWAYS_OFF), shutdown_on_exit=False), propagators="jaeger"
    )
    span = tracer.start_span("x").set_tag("sampling.priority", 1)
    assert span.context.sampled is True
    assert tracer.start_span("child", child_of=span).unwrap().is_recording()


@pytest.mark.parametrize("value", [0, 1])
def test_S5_the_flags_of_an_exported_span_are_those_of_its_start(otel: Recorded, value: int) -> None:
    span = otel.tracer.start_span("x")
    before = span.unwrap().get_span_context().trace_flags
    span.set_tag("sampling.priority", value)
    assert span.context.sampled is bool(value)
    span.finish()
    assert otel.spans["x"].context.trace_flags == before
    assert before & 1


@pytest.mark.parametrize("value", ["much", None, [1], object()], ids=param_id)
def test_S5_a_priority_that_is_not_a_number_is_ignored(otel: Recorded, value: Any) -> None:
    assert otel.tracer.start_span("x", tags={"sampling.priority": value}).context.sampled is True
    assert otel.tracer.start_span("x").set_tag("sampling.priority", value).context.sampled is True


@pytest.mark.parametrize("kind", ["server", "broker", None])
@pytest.mark.parametrize("maps_kind", [True, False])
def test_prepared_tags_set_the_same_kind_and_attributes_as_plain_tags(
    kind: str | None, maps_kind: bool
) -> None:
    otel = recorded("jaeger", maps_kind=maps_kind)
    tags = {"component": "x", "n": 7, **({} if kind is None else {"span.kind": kind})}
    otel.tracer.start_span("as it is", tags=tags).finish()
    otel.tracer.start_span("ready", tags=otel.tracer.prepared(tags)).finish()
    one, other = otel.spans["as it is"], otel.spans["ready"]
    assert (one.kind, one.attributes) == (other.kind, other.attributes)
    assert (one.kind is SpanKind.SERVER) == (kind == "server" and maps_kind)
