"""Rows for the whole cost of a trace until its bytes are sent: all threads of a service in its process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from benchmarks.measure import Timing
from benchmarks.peers import JAEGER, SDK
from benchmarks.rows import OURS, Goal, other_row
from benchmarks.service import QUEUE
from benchmarks.sink import Sink

BARE = "no tracing"
DROP_IN = "drop-in"
ONE = "one a second"

ROUNDS = 9
SECONDS = 0.6  # for one peer in one round
RATE = 1000.0  # requests a second, of three spans each
STALL_ROUNDS = 3
STALL_SECONDS = 4.0
STALL_RATE = 5000 / 3  # 5,000 spans a second


def environment(sink: Sink) -> dict[str, str]:
    """Returns the environment of a child process in which every peer sends its spans to `sink`."""
    http_port, udp_port = sink.ports
    return {
        **os.environ,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{http_port}",
        "OTEL_BSP_MAX_QUEUE_SIZE": str(QUEUE),
        "OTEL_SERVICE_NAME": "bench",
        "JAEGER_AGENT_PORT": str(udp_port),
    }


class Service:
    """A service in a child process, traced by the peer of the given name."""

    def __init__(self, peer: str, sink: Sink) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.service", peer],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(sink),
        )
        self._answer(peer)

    def _answer(self, asked: str) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ImportError(f"the service ended at: {asked}")
        return json.loads(line)

    def ask(self, word: str, rate: float, seconds: float) -> dict[str, float]:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word} {rate} {seconds}\n")
        self._process.stdin.flush()
        answer: dict[str, float] = self._answer(word)
        return answer

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def services(*peers: str) -> Iterator[tuple[Mapping[str, Service], Sink]]:
    with ExitStack() as stack:
        sink = stack.enter_context(Sink())
        running = {}
        for peer in peers:
            running[peer] = Service(peer, sink)
            stack.callback(running[peer].close)
        yield running, sink


def in_turn(running: Mapping[str, Any], rounds: int) -> Iterator[str]:
    """Runs every peer in every round, in rotating order."""
    names = list(running)
    for turn in range(rounds):
        start = turn % len(names)
        yield from names[start:] + names[:start]


@other_row(
    "whole",
    "a traced request, all threads, to the wire",
    Goal(JAEGER, 0.25),
    Goal(SDK, 0.25),
)
def _whole() -> Timing:
    peers = (BARE, OURS, DROP_IN, JAEGER, SDK)
    seen: dict[str, list[float]] = {name: [] for name in peers}
    with services(*peers) as (running, sink):
        for name in in_turn(running, ROUNDS):
            seen[name].append(running[name].ask("cost", RATE, SECONDS)["cost"])
        assert all(sink.taken.values()), "a peer delivered nothing"
    return Timing(seen, base=BARE)


_stalled: dict[str, Mapping[str, Timing]] = {}


def _stalls() -> Mapping[str, Timing]:
    """Measures both rows in one run."""
    if "seen" not in _stalled:
        seen: dict[str, dict[str, list[float]]] = {"late": {}, "pause": {}}
        with services(BARE, OURS, JAEGER, SDK) as (running, _):
            for name in in_turn(running, STALL_ROUNDS):
                for word, value in running[name].ask("stalls", STALL_RATE, STALL_SECONDS).items():
                    seen[word].setdefault(name, []).append(value)
        seen["late"][ONE] = [1.0] * STALL_ROUNDS
        _stalled["seen"] = {
            "late": Timing(seen["late"], unit="a second"),
            "pause": Timing(seen["pause"], unit="ms"),
        }
    return _stalled["seen"]


@other_row("stalls", "wake-ups over 5 ms late, at 5,000 spans a second", Goal(ONE, 1.0))
def _late() -> Timing:
    return _stalls()["late"]


@other_row("collections", "the garbage collector's longest pause in that run", Goal(JAEGER, 1.2))
def _pauses() -> Timing:
    return _stalls()["pause"]
