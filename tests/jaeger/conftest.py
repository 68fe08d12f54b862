"""Fixtures for the tests of jaeger-client's names: servers, and a process without any set-up."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import opentracing
import pytest
from opentelemetry import propagate, trace

from ot_bridge import ids
from ot_bridge.jaeger_client import Config
from ot_bridge.sampling import jaeger
from tests.jaeger.servers import Agent, Collector, running


@pytest.fixture(autouse=True)
def _untouched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in list(os.environ):
        if name.startswith(("JAEGER_", "OTEL_")):
            monkeypatch.delenv(name)
    # The real one looks up its address with sockets that it leaves open.
    monkeypatch.setattr("jaeger_client.tracer.local_ip", lambda: "127.0.0.1")
    monkeypatch.setattr(Config, "_initialized", False)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER_SET_ONCE", type(trace._TRACER_PROVIDER_SET_ONCE)())
    textmap, tracer = propagate.get_global_textmap(), opentracing.tracer
    registered = opentracing.is_tracer_registered
    yield
    propagate.set_global_textmap(textmap)
    opentracing.tracer, opentracing.is_tracer_registered = tracer, registered


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """An OTLP collector that the environment names."""
    with running(Collector()) as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        yield server


@pytest.fixture
def agent() -> Iterator[Agent]:
    with running(Agent()) as server:
        yield server


@pytest.fixture(autouse=True)
def _one_sequence_of_random_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """jaeger-client takes the program's; ours has its own."""
    monkeypatch.setattr(ids, "fraction", lambda: random.random())
    monkeypatch.setattr(jaeger, "fraction", lambda: random.random())
