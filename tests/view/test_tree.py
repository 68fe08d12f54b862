"""Building trees from spans."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest

from ot_bridge.otlp.decode import SpanRecord
from ot_bridge.view.numbers import duration
from ot_bridge.view.times import critical_path, own_times
from ot_bridge.view.tree import Tree, trees
from tests.view.durations import DURATIONS
from tests.view.spans import MS, START, many, span


@pytest.mark.parametrize(("nanoseconds", "text"), DURATIONS)
def test_a_duration_has_three_digits_and_a_unit(nanoseconds: int, text: str) -> None:
    assert duration(nanoseconds) == text


def shape(tree: Tree) -> list[tuple[int, str]]:
    return [(node.depth, node.span.name) for node in tree.nodes]


def only(spans: list[SpanRecord]) -> Tree:
    (tree,) = trees(spans)
    return tree


def test_spans_nest_in_any_order_of_arrival_and_siblings_are_sorted_by_start_and_name() -> None:
    spans = [
        span(1, length=9),
        span(2, 1, 3),
        span(3, 1, 1, name="b"),
        span(4, 1, 1, name="a"),
        span(5, 3, 2),
    ]
    expected = [(0, "span 1"), (1, "a"), (1, "b"), (2, "span 5"), (1, "span 2")]
    for _ in range(10):
        random.shuffle(spans)
        assert shape(only(spans)) == expected


def test_a_span_that_arrives_twice_is_shown_once_in_its_last_version() -> None:
    assert shape(only([span(1), span(1, name="again")])) == [(0, "again")]


@pytest.mark.parametrize(
    ("other", "how"),
    [
        ({"parent_is_remote": True}, "caller"),
        ({"parent_is_remote": False}, "missing"),
        ({"parent_is_remote": None, "kind": "SERVER"}, "caller"),
        ({"parent_is_remote": None, "kind": "CLIENT"}, "missing"),
    ],
)
def test_a_remote_parent_is_distinguished_from_one_that_did_not_arrive(
    other: dict[str, Any], how: str
) -> None:
    tree = only([span(2, 1, **other), span(3, 2)])
    assert [node.how for node in tree.nodes] == [how, ""]
    assert tree.continues is (how == "caller")
    warned = ("parent 0000000000000001 did not arrive",) if how == "missing" else ()
    assert tree.nodes[0].warnings == warned


def test_the_warning_disappears_when_the_parent_arrives() -> None:
    assert not any(node.warnings for node in only([span(2, 1), span(1)]).nodes)


def test_spans_whose_parents_form_a_circle_are_shown_once_each() -> None:
    spans = [span(1, 3), span(2, 1), span(3, 2), span(4, 2), span(9, 9), span(5)]
    tree = only(spans)
    assert sorted(node.span.span_id for node in tree.nodes) == sorted(each.span_id for each in spans)
    assert [(node.depth, node.warnings) for node in tree.nodes if node.warnings] == [
        (0, (f"its parents form a circle: {above:016x} is below it too",)) for above in (3, 9)
    ]


def test_inconsistent_clocks_are_reported_and_no_time_is_shifted() -> None:
    tree = only(
        [span(1, begin=10), span(2, 1, begin=4), span(3, 1, begin=9.5), span(4, 1, begin=12, length=-3)]
    )
    warnings = {node.span.name: node.warnings for node in tree.nodes}
    assert warnings["span 2"] == ("begins 6 ms before its parent",)
    assert warnings["span 3"] == ()
    assert warnings["span 4"] == ("ends 3 ms before it starts",)
    assert tree.start == START + 4 * MS


def test_trees_and_circles_of_five_thousand_levels_can_be_shown() -> None:
    deep = many(5000, deep=True)
    tree = only(deep)
    assert tree.nodes[-1].depth == 4999
    assert len(own_times(tree)) == len(critical_path(tree)) == 5000
    deep[0] = deep[0]._replace(parent_id=deep[2500].span_id)
    assert len(only(deep).nodes) == 5000


def test_own_time_is_the_time_in_which_no_child_ran() -> None:
    tree = only([span(1, length=10), span(2, 1, 1, 4), span(3, 1, 3, 4), span(4, 1, 9, 5)])
    assert own_times(tree) == [3 * MS, 4 * MS, 4 * MS, 5 * MS]


def test_the_critical_path_covers_the_root_without_a_gap_or_an_overlap() -> None:
    tree = only([span(1, length=10), span(2, 1, 1, 4), span(3, 1, 3, 4), span(4, 3, 4, 1), span(5, 1, 9, 5)])
    stretches = sorted(each for found in critical_path(tree) for each in found)
    assert stretches[0][0] == START
    assert stretches[-1][1] == START + 10 * MS
    assert len(stretches) > 2
    assert all(one[1] == other[0] for one, other in pairwise(stretches))
    by_name = {
        node.span.name: [((a - START) // MS, (b - START) // MS) for a, b in found]
        for node, found in zip(tree.nodes, critical_path(tree), strict=True)
    }
    assert by_name["span 2"] == [(1, 3)]
    assert by_name["span 4"] == [(4, 5)]
    assert by_name["span 5"] == [(9, 10)]


SHOP, STOCK = {"service.name": "shop"}, {"service.name": "stock"}


@pytest.mark.parametrize("parent", [0, 1], ids=["a root", "below a span"])
def test_a_server_that_shares_its_clients_span_id_is_below_it(parent: int) -> None:
    spans = [
        *([span(1, length=9)] if parent else []),
        span(2, parent, 1, 5, name="call", kind="CLIENT", resource=SHOP),
        span(2, parent, 2, 3, name="serve", kind="SERVER", resource=STOCK),
        span(3, 2, 3, 1, name="in the server", resource=STOCK),
        span(4, 2, 5, 1, name="in the client", resource=SHOP),
    ]
    top = [(0, "span 1")] if parent else []
    below = [(0, "call"), (1, "serve"), (2, "in the server"), (1, "in the client")]
    for _ in range(10):
        random.shuffle(spans)
        assert shape(only(spans)) == top + [(depth + len(top), name) for depth, name in below]


def test_a_server_span_with_a_shared_id_but_no_client_span_is_below_its_parent() -> None:
    spans = [span(1, length=9), span(2, 1, 1, kind="SERVER", name="serve"), span(3, 2, 2)]
    assert shape(only(spans)) == [(0, "span 1"), (1, "serve"), (2, "span 3")]


def test_spans_of_a_circle_that_share_an_id_are_shown_once_each() -> None:
    tree = only([span(1, 1, 0, kind="CLIENT", name="call"), span(1, 1, 1, kind="SERVER", name="serve")])
    assert shape(tree) == [(0, "call"), (1, "serve")]
