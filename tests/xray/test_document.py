from __future__ import annotations

import json
import math
from types import MappingProxyType
from typing import Any

import pytest

from ot_bridge.xray import trimmed
from ot_bridge.xray.document import encoded


def test_values_that_json_cannot_express_become_text() -> None:
    odd = {
        "nan": math.nan,
        "list": [math.inf, {"deep": -math.inf}],
        "bytes": b"\xff",
        "lone": "\ud800",
        "set": {1},
    }
    expected = {"nan": "nan", "list": ["inf", {"deep": "-inf"}], "bytes": "\ufffd", "lone": "?", "set": "{1}"}
    assert json.loads(encoded(odd), parse_constant=pytest.fail) == expected
    assert encoded({"a": 1.5}) == b'{"a":1.5}'
    assert encoded({"proxy": MappingProxyType({"a": 1})}) == b'{"proxy":{"a":1}}'


def test_a_document_is_written_in_utf_8_without_blanks() -> None:
    assert encoded({"a": ["ä", 1]}) == '{"a":["ä",1]}'.encode()


def test_a_document_of_exactly_the_limit_is_left_as_it_is() -> None:
    document = {"metadata": {"default": {"a": "x" * 200}}}
    size = len(encoded(document))
    assert trimmed(document, size) == encoded(document)
    assert b"ot_bridge.trimmed" in trimmed(document, size - 1)


@pytest.mark.parametrize("longest", [1000, 100])
@pytest.mark.parametrize("made", [lambda length: "x" * length, lambda length: ["x" * (length - 4)]])
def test_metadata_is_cut_above_a_limit_and_numbers_are_kept(longest: int, made: Any) -> None:
    kept, cut = made(longest), made(longest + 1)
    filling = {} if longest == 1000 else {str(number): "y" * 1000 for number in range(64)}
    given = {"kept": kept, "cut": cut, "number": 1.5, "sure": True, **filling, "long": LONG}
    found = json.loads(trimmed(oversized(metadata={"default": given})))["metadata"]["default"]
    steps = [f"metadata above {each} characters" for each in (1000, 100) if each >= longest]
    assert found["ot_bridge.trimmed"] == steps
    text = cut if isinstance(cut, str) else json.dumps(cut)
    assert found["cut"] == f"{text[:longest]}..."
    assert found["long"] == f"{LONG[:longest]}..."
    assert (found["kept"], found["number"], found["sure"]) == (kept, 1.5, True)


def test_the_last_step_leaves_the_required_parts() -> None:
    parts = {name: {"a": "x" * 30_000} for name in ("http", "aws", "user", "service")}
    found = json.loads(trimmed(oversized(**parts, sql={"a": "x" * 30_000}, fault=True)))
    note = {"metadata": {"default": {"ot_bridge.trimmed": ["long queries", "http, aws, sql"]}}}
    assert found == oversized(fault=True, **note)


def oversized(**parts: Any) -> dict[str, Any]:
    return {"name": "n", "id": "0" * 16, "trace_id": "1-0-0", "start_time": 1.0, "end_time": 2.0, **parts}


LONG = "é" * 40_000
FRAME = {"path": "p" * 2000, "line": 1, "label": "f"}


@pytest.mark.parametrize(
    ("parts", "kept", "steps"),
    [
        ({"metadata": {"default": {"a": "x" * 10}}}, {"metadata": {"default": {"a": "x" * 10}}}, None),
        ({"metadata": {"default": {"a": LONG, "b": 1}}}, {}, ["metadata above 1000 characters"]),
        (
            {"metadata": {"default": {str(n): LONG[:999] for n in range(60)}}},
            {},
            ["metadata above 100 characters"],
        ),
        (
            {"metadata": {"default": {str(n): n for n in range(9000)}}},
            {"metadata": {"default": {"ot_bridge.trimmed": ["metadata"]}}},
            ["metadata"],
        ),
        (
            {"cause": {"exceptions": [{"id": "1", "stack": [FRAME] * 60, "truncated": 5}, {"id": "2"}]}},
            {"cause": {"exceptions": [{"id": "1", "stack": [FRAME] * 20, "truncated": 45}, {"id": "2"}]}},
            ["stack frames beyond 20"],
        ),
        (
            {"cause": {"exceptions": [{"id": "1", "stack": [FRAME] * 20}] * 2}},
            {"cause": {"exceptions": [{"id": "1", "stack": [], "truncated": 20}] * 2}},
            ["stack frames"],
        ),
        (
            {"cause": {"exceptions": [{"id": "1", "message": LONG}]}},
            {"cause": {"exceptions": [{"id": "1", "message": LONG[:1000]}]}},
            ["long messages"],
        ),
        ({"sql": {"sanitized_query": LONG}}, {"sql": {"sanitized_query": LONG[:1000]}}, ["long queries"]),
        ({"links": [{"id": str(n)} for n in range(9000)], "fault": True}, {"fault": True}, ["links"]),
        ({"cause": {"exceptions": [{"id": str(n)} for n in range(9000)]}}, {}, ["exceptions"]),
        ({"annotations": {str(n): LONG[:1000] for n in range(50)}}, {}, ["annotations"]),
        ({"aws": {"table_names": ["t" * 250] * 300}}, {}, ["http, aws, sql"]),
    ],
    ids=[
        *(
            "nothing",
            "long value",
            "many values",
            "very many",
            "frames",
            "all frames",
            "message",
            "query",
            "links",
        ),
        *("exceptions", "annotations", "aws"),
    ],
)
def test_a_document_that_is_too_large_is_trimmed_and_marked(
    parts: Any, kept: Any, steps: list[str] | None
) -> None:
    data = trimmed(oversized(**parts))
    found = json.loads(data)
    assert len(data) <= 64_000
    assert oversized().items() <= found.items()
    assert found.get("metadata", {}).get("default", {}).get("ot_bridge.trimmed") == steps
    for part, value in kept.items():
        assert found[part] == value


def test_a_document_with_every_part_too_large_can_be_trimmed() -> None:
    parts: dict[str, Any] = {
        "metadata": {"default": {str(n): n for n in range(9000)}},
        "cause": {
            "exceptions": [{"id": str(n), "message": LONG[:2000], "stack": [FRAME] * 9} for n in range(900)]
        },
        "sql": {"sanitized_query": LONG},
        "links": [{"id": str(n), "attributes": {"a": LONG[:1000]}} for n in range(90)],
        "annotations": {str(n): LONG[:1000] for n in range(50)},
        "aws": {"table_names": ["t" * 250] * 300},
    }
    found = json.loads(trimmed(oversized(**parts)))
    assert found == oversized(metadata=found["metadata"])
    assert len(found["metadata"]["default"]["ot_bridge.trimmed"]) >= 7
