"""Providers and tracers: samplers, ids, switches, and the current span."""

from __future__ import annotations

import asyncio
import copy
import inspect
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import export, id_generator, sampling
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, StatusCode, TraceFlags, TraceState
from opentelemetry.trace.span import DEFAULT_TRACE_STATE

from ot_bridge import engine
from ot_bridge.engine.settings import DROP, SAMPLE, rules_of
from ot_bridge.ids import RandomIds
from ot_bridge.sampling import PerSpanSampler

from .sides import Side, Sides
from .test_differential import snapshot

REMOTE = SpanContext(0xA1, 0xB1, True, TraceFlags(1), TraceState([("v", "1")]))
IN_REMOTE = trace_api.set_span_in_context(NonRecordingSpan(REMOTE))


@pytest.fixture
def sides() -> Sides:
    return Sides()


@pytest.fixture
def ours(sides: Sides) -> Side:
    return sides.ours


def test_a_tracer_is_an_sdk_tracer(ours: Side) -> None:
    assert isinstance(ours.provider, sdk.TracerProvider)
    assert type(ours.tracer) is engine.Tracer
    assert isinstance(ours.tracer, sdk.Tracer)
    for name in ("sampler", "resource", "id_generator", "span_processor"):
        assert hasattr(ours.tracer, name)


def test_the_signatures_are_the_sdks() -> None:
    for name in ("start_span", "start_as_current_span"):
        theirs = inspect.signature(getattr(sdk.Tracer, name)).parameters
        ours = inspect.signature(getattr(engine.Tracer, name)).parameters
        assert list(ours) == list(theirs)
        assert [each.default for each in ours.values()] == [each.default for each in theirs.values()]


@pytest.mark.skipif(
    not hasattr(sdk.TracerProvider(shutdown_on_exit=False), "_tracers"), reason="this SDK keeps no tracers"
)
def test_the_sdk_caches_the_tracer_that_it_returns() -> None:
    provider = engine.TracerProvider(shutdown_on_exit=False)
    tracer = provider.get_tracer("a")
    assert sdk.TracerProvider.get_tracer(provider, "a") is tracer


def test_a_disabled_sdk_makes_no_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    tracer = engine.TracerProvider(shutdown_on_exit=False).get_tracer("a")
    assert not tracer.start_span("span").is_recording()


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "3")
    provider = engine.TracerProvider(shutdown_on_exit=False)
    assert provider.sampler is sampling.DEFAULT_OFF
    span: Any = provider.get_tracer("a").start_span("a", IN_REMOTE, attributes=dict.fromkeys("abcd", 1))
    assert len(span.attributes) == 3


def test_a_copied_tracer_takes_another_sampler(ours: Side) -> None:
    copied = copy.copy(ours.tracer)
    ours.tracer.start_span("before").end()
    copied.sampler = sampling.ALWAYS_OFF
    assert not copied.start_span("copied").is_recording()
    assert ours.tracer.start_span("original").is_recording()


def test_a_change_of_resource_reaches_the_next_span(ours: Side) -> None:
    first = ours.tracer.start_span("first")
    ours.tracer.resource = other = Resource({"a": "b"})
    assert ours.tracer.start_span("second").resource == other
    assert first.resource == ours.provider.resource


def test_spans_of_one_resource_share_it_across_tracers(ours: Side) -> None:
    """Exporters group by it: equal resources that are not the same would be compared for each span."""
    spans: list[Any] = [ours.provider.get_tracer(name).start_span(name) for name in ("a", "b")]
    assert spans[0].resource is spans[1].resource
    assert hash(spans[0].resource) == hash(ours.provider.resource)


def test_a_resource_of_a_custom_class_is_not_changed(ours: Side) -> None:
    ours.tracer.resource = own = type("Own", (Resource,), {})({"a": "b"})
    assert ours.tracer.start_span("span").resource is own


@pytest.mark.skipif(not hasattr(sdk.Tracer, "_set_tracer_config"), reason="this SDK has no such switch")
def test_tracers_can_be_switched_off_and_on(sides: Sides) -> None:
    def step(side: Side) -> Any:
        seen = []
        for configure in (sdk._disable_tracer_configurator, sdk._default_tracer_configurator):
            side.provider._set_tracer_configurator(tracer_configurator=configure)
            for context in (None, IN_REMOTE, trace_api.set_span_in_context(side.tracer.start_span("p"))):
                span = side.tracer.start_span("span", context)
                seen.append((span.is_recording(), span.get_span_context()))
        return seen

    assert {recording for recording, _ in sides.agree(step)} == {False, True}


