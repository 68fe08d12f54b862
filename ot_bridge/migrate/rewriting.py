"""`rewrite`: plans and edits files, and writes each file as a whole. It needs libcst."""

from __future__ import annotations

import ast
import builtins
import contextlib
import difflib
import os
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from ot_bridge.migrate.dependencies import findings, too_old
from ot_bridge.migrate.editor import edit
from ot_bridge.migrate.files import text_of
from ot_bridge.migrate.judge import Judge
from ot_bridge.migrate.plan import Plan, plans
from ot_bridge.migrate.project import load
from ot_bridge.migrate.reading import Reading
from ot_bridge.migrate.scopes import Module

Variables: TypeAlias = Callable[[dict[str, Any]], Iterable[str]]


@dataclass
class Changed:
    """A file before and after. rewritten, left: the numbers of references. marks: the number of comments."""

    path: Path
    before: bytes
    after: bytes
    rewritten: int
    left: int

    def diff(self) -> Iterator[str]:
        """A unified diff that `patch` can apply."""
        before, after = (text_of(data).splitlines(keepends=True) for data in (self.before, self.after))
        path = self.path
        with contextlib.suppress(ValueError):
            path = path.resolve().relative_to(Path.cwd())
        name = str(path).lstrip("/")
        yield from _unified(before, after, name)


@dataclass
class Outcome:
    """The result of `rewrite`. unread: files that do not parse. failed: files that could not be edited."""

    changed: list[Changed] = field(default_factory=list)
    unread: list[tuple[Path, str]] = field(default_factory=list)
    failed: list[tuple[Path, str]] = field(default_factory=list)
    rewritten: int = 0
    left: int = 0
    refused: str | None = None
    marks: dict[str, list[str]] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """The exit status: 0 if everything was rewritten, 1 if something is left or marked."""
        return int(bool(self.left or self.marks or self.unread or self.failed or self.refused))

    def fail(self, path: Path, problem: str, references: int) -> None:
        """Counts a file as left as it is, with references that would have been rewritten."""
        self.failed.append((path, problem))
        self.marks.pop(str(path), None)
        self.rewritten -= references
        self.left += references


def _unified(before: list[str], after: list[str], name: str) -> Iterator[str]:
    """A unified diff. `difflib.unified_diff` would treat frequent lines as noise and show them as changed."""
    yield f"--- a/{name}\n+++ b/{name}\n"
    for group in difflib.SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(3):
        (_, start, _, new_start, _), (_, _, end, _, new_end) = group[0], group[-1]
        yield f"@@ -{_range(start, end)} +{_range(new_start, new_end)} @@\n"
        for tag, one, two, three, four in group:
            sides = (
                [(" ", before[one:two])]
                if tag == "equal"
                else [("-", before[one:two]), ("+", after[three:four])]
            )
            for sign, lines in sides:
                for line in lines:
                    yield sign + (line if line.endswith("\n") else line + "\n\\ No newline at end of file\n")


def _range(start: int, end: int) -> str:
    return f"{start + 1},{end - start}"  # never empty: a file keeps at least one line


def rewrite(
    paths: Iterable[Path],
    trust_names: bool = False,
    semconv: bool = False,
    variables: Variables | None = None,
) -> Outcome:
    """Computes the changes, and writes nothing. Raises OSError for a path that does not exist.

    variables: translates a Jaeger configuration to `OTEL_*` lines, for the marks of set-up code.
    """
    paths = list(paths)
    outcome = Outcome()
    old = too_old(findings(paths))
    if old is not None:
        at = old.requirement
        outcome.refused = f"{at.path}:{at.line}: {old.text}"
        return outcome
    project = load(paths)
    outcome.unread = project.unread
    reading = Reading(project, trust_names, semconv)
    reading.variables = variables
    judge = Judge(reading)
    for plan in plans(judge):
        outcome.rewritten += plan.rewritten
        outcome.left += plan.left
        _carry_out(plan, outcome)
    return outcome


def _carry_out(plan: Plan, outcome: Outcome) -> None:
    source = plan.file.source
    if plan.marks:
        outcome.marks[str(source.path)] = list(plan.marks.values())
    if plan.is_empty:
        return
    try:
        after = edit(plan)
        problem = _problem(plan, after)
    except Exception as error:  # an error in one file must not affect other files
        problem, after = f"{type(error).__name__}: {error}", source.data
    if problem is not None:
        outcome.fail(source.path, problem, plan.rewritten)
    elif after != source.data:
        outcome.changed.append(Changed(source.path, source.data, after, plan.rewritten, plan.left))


def _problem(plan: Plan, after: bytes) -> str | None:
    """Why an edited text must not be written: it does not compile, or a name in it is not bound."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(after)
            compile(tree, str(plan.file.path), "exec", dont_inherit=True)
    except SyntaxError as error:
        return f"the edited text would not compile: {error}"
    new = _unbound(Module(tree)) - _unbound(plan.file.module)
    return f"these names would not be bound: {', '.join(sorted(new))}" if new else None


def _unbound(module: Module) -> set[str]:
    return {
        node.id
        for node in module.nodes
        if isinstance(node, ast.Name)
        and isinstance(node.ctx, ast.Load)
        and not hasattr(builtins, node.id)
        and module.scope_of[node].find(node.id) is None
    }


def write(outcome: Outcome) -> None:
    """Writes each file as a whole. A file that cannot be written fails, and the others are written."""
    for each in list(outcome.changed):
        try:
            _write(each.path.resolve(), each.after)
        except OSError as error:
            outcome.changed.remove(each)
            outcome.fail(each.path, error.strerror or str(error), each.rewritten)


def _write(path: Path, data: bytes) -> None:
    mode = path.stat().st_mode
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(name, mode & 0o7777)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
