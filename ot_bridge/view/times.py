"""Calculates the self time of each span, and the critical path of a trace."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from ot_bridge.view.tree import Tree

Stretch: TypeAlias = tuple[int, int]  # nanoseconds since the epoch


def own_times(tree: Tree) -> list[int]:
    """For each node, the nanoseconds in which none of its children ran."""
    nodes = tree.nodes
    found = []
    for node, children in zip(nodes, tree.children(), strict=True):
        start, end = node.span.start, max(node.span.start, node.span.end)
        busy = _union((max(start, nodes[at].span.start), min(end, nodes[at].span.end)) for at in children)
        found.append(end - start - busy)
    return found


def _union(stretches: Iterable[Stretch]) -> int:
    total = 0
    reached = 0
    for start, end in sorted(stretches):
        total += max(0, end - max(start, reached))
        reached = max(reached, end)
    return total


def critical_path(tree: Tree) -> list[list[Stretch]]:
    """For each node, the stretches of time in which it determined the duration of its top span.

    A span is walked backwards from its end. The path goes through the child that ended last. Before the start
    of that child, it goes through the child that ended last before that start, and so on. When no child ran,
    the path is in the span itself.
    """
    nodes = tree.nodes
    children = tree.children()
    found: list[list[Stretch]] = [[] for _ in nodes]
    waiting = [(at, node.span.end) for at, node in enumerate(nodes) if node.parent < 0]
    while waiting:
        at, until = waiting.pop()
        start = nodes[at].span.start
        for child in sorted(children[at], key=lambda child: -nodes[child].span.end):
            span = nodes[child].span
            end = min(span.end, until)
            if max(span.start, start) < end:
                if end < until:
                    found[at].append((end, until))
                waiting.append((child, end))
                until = max(span.start, start)
        if start < until:
            found[at].append((start, until))
    return found
