"""The page of `compare`: made of what it has seen."""

from __future__ import annotations

import json
import re

from ot_bridge.cli.compare_page import page_of, record
from ot_bridge.cli.packets import Seen

ROOT = Seen(1, 2, 0, "GET", 10, 20, (("span.kind", "server"),), (), (), "shop", {"ip": "127.0.0.1"})
CHILD = Seen(
    1,
    3,
    2,
    "load",
    12,
    5,
    (("error", True),),
    ((13, {"event": "retry", "n": 1}),),
    (("child_of", 1, 2), ("follows_from", 9, 8)),
    "shop",
    {},
)


def test_what_either_client_sent_is_a_record() -> None:
    found = record(CHILD)
    assert (found.parent_id, found.kind, found.status) == ("0000000000000002", "INTERNAL", "ERROR")
    assert (found.start, found.end) == (12_000, 17_000)
    assert [(each.name, each.time, each.attributes) for each in found.events] == [("retry", 13_000, {"n": 1})]
    assert [each.span_id for each in found.links] == ["0000000000000008"]
    assert record(ROOT).kind == "SERVER"
    assert record(ROOT).service == "shop"


def test_the_page_has_both_runs_and_the_way_from_a_difference_to_its_row() -> None:
    ours = [ROOT._replace(trace_id=7), CHILD._replace(trace_id=7)]
    text = page_of([ROOT, CHILD], ours, ["+  shop: load error=True"])
    found = re.search(r'id="data">(.*?)</script>', text, re.S)
    assert found is not None
    data = json.loads(found[1])
    assert data["names"] == ["jaeger-client", "ot_bridge"]
    assert data["traces"][0]["rows"] == [[0, 0, 0, -1], [1, 1, 1, 0]]
    assert data["differences"] == [["+  shop: load error=True", f"{7:032x}", "1-1"]]
