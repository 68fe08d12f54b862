"""The examples of docs/testing.md run; tests that docs/differences.md and docs/requirements.md name exist."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DIFFERENCES = (ROOT / "docs" / "differences.md").read_text()
REQUIREMENTS = (ROOT / "docs" / "requirements.md").read_text()
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


@pytest.mark.parametrize("page", [DIFFERENCES, REQUIREMENTS], ids=["differences", "requirements"])
def test_every_test_that_a_page_names_exists(page: str) -> None:
    named = set(re.findall(r"`(test_\w+)`", page))
    assert len(named) > 30
    assert named - _tests() == set()


def test_every_difference_names_its_test() -> None:
    entries = [line for line in DIFFERENCES.splitlines() if line.startswith("| ") and "---" not in line]
    told = [line for line in entries if not line.endswith("| shown by |")]
    assert len(told) > 30
    assert [line for line in told if not re.search(r"\| `test_\w+`(, `test_\w+`)* \|$", line)] == []


def test_every_fault_of_delivery_and_of_the_edge_names_its_tests() -> None:
    rows = re.findall(r"^\| ([DE]\d+) \| [^|]+ \|(.*)$", REQUIREMENTS, re.MULTILINE)
    assert len(rows) == 28 + 15
    assert [id for id, tests in rows if not re.fullmatch(r" `test_\w+`(, `test_\w+`){0,2} \|", tests)] == []
