"""Row "debug": credits for debug traces come from the agent."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from ot_bridge.jaeger_client import throttler
from ot_bridge.jaeger_client.local_agent_net import LocalAgentSender
from ot_bridge.jaeger_client.metrics import MetricsFactory
from tests.jaeger.servers import Agent
from tests.jaeger.sides import Side, both


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
    agent.balance = 2
    assert made.refresh()  # nothing to ask for yet
    assert agent.requests == []
    made.set_client_id(7)
    made.set_client_id(8)
    assert not made.is_allowed("op")
    assert made.refresh()
    assert agent.requests[0][0] == "/credits?service=service&uuid=7&operations=op"
    assert [made.is_allowed("op") for _ in range(3)] == [True, True, False]
    assert made.credits == {"op": 0}
    assert counts.counts == {"jaeger:throttled_debug_spans": 2, "jaeger:throttler_update ok": 1}
    made.close()


def test_an_agent_that_talks_nonsense_gives_no_credit(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    made, counts = _throttler(agent)
    made.is_allowed("op")
    agent.status = 500
    assert not made.refresh()
    agent.status = 200
    monkeypatch.setattr(agent, "_answer", None)
    agent.answer = lambda path, body: (200, b'{"balances": [{"operation": "op", "balance": "x"}]}')
    assert not made.refresh()
    assert counts.counts["jaeger:throttler_update err"] == 2
    assert made.credits == {"op": 0}
    made.close()


def test_credits_are_asked_for_in_the_background(agent: Agent) -> None:
    made, _ = _throttler(agent, 0.01)
    made.is_allowed("op")
    agent.wait_for(lambda: len(agent.requests) > 1)
    made.close()


def test_a_throttler_that_nobody_holds_stops_asking(agent: Agent) -> None:
    made, _ = _throttler(agent, 0.01)
    (thread,) = (
        each for each in threading.enumerate() if each.name == "ot_bridge-throttler" and each.is_alive()
    )
    del made
    thread.join(20)
    assert not thread.is_alive()


def test_after_a_fork_it_goes_on_asking(agent: Agent) -> None:
    made, _ = _throttler(agent, 0.01)
    made.is_allowed("op")
    made.lock.acquire()  # as a thread that the child has not got would hold it
    made._restart()
    made.is_allowed("op")
    made.close()
    made._restart()
    assert made._stop.is_set()


def test_the_base_throttler_does_nothing() -> None:
    base = throttler.Throttler()
    base.set_client_id(1)
    base.close()
    with pytest.raises(NotImplementedError):
        base.is_allowed("op")
    assert throttler.is_allowed(None, "op")


class _Refusing:
    """A throttler that is asked in vain: it counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def is_allowed(self, operation: str) -> bool:
        self.asked.append(operation)
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
def test_a_throttler_is_asked_for_debug_traces_alone(caller: dict[str, str]) -> None:
    def program(side: Side) -> Any:
        refusing = _Refusing()
        tracer, reporter = side.tracer(throttler=refusing)
        tracer.start_span("plain").finish()
        with tracer.start_active_span("in", child_of=tracer.extract("http_headers", caller)) as scope:
            tracer.start_span("child").finish()
        found = [(span.operation_name, span.is_sampled(), span.is_debug()) for span in reporter.get_spans()]
        return refusing.asked, found, scope.span.get_baggage_item("k")

    asked, found, _ = both(program)
    assert asked == ["in"] * ("jaeger-debug-id" in caller)
    unsampled = caller in (CALLERS["not sampled"], CALLERS["a debug id"])
    assert [name for name, _, _ in found] == (["plain"] if unsampled else ["plain", "child", "in"])
