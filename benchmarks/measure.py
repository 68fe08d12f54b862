"""Paired measurement: every peer in every round, the order drawn anew, ratios taken within a round.

Machines drift; two peers timed within the same few milliseconds drift together. What is timed is the
processor time of the calling thread, which is the latency that tracing adds to a request, and which
other processes do not disturb.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from random import Random
from statistics import median, quantiles
from time import thread_time_ns

Run = Callable[[int], object]  # does the work as many times as it is told

_collect = gc.collect
_BATCH = 1_500_000  # nanoseconds that one peer works in one round
_ROUNDS = 60
_BLOCKS = 15
_MOST_SECONDS = 4.0


@dataclass(frozen=True)
class Ratio:
    """`median` of the rounds, and the quartiles between which half of them lie."""

    subject: str
    peer: str
    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Timing:
    """What each peer cost, one value a round. `base` is subtracted from all others.

    block: how many rounds in a row make one ratio, from their medians. Differences of large figures vary
    more than they are large: a ratio of two of them says little.
    """

    rounds: Mapping[str, list[float]]
    base: str | None = None
    unit: str = "µs"
    block: int = 1

    def added(self, name: str) -> list[float]:
        own = self.rounds[name]
        if self.base is None:
            return own
        return [total - bare for total, bare in zip(own, self.rounds[self.base], strict=True)]

    def cost(self, name: str) -> float:
        return median(self.added(name))

    def _blocks(self, name: str) -> list[float]:
        added = self.added(name)
        starts = range(0, len(added) - self.block + 1, self.block)
        return [median(added[start : start + self.block]) for start in starts]

    def ratio(self, subject: str, peer: str) -> Ratio:
        pairs = zip(self._blocks(subject), self._blocks(peer), strict=True)
        ratios = [ours / theirs for ours, theirs in pairs if theirs > 0]
        low, middle, high = quantiles(ratios, n=4)
        return Ratio(subject, peer, middle, low, high)

    def spread(self, name: str) -> Ratio:
        """What it costs, in the timing's own unit."""
        low, middle, high = quantiles(self._blocks(name), n=4)
        return Ratio(name, "", middle, low, high)


def _timed(run: Run, times: int) -> float:
    around = getattr(run, "around", None)  # a context manager for work whose cost is not the point
    with around(times) if around else nullcontext():
        before = thread_time_ns()
        run(times)
        return (thread_time_ns() - before) / times / 1000


def _enough(run: Run) -> int:
    """How many runs fill a batch."""
    _timed(run, 3)  # the first runs of anything take many times as long
    times = 1
    while (spent := _timed(run, times) * times * 1000) < _BATCH / 4:
        times *= 4
    return max(1, round(times * _BATCH / spent))


def measure(
    peers: Mapping[str, Run],
    base: str | None = None,
    rounds: int = _ROUNDS,
    seconds: float = _MOST_SECONDS,
) -> Timing:
    times = {name: _enough(run) for name, run in peers.items()}
    total = sum(_timed(run, times[name]) * times[name] for name, run in peers.items()) / 1e6
    if base is not None:  # what is looked for is a small part of what is timed
        rounds, total = 5 * rounds, total / 3
    rounds = max(9, min(rounds, round(seconds / total)))
    seen: dict[str, list[float]] = {name: [] for name in peers}
    names = list(peers)
    order = Random(1)  # who runs after a peer with much code in common finds that in the caches
    for _ in range(rounds):
        _collect()
        order.shuffle(names)
        for name in names:
            seen[name].append(_timed(peers[name], times[name]))
    return Timing(seen, base, block=1 if base is None else max(1, rounds // _BLOCKS))
