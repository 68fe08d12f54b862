"""Samplers, processors and id generators are called once per span, on both providers."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry import attributes, baggage, trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import (
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
)
from opentracing import Format, child_of

from ot_bridge import bridge, engine
from ot_bridge.bridge import Tracer, create_tracer
from ot_bridge.provider import build_provider
from tests.conftest import Recorded


class Raising(Sampler, SpanProcessor):
    """Counts, and raises."""

    def __init__(self) -> None:
        self.calls = 0

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        self.calls += 1
        raise RuntimeError("no decision")

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self.calls += 1
        raise RuntimeError("no start")

    def get_description(self) -> str:
        return "Raising"


def _active(tracer: Tracer, parent: Any) -> Any:
    with tracer.start_active_span("a", child_of=parent) as scope:
        return scope.span


STARTS: dict[str, Callable[[Tracer, Any], Any]] = {
    "start_span": lambda tracer, parent: tracer.start_span("a", child_of=parent),
    "a name to clean": lambda tracer, parent: tracer.start_span("\xe4", child_of=parent),
    "start time": lambda tracer, parent: tracer.start_span("a", child_of=parent, start_time=1.0),
    "tags": lambda tracer, parent: tracer.start_span("a", child_of=parent, tags={"error": True}),
    "references": lambda tracer, parent: tracer.start_span("a", references=parent and child_of(parent)),
    "start_active_span": _active,
}


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("child", [False, True], ids=["root", "child"])
@pytest.mark.parametrize("as_sampler", [False, True], ids=["on_start", "should_sample"])
def test_a_sampler_or_processor_that_raises_at_the_start_is_called_once(
    provider_class: type[TracerProvider], as_sampler: bool, child: bool, start: str
) -> None:
    raising = Raising()
    provider = provider_class(sampler=raising if as_sampler else None, shutdown_on_exit=False)
    if not as_sampler:
        provider.add_span_processor(raising)
    tracer = create_tracer(provider, propagators="jaeger")
    parent = tracer.extract(Format.HTTP_HEADERS, {"uber-trace-id": "a:b:0:1"}) if child else None
    span = STARTS[start](tracer, parent)
    assert raising.calls == 1
    assert not span.unwrap().is_recording()
    assert (span.context.trace_id == 0xA) is child


class Seen(SpanProcessor):
    """Keeps the baggage of the context that each span starts in, as a BaggageSpanProcessor copies it."""

    def __init__(self) -> None:
        self.baggage: list[dict[str, object]] = []

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self.baggage.append(dict(baggage.get_all(parent_context)))

    def on_end(self, span: ReadableSpan) -> None: ...


def test_processors_see_the_baggage_that_a_span_starts_with(otel: Recorded) -> None:
    seen = Seen()
    otel.provider.add_span_processor(seen)
    tracer = otel.tracer
    caller = tracer.extract(Format.HTTP_HEADERS, {"uber-trace-id": "a:b:0:1", "uberctx-user": "ann"})
    for start in STARTS.values():
        start(tracer, caller)
    assert seen.baggage == [{"user": "ann"}] * len(STARTS)
    seen.baggage.clear()
    with tracer.start_active_span("active") as scope:
        scope.span.set_baggage_item("own", "1")
        tracer.start_span("child of the active one")
        tracer.start_span("child of a caller all the same", child_of=caller)
        tracer.start_span("root", ignore_active_span=True)
    assert seen.baggage == [{}, {"own": "1"}, {"user": "ann"}, {}]


@pytest.mark.parametrize("late", [0, 1])
@pytest.mark.parametrize("otel_ends", [False, True], ids=["finish", "end"])
def test_a_priority_set_later_applies_to_children_but_not_to_the_exported_span_itself(
    provider_class: type[TracerProvider], late: int, otel_ends: bool
) -> None:
    exporter = InMemorySpanExporter()
    provider = provider_class(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = create_tracer(provider, propagators="jaeger")
    span = tracer.start_span("a").set_tag("sampling.priority", late)
    assert span.context.sampled is bool(late)
    assert span.unwrap().get_span_context().trace_flags.sampled
    assert tracer.start_span("child", child_of=span).unwrap().is_recording() is bool(late)
    if otel_ends:
        span.unwrap().end()
    else:
        span.finish()
    (exported,) = exporter.get_finished_spans()
    assert exported.get_span_context().trace_flags.sampled  # type: ignore[union-attr]
    assert exported.context is not None
    assert exported.context.trace_flags.sampled


MANY = {f"k{number}": number for number in range(1000)}


def _tagged_later(tracer: Tracer, native: Any) -> Any:
    span = tracer.start_span("a")
    for key, value in MANY.items():
        span.set_tag(key, value)
    return span


def _tagged_on_a_wrapper(tracer: Tracer, native: Any) -> Any:
    span = bridge.Span(tracer, native.start_span("a"))
    for key, value in MANY.items():
        span.set_tag(key, value)
    return span


def _tagged_and_active(tracer: Tracer, native: Any) -> Any:
    with tracer.start_active_span("\xe4", tags=MANY, finish_on_close=False) as scope:
        return scope.span


ERROR = {"event": "error", "error.object": ValueError("x")}
#: What a program does -> the number of attributes that are too many, and whose they are.
TOO_MANY: dict[str, tuple[Callable[[Tracer, Any], Any], str]] = {
    "tags": (_tagged_later, "872 attributes were dropped, the oldest of each span"),
    "tags of a wrapper": (_tagged_on_a_wrapper, "872 attributes were dropped, the oldest of each span"),
    "tags at the start": (
        lambda tracer, native: tracer.start_span("a", tags=MANY),
        "872 attributes were dropped, the oldest of each span",
    ),
    "tags of an active span": (
        _tagged_and_active,
        "872 attributes were dropped, the oldest of each span",
    ),
    "log": (
        lambda tracer, native: tracer.start_span("a").log_kv(MANY),
        "872 attributes were dropped, the oldest of each event",
    ),
    "logged error": (
        lambda tracer, native: tracer.start_span("a").log_kv({**ERROR, **MANY}),
        "877 attributes were dropped, the oldest of each event",
    ),
}


@pytest.mark.parametrize("case", TOO_MANY)
def test_too_many_attributes_are_logged_in_one_line_with_their_number(
    otel: Recorded, caplog: pytest.LogCaptureFixture, case: str
) -> None:
    make, message = TOO_MANY[case]
    for _ in range(2):
        span = make(otel.tracer, otel.provider.get_tracer("native"))
        span.finish()
        made = span.unwrap()
        (held,) = [made] if len(made.attributes) else made.events
        assert len(held.attributes) == 128
        assert held.dropped_attributes == int(message[:3])
    # Another test's sampler may still log that no server answers.
    (record,) = [each for each in caplog.records if each.name == "ot_bridge.engine"]
    assert record.getMessage().startswith(message)
    assert record.levelno == logging.WARNING


def test_the_sdk_logs_attributes_that_opentelemetry_code_loses(caplog: pytest.LogCaptureFixture) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    create_tracer(provider).start_span("ours", tags=MANY)
    before = len(caplog.records)
    span = provider.get_tracer("native").start_span("theirs")
    for key, value in MANY.items():
        span.set_attribute(key, value)
    logs_nothing = not hasattr(attributes.BoundedAttributes, "_setitem_locked")  # SDKs before 1.44
    assert len(caplog.records) == before + (0 if logs_nothing else 872)


def test_opentelemetry_codes_own_attributes_follow_opentelemetrys_rules(otel: Recorded) -> None:
    span = otel.tracer.start_span("a")
    span.unwrap().set_attribute("object", object())  # type: ignore[arg-type]
    span.set_tag("object of ours", object)
    span.finish()
    assert dict(otel.spans["a"].attributes or {}).keys() <= {"object", "object of ours"}
    native = otel.provider.get_tracer("native").start_span("b")
    native.set_attribute("object", object())  # type: ignore[arg-type]
    native.end()
    values = {name: dict(each.attributes or {}).get("object") for name, each in otel.spans.items()}
    assert type(values["a"]) is type(values["b"])


class Asked(Sampler):
    """A sampler that publishes its decision."""

    calls = 0

    def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
        self.calls += 1
        return SamplingResult(Decision.RECORD_AND_SAMPLE)

    def fast_decision(self) -> Decision:
        return Decision.RECORD_AND_SAMPLE

    def get_description(self) -> str:
        return "Asked"


def test_a_sampler_that_publishes_its_decision_is_not_called() -> None:
    sampler = Asked()
    tracer = create_tracer(engine.TracerProvider(ParentBased(sampler), shutdown_on_exit=False))
    with tracer.start_active_span("root"):
        assert tracer.start_span("child").unwrap().is_recording()
    assert sampler.calls == 0


@pytest.mark.parametrize("name", ["ot_bridge", "parentbased_jaeger_remote"])
def test_children_follow_their_parent_without_a_sampler_call_whatever_sampler_is_configured(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", name)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "always_on" if name == "ot_bridge" else "")
    provider = build_provider("test", exporters=[])
    rules, _ = engine.settings.rules_of(provider.sampler)
    assert rules[1:] == (Decision.DROP, Decision.RECORD_AND_SAMPLE) * 2
    provider.shutdown()


FRESH = """
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from ot_bridge.provider import build_provider
from ot_bridge.sampling import with_sampler
tracer = build_provider("test", exporters=[], sampler="always_on").get_tracer("test")
before = tracer.start_span("any").is_recording()
print(before, tracer.start_span("noisy", context=with_sampler(ALWAYS_OFF)).is_recording())
"""


@pytest.mark.parametrize("provider_class", [TracerProvider], indirect=True)  # that process makes its own
def test_a_sampler_given_to_one_span_applies_whenever_it_is_first_used() -> None:
    ran = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, timeout=30)
    assert ran.stdout == "True False\n", ran.stderr


SEEDED = """
import random, sys
random.seed(1)
from ot_bridge import engine, jaeger_client
from ot_bridge.provider import build_provider
before = random.getstate()
for maker in sys.argv[1:]:
    print(eval(maker).trace_id)
    assert random.getstate() == before, maker
