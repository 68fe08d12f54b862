"""Rows for growth: the cost of a span by number of tags, depth, threads and spans in flight."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from time import process_time_ns
from typing import Any

from benchmarks import peers
from benchmarks.measure import Run, Timing, measure
from benchmarks.peers import JAEGER, SHIM
from benchmarks.rows import OURS
from benchmarks.spans import active

_ROUNDS = 9


@dataclass(frozen=True)
class Series:
    """The cost of a span in microseconds for each peer, at each size in `sizes`."""

    name: str
    title: str
    sizes: tuple[int, ...]
    costs: Mapping[str, list[float]]

    @property
    def growth(self) -> dict[str, float]:
        """Returns the cost at the largest size divided by the cost at the smallest."""
        return {name: costs[-1] / costs[0] for name, costs in self.costs.items()}


def _tracers() -> dict[str, Any]:
    return {OURS: peers.ours(), JAEGER: peers.jaeger(), SHIM: peers.shim()}


def _tagged(tracer: Any, count: int) -> Run:
    keys = [f"key{number}" for number in range(count)]

    def run(times: int) -> None:
        for _ in range(times):
            with tracer.start_active_span("op") as scope:
                set_tag = scope.span.set_tag
                for key in keys:
                    set_tag(key, "value")

    return run


class _Deep:
    def __init__(self, tracer: Any, depth: int) -> None:
        self.start = tracer.start_active_span
        self.depth = depth
        self.run = active(tracer)

    @contextmanager
    def around(self, times: int) -> Iterator[None]:
        with ExitStack() as stack:
            for _ in range(self.depth - 1):
                stack.enter_context(self.start("above"))
            yield

    def __call__(self, times: int) -> None:
        self.run(times)


def _in_flight(tracer: Any, count: int) -> Run:
    waiting = [tracer.start_span("waiting", ignore_active_span=True) for _ in range(count)]
    inner = active(tracer)

    def run(times: int) -> None:
        assert len(waiting) == count
        inner(times)

    return run


def _threaded(tracer: Any, threads: int) -> float:
    """Returns the processor time per span in microseconds, over all threads."""
    run = active(tracer)
    each = 4000 // threads
    workers = [threading.Thread(target=run, args=(each,)) for _ in range(threads)]
    before = process_time_ns()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return (process_time_ns() - before) / (each * threads) / 1000


def _threads(sizes: tuple[int, ...]) -> list[Timing]:
    tracers = _tracers()
    return [
        Timing({name: [_threaded(tracer, size) for _ in range(5)] for name, tracer in tracers.items()})
        for size in sizes
    ]


def _by(make: Callable[[Any, int], Run]) -> Callable[[tuple[int, ...]], list[Timing]]:
    def timings(sizes: tuple[int, ...]) -> list[Timing]:
        tracers = _tracers()
        return [
            measure({name: make(tracer, size) for name, tracer in tracers.items()}, rounds=_ROUNDS)
            for size in sizes
        ]

    return timings


_SERIES: dict[str, tuple[str, tuple[int, ...], Callable[[tuple[int, ...]], list[Timing]]]] = {
    "scale-tags": ("tags of the span", (0, 1, 4, 16, 32, 64, 128), _by(_tagged)),
    "scale-depth": ("depth of the active spans", (1, 10, 100, 1000), _by(_Deep)),
    "scale-threads": ("threads", (1, 2, 4, 8, 16), _threads),
    "scale-in-flight": ("spans in flight", (1, 100, 10_000, 100_000), _by(_in_flight)),
}
NAMES = tuple(_SERIES)


def series(name: str) -> Series:
    title, sizes, timings = _SERIES[name]
    taken = timings(sizes)
    costs = {peer: [timing.cost(peer) for timing in taken] for peer in taken[0].rounds}
    return Series(name, title, sizes, costs)
