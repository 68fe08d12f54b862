from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points

import pytest
from opentelemetry.sdk.trace.sampling import Sampler

from ot_bridge.errors import ConfigurationError
from ot_bridge.sampling import (
    JaegerRemoteSampler,
    PerSpanSampler,
    RateLimited,
    always_off,
    always_on,
    probability,
    sampler_from_text,
)
from ot_bridge.sampling.entry import jaeger_remote, parentbased_jaeger_remote
from tests.sampling.ask import sampled

RULES = "ot_bridge:/api=1.0, /static=0 ,GET /q=1,~/x=y/\\d=1,op:cron.*=1,op:client SELECT*=0,*=0"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0.25", probability(0.25)),
        ("1", probability(1.0)),
        ("ot_bridge:0", probability(0.0)),
        ("10/s", RateLimited(10.0)),
        ("0.5/s", RateLimited(0.5)),
        ("*=0.25", probability(0.25)),
        ("", always_on),
        ("ot_bridge:", always_on),
    ],
)
def test_a_text_without_rules_is_a_single_sampler(text: str, wanted: Sampler) -> None:
    assert sampler_from_text(text).get_description() == wanted.get_description()


@pytest.mark.parametrize(
    ("name", "path", "wanted"),
    [
        ("GET", "/api/x", True),
        ("GET", "/static/x", False),
        ("GET", "/q", True),
        ("GET", "/x=y/3", True),
        ("GET", "/else", False),
        ("cron.nightly", None, True),
        ("SELECT", None, False),
    ],
)
def test_rules_given_as_text_decide_as_written(name: str, path: str | None, wanted: bool) -> None:
    attributes = {"url.path": path, "http.method": "GET"} if path else None
    assert sampled(sampler_from_text(RULES), name, attributes) is wanted


def test_spans_that_match_no_rule_are_sampled_unless_the_text_has_a_default() -> None:
    assert sampled(sampler_from_text("/static=0"), attributes={"url.path": "/"})
    assert not sampled(sampler_from_text("/static=0"), attributes={"url.path": "/static"})


@pytest.mark.parametrize(
    "text",
    ["often", "2", "-1", "nan", "x/s", "-1/s", "/api", "/a=1,0.5", "=1", "*=0,/a=1", "a=1", "/a=", "/a=1,,"],
)
def test_an_invalid_sampler_text_is_refused_with_the_expected_form(text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        sampler_from_text(text)
    assert refused.value.reason


def run_app(**environ: str) -> str:
    """What a program that OpenTelemetry's own configurator sets up samples, for a few paths."""
    program = (
        "from opentelemetry.sdk._configuration import _OTelSDKConfigurator\n"
        "from opentelemetry import trace\n"
        "_OTelSDKConfigurator().configure()\n"
        "tracer = trace.get_tracer('t')\n"
        "for path in ('/api', '/static'):\n"
        "    span = tracer.start_span('GET', attributes={'url.path': path})\n"
        "    print(path, span.is_recording(), end=' ')\n"
        "print(trace.get_tracer_provider().sampler.get_description())\n"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    environ = {
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        **environ,
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env={**clean, **environ}, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_opentelemetrys_environment_finds_the_rules() -> None:
    seen = run_app(OTEL_TRACES_SAMPLER="ot_bridge", OTEL_TRACES_SAMPLER_ARG="ot_bridge:/api=1.0,*=0")
    assert seen.startswith("/api True /static False PerSpanSampler{ParentBased{root:PathSampler{")


def test_opentelemetrys_environment_finds_the_jaeger_samplers() -> None:
    seen = run_app(
        OTEL_TRACES_SAMPLER="parentbased_jaeger_remote",
        OTEL_TRACES_SAMPLER_ARG="endpoint=http://127.0.0.1:1,pollingIntervalMs=500,initialSamplingRate=0",
        OTEL_SERVICE_NAME="shop",
    )
    assert seen.startswith("/api False /static False PerSpanSampler{ParentBased{root:JaegerRemoteSampler(")
    assert "http://127.0.0.1:1/sampling?service=shop, ProbabilisticSampler(0.0)" in seen


def test_the_entry_points_of_samplers_are_registered() -> None:
    names = {
        e.name for e in entry_points(group="opentelemetry_traces_sampler") if e.value.startswith("ot_bridge.")
    }
    assert names == {"ot_bridge", "jaeger_remote", "parentbased_jaeger_remote"}


def test_the_specifications_argument_configures_the_remote_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=shop")
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    intervals: list[float] = []
    monkeypatch.setattr(JaegerRemoteSampler, "_poll", lambda self, name, interval: intervals.append(interval))
    sampler = jaeger_remote(
        " endpoint = http://127.0.0.1:1 , pollingIntervalMs=5000,initialSamplingRate=0.25,"
    )
    assert isinstance(sampler, JaegerRemoteSampler)
    assert sampler.url == "http://127.0.0.1:1/sampling?service=shop"
    assert intervals == [5.0]
    assert str(sampler.sampler) == "ProbabilisticSampler(0.25)"


@pytest.mark.parametrize(
    "argument",
    [
        "0.5",
        "endpoint",
        "pollingIntervalMs=soon",
        "pollingIntervalMs=0",
        "initialSamplingRate=7",
        "endpoint=ftp://a",
    ],
)
def test_an_argument_that_cannot_be_read_is_logged_and_ignored(
    argument: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    monkeypatch.setattr("ot_bridge.sampling.remote.DEFAULT_ENDPOINT", "http://127.0.0.1:1/sampling")
    sampler = jaeger_remote(argument)
    assert isinstance(sampler, JaegerRemoteSampler)
    sampler.close()
    assert str(sampler.sampler) == "ProbabilisticSampler(0.001)"
    assert f"OTEL_TRACES_SAMPLER_ARG={argument!r}" in caplog.text


def test_parentbased_jaeger_remote_applies_the_servers_strategy_to_roots_only() -> None:
    sampler = parentbased_jaeger_remote("endpoint=127.0.0.1:1,initialSamplingRate=1")
    assert isinstance(sampler, PerSpanSampler)
    assert sampled(sampler)
    assert not sampled(always_off)