def _not_called(self: object, *args: Any, **kwargs: Any) -> sampling.SamplingResult:
    raise NotImplementedError


def _deciding_itself() -> sampling.Sampler:
    sampler: Any = sampling.StaticSampler(SAMPLE)
    sampler.should_sample = lambda *args: _not_called(sampler, *args)
    return sampler  # type: ignore[no-any-return]


RULES: list[tuple[str, sampling.Sampler, tuple[Any, ...]]] = [
    ("on", sampling.ALWAYS_ON, (SAMPLE,) * 5),
    ("off", sampling.ALWAYS_OFF, (DROP,) * 5),
    ("ratio", sampling.TraceIdRatioBased(0.5), (2**63,) * 5),
    ("parent based", sampling.DEFAULT_ON, (SAMPLE, DROP, SAMPLE, DROP, SAMPLE)),
    ("parent based ratio", sampling.ParentBasedTraceIdRatio(1), (2**64, DROP, SAMPLE, DROP, SAMPLE)),
    (
        "another root",
        sampling.ParentBased(type("Mine", (sampling.StaticSampler,), {"should_sample": _not_called})(SAMPLE)),
        (None, DROP, SAMPLE, DROP, SAMPLE),
    ),
    ("a subclass", type("Mine", (sampling.TraceIdRatioBased,), {})(0.5), (2**63,) * 5),
    (
        "a subclass that decides otherwise",
        type("Mine", (sampling.TraceIdRatioBased,), {"should_sample": _not_called})(0.5),
        (None,) * 5,
    ),
    ("decides otherwise by itself", _deciding_itself(), (None,) * 5),
    ("offers a decision", type("Mine", (), {"fast_decision": lambda self: DROP})(), (DROP,) * 5),
    (
        "offers delegates",
        type("Mine", (), {"fast_delegates": lambda self: (sampling.ALWAYS_ON, *[sampling.ALWAYS_OFF] * 4)})(),
        (SAMPLE, *[DROP] * 4),
    ),
    (
        "wrapped twice",
        PerSpanSampler(PerSpanSampler(sampling.DEFAULT_ON)),
        (SAMPLE, DROP, SAMPLE, DROP, SAMPLE),
    ),
]


@pytest.mark.parametrize(("sampler", "rules"), [row[1:] for row in RULES], ids=[row[0] for row in RULES])
def test_only_known_samplers_are_replaced_by_fast_rules(
    sampler: sampling.Sampler, rules: tuple[Any, ...]
) -> None:
    assert rules_of(sampler)[0] == rules


class Asked(sampling.Sampler):
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def should_sample(self, *args: Any, **kwargs: Any) -> sampling.SamplingResult:
        self.calls.append((args, kwargs))
        return sampling.SamplingResult(SAMPLE, {"asked": [1]}, TraceState([("t", "1")]))

    def get_description(self) -> str:
        return "Asked"


def test_a_sampler_gets_all_arguments_and_can_add_attributes_and_a_trace_state(sides: Sides) -> None:
    links = [trace_api.Link(REMOTE)]

    def step(side: Side) -> Any:
        side.tracer.sampler = sampler = Asked()
        attributes = {"a": 1}
        span = side.tracer.start_span("span", IN_REMOTE, trace_api.SpanKind.CLIENT, attributes, links)
        side.tracer.start_span("bare")
        return sampler.calls, snapshot(span)

    calls, seen = sides.agree(step)
    assert calls[0][0][0] is IN_REMOTE
    assert seen["attributes"] == {"asked": (1,)}
    assert seen["context"][0].trace_state == TraceState([("t", "1")])


def test_a_sampler_gets_a_context_that_contains_the_parent(ours: Side) -> None:
    around = context_api.Context({"key": "value"})
    ours.tracer.sampler = sampler = Asked()
    parent = SimpleNamespace(
        in_context=lambda context: trace_api.set_span_in_context(NonRecordingSpan(REMOTE), context)
    )
    ours.tracer.start((engine.Span, engine.DroppedSpan, False), "span", REMOTE, (parent, around))
    passed = sampler.calls[0][0][0]
    assert trace_api.get_current_span(passed).get_span_context() is REMOTE
    assert passed["key"] == "value"
    assert list(around) == ["key"]


class Counting(id_generator.IdGenerator):
    def __init__(self) -> None:
        self.last = 0

    def generate_span_id(self) -> int:
        self.last += 1
        return self.last

    def generate_trace_id(self) -> int:
        self.last += 1
        return self.last


