"""`ot-bridge demo --xray`, as people and scripts call it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from ot_bridge.cli import demo_xray
from ot_bridge.cli.fake_xray import FakeXRay, fake_xray

COMMAND = [sys.executable, "-m", "ot_bridge.cli", "demo", "--xray"]


def demo(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=50, **options)


def _skeleton(text: str) -> list[str]:
    """What is the same in each run: neither durations nor bars nor the random parts of trace ids."""
    text = re.sub(r"\b\d+(\.\d+)? (ns|us|ms|s)\b", "TIME", text)
    text = re.sub(r"\[1-[0-9a-f]{8}-([0-9a-f]{24})\]", _id, text)
    return [" ".join(re.sub(r" +#+", " ", line).split()) for line in text.splitlines()]


def _id(found: re.Match[str]) -> str:
    return f"[{found[1]}]" if len({*found[1][:-1]}) == 1 else "[random]"


API = [
    "GET /api/v1/hello/ann: always sampled [ffffffffffffffffffffffff]",
    "gateway segment TIME url=http://localhost/api/v1/hello/ann",
    "`- /greeter.v1.Greeter/SayHello subsegment remote TIME",
    "`- gateway segment TIME",
    "`- compose greeting subsegment TIME",
]
REST = [
    "GET /v1/hello/bob: by the global share, not",
    "GET /api/v1/hello/ann/stream: its gRPC method has no span [ffffffffffffffffffffffff]",
    "gateway segment TIME url=http://localhost/api/v1/hello/ann/stream",
    "Greeter/GreetAll: a method with its own sampler [random]",
    "gateway segment TIME",
    "",
]
UNTRACED = ["GET /healthz: a health check has no span", "grpc.health.v1.Health/Check: nor has gRPC's"]
SHOWN = [
    "== with a global configuration, a share of 0.5",
    *UNTRACED,
    *API,
    "GET /v1/hello/ann: by the global share, chosen [000000000000000000000001]",
    "gateway segment TIME url=http://localhost/v1/hello/ann",
    *API[2:],
    *REST,
    "== without a global configuration",
    *UNTRACED,
    *API,
    "GET /v1/hello/ann: by the global share, chosen",
    *REST,
    "16 segments, all delivered",
]


def test_the_demo_shows_what_is_sampled_with_and_without_a_global_configuration() -> None:
    done = demo()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert _skeleton(done.stdout) == SHOWN


def test_the_demo_prints_the_segments_as_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert demo_xray.run(as_json=True, everything=False) == 0
    outcomes: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    assert len(outcomes) == 2 * len(demo_xray.REQUESTS)
    (api, *_) = (outcome["documents"] for outcome in outcomes if "/api" in outcome["title"])
    web, client, server, inner = api
    assert [each["parent_id"] for each in (client, server, inner)] == [each["id"] for each in api[:3]]
    assert web["http"]["response"] == {"status": 200}
    assert client["namespace"] == "remote"
    assert {each["trace_id"] for each in api} == {web["trace_id"]}
    assert web["trace_id"].endswith(demo_xray.PASSED_OVER)


def test_spans_that_were_not_delivered_are_reported_and_set_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    play = demo_xray.play

    def astray(share: float | None, xray: FakeXRay) -> Any:
        xray.url += "/elsewhere"
        return play(share, xray)

    monkeypatch.setattr(demo_xray, "play", astray)
    assert demo_xray.run(as_json=False, everything=False) == 1
    *_, last_line = capsys.readouterr().out.splitlines()
    assert last_line == "0 segments, some were not delivered"


def test_a_trace_in_pieces_is_reported_and_sets_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    take = FakeXRay.take

    def torn(xray: FakeXRay) -> list[dict[str, Any]]:
        """Moves all documents of a request but the first two to another trace."""
        documents = take(xray)
        for document in documents[2:]:
            document["trace_id"] = "1-0-0"
        return documents

    monkeypatch.setattr(FakeXRay, "take", torn)
    assert demo_xray.run(as_json=False, everything=False) == 1
    *_, first, second, third, last = capsys.readouterr().out.splitlines()
    assert [first, third] == ["not as expected: GET /api/v1/hello/ann: always sampled"] * 2
    assert second == "not as expected: GET /v1/hello/ann: by the global share, chosen"
    assert last == "16 segments, all delivered"


def test_the_embedded_x_ray_accepts_only_signed_segments() -> None:
    with fake_xray() as xray:
        request = urllib.request.Request(f"{xray.url}/TraceSegments", b'{"TraceSegmentDocuments":["{}"]}')
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=5)
        refused.value.close()
        assert refused.value.code == 400
        assert xray.take() == []


def test_without_botocore_it_says_in_one_line_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['botocore'] = None\n")
    done = demo(env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "ot-bridge demo --xray needs botocore: pip install 'ot-bridge[demo,xray]'\n"


def test_the_demo_refuses_two_receivers_at_once() -> None:
    done = demo("--otlp", "http://127.0.0.1:1")
    assert done.returncode == 2
    assert "not allowed with" in done.stderr
