"""The table of rows: what is timed against what, and which goals were set.

A row's function is called when the row is run, and may import what is not installed: the row is then
left out, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.measure import Run, Timing, measure

OURS = "ot_bridge"


@dataclass(frozen=True)
class Goal:
    """At most `limit` times what `peer` costs; without a peer, at most `limit` microseconds."""

    peer: str
    limit: float
    subject: str = OURS


@dataclass(frozen=True)
class Row:
    name: str
    title: str
    take: Callable[[], Timing]
    goals: tuple[Goal, ...]


ROWS: dict[str, Row] = {}


def row(name: str, title: str, *goals: Goal, base: str | None = None) -> Callable[..., None]:
    """Keeps a function that returns what is to be timed, by peer. `base` is the peer that does not trace."""

    def keep(peers: Callable[[], Mapping[str, Run]]) -> None:
        ROWS[name] = Row(name, title, lambda: measure(peers(), base), goals)

    return keep


def other_row(name: str, title: str, *goals: Goal) -> Callable[..., None]:
    """Keeps a function that does its own measuring."""

    def keep(take: Callable[[], Timing]) -> None:
        ROWS[name] = Row(name, title, take, goals)

    return keep