def test_ids_come_from_the_generator() -> None:
    sides = Sides(id_generator=Counting())

    def step(side: Side) -> Any:
        side.tracer.id_generator = Counting()
        root = side.tracer.start_span("root")
        child = side.tracer.start_span("child", trace_api.set_span_in_context(root))
        return root.get_span_context(), child.get_span_context()

    root, child = sides.agree(step)
    assert (root.trace_id, root.span_id, child.span_id) == (1, 2, 3)


def test_the_sdks_random_ids_are_replaced_and_no_other_generator_is() -> None:
    kinds: Any = id_generator.RandomIdGenerator, type("Mine", (id_generator.RandomIdGenerator,), {}), Counting
    made = [engine.TracerProvider(id_generator=kind(), shutdown_on_exit=False) for kind in kinds]
    assert [type(provider.id_generator) for provider in made] == [RandomIds, *kinds[1:]]
    assert isinstance(engine.TracerProvider(shutdown_on_exit=False).id_generator, RandomIds)


class Offering(Counting):
    """Has `fast_ids`, whose first trace id is 0, which means "call the method"."""

    def __init__(self) -> None:
        super().__init__()
        self.offered = iter([0, 70, 71, 72])
        self.fast_ids = self.offered.__next__, lambda: 7


def test_ids_come_from_the_fast_functions_of_the_generator() -> None:
    provider = engine.TracerProvider(id_generator=Offering(), shutdown_on_exit=False)
    tracer = provider.get_tracer("test")
    made = [tracer.start_span("root").get_span_context() for _ in range(3)]
    assert [context.trace_id for context in made] == [1, 70, 71]
    assert {context.span_id for context in made} == {7}


class Subclassed(engine.Span):
    pass


class SubclassedDropped(engine.DroppedSpan):
    pass


def test_the_caller_can_choose_the_span_classes(ours: Side) -> None:
    span = ours.tracer.start((Subclassed, SubclassedDropped, False), "span", None)
    ours.tracer.sampler = sampling.ALWAYS_OFF
    dropped = ours.tracer.start((Subclassed, SubclassedDropped, False), "span", span)
    assert (type(span), type(dropped)) == (Subclassed, SubclassedDropped)
    assert dropped.get_span_context().trace_id == span.get_span_context().trace_id
    assert dropped.get_span_context().trace_state is DEFAULT_TRACE_STATE


def test_a_span_context_starts_with_the_six_fields_that_we_keep() -> None:
    assert tuple(REMOTE) == (0xA1, 0xB1, True, TraceFlags(1), REMOTE.trace_state, True)


class Foreign(NonRecordingSpan):
    """A span of another library, whose context has an unknown type."""


@pytest.mark.parametrize("context", [None, "text"])
def test_a_parent_without_a_valid_context_is_ignored(sides: Sides, context: Any) -> None:
    def step(side: Side) -> Any:
        within = trace_api.set_span_in_context(Foreign(context))
        return side.tracer.start_span("span", within).parent

    sides.agree(step)


@pytest.mark.parametrize("value", [None, 5, "text"])
def test_an_object_in_the_context_that_is_not_a_span_is_no_parent(sides: Sides, value: Any) -> None:
    def step(side: Side) -> Any:
        within = trace_api.set_span_in_context(value)
        return side.tracer.start_span("span", within).parent

    assert sides.agree(step) is None


def boom(tracer: Any, error: BaseException, **settings: Any) -> None:
    with tracer.start_as_current_span("span", **settings):
        raise error


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt("stop"), StopIteration("over")])
@pytest.mark.parametrize(
    "settings",
    [{}, {"record_exception": False}, {"set_status_on_exception": False}, {"end_on_exit": False}],
    ids=str,
)
def test_an_exception_in_the_block_is_recorded_as_by_the_sdk(
    sides: Sides, error: BaseException, settings: dict[str, bool]
) -> None:
    def step(side: Side) -> Any:
        with pytest.raises(type(error)):
            boom(side.tracer, error, **settings)
        return [(snapshot(span), len(span.events)) for span in side.exported]

    sides.agree(step)


def test_inside_the_block_its_span_is_the_current_span(sides: Sides) -> None:
    def step(side: Side) -> Any:
        before = trace_api.get_current_span()
        with side.tracer.start_as_current_span("outer") as outer:
            assert trace_api.get_current_span() is outer
            with side.tracer.start_as_current_span("inner") as inner:
                assert trace_api.get_current_span() is inner
            assert trace_api.get_current_span() is outer
        assert trace_api.get_current_span() is before
        return [snapshot(span) for span in side.exported]

    assert len(sides.agree(step)) == 2


