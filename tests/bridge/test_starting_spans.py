"""R1 to R6 and R12 to R14: how a span begins (OpenTelemetry specification, "OpenTracing Compatibility")."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import baggage, trace
from opentelemetry.propagate import get_global_textmap, set_global_textmap
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Sampler,
    SamplingResult,
)
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentracing import Format

import ot_bridge
from ot_bridge.bridge import Tracer, convert, create_tracer
from ot_bridge.engine import TracerProvider as EngineProvider
from tests.conftest import Recorded, recorded
from tests.ids import param_id


class ApiOnlyProvider(trace.TracerProvider):
    """A provider that only implements the API."""

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        return ApiOnlyTracer()


class ApiOnlyTracer(trace.Tracer):
    def start_span(self, name: str, context: Any = None, *args: Any, **kwargs: Any) -> trace.Span:
        parent = trace.get_current_span(context).get_span_context()
        flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
        return trace.NonRecordingSpan(
            trace.SpanContext(parent.trace_id or 0xA, parent.span_id + 1, False, flags)
        )

    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


class Watching(Sampler):
    """Keeps what a sampler gets to see."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    def should_sample(
        self,
        parent_context: Any,
        trace_id: int,
        name: str,
        kind: Any = None,
        attributes: Any = None,
        *rest: Any,
        **more: Any,
    ) -> SamplingResult:
        self.seen.append({"name": name, "kind": kind, "attributes": dict(attributes or {})})
        return ALWAYS_ON.should_sample(parent_context, trace_id, name, kind, attributes)

    def get_description(self) -> str:
        return "Watching"


def test_R1_works_on_a_provider_that_only_implements_the_api() -> None:
    tracer = create_tracer(ApiOnlyProvider(), propagators="jaeger")
    tags = {"error": True, "sampling.priority": 1}
    with tracer.scope_manager.activate(parent := tracer.start_span("parent", tags=tags), True):
        child = tracer.start_span("child")
        child.set_tag("span.kind", "server").log_kv({"event": "e"}).finish()
    carrier: dict[str, str] = {}
    tracer.inject(child, Format.TEXT_MAP, carrier)
    assert child.context.trace_id == parent.context.trace_id == 0xA
    assert carrier == {"uber-trace-id": "a:2:0:1"}


def test_R1_priority_zero_works_if_the_provider_has_no_sampler() -> None:
    tracer = create_tracer(ApiOnlyProvider(), propagators="jaeger")
    assert not tracer.start_span("quiet", tags={"sampling.priority": 0}).unwrap().is_recording()


def test_R5_the_instrumentation_scope_has_the_name_of_the_shim_and_our_version(otel: Recorded) -> None:
    otel.tracer.start_span("a").finish()
    scope = otel.spans["a"].instrumentation_scope
    assert scope is not None
    assert (scope.name, scope.version) == ("opentracing-shim", ot_bridge.__version__)


def test_R6_each_format_may_have_its_own_propagator() -> None:
    tracer = recorded(
        {Format.TEXT_MAP: "jaeger", Format.HTTP_HEADERS: "b3", "mine": TraceContextTextMapPropagator()}
    ).tracer
    span = tracer.start_span("a")
    carriers: dict[str, dict[str, str]] = {Format.TEXT_MAP: {}, Format.HTTP_HEADERS: {}, "mine": {}}
    for name, carrier in carriers.items():
        tracer.inject(span.context, name, carrier)
    assert [list(carrier) for carrier in carriers.values()] == [["uber-trace-id"], ["b3"], ["traceparent"]]


@pytest.fixture
def global_textmap() -> Iterator[None]:
    before = get_global_textmap()
    yield
    set_global_textmap(before)


@pytest.mark.usefixtures("global_textmap")
def test_R6_without_a_propagator_the_global_one_is_looked_up_at_each_call() -> None:
    class Named(TextMapPropagator):
        def __init__(self, name: str) -> None:
            self.name = name

        def inject(self, carrier: Any, context: Any = None, setter: Any = None) -> None:
            carrier[self.name] = f"{trace.get_current_span(context).get_span_context().span_id:x}"

        def extract(self, carrier: Any, context: Any = None, getter: Any = None) -> Any:
            return baggage.set_baggage("from", carrier[self.name], context)

        @property
        def fields(self) -> set[str]:
            return {self.name}

    tracer = recorded().tracer
    span = tracer.start_span("a")
    for name in "x-one", "x-two":
        set_global_textmap(Named(name))
        carrier: dict[str, str] = {}
        tracer.inject(span.context, Format.HTTP_HEADERS, carrier)
        assert carrier == {name: f"{span.context.span_id:x}"}
        found = tracer.extract(Format.HTTP_HEADERS, {name: "there"})
        assert found is not None
        assert found.baggage == {"from": "there"}


def test_R12_samplers_see_the_initial_tags_and_the_kind(provider_class: type[TracerProvider]) -> None:
    sampler = Watching()
    tracer = create_tracer(provider_class(sampler, shutdown_on_exit=False), propagators="jaeger")
    tracer.start_span("x", tags={"http.url": "/a", "span.kind": "server", 7: None})
    assert sampler.seen == [
        {"name": "x", "kind": SpanKind.SERVER, "attributes": {"http.url": "/a", "7": "None"}}
    ]


