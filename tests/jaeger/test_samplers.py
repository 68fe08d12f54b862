"""Row "samplers": the decisions, tags, equality and words of jaeger-client's."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased

from ot_bridge.jaeger_client import rate_limiter, sampler
from ot_bridge.jaeger_client.local_agent_net import LocalAgentSender
from ot_bridge.jaeger_client.metrics import MetricsFactory
from tests.jaeger.servers import Agent
from tests.jaeger.sides import OURS, REAL, Side, both, tags_of

IDS = [0, 1, 1 << 63, (1 << 64) - 1, 1 << 64, (1 << 127) + 5] + [
    random.Random(7).getrandbits(bits) for bits in (64, 128) for _ in range(200)
]


@pytest.fixture(autouse=True)
def _full_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rate limiters start with a random balance; here with all that they hold."""
    monkeypatch.setattr(random, "random", lambda: 1.0)


@pytest.mark.parametrize("rate", [0.0, 0.001, 0.25, 0.5, 0.999, 1.0])
def test_probabilistic_decides_the_same_for_the_same_trace_ids(rate: float) -> None:
    both(lambda side: [side.package.ProbabilisticSampler(rate).is_sampled(trace_id) for trace_id in IDS])


STRATEGIES: dict[str, Any] = {
    "defaultSamplingProbability": 0.1,
    "defaultLowerBoundTracesPerSecond": 0.001,
    "perOperationStrategies": [
        {"operation": "often", "probabilisticSampling": {"samplingRate": 0.9}},
        {"operation": "never", "probabilisticSampling": {"samplingRate": 0.0}},
    ],
}

