"""The one function that makes trees of spans: no other code sorts or nests them.

1. A span is known by its trace and its span id; of two with the same ids the later counts.
2. A span's parent is the span with the parent's id in the same trace. Where there is none, the span is a
   top: a root, one whose parent is elsewhere (`CALLER`), or one whose parent did not arrive (`MISSING`).
   Whether a parent is elsewhere is what the sender says (`parent_is_remote`); where it does not, a server's
   or a consumer's is.
3. Spans whose parents form a circle would be below no top: the earliest of them becomes one (`CIRCLE`).
4. Siblings and tops are ordered by start, then name, then id. Nodes come parents first.
5. Nothing here is recursive: 5,000 levels are a tree too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from ot_bridge.otlp.decode import SpanRecord
from ot_bridge.view.numbers import duration

ROOT: Final = "root"
CALLER: Final = "caller"
MISSING: Final = "missing"
CIRCLE: Final = "circle"
BELOW: Final = ""
_ENTRIES: Final = frozenset({"SERVER", "CONSUMER"})
_CLOCKS: Final = 1_000_000  # nanoseconds by which a child may begin before its parent without a warning


class Node(NamedTuple):
    """A span in its tree. parent: the index of its node, -1 for a top; how: why it is one, or BELOW."""

    span: SpanRecord
    depth: int
    parent: int
    how: str
    warnings: tuple[str, ...]


class Tree(NamedTuple):
    """A trace: its nodes, parents first. start, end: nanoseconds since the epoch."""

    trace_id: str
    nodes: tuple[Node, ...]
    start: int
    end: int

    @property
    def errors(self) -> int:
        """How many spans have failed."""
        return sum(node.span.status == "ERROR" for node in self.nodes)

    @property
    def continues(self) -> bool:
        """Whether the trace began with a caller whose spans are not here."""
        return any(node.how == CALLER for node in self.nodes)

    def children(self) -> list[list[int]]:
        """The indexes of each node's children."""
        found: list[list[int]] = [[] for _ in self.nodes]
        for at, node in enumerate(self.nodes):
            if node.parent >= 0:
                found[node.parent].append(at)
        return found


def trees(spans: Iterable[SpanRecord]) -> list[Tree]:
    """The traces, by their starts."""
    traces: dict[str, dict[str, SpanRecord]] = {}
    for span in spans:
        traces.setdefault(span.trace_id, {})[span.span_id] = span
    made = [_tree(trace_id, known) for trace_id, known in traces.items()]
    return sorted(made, key=lambda tree: (tree.start, tree.trace_id))


def _order(span: SpanRecord) -> tuple[int, str, str]:
    return span.start, span.name, span.span_id


def _tree(trace_id: str, known: Mapping[str, SpanRecord]) -> Tree:
    below: dict[str, list[SpanRecord]] = {}
    tops: list[tuple[SpanRecord, str]] = []
    for span in sorted(known.values(), key=_order):
        how = _how(span, known)
        if how == BELOW:
            below.setdefault(span.parent_id, []).append(span)
        else:
            tops.append((span, how))
    circles = _circles(known, below, [span for span, _ in tops])
    tops = sorted([*tops, *((span, CIRCLE) for span in circles)], key=lambda top: _order(top[0]))
    nodes = _nodes(tops, below, {span.span_id for span in circles})
    starts = [span.start for span in known.values() if span.start] or [0]
    return Tree(trace_id, nodes, min(starts), max([*starts, *(span.end for span in known.values())]))


def _how(span: SpanRecord, known: Mapping[str, SpanRecord]) -> str:
    if not span.parent_id.strip("0"):
        return ROOT
    if span.parent_id in known:
        return BELOW
    remote = span.kind in _ENTRIES if span.parent_is_remote is None else span.parent_is_remote
    return CALLER if remote else MISSING


def _circles(
    known: Mapping[str, SpanRecord], below: Mapping[str, Sequence[SpanRecord]], tops: list[SpanRecord]
) -> list[SpanRecord]:
    """The earliest span of each circle of parents."""
    reached: set[str] = set()
    _reach(tops, below, reached)
    found = []
    for span in known.values():
        if span.span_id not in reached:
            found.append(min(_circle_above(span, known), key=_order))
            _reach(found[-1:], below, reached)  # the whole way up is below it, so no span is walked twice
    return found


def _circle_above(span: SpanRecord, known: Mapping[str, SpanRecord]) -> list[SpanRecord]:
    """The circle in which a span's ancestors end that have no top."""
    way: dict[str, int] = {}
    at = span.span_id
    while at not in way:
        way[at] = len(way)
        at = known[at].parent_id
    return [known[each] for each, place in way.items() if place >= way[at]]


def _reach(tops: Sequence[SpanRecord], below: Mapping[str, Sequence[SpanRecord]], reached: set[str]) -> None:
    waiting = list(tops)
    while waiting:
        span = waiting.pop()
        if span.span_id not in reached:
            reached.add(span.span_id)
            waiting += below.get(span.span_id, ())


def _nodes(
    tops: Sequence[tuple[SpanRecord, str]], below: Mapping[str, Sequence[SpanRecord]], cut: set[str]
) -> tuple[Node, ...]:
    nodes: list[Node] = []
    waiting = [(span, how, -1) for span, how in reversed(tops)]
    while waiting:
        span, how, parent = waiting.pop()
        above = nodes[parent] if parent >= 0 else None
        depth = above.depth + 1 if above else 0
        nodes.append(Node(span, depth, parent, how, tuple(_warnings(span, how, above))))
        here = len(nodes) - 1
        children = (child for child in below.get(span.span_id, ()) if child.span_id not in cut)
        waiting += reversed([(child, BELOW, here) for child in children])
    return tuple(nodes)


def _warnings(span: SpanRecord, how: str, above: Node | None) -> list[str]:
    found = []
    if how == MISSING:
        found.append(f"parent {span.parent_id} did not arrive")
    elif how == CIRCLE:
        found.append(f"its parents form a circle: {span.parent_id} is below it too")
    if span.end < span.start:
        found.append(f"ends {duration(span.start - span.end)} before it starts")
    if above is not None and above.span.start - span.start > _CLOCKS:
        found.append(f"begins {duration(above.span.start - span.start)} before its parent")
    return found
