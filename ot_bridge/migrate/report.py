"""The report of `check`: one line for each reference, sorted, and a summary by code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ot_bridge.migrate.codes import CATEGORIES, CODES, described, needs_a_person
from ot_bridge.migrate.dependencies import Finding, findings
from ot_bridge.migrate.judge import Judge
from ot_bridge.migrate.project import load
from ot_bridge.migrate.reading import Reading
from ot_bridge.migrate.uses import Use


class Line(NamedTuple):
    """One reference or one requirement. rewritten: whether `rewrite` would rewrite it."""

    file: str
    line: int
    column: int
    code: str
    text: str
    rewritten: bool

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.code} {self.text}"


class Report(NamedTuple):
    """The whole report. lines: sorted. unread: (file, problem). searched: the number of Python files."""

    lines: Sequence[Line]
    unread: Sequence[tuple[str, str]]
    searched: int

    @property
    def status(self) -> int:
        """0: nothing needs a person; 1: something does; 2: a file could not be read."""
        if self.unread:
            return 2
        return int(any(needs_a_person(each.code) for each in self.lines))

    def summary(self) -> Iterator[str]:
        """The number of references for each code, with its description."""
        counts = Counter(each.code for each in self.lines)
        files = len({each.file for each in self.lines})
        yield f"{len(self.lines)} references in {files} files ({self.searched} Python files read)"
        for first, meaning in CATEGORIES.items():
            codes = sorted(code for code in counts if code[3] == first)
            if codes:
                yield f"{sum(counts[code] for code in codes):6}  {meaning}"
                yield from (f"{counts[code]:10}  {code} {CODES[code]}" for code in codes)

    def as_json(self) -> dict[str, Any]:
        """The report as JSON values. Its keys are stable."""
        return {
            "references": [
                {
                    **each._asdict(),
                    "category": CATEGORIES[each.code[3]],
                    "needs_a_person": needs_a_person(each.code),
                }
                for each in self.lines
            ],
            "summary": dict(sorted(Counter(each.code for each in self.lines).items())),
            "unread": [{"file": file, "problem": problem} for file, problem in self.unread],
            "files": self.searched,
        }


def check(paths: Iterable[Path]) -> Report:
    """Reads everything below the paths. Raises OSError for a path that does not exist."""
    paths = list(paths)
    project = load(paths)
    judge = Judge(Reading(project))
    return Report(
        sorted({*references(judge), *map(_of_requirement, findings(paths))}),
        [(str(path), problem) for path, problem in project.unread],
        project.searched,
    )


def references(judge: Judge) -> Iterator[Line]:
    """A line for each reference that is reported."""
    for use in judge.uses:
        if use.reported:
            line, column = place(use)
            yield Line(
                str(use.file.path), line, column, use.code, text_of(judge, use), is_rewritten(judge, use)
            )


def is_rewritten(judge: Judge, use: Use) -> bool:
    return judge.block_of(use) is None


def text_of(judge: Judge, use: Use) -> str:
    block = judge.block_of(use)
    if block is None:
        return described(use.code)
    if use.code == block.code and (use.origin or use.block is not None):
        return block.text
    return f"{described(use.code)}; rewrite leaves it: {block.text.removesuffix('; left as it is')}"


def place(use: Use) -> tuple[int, int]:
    """Line and column of the name, both from 1. Columns count characters."""
    line, column = use.place
    lines = use.file.lines
    before = lines[line - 1][: column - 1] if line <= len(lines) else b""
    return line, len(before.decode()) + 1


def _of_requirement(found: Finding) -> Line:
    at = found.requirement
    return Line(str(at.path), at.line, at.column, found.code, found.text, False)