MAKERS: dict[str, Any] = {
    "const": lambda module: module.ConstSampler(True),
    "const off": lambda module: module.ConstSampler(False),
    "probabilistic": lambda module: module.ProbabilisticSampler(0.5),
    "ratelimiting": lambda module: module.RateLimitingSampler(3),
    "ratelimiting slow": lambda module: module.RateLimitingSampler(0.001),
    "guaranteed": lambda module: module.GuaranteedThroughputProbabilisticSampler("op", 0.001, 0.3),
    "adaptive": lambda module: module.AdaptiveSampler(STRATEGIES, 3),
    "adaptive without strategies": lambda module: module.AdaptiveSampler({}, 2),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_each_sampler_decides_and_tags_as_jaeger_clients(make: Any) -> None:
    def program(side: Side) -> Any:
        made = make(side.package.sampler)
        operations = ["often", "never", "a", "b", "c"]
        decisions = [made.is_sampled(trace_id, operations[n % 5]) for n, trace_id in enumerate(IDS[:60])]
        # A sampler's tags mean nothing on what it does not sample.
        return str(made), [(sampled, tags if sampled else None) for sampled, tags in decisions]

    both(program)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_equal_samplers_are_equal(make: Any) -> None:
    def program(side: Side) -> Any:
        module = side.package.sampler
        one, other = make(module), make(module)
        others = [each(module) for each in MAKERS.values()]
        return one == other, one != other, [one == each for each in others].count(True)

    both(program)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_each_sampler_is_a_sampler(make: Any) -> None:
    def program(side: Side) -> Any:
        made = make(side.package.sampler)
        made.close()
        return isinstance(made, side.package.sampler.Sampler)

    assert both(program)


def test_the_adaptive_sampler_applies_updated_strategies() -> None:
    def program(side: Side) -> Any:
        made = side.package.sampler.AdaptiveSampler(STRATEGIES, 3)
        made.is_sampled(1, "new")
        made.update(
            {
                "defaultSamplingProbability": 0.2,
                "perOperationStrategies": [
                    {"operation": "often", "probabilisticSampling": {"samplingRate": 0.5}},
                    {"operation": "later", "probabilisticSampling": {}},
                ],
            }
        )
        described = {name: str(each) for name, each in made.samplers.items()}
        return str(made), described

    both(program)


def test_a_rate_limiting_sampler_can_be_updated() -> None:
    def program(side: Side) -> Any:
        made = side.package.RateLimitingSampler(2)
        return made.update(2), made.update(5), str(made), [made.is_sampled(1)[0] for _ in range(7)]

    both(program)


@pytest.mark.parametrize("rate", [-0.1, 1.1])
def test_an_invalid_sampling_rate_is_refused(rate: float) -> None:
    for side, error in ((REAL, AssertionError), (OURS, ValueError)):
        with pytest.raises(error):
            side.package.ProbabilisticSampler(rate)


def test_the_sampler_tags_are_only_on_sampled_root_spans() -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer(side.package.ProbabilisticSampler(1.0))
        root = tracer.start_span("root", tags={"a": 1})
        return tags_of(root), tags_of(tracer.start_span("child", child_of=root))

    both(program)


def test_a_sampler_of_the_programs_own_decides() -> None:
    def program(side: Side) -> Any:
        class Mine(side.package.sampler.Sampler):  # type: ignore[name-defined, misc]
            def __init__(self) -> None:
                super().__init__(tags={"sampler.type": "mine", "sampler.param": 7})

            def is_sampled(self, trace_id: int, operation: str = "") -> Any:
                return operation == "wanted", self._tags

            def close(self) -> None:
                self.closed = True

        mine = Mine()
        tracer, _ = side.tracer(mine)
        spans = [tracer.start_span(name) for name in ("wanted", "other")]
        tracer.sampler.close()
        assert tracer.sampler is mine
        return [(span.flags, tags_of(span)) for span in spans], mine.closed, Mine() == Mine(), mine == Mine()

    both(program)


def test_an_object_with_the_interface_of_a_sampler_is_accepted() -> None:
    tracer, _ = OURS.tracer(REAL.package.ConstSampler(True))
    assert tags_of(tracer.start_span("op")) == {"sampler.type": "const", "sampler.param": True}
    assert "ConstSampler(True)" in tracer.provider.sampler.get_description()


def test_a_sampler_that_replaces_opentelemetrys_decides_for_opentelemetry_code_too() -> None:
    tracer = OURS.package.Tracer("service", OURS.package.reporter.InMemoryReporter(), ALWAYS_ON)
    theirs = tracer.provider.get_tracer("otel")
    assert theirs.start_span("before").get_span_context().trace_flags.sampled
    tracer.sampler = OURS.package.ConstSampler(False)
    later = tracer.provider.get_tracer("other")
    assert not later.start_span("after").get_span_context().trace_flags.sampled
    assert not tracer.start_span("ours").is_sampled()


def test_without_a_sampler_of_its_own_a_tracer_has_its_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    tracer = OURS.package.Tracer("service", OURS.package.reporter.InMemoryReporter(), None)
    assert tracer.sampler is tracer.provider.sampler
    assert not tracer.start_span("op").is_sampled()


def test_a_forced_decision_is_described_with_its_sampler() -> None:
    assert sampler.Forced(True).get_description() == "Forced{RECORD_AND_SAMPLE, AlwaysOnSampler}"


def test_an_opentelemetry_sampler_is_accepted() -> None:
    tracer, _ = OURS.tracer(ParentBased(ALWAYS_ON))
    assert tracer.start_span("op").is_sampled()
    tracer.close().result(5)


def test_a_single_span_can_have_its_own_sampler() -> None:
    tracer, _ = OURS.tracer()
    assert not tracer.start_span("op", sampler=OURS.package.ConstSampler(False)).is_sampled()


class _Counts(MetricsFactory):
    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.changed = threading.Condition()

    def create_counter(self, name: str, tags: Any = None) -> Any:
        key = name + "".join(f" {value}" for value in (tags or {}).values())

        def count(value: int) -> None:
            with self.changed:
                self.counts[key] = self.counts.get(key, 0) + value
                self.changed.notify_all()

        return count


def _remote(agent: Agent, **options: Any) -> tuple[sampler.RemoteControlledSampler, _Counts]:
    counts = _Counts()
    channel = LocalAgentSender("127.0.0.1", agent.port)
    made = sampler.RemoteControlledSampler(channel, "the service", metrics_factory=counts, **options)
    with counts.changed:
        assert counts.changed.wait_for(lambda: counts.counts, 10)
    return made, counts


AGENT_STRATEGIES: dict[str, tuple[Any, str]] = {
    "probabilistic": (
        {"strategyType": "PROBABILISTIC", "probabilisticSampling": {"samplingRate": 0.5}},
        "ProbabilisticSampler(0.5)",
    ),
    "rate limiting": (
        {"strategyType": "RATE_LIMITING", "rateLimitingSampling": {"maxTracesPerSecond": 7}},
        "RateLimitingSampler(7)",
    ),
    "by operation": ({"operationSampling": STRATEGIES}, "AdaptiveSampler(0.100000, 0.001000, 2000)"),
}


@pytest.mark.parametrize(("strategy", "expected"), AGENT_STRATEGIES.values(), ids=AGENT_STRATEGIES)
def test_the_remote_sampler_applies_the_strategy_of_the_agent(
    strategy: Any, expected: str, agent: Agent
) -> None:
    agent.strategy = strategy
    made, counts = _remote(agent)
    with counts.changed:
        assert counts.changed.wait_for(lambda: len(counts.counts) == 2, 10)
    assert str(made) == f"RemoteControlledSampler({expected})"
    assert counts.counts == {"jaeger:sampler_queries ok": 1, "jaeger:sampler_updates ok": 1}
    made.close()


def test_an_unchanged_strategy_is_not_counted_as_an_update(agent: Agent) -> None:
    agent.strategy = {"strategyType": "PROBABILISTIC", "probabilisticSampling": {"samplingRate": 0.5}}
    made, counts = _remote(agent, init_sampler=sampler.ProbabilisticSampler(0.5))
    assert made.refresh()
    assert "jaeger:sampler_updates ok" not in counts.counts
    made.close()


@pytest.mark.parametrize(
    "strategy", [b"<garbage>", {"strategyType": "LUCK"}, []], ids=["text", "unknown", "a list"]
)
def test_the_remote_sampler_keeps_its_strategy_if_the_response_of_the_agent_is_invalid(
    strategy: Any, agent: Agent
) -> None:
    agent.strategy = strategy
    made, counts = _remote(
        agent, init_sampler=sampler.ProbabilisticSampler(0.25), sampling_refresh_interval=9
    )
    assert str(made.sampler) == "ProbabilisticSampler(0.25)"
    assert counts.counts == {"jaeger:sampler_queries err": 1}
    assert made.sampling_refresh_interval == 9
    made.close()


def test_the_rate_limiter_grants_credits_as_jaeger_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    import jaeger_client.rate_limiter

    assert rate_limiter.RateLimiter(2.0, 4.0).last_tick == pytest.approx(time.time(), abs=60)

    def program(module: Any) -> Any:
        now = [100.0]
        monkeypatch.setattr(module.RateLimiter, "timestamp", staticmethod(lambda: now[0]))
        limiter = module.RateLimiter(2.0, 4.0)
        allowed = [limiter.check_credit(cost) for cost in (1, 2.5, 1)]
        now[0] += 1
        allowed += [limiter.check_credit(cost) for cost in (1.5, 1.5)]
        now[0] += 0.25
        limiter.update(10.0, 20.0)
        return allowed, limiter.balance, limiter.max_balance, limiter.credits_per_second

    assert program(rate_limiter) == program(jaeger_client.rate_limiter)
