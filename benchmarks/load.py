"""Rows for servers under load: the processor time that tracing adds to a request, over all threads."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.delivered import BARE, environment
from benchmarks.measure import Timing
from benchmarks.peers import JAEGER, SDK
from benchmarks.requests import UBER
from benchmarks.rows import OURS, Goal, other_row
from benchmarks.sink import Sink

ROUNDS = 24
_BLOCK = 4  # rounds
REQUESTS = 800  # to one peer in one round
CLIENTS = 4
_TICK = 1e6 / os.sysconf("SC_CLK_TCK")  # microseconds


def _processor_time(pid: int) -> float:
    """Returns the processor time of a process and its children, in microseconds, from the kernel."""
    own = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return (int(own[11]) + int(own[12])) * _TICK + sum(_processor_time(int(child)) for child in below)


class Server:
    """A server process, and a function `send(times)` that sends requests to it."""

    def __init__(self, process: subprocess.Popen[str], send: Callable[[int], None]) -> None:
        self.pid = process.pid
        self._send = send
        self._readings: list[float] = []

    def work(self) -> None:
        """Runs one round of requests. Its spans are delivered while the other peers run."""
        self.read()
        with ThreadPoolExecutor(CLIENTS) as clients:
            list(clients.map(self._send, [REQUESTS // CLIENTS] * CLIENTS))

    def read(self) -> None:
        self._readings.append(_processor_time(self.pid))

    def costs(self) -> list[float]:
        """Returns the processor time per request in microseconds, one value per round, without the first
        round.
        """
        pairs = zip(self._readings[1:-1], self._readings[2:], strict=True)
        return [(after - before) / REQUESTS for before, after in pairs]


def _gunicorn(peer: str, sink: Sink) -> tuple[subprocess.Popen[str], Callable[[int], None]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "--threads=4",
        f"--bind=127.0.0.1:{port}",
        "benchmarks.served:app",
    ]
    process = _started(command, {**environment(sink), "BENCH_PEER": peer})
    _wait_for(port)

    def send(times: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for _ in range(times):
            connection.request("GET", "/users/7", headers=UBER)
            connection.getresponse().read()
        connection.close()

    return process, send


def _grpc(peer: str, sink: Sink) -> tuple[subprocess.Popen[str], Callable[[int], None]]:
    import grpc

    process = _started([sys.executable, "-m", "benchmarks.served"], {**environment(sink), "BENCH_PEER": peer})
    assert process.stdout is not None
    port = int(process.stdout.readline())
    metadata = (("uber-trace-id", UBER["uber-trace-id"]),)

    def send(times: int) -> None:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call: Any = channel.unary_unary("/bench.Echo/Call")
            for _ in range(times):
                call(b"x", timeout=10, metadata=metadata)

    return process, send


def _started(command: list[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


@contextmanager
def _servers(start: Any, *peers: str) -> Iterator[Mapping[str, Server]]:
    with ExitStack() as stack:
        sink = stack.enter_context(Sink())
        running = {}
        for peer in peers:
            process, send = start(peer, sink)
            stack.callback(process.communicate)
            stack.callback(process.terminate)
            running[peer] = Server(process, send)
        yield running


def _loaded(start: Any, *peers: str) -> Timing:
    with _servers(start, *peers) as running:
        for _ in range(ROUNDS + 1):
            for name in running:  # always in this order, so that each has as long to deliver
                running[name].work()
        time.sleep(1.2)  # a second is the longest that a span waits
        for server in running.values():
            server.read()
        return Timing({name: each.costs() for name, each in running.items()}, BARE, block=_BLOCK)


@other_row("gunicorn", "added to a request of gunicorn's threads, under load", Goal(JAEGER, 0.40))
def _gunicorn_row() -> Timing:
    return _loaded(_gunicorn, BARE, OURS, JAEGER, SDK)


@other_row("grpc-server", "added to a call of a gRPC server, under load", Goal(JAEGER, 0.45))
def _grpc_row() -> Timing:
    return _loaded(_grpc, BARE, OURS, JAEGER)
