"""The names of the package, the entry points' samplers, and what the samplers offer to the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Decision, ParentBased, Sampler
from opentelemetry.trace import get_current_span

from ot_bridge import sampling
from ot_bridge.errors import ConfigurationError
from ot_bridge.sampling import basic, entry, jaeger, remote
from ot_bridge.sampling.basic import fast
from ot_bridge.sampling.polling import Polling

#: module -> the names that the package has of it
NAMES = {
    "basic": {"RateLimited", "always_off", "always_on", "probability", "rate_limited"},
    "jaeger": {
        "AdaptiveSampler", "ConstSampler", "GuaranteedThroughputProbabilisticSampler", "JaegerSampler",
        "ProbabilisticSampler", "RateLimitingSampler",
    },
    "per_span": {"PerSpanSampler", "with_sampler"},
    "remote": {"JaegerRemoteSampler"},
    "rules": {"OperationSampler", "PathSampler"},
    "text": {"sampler_from_text"},
}  # fmt: skip


def test_the_package_has_every_sampler_under_its_name() -> None:
    assert sorted(sampling.__all__) == sorted(name for names in NAMES.values() for name in names)
    for module, names in NAMES.items():
        for name in names:
            assert getattr(sampling, name) is getattr(getattr(sampling, module), name)
    with pytest.raises(AttributeError, match=r"module 'ot_bridge.sampling' has no attribute 'nothing'"):
        _ = sampling.nothing


def test_the_entry_point_of_rules_decides_on_roots_and_obeys_a_spans_own_sampler() -> None:
    made = entry.from_text("0")
    assert made.get_description().startswith("PerSpanSampler{ParentBased{root:TraceIdRatioBased{0.0}")
    context = sampling.with_sampler(ALWAYS_ON)
    assert made.should_sample(context, 1, "a").decision is Decision.RECORD_AND_SAMPLE
    with pytest.raises(ConfigurationError):
        entry.from_text("often")


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The remote sampler asks no server."""
    monkeypatch.setattr(remote.JaegerRemoteSampler, "_start", lambda self: None)
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    monkeypatch.delenv("OTEL_RESOURCE_ATTRIBUTES", raising=False)


@pytest.mark.usefixtures("silent")
def test_a_program_without_a_name_is_an_unknown_service() -> None:
    made = entry.jaeger_remote("")
    assert str(made) == (
        "JaegerRemoteSampler(http://localhost:5778/sampling?service=unknown_service, "
        "ProbabilisticSampler(0.001))"
    )


@pytest.mark.usefixtures("silent")
def test_a_bad_argument_is_logged_with_the_form_that_was_expected(caplog: pytest.LogCaptureFixture) -> None:
    entry.jaeger_remote("rate=1")
    (record,) = caplog.records
    expected = "expected endpoint, pollingIntervalMs, initialSamplingRate"
    assert record.message == f"OTEL_TRACES_SAMPLER_ARG='rate=1': {expected}; the defaults are used"


FORM = "a share (0.01), a rate (10/s), or rules (/api=1.0,op:cron.*=1/s,*=0.01)"
#: A call -> the option that its error names, and what was expected.
REFUSED: dict[str, tuple[Callable[[], Any], str, str]] = {
    "share": (lambda: basic.probability(2), "rate", "expected a share of traces, from 0 to 1"),
    "rate": (lambda: basic.rate_limited(-1), "per_second", "expected a number of traces, 0 or more"),
    "jaeger's share": (
        lambda: jaeger.ProbabilisticSampler(1.1),
        "sampling rate",
        "expected a number from 0 to 1",
    ),
    "jaeger's rate": (
        lambda: jaeger.RateLimitingSampler(-1),
        "traces per second",
        "expected a number, 0 or more",
    ),
    "rule": (
        lambda: sampling.PathSampler([("/", None)], ALWAYS_ON),  # type: ignore[list-item]
        "rules",
        "expected a pattern and a Sampler",
    ),
    "path": (
        lambda: sampling.PathSampler([("a", ALWAYS_ON)], ALWAYS_ON),
        "pattern",
        "expected a path that begins with /, * or ~, perhaps after a METHOD",
    ),
    "regex": (
        lambda: sampling.PathSampler([("~(", ALWAYS_ON)], ALWAYS_ON),
        "pattern",
        "expected a regular expression: missing ), unterminated subpattern at position 0",
    ),
    "text": (
        lambda: sampling.sampler_from_text("often"),
        "sampler",
        f"'often' is no sampler; expected {FORM}",
    ),
    "rules as text": (
        lambda: sampling.sampler_from_text("*=0,/a=1"),
        "sampler",
        f"expected {FORM}, * last",
    ),
    "endpoint": (
        lambda: remote.strategies_url("ftp://a"),
        "endpoint",
        "expected http(s)://host:port or http(s)://host:port/path",
    ),
    "interval": (
        lambda: remote.JaegerRemoteSampler("shop", polling_interval=0),
        "polling_interval",
        "expected a number of seconds above 0",
    ),
}


