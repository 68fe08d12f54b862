"""The table of rows. Each row says which peers are timed, and which goals hold for their ratios.

A row's function is called when the row is run. If it imports a package that is not installed, the row is
skipped, and a message says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.measure import Run, Timing, measure

OURS = "ot_bridge"


@dataclass(frozen=True)
class Goal:
    """`subject` may cost at most `limit` times as much as `peer`; if `peer` is "", at most `limit` units of
    the row.
    """

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
    """Decorates a function that returns the work to time for each peer. `base` is the peer that does not
    trace.
    """

    def keep(peers: Callable[[], Mapping[str, Run]]) -> None:
        ROWS[name] = Row(name, title, lambda: measure(peers(), base), goals)

    return keep


def other_row(name: str, title: str, *goals: Goal) -> Callable[..., None]:
    """Decorates a function that measures by itself and returns a `Timing`."""

    def keep(take: Callable[[], Timing]) -> None:
        ROWS[name] = Row(name, title, take, goals)

    return keep
