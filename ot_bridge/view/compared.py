"""The page of `compare --html`, which shows two runs of a program side by side.

Spans match if the names on their paths are equal and they have the same rank among siblings of that name.
Traces match if the names of their first spans and their ranks are equal.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from ot_bridge.view import page
from ot_bridge.view.tree import Tree


class Row(NamedTuple):
    """A row. before, after: the indexes of the nodes, or None. up: the parent's row, or -1."""

    before: int | None
    after: int | None
    depth: int
    up: int


def of_comparison(
    before: Sequence[Tree],
    after: Sequence[Tree],
    differences: Sequence[str] = (),
    names: tuple[str, str] = ("before", "after"),
) -> str:
    """The page. differences: the lines that `compare` prints. Each becomes a link to its row."""
    pairs = _matched(before, after, lambda tree: tree.nodes[0].span.name, lambda tree: tree.start)
    data = [_pair_data(one, other) for one, other in pairs]
    linked = [_linked(text, data) for text in differences]
    return page.filled({"traces": data, "differences": linked, "names": names})


_Item = TypeVar("_Item")


def _matched(
    before: Iterable[_Item], after: Iterable[_Item], name: Any, start: Any
) -> list[tuple[_Item | None, _Item | None]]:
    """The items of both sides in pairs with the same name and rank, ordered by start."""
    left, right = _ranked(before, name), _ranked(after, name)
    pairs = [(left.get(key), right.get(key)) for key in dict.fromkeys([*left, *right])]
    return sorted(pairs, key=lambda pair: start(pair[1] if pair[0] is None else pair[0]))


def _ranked(items: Iterable[_Item], name: Any) -> dict[Hashable, _Item]:
    ranks: dict[str, int] = {}
    found: dict[Hashable, _Item] = {}
    for item in items:
        called = name(item)
        ranks[called] = ranks.get(called, 0) + 1
        found[called, ranks[called]] = item
    return found


def merged(before: Tree | None, after: Tree | None) -> list[Row]:
    """The rows of two traces. Parents come before their children."""
    sides = [before, after]
    below = [side.children() if side else [] for side in sides]
    tops = [[at for at, node in enumerate(side.nodes) if node.parent < 0] if side else [] for side in sides]
    rows: list[Row] = []
    waiting = [(pair, 0, -1) for pair in reversed(_siblings(sides, tops[0], tops[1]))]
    while waiting:
        pair, depth, up = waiting.pop()
        rows.append(Row(*pair, depth, up))
        children = [below[side][at] if at is not None else [] for side, at in enumerate(pair)]
        here = len(rows) - 1
        waiting += [(each, depth + 1, here) for each in reversed(_siblings(sides, children[0], children[1]))]
    return rows


def _siblings(
    sides: Sequence[Tree | None], left: Sequence[int], right: Sequence[int]
) -> list[tuple[int | None, int | None]]:
    def entry(side: int, at: int) -> tuple[int, int, str, int]:
        tree = sides[side]
        assert tree is not None
        span = tree.nodes[at].span
        return side, at, span.name, span.start - tree.start

    found = _matched(
        [entry(0, at) for at in left],
        [entry(1, at) for at in right],
        lambda item: item[2],
        lambda item: item[3],
    )
    return [(one[1] if one else None, other[1] if other else None) for one, other in found]


def _pair_data(before: Tree | None, after: Tree | None) -> dict[str, Any]:
    tree = after or before
    assert tree is not None
    rows = [[row.before, row.after, row.depth, row.up] for row in merged(before, after)]
    return {
        "id": tree.trace_id,
        "summary": page.summary(tree),
        "pair": [page.trace_data(each) if each else None for each in (before, after)],
        "rows": rows,
    }


def _linked(text: str, data: Sequence[dict[str, Any]]) -> list[Any]:
    """A difference, its trace and its row: the row whose name is the longest that the text contains."""
    best: tuple[int, str, str] = (0, "", "")  # the name of a row as the page forms it
    for pair in data if text[:1] in "+-" else ():
        for one, other, *_ in pair["rows"]:
            side = 0 if other is None or (text.startswith("-") and one is not None) else 1
            name = pair["pair"][side]["spans"][one if side == 0 else other].get("name", "")
            if name and f": {name}" in text and len(name) > best[0]:
                best = len(name), pair["id"], f"{json.dumps(one)}-{json.dumps(other)}"
    return [text, *best[1:]]
