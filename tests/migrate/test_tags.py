"""`ot-bridge check --tags`: names that change, names that stay, secrets, and queries that stop matching."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ot_bridge.cli.main import main
from ot_bridge.migrate.tag_names import LIBRARIES
from ot_bridge.semconv.names import RENAMED, why_it_stays

VARIABLE = "OTEL_SEMCONV_STABILITY_OPT_IN"
PROGRAM = """\
import opentracing
import redis_opentracing
from opentracing.ext import tags

with opentracing.tracer.start_active_span("a", tags={"http.method": "GET", "item": 1}) as scope:
    scope.span.set_tag(tags.HTTP_URL, "http://h/")
    scope.span.set_tag("peer.service", "shop")
    scope.span.log_kv({"error.object": 1})
"""


@pytest.fixture(autouse=True)
def _no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def _report(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    status = main(["check", "--tags", "--json", *arguments])
    return status, json.loads(capsys.readouterr().out)


def _names(rows: list[dict[str, Any]]) -> set[str]:
    return {row["name"] for row in rows}


def test_tag_names_of_the_code_and_of_its_libraries_are_listed_with_their_places(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "app.py").write_text(PROGRAM)
    status, report = _report(capsys, str(tmp_path))
    assert status == 1
    assert _names(report["changes"]) == {"http.method", "http.url", "db.type", "db.statement"}
    assert _names(report["stays"]) == {"component", "peer.service", "command.name", "error.object"}
    assert set(report["secrets"]) == {"http.url", "db.statement", "error.object"}
    (url,) = [row for row in report["changes"] if row["name"] == "http.url"]
    assert url["new"] == list(dict.fromkeys((*RENAMED["http.url"].new, *RENAMED["http.url"].server)))
    assert url["groups"] == ["http"]
    assert url["places"] == [f"{tmp_path / 'app.py'}:6"]
    assert url["count"] == 1


def test_with_a_group_opted_in_no_name_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "app.py").write_text(PROGRAM)
    monkeypatch.setenv(VARIABLE, "http/dup")
    assert main(["check", "--tags", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "http.method -> http.request.method, http.request.method_original [http]: 1" in printed
    assert "peer.service -> its successor is still in development" in printed
    assert "Sampling rules behind the program (a collector's, Refinery's) see the new names." in printed


#: code -> the names that are found in it
CODE = {
    "span.set_tag('http.url', 1)": {"http.url"},
    "span.set_tag(1, 'http.url')": set(),
    "span.set_tag(name, 'http.url')": set(),
    "span.set_tag()": set(),
    "span.set_tag(tags.HTTP_URL, 1)": {"http.url"},
    "span.set_tag(tags.COMPONENT, tags.SPAN_KIND_RPC_CLIENT)": {"component"},
    "span.log_kv({'error.object': 1, name: 'http.url', 5: 1, **more})": {"error.object"},
    "span.log_kv(fields)": set(),
    "span.log_kv()": set(),
    "start('a', tags={'http.method': 'db.type', name: 1, **more})": {"http.method"},
    "start('a', tags=given)": set(),
    "start('a', other={'http.method': 1})": set(),
    "span.other('http.url')": set(),
    "tags.ERROR = 1": set(),
    "import redis_opentracing.a, json": {"db.type", "db.statement", "component", "command.name"},
    "from redis_opentracing.a import b": {"db.type", "db.statement", "component", "command.name"},
    "from .redis_opentracing import b": set(),
}


@pytest.mark.parametrize(("line", "names"), CODE.items())
def test_the_names_in_a_line_of_code_are_found(
    line: str, names: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "app.py").write_text(f"import opentracing\nfrom opentracing import tags\n{line}\n")
    _, report = _report(capsys, str(tmp_path))
    found = [*report["changes"], *report["stays"]]
    assert _names(found) == names
    assert {place for row in found for place in row["places"]} <= {f"{tmp_path / 'app.py'}:3"}


def test_code_without_old_names_exits_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "app.py").write_text(
        "import opentracing\nopentracing.tracer.start_span('a', tags={'item': 1})\n"
    )
    assert _report(capsys, str(tmp_path)) == (0, {"changes": [], "stays": [], "secrets": {}, "queries": []})


RECORDED = {
    "resourceSpans": [
        {
            "scopeSpans": [
                {
                    "spans": [
                        {
                            "traceId": "0" * 31 + "1",
                            "spanId": "0" * 15 + str(number),
                            "name": "a",
                            "attributes": [{"key": "db.type", "value": {"stringValue": "redis"}}],
                        }
                        for number in (1, 2)
                    ]
                }
            ]
        }
    ]
}


def test_recorded_spans_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "spans.json"
    path.write_text(json.dumps(RECORDED))
    status, report = _report(capsys, str(path))
    assert status == 1
    assert [(row["name"], row["count"], row["places"]) for row in report["changes"]] == [
        ("db.type", 2, [str(path)])
    ]


RUN = """\
import ot_bridge
tracer = ot_bridge.install("shop")
for number in range(3):
    tracer.start_span("a", tags={"http.method": "GET"}).finish()
