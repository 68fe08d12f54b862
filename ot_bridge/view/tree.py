"""Makes trees of spans. No other code sorts or nests spans.

1. A span is identified by its trace, its span id and its side of a call (see `identity`): a server span may
   share its client's span id, as in Zipkin and with jaeger-client's `one_span_per_rpc`. Of two spans with
   the same identity the later one counts.
2. The parent of a server span that shares its client's id is that client span. The parent of any other span
   is the span of the same trace that has its parent id; where a client and a server share that id, it is the
   span of the same service, else the server span.
3. A span without a parent here is a top: a root, a span whose parent is in another process (`CALLER`), or a
   span whose parent did not arrive (`MISSING`). The sender reports whether the parent is in another process
   (`parent_is_remote`). Where it does not, the parents of server and consumer spans are taken to be.
4. Spans whose parents form a circle have no top above them: the earliest of them becomes one (`CIRCLE`).
5. Siblings and tops are ordered by start, then name, then id. Parents come before their children.
6. No function here is recursive, so a trace of 5,000 levels is a tree too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, TypeAlias

from ot_bridge.otlp.decode import SpanRecord
from ot_bridge.view.numbers import duration

ROOT: Final = "root"
CALLER: Final = "caller"
MISSING: Final = "missing"
CIRCLE: Final = "circle"
BELOW: Final = ""
_ENTRIES: Final = frozenset({"SERVER", "CONSUMER"})
_CLOCKS: Final = 1_000_000  # nanoseconds by which a child may begin before its parent without a warning

_Known: TypeAlias = dict[str, SpanRecord]  # the spans of a trace by their identities
_Below: TypeAlias = dict[str, list[SpanRecord]]  # children by the identities of their parents


class Node(NamedTuple):
    """A span in its tree.

    parent: the index of the parent's node, -1 for a top. how: why a span is a top, or BELOW if it is not.
    """

    span: SpanRecord
    depth: int
    parent: int
    how: str
    warnings: tuple[str, ...]


class Tree(NamedTuple):
    """A trace. nodes: parents before their children. start, end: nanoseconds since the epoch."""

    trace_id: str
    nodes: tuple[Node, ...]
    start: int
    end: int

    @property
    def errors(self) -> int:
        """The number of failed spans."""
        return sum(node.span.status == "ERROR" for node in self.nodes)

    @property
    def continues(self) -> bool:
        """Whether the trace began with a caller whose spans are not here."""
        return any(node.how == CALLER for node in self.nodes)

    def children(self) -> list[list[int]]:
        """For each node, the indexes of its children."""
        found: list[list[int]] = [[] for _ in self.nodes]
        for at, node in enumerate(self.nodes):
            if node.parent >= 0:
                found[node.parent].append(at)
        return found


def identity(span: SpanRecord) -> str:
    """A key for the span in its trace: its span id, with a mark if it is a server or consumer span."""
    return _received(span.span_id) if span.kind in _ENTRIES else span.span_id


def _received(span_id: str) -> str:
    return f"{span_id} received"


def trees(spans: Iterable[SpanRecord]) -> list[Tree]:
    """The traces of these spans, ordered by start."""
    traces: dict[str, _Known] = {}
    for span in spans:
        traces.setdefault(span.trace_id, {})[identity(span)] = span
    made = [_tree(trace_id, known) for trace_id, known in traces.items()]
    return sorted(made, key=lambda tree: (tree.start, tree.trace_id))


def _order(span: SpanRecord) -> tuple[int, str, str]:
    return span.start, span.name, identity(span)


def _tree(trace_id: str, known: _Known) -> Tree:
    below: _Below = {}
    tops: list[tuple[SpanRecord, str]] = []
    for span in sorted(known.values(), key=_order):
        parent = _parent(span, known)
        if parent is None:
            tops.append((span, _how(span)))
        else:
            below.setdefault(identity(parent), []).append(span)
    circles = _circles(known, below, [span for span, _ in tops])
    tops = sorted([*tops, *((span, CIRCLE) for span in circles)], key=lambda top: _order(top[0]))
    nodes = _nodes(tops, below, {identity(span) for span in circles})
    starts = [span.start for span in known.values() if span.start] or [0]
    return Tree(trace_id, nodes, min(starts), max([*starts, *(span.end for span in known.values())]))


def _parent(span: SpanRecord, known: _Known) -> SpanRecord | None:
    client, server = known.get(span.span_id), known.get(_received(span.span_id))
    if client is not None and server is span:
        return client
    client, server = known.get(span.parent_id), known.get(_received(span.parent_id))
    if client is not None and server is not None:
        return client if client.service == span.service != server.service else server
    return client or server


def _how(span: SpanRecord) -> str:
    """The reason why a span has no parent in its trace."""
    if not span.parent_id.strip("0"):
        return ROOT
    remote = span.kind in _ENTRIES if span.parent_is_remote is None else span.parent_is_remote
    return CALLER if remote else MISSING


def _circles(known: _Known, below: _Below, tops: list[SpanRecord]) -> list[SpanRecord]:
    """The earliest span of each circle of parents."""
    reached: set[str] = set()
    _reach(tops, below, reached)
    found = []
    for span in known.values():
        if identity(span) not in reached:
            found.append(min(_circle_above(span, known), key=_order))
            _reach(found[-1:], below, reached)  # marks the whole path, so that no span is visited twice
    return found


def _circle_above(span: SpanRecord, known: _Known) -> list[SpanRecord]:
    """The circle of parents above a span that has no top above it."""
    path: dict[str, int] = {}
    at: SpanRecord | None = span
    while at is not None and identity(at) not in path:
        path[identity(at)] = len(path)
        at = _parent(at, known)
    first = path[identity(at)] if at is not None else 0
    return [known[each] for each, place in path.items() if place >= first]


def _reach(tops: Sequence[SpanRecord], below: _Below, reached: set[str]) -> None:
    waiting = list(tops)
    while waiting:
        key = identity(waiting.pop())
        if key not in reached:
            reached.add(key)
            waiting += below.get(key, ())


def _nodes(tops: Sequence[tuple[SpanRecord, str]], below: _Below, cut: set[str]) -> tuple[Node, ...]:
    nodes: list[Node] = []
    waiting = [(span, how, -1) for span, how in reversed(tops)]
    while waiting:
        span, how, parent = waiting.pop()
        above = nodes[parent] if parent >= 0 else None
        depth = above.depth + 1 if above else 0
        nodes.append(Node(span, depth, parent, how, tuple(_warnings(span, how, above))))
        here = len(nodes) - 1
        children = (child for child in below.get(identity(span), ()) if identity(child) not in cut)
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
