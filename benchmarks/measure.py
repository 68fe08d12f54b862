"""Paired measurement: every peer runs in every round, in rotating order, and ratios are taken within a round.

A machine's speed drifts, but two peers timed within the same few milliseconds drift together. The processor
time of the calling thread is measured: it is the latency that tracing adds to a request, and other processes
disturb it little.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from statistics import median, quantiles
from time import thread_time_ns

Run = Callable[[int], object]  # does the work the given number of times

_collect = gc.collect
_BATCH = 1_500_000  # nanoseconds that one peer works in one round
_ROUNDS = 60
_BLOCKS = 15
_MOST_SECONDS = 4.0


@dataclass(frozen=True)
class Ratio:
    """The median of the rounds, and the lower and upper quartile (`low`, `high`)."""

    subject: str
    peer: str
    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Timing:
    """The cost of each peer, one value per round. The cost of the peer `base` is subtracted from all others.

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
        """Returns what a peer costs when nothing disturbs it, with its quartiles, in the timing's unit.

        A limit in microseconds is only comparable at the machine's own speed. So the least of each block's
        rounds counts, of the peer and of the base; other processes can only add to it.
        """
        own = self.rounds[name]
        base = [0.0] * len(own) if self.base is None else self.rounds[self.base]
        ends = range(self.block, len(own) + 1, self.block)
        least = [min(own[end - self.block : end]) - min(base[end - self.block : end]) for end in ends]
        low, middle, high = quantiles(least, n=4)
        return Ratio(name, "", middle, low, high)


def _timed(run: Run, times: int) -> float:
    around = getattr(run, "around", None)  # a context manager around a batch, which is not timed
    with around(times) if around else nullcontext():
        before = thread_time_ns()
        run(times)
        return (thread_time_ns() - before) / times / 1000


def _enough(run: Run) -> int:
    """Returns how many runs fill a batch."""
    _timed(run, 3)  # first runs take many times as long
    times = 1
    while (spent := _timed(run, times) * times * 1000) < _BATCH / 4:
        times *= 4
    return max(1, round(times * _BATCH / spent))


def measure(
    peers: Mapping[str, Run],
    base: str | None = None,
    rounds: int = _ROUNDS,
    longer: int = 1,
) -> Timing:
    """longer: how many times as long as usual the rounds may take."""
    seconds = longer * _MOST_SECONDS
    times = {name: _enough(run) for name, run in peers.items()}
    total = sum(_timed(run, times[name]) * times[name] for name, run in peers.items()) / 1e6
    if base is not None:  # tracing is a small part of the measured time
        rounds, total = 5 * rounds, total / 3
    rounds = max(9, min(rounds, round(seconds / total)))
    seen: dict[str, list[float]] = {name: [] for name in peers}
    names = list(peers)
    for turn in range(rounds):
        _collect()
        start = turn % len(names)
        for name in names[start:] + names[:start]:
            seen[name].append(_timed(peers[name], times[name]))
    return Timing(seen, base, block=1 if base is None else max(1, rounds // _BLOCKS))
