"""What the page and the list of traces are given, field by field, and the page's file."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from ot_bridge.otlp.decode import EventRecord, LinkRecord
from ot_bridge.view import page
from ot_bridge.view.compared import of_comparison
from ot_bridge.view.page import started, summary, trace_data, write_page
from ot_bridge.view.tree import Tree, trees
from tests.view.spans import MS, START, TRACE, span

SHOP, STOCK = {"service.name": "shop", "n": 1}, {"service.name": "stock"}
SPANS = [
    span(2, 1, 0, 10, name="call", kind="CLIENT", resource=SHOP, parent_is_remote=True),
    span(2, 1, 1, 8, name="serve", kind="SERVER", resource=STOCK),
    span(
        *(3, 2, 2, 3),
        name="query",
        resource=STOCK,
        status="ERROR",
        status_message="gone",
        attributes={"b": True, "a": [1, None]},
        events=(EventRecord("retry", START + 3 * MS, {"attempt": 2}, 0),),
        links=(LinkRecord("a" * 32, "b" * 16, "", {"why": "batch"}, 0, 0),),
        trace_state="k=v",
        dropped_attributes=1,
        dropped_events=2,
        dropped_links=3,
        scope_name="lib",
        scope_version="1.2",
    ),
    span(4, 3, 0, 1, name="early", resource=STOCK),
]
ID, SERVED = f"{2:016x}", f"{2:016x} received"


def _tree(spans: Any = SPANS) -> Tree:
    (tree,) = trees(spans)
    return tree


def test_a_trace_for_the_page_has_these_fields() -> None:
    data = trace_data(_tree())
    call, serve, query, early = data.pop("spans")
    assert data == {
        "id": TRACE,
        "started": "2023-11-14 22:13:20.000000 UTC",
        "duration": 10 * MS,
        "continues": True,
        "summary": summary(_tree()),
        "shared": [
            [("n", "1"), ("service.name", "shop")],
            ["", ""],
            [("service.name", "stock")],
            ["lib", "1.2"],
        ],
    }
    usual = {"kind": "internal", "status": "unset"}
    assert call == {
        **usual,
        "id": ID,
        "parent": f"{1:016x}",
        "up": -1,
        "depth": 0,
        "how": "caller",
        "name": "call",
        "service": "shop",
        "kind": "client",
        "start": 0,
        "duration": 10 * MS,
        "own": 2 * MS,
        "critical": [(9 * MS, 10 * MS), (0, 1 * MS)],
        "resource": 0,
        "scope": 1,
    }
    assert serve == {
        **usual,
        "id": ID,
        "key": SERVED,
        "parent": f"{1:016x}",
        "up": 0,
        "depth": 1,
        "name": "serve",
        "service": "stock",
        "kind": "server",
        "start": MS,
        "duration": 8 * MS,
        "own": 5 * MS,
        "critical": [(5 * MS, 9 * MS), (MS, 2 * MS)],
        "resource": 2,
        "scope": 1,
    }
    assert query == {
        "id": f"{3:016x}",
        "parent": ID,
        "up": 1,
        "depth": 2,
        "name": "query",
        "service": "stock",
        "kind": "internal",
        "start": 2 * MS,
        "duration": 3 * MS,
        "own": 3 * MS,
        "critical": [(2 * MS, 5 * MS)],
        "status": "error",
        "message": "gone",
        "attributes": [("a", "[1, null]"), ("b", "true")],
        "events": [[3 * MS, "retry", [("attempt", "2")]]],
        "links": [["a" * 32, "b" * 16, [("why", "batch")]]],
        "state": "k=v",
        "dropped": [1, 2, 3],
        "resource": 2,
        "scope": 3,
    }
    assert early["warnings"] == ("begins 2 ms before its parent",)


def test_only_the_second_of_two_spans_with_one_id_has_a_key() -> None:
    spans = trace_data(_tree(SPANS[:2]))["spans"]
    assert [each.get("key") for each in spans] == [None, SERVED]


def test_a_row_of_the_list_has_these_fields() -> None:
    assert summary(_tree()) == {
        "id": TRACE,
        "at": START // 1000,
        "started": "2023-11-14 22:13:20.000000 UTC",
        "name": "call",
        "services": ["shop", "stock"],
        "spans": 4,
        "errors": 1,
        "duration": 10 * MS,
    }


def test_names_in_a_row_of_the_list_are_bounded() -> None:
    many = [
        span(at, name="n" * 201, resource={"service.name": f"{at:02}" + "s" * 199}) for at in range(1, 22)
    ]
    row = summary(_tree([*many, span(30, resource={})]))
    assert row["name"] == "n" * 200
    assert row["services"] == [f"{at:02}" + "s" * 198 for at in range(1, 21)]
    assert summary(Tree("t", (), 0, 0))["name"] == ""


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "1970-01-01 00:00:00.000000 UTC"),
        (START + 1_234_567, "2023-11-14 22:13:20.001234 UTC"),
        (2**64 * 1000, f"{2**64 * 1000} ns since 1970"),
    ],
)
def test_a_start_is_a_time_in_utc(nanoseconds: int, text: str) -> None:
    assert started(nanoseconds) == text


def _data(text: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    assert found is not None
    return json.loads(found[1])


@pytest.mark.parametrize("kind", ["script", "style"])
def test_the_policy_of_the_page_allows_its_own_script_and_style(kind: str) -> None:
    text = page.of_traces([_tree()])
    (own,) = re.findall(rf"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
    assert own == page.part({"script": "page.js", "style": "page.css"}[kind])
    digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
    assert f"{kind}-src 'sha256-{digest}';" in text


def test_the_page_has_its_data_in_one_block() -> None:
    evil = _tree([span(1, name="</script><b>")])
    text = page.of_traces([evil])
    assert "</script><b>" not in text
    assert _data(text)["traces"][0]["spans"][0]["name"] == "</script><b>"
    assert "<!--" not in re.sub(r"<!--(?!policy|style|data|script)", "", text)
    assert "\n// " not in text
    assert "\n " not in text


def test_a_page_of_two_runs_has_pairs_and_links_to_their_rows() -> None:
    before = [
        span(1, length=9, name="GET"),
        span(2, 1, 1, name="query"),
        span(3, 1, 2, name="query"),
        span(5, 1, 3, name="gone"),
    ]
    after = [
        span(1, length=9, name="GET"),
        span(2, 1, 1, name="query"),
        span(4, 1, 4, name="render"),
        span(6, 4, 5, name="template"),
    ]
    lines = ["- GET: query", "+ GET: render", "+ GET: render: template", "- GET: gone", "  as before: GET"]
    data = _data(of_comparison([_tree(before)], [_tree(after)], lines, ("old", "new")))
    (pair,) = data["traces"]
    assert pair["id"] == TRACE
    assert pair["summary"]["name"] == "GET"
    assert [len(each["spans"]) for each in pair["pair"]] == [4, 4]
    assert pair["rows"] == [
        *([0, 0, 0, -1], [1, 1, 1, 0], [2, None, 1, 0], [3, None, 1, 0], [None, 2, 1, 0], [None, 3, 2, 4]),
    ]
    assert data["differences"] == [
        ["- GET: query", TRACE, "1-1"],
        ["+ GET: render", TRACE, "null-2"],
        ["+ GET: render: template", TRACE, "null-3"],
        ["- GET: gone", TRACE, "3-null"],
        ["  as before: GET", "", ""],
    ]
    assert data["names"] == ["old", "new"]


def test_a_trace_of_one_run_alone_has_no_other_side() -> None:
    data = _data(of_comparison([_tree([span(1)])], []))
    (pair,) = data["traces"]
    assert pair["pair"][1] is None
    assert pair["rows"] == [[0, None, 0, -1]]
    assert data["names"] == ["before", "after"]


def test_a_file_is_replaced_as_a_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("old")
    path.chmod(0o640)
    assert write_page("né", str(path), "view") is True
    assert path.read_text("utf-8") == "né"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["page.html"]


def test_a_page_is_written_to_standard_output_and_to_a_device(capsys: pytest.CaptureFixture[str]) -> None:
    assert write_page("text", "-", "view") is True
    assert write_page("text", os.devnull, "view") is True
    assert capsys.readouterr() == ("text", "")


def test_a_file_that_cannot_be_replaced_stays_and_nothing_is_left_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*paths: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    (tmp_path / "page.html").write_text("old")
    assert write_page("text", str(tmp_path / "page.html"), "view") is False
    assert capsys.readouterr().err.endswith("page.html was not written: Permission denied\n")
    assert [each.read_text() for each in tmp_path.iterdir()] == ["old"]


@pytest.mark.skipif(sys.platform == "win32", reason="has other messages")
def test_a_file_that_cannot_be_written_is_a_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "none" / "page.html"
    assert write_page("text", str(target), "ot-bridge view") is False
    assert capsys.readouterr() == (
        "",
        f"ot-bridge view: {target} was not written: No such file or directory\n",
    )
