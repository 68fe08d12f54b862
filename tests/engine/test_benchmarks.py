"""The benchmark command runs every row and prints its results. The tests do not check any speed."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks import chart, delivered, export, load, measure, peers, report, scale, start
from benchmarks.__main__ import main
from benchmarks.calls import calls
from benchmarks.export import Export, held
from benchmarks.measure import Timing
from benchmarks.rows import ROWS, Goal, Row
from benchmarks.spans import active
from ot_bridge import engine
from tests import needs


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(measure, "_collect", lambda: None)
    monkeypatch.setattr(measure, "_BATCH", 50_000)
    monkeypatch.setattr(measure, "_MOST_SECONDS", 0.01)
    monkeypatch.setattr(export, "_SPANS", 1_000)
    title, sizes, timings = scale._SERIES["scale-depth"]
    monkeypatch.setitem(scale._SERIES, "scale-depth", (title, sizes[:3], timings))
    yield
    logging.disable(logging.NOTSET)


@needs.shim
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # jaeger-client leaks sockets
def test_every_row_runs_and_is_drawn(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    drawn = tmp_path / "chart.svg"
    left_out = ("memory", "queued", *PROCESSES)  # slow; leaves a thread running
    names = [name for name in ROWS if name not in left_out]
    main(["--json", "--chart", str(drawn), "--only", *names, "scale-depth"])
    found = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in found["rows"]] == names
    assert found["machine"]["versions"]["jaeger-client"]
    for row in found["rows"]:
        assert len(row["goals"]) == len(ROWS[row["name"]].goals)
        for goal in row["goals"]:
            assert goal["low"] <= goal["median"] <= goal["high"]
    root = ElementTree.parse(drawn).getroot()
    assert len(root.findall("{*}polyline")) == 3


#: Rows that start other processes.
PROCESSES = ("whole", "stalls", "collections", "start", "start-memory", "gunicorn", "grpc-server")


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_every_row_of_other_processes_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (delivered, load, start):
        monkeypatch.setattr(module, "ROUNDS", 2)
    monkeypatch.setattr(delivered, "STALL_SECONDS", 0.5)
    monkeypatch.setattr(load, "_BLOCK", 1)
    main(["--json", "--only", *PROCESSES])
    found = {row["name"]: row for row in json.loads(capsys.readouterr().out)["rows"]}
    assert tuple(found) == PROCESSES
    assert all(found[name]["costs"]["jaeger-client"] > 0 for name in ("whole", "start", "start-memory"))
    assert all(len(row["goals"]) == len(ROWS[name].goals) for name, row in found.items())


def test_the_text_says_which_goals_hold(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["--only", "engine"])
    out = capsys.readouterr().out
    assert f"{1 - status} goals hold, {status} do not" in out
    assert "engine / OpenTelemetry SDK = " in out


def test_an_unknown_row_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "nothing"])
    assert "scale-tags" in capsys.readouterr().err


def test_a_row_whose_peers_are_missing_is_skipped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def take() -> Timing:
        raise ImportError("no such peer")

    monkeypatch.setitem(ROWS, "root", Row("root", "root", take, ()))
    assert main(["--only", "root"]) == 0
    assert "root: skipped, because a package is missing: no such peer" in capsys.readouterr().err


def test_a_root_span_makes_few_calls() -> None:
    """Properties of speed that need no clock: each of these costs about a twentieth of a microsecond."""
    made = calls(active(peers.ours()))
    assert len(made) <= 16, made
    assert made[0].endswith("start_active_span")


TIMING = Timing({"bare": [1.0, 2.0, 3.0], "ours": [2.0, 3.0, 4.0], "theirs": [3.0, 4.0, 5.0]}, base="bare")


def test_the_cost_of_a_peer_is_computed_round_by_round() -> None:
    assert TIMING.added("theirs") == [2.0, 2.0, 2.0]
    assert TIMING.cost("ours") == 1.0
    assert TIMING.ratio("ours", "theirs").median == 0.5


def test_a_goal_in_microseconds_is_compared_with_the_undisturbed_cost() -> None:
    bare, ours = [1.0, 9.0, 2.0, 8.0], [4.0, 5.0, 30.0, 6.0]
    timing = Timing({"bare": bare, "ours": ours}, base="bare", block=2)
    assert timing.spread("ours").median == 3.5  # 4 - 1 in the first block, 6 - 2 in the second
    assert Timing({"ours": ours}, block=2).spread("ours").median == 5.0


@pytest.mark.parametrize(("limit", "holds"), [(0.5, True), (0.49, False)])
def test_a_goal_holds_at_its_limit(limit: float, holds: bool) -> None:
    row = Row("row", "row", lambda: TIMING, (Goal("theirs", limit, "ours"),))
    found = report.result(row, TIMING)
    assert [goal["holds"] for goal in found["goals"]] == [holds]
    assert "bare" not in found["costs"]
    assert ("DOES NOT HOLD" in report.text(found)) is not holds


def test_peers_run_alternately_and_all_rounds_count() -> None:
    calls: list[str] = []

    def peer(name: str) -> Any:
        return lambda times: calls.append(name) or sum(range(50 * times))  # type: ignore[func-returns-value]

    timing = measure.measure({name: peer(name) for name in "abc"}, rounds=9)
    assert [len(seen) for seen in timing.rounds.values()] == [9, 9, 9]
    assert calls[-27:] == list("abcbcacab") * 3


def test_growth_is_from_the_smallest_size_to_the_largest() -> None:
    assert scale.Series("s", "sizes", (1, 2), {"ours": [2.0, 5.0]}).growth == {"ours": 2.5}


def test_a_chart_can_be_drawn_without_scale_rows() -> None:
    row = {"title": "a < b", "unit": "µs", "costs": {"ot_bridge": 1.0}, "goals": [{}]}
    ElementTree.fromstring(chart.draw([row], [], "here"))


@pytest.mark.parametrize("bridged", [False, True])
def test_a_waiting_span_uses_less_memory_than_a_span_of_the_sdk(bridged: bool) -> None:
    from opentelemetry.sdk.trace import TracerProvider

    used = Export(engine.TracerProvider, bridged)
    used.make(50)
    used(50)  # spans of a class that has been exported before are no bigger
    assert held(used) <= 0.5 * held(Export(TracerProvider))