"""


@pytest.mark.timeout(180)
def test_with_run_the_program_is_run_to_count_the_names_in_its_spans(tmp_path: Path) -> None:
    program = tmp_path / "app.py"
    program.write_text(RUN)
    command = [
        sys.executable,
        "-m",
        "ot_bridge",
        "check",
        "--tags",
        "--json",
        "--run",
        "--timeout",
        "120",
        "--",
    ]
    done = subprocess.run(
        [*command, sys.executable, str(program)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    changes = json.loads(done.stdout)["changes"]
    assert [(row["name"], row["count"]) for row in changes] == [("http.method", 3)]


QUERIES = {
    "Grafana": (
        "a.json", '{"expr": "rate(x{http_method=\\"GET\\"}[5m])"}', ["http.method -> http_request_method"]
    ),
    "TraceQL": ("b.yaml", "query: '{ span.http.method = `GET` }'", ["http.method -> http.request.method"]),
    "Tempo's metrics": (
        "c.rules", "sum(y{span_http_status_code=~`5..`})", ["http.status_code -> http_response_status_code"]
    ),
    "a collector's": ("d.yml", 'key: attributes["db.type"]', ["db.type -> db.system.name"]),
    "by hand": (
        "e.yml",
        "key: http.url",
        ["http.url -> url.full; for servers it becomes several names: rewrite by hand"],
    ),
    "two in a line": (
        "f.yml", "[http.method, peer.ipv4]",
        ["http.method -> http.request.method", "peer.ipv4 -> network.peer.address"],
    ),
    "today's": ("g.yml", "http.request.method url.full peer.service my_http_method http.url_x", []),
    "no query": ("h.txt", "http.method", []),
    **{
        f"a file {ending}": (f"i{ending}", "http.method", ["http.method -> http.request.method"])
        for ending in (
            *(".json", ".yaml", ".yml", ".rules", ".promql"),
            *(".traceql", ".toml", ".tf", ".libsonnet"),
        )
    },
}  # fmt: skip


@pytest.mark.parametrize(("file", "text", "lines"), QUERIES.values(), ids=QUERIES)
def test_queries_that_would_no_longer_match_are_listed_and_no_file_is_changed(
    file: str, text: str, lines: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / file
    path.write_text(f"\n{text}\n")
    assert main(["check", "--tags", "--in", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert [line.strip() for line in printed.splitlines() if str(path) in line] == [
        f"{path}:2: {line}" for line in lines
    ]
    assert path.read_text() == f"\n{text}\n"


def test_a_missing_path_or_program_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--tags", "/nowhere/at/all"]) == 2
    assert main(["check", "--tags", "--in", "/nowhere/at/all"]) == 2
    assert main(["check", "--tags", "--run"]) == 2
    assert main(["check"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 4


def test_every_name_of_a_library_changes_or_has_a_reason_to_stay() -> None:
    names = {name for names in LIBRARIES.values() for name in names}
    assert {name for name in names if name not in RENAMED and why_it_stays(name) is None} <= {"command"}
