from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from ot_bridge.errors import ConfigurationError
from ot_bridge.sampling import (
    OperationSampler,
    PathSampler,
    always_off,
    always_on,
    probability,
    rate_limited,
    rates,
)
from ot_bridge.sampling.basic import fast
from tests.sampling.ask import IDS, sampled

PLAIN = [always_on, always_off, probability(0.5), rate_limited(100)]
NAMES = ["always_on", "always_off", "probability", "rate_limited"]
RULES = [PathSampler([], sampler) for sampler in PLAIN] + [OperationSampler([("*", s)], s) for s in PLAIN]
ALL = PLAIN + RULES
ALL_NAMES = NAMES + [f"{name} by path" for name in NAMES] + [f"{name} by name" for name in NAMES]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    with monkeypatch.context() as patch:
        patch.setattr(rates, "time", clock)
        yield clock


@pytest.mark.parametrize("rate", [0.0, 1e-9, 0.001, 0.01, 1 / 3, 0.5, 0.999, 1.0])
def test_probability_decides_as_opentelemetrys_ratio_sampler(rate: float) -> None:
    ours, theirs = PathSampler([("/", probability(rate))], always_off), TraceIdRatioBased(rate)
    request = {"url.path": "/"}
    edges = [
        0,
        1,
        (1 << 64) - 1,
        (1 << 128) - 1,
        round(rate * (1 << 64)),
        max(0, round(rate * (1 << 64)) - 1),
    ]
    for trace_id in IDS + edges:
        wanted = sampled(theirs, trace_id=trace_id)
        assert sampled(probability(rate), trace_id=trace_id) is wanted
        assert sampled(ours, attributes=request, trace_id=trace_id) is wanted


def test_probability_uses_the_low_half_of_the_id_because_the_high_half_may_be_a_time() -> None:
    half = probability(0.5)
    ids = [0x65A0B1C2 << 96 | trace_id & ((1 << 96) - 1) for trace_id in IDS]
    assert 0.45 < sum(sampled(half, trace_id=trace_id) for trace_id in ids) / len(ids) < 0.55


@pytest.mark.parametrize("rate", [-0.1, 1.1, math.nan, math.inf])
def test_a_probability_outside_0_to_1_is_refused(rate: float) -> None:
    with pytest.raises(ConfigurationError, match="from 0 to 1"):
        probability(rate)


@pytest.mark.parametrize("rate", [-1, math.nan, math.inf])
def test_an_invalid_rate_limit_is_refused(rate: float) -> None:
    with pytest.raises(ConfigurationError, match="0 or more"):
        rate_limited(rate)


def test_a_rate_limit_samples_the_first_trace_immediately(clock: Clock) -> None:
    assert sampled(rate_limited(0.001))


def test_a_rate_limit_of_ten_samples_ten_traces_per_second(clock: Clock) -> None:
    ten = rate_limited(10)
    clock.now += 5
    taken = []
    for _ in range(5):
        taken.append(sum(sampled(ten) for _ in range(100)))
        clock.now += 1
    assert taken == [10] * 5


def test_a_rate_limit_below_one_samples_one_trace_after_its_interval(clock: Clock) -> None:
    slow = rate_limited(0.25)
    decisions = []
    for _ in range(9):
        decisions.append(sampled(slow))
        clock.now += 1
    assert decisions == [True, False, False, False] * 2 + [True]


def test_a_rate_limit_of_zero_samples_nothing(clock: Clock) -> None:
    nothing = rate_limited(0)
    clock.now += 1e6
    assert not sampled(nothing)


def test_many_threads_together_get_no_more_than_the_rate(clock: Clock) -> None:
    fifty = rate_limited(50)
    clock.now += 10
    taken: list[int] = []
    threads = [
        threading.Thread(target=lambda: taken.append(sum(sampled(fifty) for _ in range(200))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 50


def test_no_two_threads_count_tokens_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = rates.TokenBucket(10, 1.0)
    free: list[bool] = []
    moment = time.monotonic()

    def now() -> float:
        other = threading.Thread(target=lambda: free.append(rates._lock.acquire(blocking=False)))
        other.start()
        other.join()
        return moment

    monkeypatch.setattr(rates, "time", SimpleNamespace(monotonic=now))
    assert bucket.take()
    bucket.resize(20)
    assert free == [False, False]


def test_the_real_clock_refills() -> None:
    sampler = rate_limited(1000)
    while sampled(sampler):
        pass
    time.sleep(0.01)
    assert sampled(sampler)


@pytest.mark.parametrize("sampler", ALL, ids=ALL_NAMES)
def test_the_trace_state_of_the_parent_is_kept(sampler: Sampler) -> None:
    state = TraceState([("vendor", "1")])
    parent = SpanContext(IDS[0], 1, is_remote=True, trace_flags=TraceFlags(0), trace_state=state)
    context = set_span_in_context(NonRecordingSpan(parent))
    for trace_id in IDS[:20]:
        assert sampler.should_sample(context, trace_id, "operation").trace_state == state


@pytest.mark.parametrize("sampler", ALL, ids=ALL_NAMES)
def test_a_sampled_span_keeps_its_attributes_and_an_unsampled_one_is_never_recorded(sampler: Sampler) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=ParentBased(sampler), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    for _ in range(20):
        with provider.get_tracer("t").start_as_current_span("root", attributes={"a": 1}) as span:
            recording = span.is_recording()
            with provider.get_tracer("t").start_as_current_span("child") as child:
                assert child.is_recording() is recording
    roots = [span for span in exporter.get_finished_spans() if span.parent is None]
    assert all(span.attributes == {"a": 1} for span in roots)
    assert bool(roots) is ("AlwaysOff" not in sampler.get_description())


@pytest.mark.parametrize("sampler", ALL, ids=ALL_NAMES)
def test_every_sampler_has_a_description(sampler: Sampler) -> None:
    outer: Sampler = ParentBased(sampler)
    assert sampler.get_description() in outer.get_description()
    assert fast(sampler).get_description() == sampler.get_description()
    assert str(0.5) in probability(0.5).get_description()
    assert rate_limited(7).get_description() == "rate_limited(7)"
