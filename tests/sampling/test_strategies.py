"""The remote sampler's numbers at their limits, what it logs, and what it asks."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from ot_bridge.sampling import AdaptiveSampler, JaegerRemoteSampler, ProbabilisticSampler, remote
from tests.sampling.test_remote import EACH, FIVE, HALF, Strategies

MIB = 1 << 20


@pytest.fixture
def server() -> Iterator[Strategies]:
    with Strategies() as server:
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def _silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread: the test refreshes."""
    monkeypatch.setattr(JaegerRemoteSampler, "_start", lambda self: None)


def rate(number: float) -> dict[str, Any]:
    return {"strategyType": "RATE_LIMITING", "rateLimitingSampling": {"maxTracesPerSecond": number}}


@pytest.mark.parametrize("start", [HALF, FIVE], ids=["probability", "rate"])
@pytest.mark.parametrize(("number", "applied"), [(0, True), (499.5, True), (500, False), (-0.1, False)])
def test_a_rate_from_0_to_below_500_is_applied(
    server: Strategies, start: dict[str, Any], number: float, applied: bool
) -> None:
    sampler = JaegerRemoteSampler("shop", server.url)
    server.answer = start
    sampler.refresh()
    before = str(sampler.sampler)
    server.answer = rate(number)
    assert sampler.refresh() is applied
    assert str(sampler.sampler) == (f"RateLimitingSampler({number})" if applied else before)


@pytest.mark.parametrize(("size", "applied"), [(4 * MIB, True), (4 * MIB + 1, False)], ids=["4 MiB", "more"])
def test_a_response_has_at_most_4_mib(server: Strategies, size: int, applied: bool) -> None:
    server.answer = json.dumps(HALF).encode().rjust(size)
    assert JaegerRemoteSampler("shop", server.url).refresh() is applied


def test_the_number_of_operations_is_limited_as_the_argument_says(server: Strategies) -> None:
    server.answer = EACH
    sampler = JaegerRemoteSampler("shop", server.url, max_operations=7)
    assert sampler.refresh()
    assert isinstance(sampler.sampler, AdaptiveSampler)
    assert sampler.sampler.max_operations == 7
    again = sampler.sampler
    server.answer = {"operationSampling": {"defaultSamplingProbability": 0.75}}
    assert sampler.refresh()
    assert sampler.sampler is again
    assert again.default_sampler == ProbabilisticSampler(0.75)


def test_a_proxy_is_not_used(server: Strategies, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    assert JaegerRemoteSampler("shop", server.url).refresh()


def test_the_name_of_the_service_is_quoted(server: Strategies) -> None:
    sampler = JaegerRemoteSampler("shop & co", server.url)
    assert sampler.refresh()
    assert server.asked == ["/sampling?service=shop+%26+co"]
    assert (sampler.service_name, sampler.url) == ("shop & co", f"{server.url}/sampling?service=shop+%26+co")


def test_a_request_waits_ten_seconds() -> None:
    assert remote.REQUEST_TIMEOUT == 10.0


def test_the_first_failure_is_a_warning_and_all_other_lines_are_for_debugging(
    server: Strategies, caplog: pytest.LogCaptureFixture
) -> None:
    sampler = JaegerRemoteSampler("shop", server.url)
    with caplog.at_level(logging.DEBUG, "ot_bridge.sampling"):
        for server.status in (500, 500, 200, 500):
            sampler.refresh()
    levels = [logging.getLevelName(record.levelno) for record in caplog.records]
    assert levels == ["WARNING", "DEBUG", "DEBUG", "WARNING"]
    lines = [record.message for record in caplog.records]
    assert lines[2] == f"sampling by ProbabilisticSampler(0.5), as received from {sampler.url}"
    assert lines[3].startswith(f"no sampling strategy from {sampler.url}: ")
    assert lines[3].endswith("; sampling goes on by ProbabilisticSampler(0.5)")
