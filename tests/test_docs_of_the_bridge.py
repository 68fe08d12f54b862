"""The examples of docs/testing.md run; pages and modules name tests that exist."""

from __future__ import annotations

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


def _texts() -> dict[str, str]:
    """All pages without their code blocks, and all modules of the package and of the benchmarks."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").rglob("*.md")]
    modules = [each for folder in ("ot_bridge", "benchmarks") for each in (ROOT / folder).rglob("*.py")]
    texts = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in (*pages, *modules)}
    return {name: re.sub(r"^ *```.*?^ *```$", "", text, flags=re.S | re.M) for name, text in texts.items()}


def _tests() -> set[str]:
    """The names of all tests and of their files."""
    files = [*(ROOT / "tests").rglob("test_*.py")]
    named = (re.findall(r"(?:def |^)(test_\w+)(?:\(| =)", path.read_text("utf-8"), re.M) for path in files)
    return {*(path.stem for path in files), *(name for names in named for name in names)}


def test_every_test_that_a_page_or_a_module_names_exists() -> None:
    tests, texts = _tests(), _texts()
    beginnings = {"test_R13", "test_S2_closed_"}
    assert all(any(each.startswith(name) for each in tests) for name in beginnings)
    named = {where: {*re.findall(r"\btest_\w+", text)} - beginnings for where, text in texts.items()}
    assert {where: names - tests for where, names in named.items() if not names <= tests} == {}
    assert all(len(named[f"docs/{page}.md"]) > 30 for page in ("differences", "requirements"))
    assert sum(bool(named[where]) for where in named if where.endswith(".py")) > 10


def test_every_file_of_tests_that_a_page_or_a_module_names_exists() -> None:
    files = {where: re.findall(r"\btests/[\w/]+\.py\b", text) for where, text in _texts().items()}
    assert {each for named in files.values() for each in named if not (ROOT / each).exists()} == set()
    assert sum(map(len, files.values())) > 30


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
