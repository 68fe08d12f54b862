"""Programs that are rewritten export the spans that they exported before on this bridge.

Each runs before on the bridge, and after, as `rewrite --write` leaves it, on OpenTelemetry's SDK alone, where
neither ot_bridge nor opentracing can be imported.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ot_bridge.cli.main import main

HERE = Path(__file__).parent
PROGRAMS = sorted(path.stem for path in (HERE / "programs").glob("[a-z]*.py"))


def _spans(side: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, str(HERE / "side.py"), side, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    folder = tmp_path_factory.mktemp("rewritten") / "programs"
    shutil.copytree(HERE / "programs", folder)
    assert main(["rewrite", str(folder), "--write"]) == 1  # texts as `error` are rewritten and marked
    assert not any("opentracing" in path.read_text(encoding="utf-8") for path in folder.glob("*.py"))
    return _spans("before", HERE / "programs"), _spans("after", folder)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_rewritten_program_exports_equal_spans(
    name: str, both: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    before, after = both
    assert len(before[name]) > 0
    assert after[name] == before[name]
