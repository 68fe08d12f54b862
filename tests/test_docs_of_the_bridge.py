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


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_the_examples_of_the_page_on_testing_are_tests_that_pass(tmp_path: Path, example: str) -> None:
    (tmp_path / "test_example.py").write_text(example)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert "1 passed" in ran.stdout, ran.stdout + ran.stderr


def _tests() -> set[str]:
    """The names of all tests that there are."""
    return {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def test_every_test_that_the_pages_name_exists() -> None:
    for page in (DIFFERENCES, REQUIREMENTS):
        named = set(re.findall(r"`(test_\w+)`", page))
        assert len(named) > 30
        assert named - _tests() == set()
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
