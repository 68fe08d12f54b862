"""Our Jaeger samplers and jaeger-client's, side by side."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import jaeger_client.rate_limiter
import jaeger_client.sampler as theirs
import pytest

from ot_bridge.errors import ConfigurationError
from ot_bridge.sampling import jaeger as ours
from ot_bridge.sampling import rates
from tests.sampling.ask import IDS, sampled

EDGES = [0, 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, 1 << 64, (1 << 128) - 1]
RATES = [0.0, 1e-12, 1e-6, 0.001, 0.01, 1 / 3, 0.5, 0.75, 1 - 2**-53, 1.0]
STRATEGIES: dict[str, Any] = {
    "defaultSamplingProbability": 0.25,
    "defaultLowerBoundTracesPerSecond": 0.5,
    "perOperationStrategies": [
        {"operation": "get", "probabilisticSampling": {"samplingRate": 0.5}},
        {"operation": "put", "probabilisticSampling": {"samplingRate": 0.0}},
        {"operation": "bare"},
    ],
}
OTHERS: dict[str, Any] = {
    "defaultSamplingProbability": 0.75,
    "defaultLowerBoundTracesPerSecond": 2,
    "perOperationStrategies": [
        {"operation": "get", "probabilisticSampling": {"samplingRate": 0.125}},
        {"operation": "new", "probabilisticSampling": {"samplingRate": 1.0}},
    ],
}


class World:
    """One clock and one random generator for both."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def make(self, kind: str, *arguments: Any) -> tuple[Any, Any]:
        random.seed(7)
        mine = getattr(ours, kind)(*arguments)
        random.seed(7)
        return mine, getattr(theirs, kind)(*arguments)


@pytest.fixture(autouse=True)
def _one_sequence_of_random_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """jaeger-client takes the program's; ours has its own."""
    monkeypatch.setattr(ours, "fraction", random.random)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    world = World()
    with monkeypatch.context() as patch:
        patch.setattr(rates, "time", world)
        patch.setattr(jaeger_client.rate_limiter.RateLimiter, "timestamp", staticmethod(world.monotonic))
        yield world


def assert_same(world: World, mine: Any, other: Any, *operations: str, step: float = 0.125) -> None:
    for number, trace_id in enumerate(EDGES + IDS[:300]):
        world.now += step
        operation = operations[number % len(operations)] if operations else "op"
        result = mine.is_sampled(trace_id, operation)
        assert result == other.is_sampled(trace_id, operation)
        assert [type(value) for value in result[1].values()] == [
            type(value) for value in other.is_sampled(trace_id, operation)[1].values()
        ]
        mine.is_sampled(trace_id, operation)
    assert str(mine) == str(other)


@pytest.mark.parametrize("rate", RATES)
def test_a_probabilistic_sampler_selects_the_same_ids_as_jaeger_clients(world: World, rate: float) -> None:
    mine, other = world.make("ProbabilisticSampler", rate)
    bound = int(rate * (1 << 64))
    for trace_id in [*EDGES, *IDS, bound, bound + 1, max(bound - 1, 0)]:
        assert mine.is_sampled(trace_id) == other.is_sampled(trace_id)
    assert str(mine) == str(other)


@pytest.mark.parametrize("decision", [True, False])
def test_a_const_sampler_decides_as_jaeger_clients(world: World, decision: bool) -> None:
    assert_same(world, *world.make("ConstSampler", decision))


@pytest.mark.parametrize("limit", [0, 0.1, 1, 3.5, 10])
def test_a_rate_limiting_sampler_selects_the_same_traces_as_jaeger_clients(
    world: World, limit: float
) -> None:
    assert_same(world, *world.make("RateLimitingSampler", limit))


def test_a_rate_limit_keeps_its_balance_when_it_changes(world: World) -> None:
    mine, other = world.make("RateLimitingSampler", 4)
    for limit in (8, 8, 0.5, 2):
        assert mine.update(limit) == other.update(limit)
        assert_same(world, mine, other)


def test_without_an_argument_the_limit_is_ten(world: World) -> None:
    assert_same(world, *world.make("RateLimitingSampler"))