@pytest.mark.parametrize(("call", "option", "expected"), REFUSED.values(), ids=REFUSED)
def test_a_refused_value_is_named_with_what_was_expected(
    call: Callable[[], Any], option: str, expected: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        call()
    assert (refused.value.option, refused.value.reason) == (option, expected)


class Own(jaeger.ConstSampler):
    def is_sampled(self, trace_id: int, operation: str = "") -> tuple[bool, Any]:
        return super().is_sampled(trace_id, operation)


class Overridden(jaeger.ProbabilisticSampler):
    def should_sample(self, *arguments: Any, **named: Any) -> Any:
        return super().should_sample(*arguments, **named)


class Derived(jaeger.ConstSampler):
    pass


LOW = (1 << 64) - 1
always, never, half = jaeger.ConstSampler(True), jaeger.ConstSampler(False), jaeger.ProbabilisticSampler(0.5)
derived = Derived(False)
#: What the engine may use in place of `should_sample`.
OFFERED: dict[str, tuple[Any, Any]] = {
    "all": (fast(ALWAYS_ON), LOW + 1),
    "none": (fast(ALWAYS_OFF), 0),
    "a share": (fast(basic.probability(0.25)), 1 << 62),
    "jaeger's constant, all": (always, always.is_sampled),
    "jaeger's constant, none": (never, Decision.DROP),
    "jaeger's share": (half, half.is_sampled),
    "a class of the program that changes nothing": (derived, derived.is_sampled),
    "a class of the program with tags of its own": (Own(False), None),
    "a class of the program that decides in another way": (Overridden(0.5), None),
}


@pytest.mark.parametrize(("sampler", "rule"), OFFERED.values(), ids=OFFERED)
def test_a_sampler_offers_its_rule_to_the_engine_unless_a_program_has_changed_it(
    sampler: Any, rule: Any
) -> None:
    assert sampler.fast_decision() == rule


def test_only_samplers_of_the_sdk_itself_are_replaced_by_faster_ones() -> None:
    based: Sampler = ParentBased(ALWAYS_ON)
    assert fast(based) is based
    assert fast(always) is always
    assert fast(basic.probability(0.25)).get_description() == "TraceIdRatioBased{0.25}"


def test_the_sampler_of_a_span_comes_from_the_current_context_too() -> None:
    default = sampling.PerSpanSampler(ALWAYS_OFF)
    assert default.fast_delegates() == (ALWAYS_OFF,) * 5
    token = attach(sampling.with_sampler(ALWAYS_ON))
    try:
        assert default.should_sample(None, 1, "a").decision is Decision.RECORD_AND_SAMPLE
        assert get_current_span().get_span_context().trace_id == 0
    finally:
        detach(token)
    assert default.should_sample(None, 1, "a").decision is Decision.DROP


def test_the_numbers_of_jaegers_samplers_are_as_in_jaeger_client() -> None:
    assert jaeger.AdaptiveSampler({}).max_operations == 2000
    assert str(jaeger.AdaptiveSampler({})) == "AdaptiveSampler(0.001000, 0.001667, 2000)"
    assert jaeger.RateLimitingSampler().traces_per_second == 10
    assert (half.boundary, half.max_number) == (float(1 << 63), 1 << 64)
    with pytest.raises(NotImplementedError):
        Polling().refresh()
