"""Row "debug": credits for debug traces come from the agent."""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import threading
from types import ModuleType
from typing import Any

import pytest

from ot_bridge.jaeger_client import Config, ConstSampler, Tracer, throttler
from ot_bridge.jaeger_client.local_agent_net import LocalAgentHTTP, LocalAgentSender
from ot_bridge.jaeger_client.metrics import MetricsFactory
from ot_bridge.jaeger_client.reporter import InMemoryReporter
from tests.cli import programs
from tests.delivery.parts import until
from tests.interrupts import handled
from tests.jaeger.servers import Agent
from tests.jaeger.sides import Side, both


def _threads() -> int:
    return sum(each.name == "ot_bridge-throttler" for each in threading.enumerate())


@pytest.fixture(autouse=True)
def _no_thread_of_an_earlier_test() -> None:
    """A closed throttler's thread may live a moment longer, and a forgotten one's until it is collected."""
    gc.collect()
    until(lambda: _threads() == 0)


class _Counts(MetricsFactory):
    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def create_counter(self, name: str, tags: Any = None) -> Any:
        key = " ".join([name, *(tags or {}).values()])
        return lambda value: self.counts.__setitem__(key, self.counts.get(key, 0) + value)


def _throttler(agent: Agent, interval: float = 3600) -> tuple[throttler.RemoteThrottler, _Counts]:
    counts = _Counts()
    channel = LocalAgentSender("127.0.0.1", 1, throttling_port=agent.port)
    return throttler.RemoteThrottler(
        channel, "service", refresh_interval=interval, metrics_factory=counts
    ), counts


def test_an_operation_without_credit_is_not_allowed_until_some_comes(agent: Agent) -> None:
    made, counts = _throttler(agent)
    agent.balance = 3
    assert made.refresh()  # no operation to request credits for yet
    assert agent.requests == []
    made.set_client_id(7)
    made.set_client_id(8)
    assert not made.is_allowed("op")
    assert made.refresh()
    assert agent.requests[0][0] == "/credits?service=service&uuid=7&operations=op"
    assert [made.is_allowed("op") for _ in range(4)] == [True, True, True, False]
    assert made.credits == {"op": 0}
    assert counts.counts == {"jaeger:throttled_debug_spans": 2, "jaeger:throttler_update ok": 1}
    agent.respond = lambda path, body: (200, b'{"balances": [{"operation": "other", "balance": 0.75}]}')
    assert made.refresh()
    assert not made.is_allowed("other")
    assert made.refresh()
    assert made.is_allowed("other")
    assert made.credits == {"op": 0, "other": 0.5}
    made.close()


def test_an_invalid_response_of_the_agent_gives_no_credit(agent: Agent) -> None:
    made, counts = _throttler(agent)
    made.is_allowed("op")
    agent.status = 500
    assert not made.refresh()
    agent.status = 200
    agent.respond = lambda path, body: (200, b'{"balances": [{"operation": "op", "balance": "x"}]}')
    assert not made.refresh()
    assert counts.counts["jaeger:throttler_update err"] == 2
    assert made.credits == {"op": 0}
    made.close()


def test_credits_are_requested_in_the_background(agent: Agent) -> None:
    made, _ = _throttler(agent, 0.01)
    made.is_allowed("op")
    agent.wait_for(lambda: len(agent.requests) > 1)
    made.close()


def test_the_thread_of_a_deleted_throttler_ends(agent: Agent) -> None:
    made, _ = _throttler(agent, 0.01)
    (thread,) = (
        each for each in threading.enumerate() if each.name == "ot_bridge-throttler" and each.is_alive()
    )
    del made
    thread.join(20)
    assert not thread.is_alive()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_starts_its_own_requests_unless_closed_before_the_fork(agent: Agent) -> None:
    made, _ = _throttler(agent, 0.01)
    closed, _ = _throttler(agent)
    closed.close()

    def child() -> None:
        made.is_allowed("child's")
        until(lambda: made.credits["child's"] > 0)
        os._exit(_threads() != 1)

    process = multiprocessing.get_context("fork").Process(target=child)
    with made.lock:  # the child has not got the thread that holds it
        process.start()
    process.join(40)
    made.close()
    assert process.exitcode == 0