@pytest.mark.parametrize("rate", [0.0, 0.1, 1.0])
def test_a_guaranteed_throughput_sampler_selects_the_same_traces_as_jaeger_clients(
    world: World, rate: float
) -> None:
    mine, other = world.make("GuaranteedThroughputProbabilisticSampler", "op", 0.5, rate)
    assert_same(world, mine, other)
    mine.update(2, 0.5)
    other.update(2, 0.5)
    assert_same(world, mine, other)


def test_an_adaptive_sampler_selects_the_same_traces_as_jaeger_clients_even_for_unknown_operations(
    world: World,
) -> None:
    random.seed(7)
    mine, other = world.make("AdaptiveSampler", STRATEGIES, 5)
    # New operations start with a random balance; let it be the same for both.
    for operation in ("get", "put", "bare", "unknown", "unknown too", "one too many"):
        random.seed(operation)
        first = mine.is_sampled(IDS[0], operation)
        random.seed(operation)
        assert first == other.is_sampled(IDS[0], operation)
    assert_same(world, mine, other, "get", "put", "bare", "unknown", "unknown too", "one too many")
    random.seed(1)
    mine.update(OTHERS)
    random.seed(1)
    other.update(OTHERS)
    assert_same(world, mine, other, "get", "put", "new", "unknown", "one too many")


@pytest.mark.parametrize(
    ("kind", "same", "different"),
    [
        ("ConstSampler", (True,), (False,)),
        ("ProbabilisticSampler", (0.5,), (0.25,)),
        ("RateLimitingSampler", (2,), (3,)),
        ("GuaranteedThroughputProbabilisticSampler", ("op", 1, 0.5), ("op", 1, 0.25)),
        ("GuaranteedThroughputProbabilisticSampler", ("op", 1, 0.5), ("other", 1, 0.5)),
        ("AdaptiveSampler", (STRATEGIES, 5), (OTHERS, 5)),
        ("AdaptiveSampler", (STRATEGIES, 5), ({**STRATEGIES, "perOperationStrategies": []}, 5)),
    ],
)
def test_samplers_are_equal_if_jaeger_clients_are(
    world: World, kind: str, same: tuple[Any, ...], different: tuple[Any, ...]
) -> None:
    for kinds in (ours, theirs):
        make = getattr(kinds, kind)
        assert make(*same) == make(*same)
        assert make(*same) != make(*different)
        assert make(*same) != "a sampler"
        assert make(*same) != kinds.ConstSampler(3)


def test_the_decision_and_its_tags_arrive_through_opentelemetrys_interface() -> None:
    sampler = ours.ProbabilisticSampler(1.0)
    tags = {"sampler.type": "probabilistic", "sampler.param": 1.0}
    taken = sampler.should_sample(None, IDS[0], "op", attributes={"a": 1})
    assert taken.attributes == {"a": 1, **tags}
    assert sampler.should_sample(None, IDS[0], "op").attributes == tags
    assert not sampled(ours.ConstSampler(False))
    assert ours.ConstSampler(False).should_sample(None, 1, "op").attributes == {}
    assert sampler.get_description() == "ProbabilisticSampler(1.0)"
    sampler.close()
    with pytest.raises(NotImplementedError):
        ours.JaegerSampler().is_sampled(1)


@pytest.mark.parametrize(
    "strategies",
    [
        {"defaultSamplingProbability": 2},
        {"defaultSamplingProbability": "much"},
        {"defaultLowerBoundTracesPerSecond": -1},
        {"defaultLowerBoundTracesPerSecond": float("inf")},
        {
            "perOperationStrategies": [
                {"operation": "a", "probabilisticSampling": {"samplingRate": float("nan")}}
            ]
        },
    ],
    ids=str,
)
def test_invalid_strategies_are_refused_and_change_nothing(strategies: dict[str, Any]) -> None:
    sampler = ours.AdaptiveSampler(STRATEGIES)
    with pytest.raises(ConfigurationError):
        sampler.update(strategies)
    assert sampler == ours.AdaptiveSampler(STRATEGIES)
