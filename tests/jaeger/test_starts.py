"""If jaeger-client starts, ours starts: any value of any option, any text in any variable."""

from __future__ import annotations

import importlib
import os
import socket
from collections.abc import Iterator
from concurrent.futures import Future
from functools import cache
from typing import Any

import pytest
from opentracing import Format

from ot_bridge import variables
from ot_bridge.jaeger_client import Config
from ot_bridge.jaeger_client.settings import ROWS

VALUES: list[Any] = [
    None,
    "",
    "text",
    "5",
    "[::1",
    "a:b",
    5,
    -1,
    0,
    1.5,
    True,
    [],
    ["a"],
    {},
    {"a": 1},
    object(),
]
OPTIONS = sorted(
    {row.key for row in ROWS.values() if row.key} | {"sampler", "local_agent", "throttler", "tags"}
)
VARIABLES = sorted({name for row in ROWS.values() for name in (*row.jaeger, *row.otel)} | {"JAEGER_TAGS"})
#: A Service called jaeger-agent in Kubernetes says `tcp://...`.
TEXTS = [
    "",
    " ",
    "tcp://10.96.0.7:6831",
    "-1",
    "0",
    "many",
    "true",
    "1e400",
    "[::1",
    "a=b",
    "\xe9",
    "http://[bad",
]


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("JAEGER_", "OTEL_")):
            monkeypatch.delenv(name)
    # Reading them takes half of the time of these hundreds of starts.
    monkeypatch.setattr(variables, "entry_points", cache(variables.entry_points))


Closing = list["Future[bool]"]


@pytest.fixture
def closing() -> Iterator[Closing]:
    """The tracers that are closed at the same time: some of them wait for an agent that is not there."""
    futures: Closing = []
    yield futures
    for each in futures:
        each.result(60)


def _problem(package: str, config: dict[str, Any]) -> Exception | None:
    """What making a tracer of this dictionary raises; a reporter's threads are left out on both sides."""
    module = importlib.import_module(f"{package}.config")
    reporters = importlib.import_module(f"{package}.reporter")
    try:
        made = module.Config(config, service_name="service")
        for name, member in vars(module.Config).items():
            if not name.startswith("_") and not callable(member) and not isinstance(member, staticmethod):
                getattr(made, name)
        assert made.reporter_queue_size >= made.reporter_batch_size  # as the reporter has it
        tracer = made.create_tracer(reporters.InMemoryReporter(), made.sampler or module.ConstSampler(True))
        tracer.start_span("op", tags={"a": "b"}).finish()
        tracer.close()
    except Exception as error:
        return error
    return None


def _problem_of_new_tracer(config: dict[str, Any], closing: Closing) -> Exception | None:
    """What our own `new_tracer` raises, with its reporter, sampler and agent's address."""
    try:
        tracer = Config({**config}, service_name="service").new_tracer()
        with tracer.start_active_span("op", tags={"a": "b"}) as scope:
            tracer.inject(scope.span, Format.HTTP_HEADERS, {})
        closing.append(tracer.close())
    except Exception as error:
        return error
    return None


def _nested(key: str, value: Any) -> dict[str, Any]:
    for name in reversed(key.split(".")):
        value = {name: value}
    return dict(value)


@pytest.mark.parametrize("key", OPTIONS)
def test_no_value_of_an_option_raises_that_jaeger_client_accepts(
    key: str, monkeypatch: pytest.MonkeyPatch, closing: Closing
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    worse = []
    for value in VALUES:
        config = _nested(key, value)
        if key == "sampler.param":
            config["sampler"]["type"] = "probabilistic"
        ours = _problem("ot_bridge.jaeger_client", config) or _problem_of_new_tracer(config, closing)
        if ours is not None and _problem("jaeger_client", config) is None:
            worse.append((value, ours))
    assert worse == []


@pytest.mark.parametrize("variable", VARIABLES)
def test_no_value_of_a_variable_prevents_a_program_from_starting(
    variable: str, monkeypatch: pytest.MonkeyPatch, closing: Closing
) -> None:
    problems = []
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    for text in TEXTS:
        for kind in (None, "probabilistic") if "SAMPLER" in variable else (None,):
            if kind:
                monkeypatch.setenv("JAEGER_SAMPLER_TYPE", kind)
            monkeypatch.setenv(variable, text)
            problem = _problem("ot_bridge.jaeger_client", {}) or _problem_of_new_tracer(
                {} if kind else {"sampler": {"type": "const", "param": 1}}, closing
            )
            if problem is not None:
                problems.append((text, kind, problem))
            monkeypatch.delenv("JAEGER_SAMPLER_TYPE", raising=False)
    assert problems == []


def test_a_port_variable_set_by_kubernetes_is_logged_and_the_default_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("JAEGER_AGENT_PORT", "tcp://10.96.0.7:6831")
    for package in ("jaeger_client", "ot_bridge.jaeger_client"):
        config = importlib.import_module(f"{package}.config").Config({}, service_name="service")
        assert config.local_agent_reporting_port == 6831
    assert "JAEGER_AGENT_PORT='tcp://10.96.0.7:6831': expected the number of a port" in caplog.text


@pytest.mark.parametrize("error", [OSError("no name"), UnicodeError("label empty")], ids=["OSError", "text"])
def test_a_host_without_a_name_does_not_prevent_tracing(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> str:
        raise error

    monkeypatch.setattr(socket, "gethostname", fail)
    from ot_bridge.jaeger_client import ConstSampler, Tracer
    from ot_bridge.jaeger_client.reporter import InMemoryReporter

    tracer: Any = Tracer("service", InMemoryReporter(), ConstSampler(True))
    tracer.start_span("op").finish()
    assert tracer.tags["hostname"] is None
    tracer.close().result(5)
