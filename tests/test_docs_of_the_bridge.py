"""The examples of docs/testing.md run; tables in docs/ name tests that exist."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
REQUIREMENTS = (ROOT / "docs" / "requirements.md").read_text()
DIFFERENCES = (ROOT / "docs" / "differences.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "testing.md").read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """A run of pytest over the examples, each in a file of its own."""
    directory = tmp_path_factory.mktemp("examples")
    for number, example in enumerate(EXAMPLES):
        (directory / f"test_example_{number}.py").write_text(example)
    command = [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", str(directory)]
    return subprocess.run(command, capture_output=True, text=True, cwd=directory)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_examples_of_the_page_on_testing_are_tests_that_pass(
    ran: subprocess.CompletedProcess[str], number: int
) -> None:
    said = re.findall(rf"^test_example_{number}\.py::\S+ (\w+)", ran.stdout, re.MULTILINE)
    assert said == ["PASSED"], ran.stdout + ran.stderr
    assert f"{len(EXAMPLES)} passed" in ran.stdout


def _tests_among(named: set[str]) -> set[str]:
    """Those of these names that are tests; only files that contain a name's definition are parsed."""
    found = set[str]()
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = path.read_text()
        if named.isdisjoint(re.findall(r"def (test_\w+)", text)):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found.add(node.name)
    return found & named


def test_every_test_that_the_pages_name_exists() -> None:
    names = [set(re.findall(r"`(test_\w+)`", page)) for page in (DIFFERENCES, REQUIREMENTS)]
    assert all(len(named) > 30 for named in names)
    named = set.union(*names)
    assert named - _tests_among(named) == set()
    files = re.findall(r"`(tests/\w+/test_\w+\.py)`", REQUIREMENTS)
    assert files
    assert [each for each in files if not (ROOT / each).exists()] == []


@pytest.mark.parametrize(("letter", "last"), {"D": 28, "C": 29, "E": 15, "J": 22, "K": 14, "V": 14}.items())
def test_every_requirement_names_its_tests(letter: str, last: int) -> None:
    rows = re.findall(
        rf"^\| {letter}(\d+) \| .+ \| (`test[\w/.]+`(?:, `test[\w/.]+`)*) \|$", REQUIREMENTS, re.M
    )
    assert [int(number) for number, _ in rows] == [*range(1, last + 1)]


def test_every_difference_names_its_test() -> None:
    entries = [line for line in DIFFERENCES.splitlines() if line.startswith("| ") and "---" not in line]
    listed = [line for line in entries if not line.endswith("| shown by |")]
    assert len(listed) > 30
    assert [line for line in listed if not re.search(r"\| `test_\w+`(, `test_\w+`)* \|$", line)] == []
