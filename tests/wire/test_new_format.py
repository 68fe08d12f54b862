"""CONTRIBUTING.md's example of a new header format, done step by step in a copy of the project."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ot_bridge.wire import FORMATS
from tests.cli import programs
from tests.wire.vectors import documents

ROOT = Path(__file__).parents[2]
#: What fails until there are vectors, the row and column in docs/headers.md, and an entry point.
VECTORS = "tests/wire/test_vectors.py::test_every_format_has_enough_vectors_each_with_its_source"
TABLE = "tests/wire/test_cross_format.py::test_the_table_in_the_docs_is_the_generated_one"
ENTRY = "tests/install/test_entry_points.py::test_every_format_has_an_entry_point_that_gives_its_propagator"
TESTS = ("tests/wire", "tests/propagation", "tests/install/test_entry_points.py")


def _block(language: str) -> str:
    """The page's first block in this language, with a name that nobody who follows the page has taken."""
    found = re.search(rf"^```{language}\n(.*?)^```$", (ROOT / "CONTRIBUTING.md").read_text(), re.S | re.M)
    assert found is not None
    return found[1].replace("example", "acme")


def _run(copy: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", *arguments]
    environment = programs.environment(PYTHONPATH=str(copy))
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True).stdout


def _failed(copy: Path) -> set[str]:
    said = _run(copy, "pytest", "-q", "-n", "0", "-k", "acme or format", *TESTS)
    assert re.search(r"\d+ failed, \d{3,} passed", said), said
    return {*re.findall(r"^FAILED (\S+)", said, re.M)}


def _case(number: int, decision: str, sampled: bool | None) -> dict[str, object]:
    header = f"{number:032x}-{number:016x}{decision}"
    remote = {"trace": f"{number:x}", "span": f"{number:x}", "sampled": sampled}
    return {"id": header, "source": "made up", "headers": {"x-acme-trace": header}, "remote": remote}


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_the_steps_of_the_example_are_all_that_a_new_format_needs(tmp_path: Path) -> None:
    if {each["format"] for each in documents()} != {*FORMATS}:
        pytest.skip("a format is not complete yet, as tests/wire/test_vectors.py says")
    copy = tmp_path / "copy"
    without = shutil.ignore_patterns("__pycache__", Path(__file__).name)
    for folder in ("ot_bridge", "tests", "docs"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=without)
    shutil.copy(ROOT / "pyproject.toml", copy)

    (copy / "ot_bridge/wire/acme.py").write_text(_block("python"))
    formats = copy / "ot_bridge/wire/formats.py"
    last = '    "zipkin-span-format": ("zipkin", "ZIPKIN"),\n'
    assert last in formats.read_text()
    formats.write_text(formats.read_text().replace(last, last + '    "acme": ("acme", "EXAMPLE"),\n'))
    assert _failed(copy) == {VECTORS, TABLE, ENTRY}

    decisions = {"": None, "-0": False, "-1": True}
    vectors = json.loads(_block("json"))
    vectors["cases"] += [_case(number, *each) for number in range(1, 10) for each in decisions.items()]
    (copy / "tests/vectors/acme.json").write_text(json.dumps(vectors))
    _run(copy, "tests.wire.cross_format")
    assert _failed(copy) == {ENTRY}