ERRORS = [
    (True, StatusCode.ERROR),
    ("true", StatusCode.ERROR),
    (False, StatusCode.OK),
    ("false", StatusCode.OK),
    ("maybe", StatusCode.UNSET),
    (1, StatusCode.UNSET),
    (None, StatusCode.UNSET),
    ([], StatusCode.UNSET),
]


@pytest.mark.parametrize(("value", "status"), ERRORS, ids=[repr(value) for value, _ in ERRORS])
def test_R13_the_error_tag_sets_the_status(otel: Recorded, value: Any, status: StatusCode) -> None:
    otel.tracer.start_span("initial", tags={"error": value}).finish()
    otel.tracer.start_span("later").set_tag("error", value).finish()
    assert [otel.spans[name].status.status_code for name in ("initial", "later")] == [status, status]


def test_R31_an_error_tag_that_is_not_a_boolean_stays_an_attribute(otel: Recorded) -> None:
    otel.tracer.start_span("x").set_tag("error", "maybe").finish()
    assert dict(otel.spans["x"].attributes or {}) == {"error": "maybe"}


def test_R14_a_start_time_in_seconds_becomes_nanoseconds(otel: Recorded) -> None:
    otel.tracer.start_span("x", start_time=1600000000.25).finish(1600000001.5)
    assert otel.spans["x"].start_time == 1_600_000_000_250_000_000
    assert otel.spans["x"].end_time == 1_600_000_001_500_000_000


def test_R36_R37_log_and_finish_times_in_seconds_become_nanoseconds(otel: Recorded) -> None:
    span = otel.tracer.start_active_span("x", start_time=10).span
    span.log_kv({"event": "e"}, 11.5)
    span.finish(12)
    times = [otel.spans["x"].start_time, otel.spans["x"].events[0].timestamp, otel.spans["x"].end_time]
    assert times == [10_000_000_000, 11_500_000_000, 12_000_000_000]
    assert {type(moment) for moment in times} == {int}


@pytest.mark.parametrize("moment", ["soon", float("nan"), float("inf"), -1, 1e30, object()], ids=param_id)
def test_R14_an_invalid_time_is_replaced_by_the_current_time(otel: Recorded, moment: Any) -> None:
    before = time.time_ns()
    otel.tracer.start_span("x", start_time=moment).log_kv({"event": "e"}, moment).finish(moment)
    span = otel.spans["x"]
    assert (
        before <= (span.start_time or 0) <= span.events[0].timestamp <= (span.end_time or 0) <= time.time_ns()
    )


def test_a_sampler_given_to_one_span_decides_even_below_a_local_parent(otel: Recorded) -> None:
    with otel.tracer.start_active_span("parent"):
        assert not otel.tracer.start_span("x", sampler=ALWAYS_OFF).unwrap().is_recording()
        assert otel.tracer.start_active_span("y", sampler=ALWAYS_ON).span.context.sampled  # type: ignore[attr-defined]


def test_if_a_sampler_raises_only_the_span_is_lost(
    caplog: pytest.LogCaptureFixture, provider_class: type[TracerProvider]
) -> None:
    class Broken(Watching):
        def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
            raise RuntimeError("broken sampler")

    tracer = create_tracer(provider_class(Broken(), shutdown_on_exit=False), propagators="jaeger")
    for _ in range(3):
        with tracer.start_active_span("x"):
            pass
    assert len([record for record in caplog.records if "sampler" in record.message]) == 1
    own = {tracer.start_span("x").context.trace_id for _ in range(2)}
    assert len(own) == 2 if issubclass(provider_class, EngineProvider) else own == {0}
    above = tracer.extract(Format.HTTP_HEADERS, {"uber-trace-id": "a:b:0:1"})
    assert tracer.start_span("x", child_of=above).context.trace_id == 0xA


def test_the_span_limits_of_the_provider_apply(provider_class: type[TracerProvider]) -> None:
    provider = provider_class(span_limits=SpanLimits(max_span_attributes=2), shutdown_on_exit=False)
    span = create_tracer(provider, propagators="jaeger").start_span("x", tags={"a": 1, "b": 2, "c": 3})
    assert len(span.unwrap().attributes) == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize("tags", ["ab", 7, [1], object()], ids=param_id)
def test_tags_that_are_not_a_mapping_are_ignored(tracer: Tracer, tags: Any) -> None:
    assert dict(tracer.start_span("x", tags=tags).unwrap().attributes) == {}  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", [None, 7, b"x", "\ud800"], ids=param_id)
def test_any_object_is_accepted_as_operation_name(otel: Recorded, name: Any) -> None:
    otel.tracer.start_span(name).set_operation_name(name).finish()
    (span,) = otel.exporter.get_finished_spans()
    assert span.name.encode() or name is None


@pytest.mark.parametrize("how", ["start_span", "start_active_span"])
@pytest.mark.parametrize(
    "given",
    [{"a": 1, "span.kind": "server"}, {"a": 1, "error": True}, {"sampling.priority": 0}],
    ids=param_id,
)
def test_tags_may_be_prepared_once_for_many_spans(otel: Recorded, given: dict[str, Any], how: str) -> None:
    ready: Any = convert.tags(given)
    for name, tags in ("as given", given), ("ready", ready):
        started = getattr(otel.tracer, how)(name, tags=tags)
        (started.close if how == "start_active_span" else started.finish)()
    seen = [(span.kind, span.status.status_code, span.attributes) for span in otel.spans.values()]
    assert seen[::2] == seen[1::2]
    assert len(seen) == (0 if "sampling.priority" in given else 2)