def test_other_values_of_the_context_are_kept(ours: Side) -> None:
    token = context_api.attach(context_api.set_value("key", "value"))
    with ours.tracer.start_as_current_span("span"):
        assert context_api.get_value("key") == "value"
    context_api.detach(token)


def test_each_call_of_a_decorated_function_has_a_span(sides: Sides) -> None:
    def step(side: Side) -> Any:
        @side.tracer.start_as_current_span("span", attributes={"a": 1})  # type: ignore[untyped-decorator]
        def double(number: int) -> int:
            """Doubles."""
            return 2 * number

        assert (double.__name__, double.__doc__) == ("double", "Doubles.")
        return double(1), double(2), [snapshot(span) for span in side.exported]

    assert len(sides.agree(step)[2]) == 2


def test_a_decorated_coroutine_is_in_its_span_until_it_returns(sides: Sides) -> None:
    def step(side: Side) -> Any:
        @side.tracer.start_as_current_span("span")  # type: ignore[untyped-decorator]
        async def double(number: int) -> int:
            await asyncio.sleep(0)
            assert side.exported == ()
            return 2 * number

        assert inspect.iscoroutinefunction(double)
        return asyncio.run(double(1)), len(side.exported)

    assert sides.agree(step) == (2, 1)


def test_a_span_is_started_on_entry_not_before(ours: Side) -> None:
    manager = ours.tracer.start_as_current_span("span")
    assert not hasattr(manager, "span")
    with manager as span:
        assert span.is_recording()


def test_leaving_the_block_in_another_context_is_logged_and_the_span_ends(
    ours: Side, caplog: pytest.LogCaptureFixture
) -> None:
    import contextvars

    manager = ours.tracer.start_as_current_span("span")
    contextvars.copy_context().run(manager.__enter__)
    with caplog.at_level(logging.ERROR):
        manager.__exit__(None, None, None)
    assert "Failed to detach context" in caplog.text
    assert len(ours.exported) == 1


def test_suppressed_instrumentation_has_the_same_effect_as_in_the_sdk(sides: Sides) -> None:
    def step(side: Side) -> Any:
        token = context_api.attach(context_api.set_value(context_api._SUPPRESS_INSTRUMENTATION_KEY, True))
        try:
            side.tracer.start_span("span").end()
        finally:
            context_api.detach(token)
        return len(side.exported)

    sides.agree(step)


METRICS = pytest.mark.skipif(
    "meter_provider" not in inspect.signature(sdk.TracerProvider).parameters, reason="this SDK does not count"
)


@METRICS
def test_the_sdks_own_metrics_count_our_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")

    def counts(kind: type[sdk.TracerProvider]) -> Any:
        reader = InMemoryMetricReader()
        provider = kind(meter_provider=MeterProvider([reader]), shutdown_on_exit=False)
        provider.add_span_processor(export.SimpleSpanProcessor(InMemorySpanExporter()))
        tracer = provider.get_tracer("a")
        root = tracer.start_span("root")
        within = trace_api.set_span_in_context(root)
        tracer.start_span("child", within).end()
        tracer.start_span("remote", IN_REMOTE)
        unsampled = SpanContext(1, 2, True, TraceFlags(0))
        tracer.start_span("dropped", trace_api.set_span_in_context(NonRecordingSpan(unsampled)))
        tracer.start_span("another root", trace_api.set_span_in_context(trace_api.INVALID_SPAN))
        data: Any = reader.get_metrics_data()
        return sorted(
            (metric.name, sorted((point.attributes or {}).items()), point.value)
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
        )

    seen = counts(engine.TracerProvider)
    assert seen == counts(sdk.TracerProvider)
    assert any(name == "otel.sdk.span.live" and value == 3 for name, _, value in seen)


@pytest.mark.parametrize("record", [True, False], ids=["recorded", "not recorded"])
@pytest.mark.parametrize("status", [True, False], ids=["status", "no status"])
def test_a_span_used_as_a_context_manager_obeys_the_exception_options_of_its_start(
    sides: Sides, record: bool, status: bool
) -> None:
    def step(side: Side) -> Any:
        span = side.tracer.start_span("span", record_exception=record, set_status_on_exception=status)
        with pytest.raises(ValueError, match="no"), span:
            raise ValueError("no")
        return snapshot(side.exported[0])["status"], len(side.exported[0].events)

    error = StatusCode.ERROR, "ValueError: no"
    assert sides.agree(step) == (error if status else (StatusCode.UNSET, None), int(record))