"""
_STARTED = ".get_tracer('test').start_span('a').get_span_context()"
#: What makes ids, as an expression in the program above.
ID_MAKERS = {
    "install's": f"build_provider('test', exporters=[]){_STARTED}",
    "64 bits": f"build_provider('test', exporters=[], trace_id_bits=64){_STARTED}",
    "xray": f"build_provider('test', exporters=[], usual_ids='xray'){_STARTED}",
    "the SDK's tracer": f"build_provider('test', exporters=[], engine=False){_STARTED}",
    "the engine": f"engine.TracerProvider(){_STARTED}",
    "drop-in": "jaeger_client.Config({}, service_name='test').create_tracer("
    "jaeger_client.reporter.NullReporter(), jaeger_client.ProbabilisticSampler(1)).start_span('a')",
}


@pytest.fixture(scope="module")
def seeded() -> list[dict[str, str]]:
    """What each of the makers has made in each of two processes; nothing, if it failed in one of them."""
    command = [sys.executable, "-c", SEEDED, *ID_MAKERS.values()]
    ran = [subprocess.run(command, capture_output=True, text=True) for _ in range(2)]
    return [dict(zip(ID_MAKERS, each.stdout.split(), strict=not each.returncode)) for each in ran]


@pytest.mark.parametrize("provider_class", [TracerProvider], indirect=True)  # those processes make their own
@pytest.mark.parametrize("ids", ID_MAKERS)
def test_two_services_with_the_same_random_seed_make_different_ids(
    ids: str, seeded: list[dict[str, str]]
) -> None:
    first, second = (made[ids] for made in seeded)
    assert first != second


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_process_makes_different_ids_from_its_parent(provider_class: type[TracerProvider]) -> None:
    tracer = build_provider("test", exporters=[]).get_tracer("test")
    made = []
    for _ in range(2):
        out, into = os.pipe()
        if not os.fork():
            os.write(into, b"%032x" % tracer.start_span("a").get_span_context().trace_id)
            os._exit(0)
        os.close(into)
        os.wait()
        made.append(os.read(out, 32))
        os.close(out)
    assert len({*made, b"%032x" % tracer.start_span("a").get_span_context().trace_id}) == 3


@pytest.mark.parametrize("usual_ids", ["", "short", "xray"])
def test_root_spans_have_only_the_flags_of_trace_context_level_1(
    monkeypatch: pytest.MonkeyPatch, usual_ids: str
) -> None:
    def flags(**options: Any) -> int:
        provider = build_provider("test", exporters=[], usual_ids=usual_ids, **options)
        return int(provider.get_tracer("test").start_span("a").get_span_context().trace_flags)

    assert flags() == flags(engine=False) == 1
    monkeypatch.setenv("OT_BRIDGE_RANDOM_FLAG", "true")
    random_flag = getattr(trace.TraceFlags, "RANDOM_TRACE_ID", 0)
    assert flags() == (1 if usual_ids == "short" else 1 | random_flag)