def test_under_uwsgi_the_first_debug_span_starts_the_thread(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uwsgi", ModuleType("uwsgi"))
    made, _ = _throttler(agent, 0.01)
    assert _threads() == 0
    made.is_allowed("op")
    until(lambda: agent.requests)
    made.close()


def test_the_tracers_close_ends_its_thread(agent: Agent) -> None:
    made, _ = _throttler(agent)
    tracer = Tracer("service", InMemoryReporter(), ConstSampler(True), throttler=made)
    assert _threads() == 1
    tracer.close().result(20)
    until(lambda: _threads() == 0)


def test_a_signal_handler_may_use_the_throttler_while_its_thread_uses_it(agent: Agent) -> None:
    made, _ = _throttler(agent)
    seen: list[bool] = []

    def everywhere() -> None:
        for at in range(1, 6):
            seen.append(handled(lambda: made.is_allowed("handler"), at, throttler.__file__, made.refresh))

    asking = threading.Thread(target=everywhere, daemon=True)
    asking.start()
    asking.join(40)
    assert not asking.is_alive()
    assert any(seen)
    made.close()


#: A program that ends while its throttler waits for a response that never comes.
HANGING = """
import socket, sys, threading
from ot_bridge.jaeger_client import Config, throttler
throttler._TIMEOUT = 600.0
agent = socket.create_server(("127.0.0.1", 0))
tracer = Config({"sampler": {"type": "const", "param": 1},
                 "local_agent": {"reporting_host": "127.0.0.1"},
                 "throttler": {"port": agent.getsockname()[1], "refresh_interval": 1}},
                service_name="hanging").new_tracer()
tracer.throttler.is_allowed("op")
agent.accept()
print([each.name for each in threading.enumerate() if "throttler" in each.name])
if sys.argv[1]:
    tracer.close().result(20)
"""


@pytest.mark.parametrize("close", ["", "closed"], ids=["as it is", "closed"])
def test_an_agent_that_hangs_delays_neither_close_nor_exit(close: str) -> None:
    done = programs.python("-c", HANGING, close, OTEL_TRACES_EXPORTER="none")
    assert (done.returncode, done.stdout) == (0, "['ot_bridge-throttler']\n"), done.stderr


def test_the_agent_is_given_as_many_seconds_as_jaeger_client_gives_it() -> None:
    assert throttler._TIMEOUT == LocalAgentHTTP.DEFAULT_TIMEOUT == 15


class _Raising(MetricsFactory):
    def create_counter(self, name: str, tags: Any = None) -> Any:
        def count(value: int) -> None:
            raise RuntimeError("the program's metrics")

        return count


def test_metrics_that_raise_do_not_end_the_thread_of_the_throttler(
    agent: Agent, caplog: pytest.LogCaptureFixture
) -> None:
    channel = LocalAgentSender("127.0.0.1", agent.port)
    made = throttler.RemoteThrottler(channel, "service", refresh_interval=0.01, metrics_factory=_Raising())
    made.credits["op"] = 1.0
    agent.wait_for(lambda: len(agent.requests) > 2)
    made.close()
    assert "RemoteThrottler.refresh raised" in caplog.text


INTERVALS: dict[str, Any] = {"zero": 0, "negative": -1, "endless": 1e300, "no number": "x", "none": None}


@pytest.mark.parametrize("interval", INTERVALS.values(), ids=INTERVALS)
def test_an_invalid_refresh_interval_is_replaced_by_the_default(interval: Any) -> None:
    config = Config({"throttler": {"refresh_interval": interval}}, service_name="service")
    assert config.throttler_refresh_interval == 5


def test_the_base_throttler_does_nothing() -> None:
    base = throttler.Throttler()
    base.set_client_id(1)
    base.close()
    with pytest.raises(NotImplementedError):
        base.is_allowed("op")
    assert throttler.is_allowed(None, "op")


class _Refusing:
    """A throttler that refuses everything and records its calls."""

    def __init__(self) -> None:
        self.operations: list[str] = []

    def is_allowed(self, operation: str) -> bool:
        self.operations.append(operation)
        return False

    def set_client_id(self, client_id: int) -> None:
        pass


CALLERS: dict[str, dict[str, str]] = {
    "nobody": {},
    "sampled": {"uber-trace-id": "a:b:0:1"},
    "not sampled": {"uber-trace-id": "a:b:0:0"},
    "with baggage": {"uber-trace-id": "a:b:0:1", "uberctx-k": "v"},
    "a debug id": {"jaeger-debug-id": "why"},
}


@pytest.mark.parametrize("caller", CALLERS.values(), ids=CALLERS)
def test_the_throttler_is_called_only_for_debug_traces(caller: dict[str, str]) -> None:
    def program(side: Side) -> Any:
        refusing = _Refusing()
        tracer, reporter = side.tracer(throttler=refusing)
        tracer.start_span("plain").finish()
        with tracer.start_active_span("in", child_of=tracer.extract("http_headers", caller)) as scope:
            tracer.start_span("child").finish()
        found = [(span.operation_name, span.is_sampled(), span.is_debug()) for span in reporter.get_spans()]
        return refusing.operations, found, scope.span.get_baggage_item("k")

    operations, found, _ = both(program)
    assert operations == ["in"] * ("jaeger-debug-id" in caller)
    unsampled = caller in (CALLERS["not sampled"], CALLERS["a debug id"])
    assert [name for name, _, _ in found] == (["plain"] if unsampled else ["plain", "child", "in"])
