"""Finds the nodes that vanish in an edit, and the names of a file that are still needed afterwards."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from ot_bridge.migrate.edits import Call, Dict, Edit, Replace, Split

if TYPE_CHECKING:
    from ot_bridge.migrate.judge import Judge
    from ot_bridge.migrate.project import File

_WORD: Final = re.compile(r"\w+")


def vanishing(edit: Edit, inline: set[ast.Call]) -> Iterator[ast.AST]:
    """The nodes that an edit removes."""
    if isinstance(edit, Replace):
        yield from _subtree(edit.node, edit.holes)
    elif isinstance(edit, Call):
        kept = [edit.receiver] if edit.receiver is not None and edit.node not in inline else []
        chained = isinstance(edit.node.func, ast.Attribute) and edit.receiver not in (
            None,
            edit.node.func.value,
        )
        if not chained:
            yield from _subtree(edit.node.func, kept)
        stay = [node for each in edit.arguments for node in (each.source, *each.holes) if node is not None]
        for argument in (*edit.node.args, *(each.value for each in edit.node.keywords)):
            yield from _subtree(argument, stay)
    elif isinstance(edit, Dict):
        for position in edit.drop:
            for node in (edit.node.keys[position], edit.node.values[position]):
                yield from _subtree(node, ()) if node is not None else ()
    elif isinstance(edit, Split) and not edit.parts:
        yield from _subtree(edit.statement, ())


def _subtree(node: ast.AST, kept: Iterable[ast.AST]) -> Iterator[ast.AST]:
    kept = list(kept)
    stack = [node]
    while stack:
        each = stack.pop()
        if each in kept:
            continue
        yield each
        stack.extend(ast.iter_child_nodes(each))


def templates(edit: Edit) -> Iterator[str]:
    for name in ("template", "function"):
        found = getattr(edit, name, None)
        if found is not None:
            yield found
    for argument in getattr(edit, "arguments", ()):
        if argument.template is not None:
            yield argument.template
    yield from getattr(edit, "wrap", {}).values()


def identifiers(tree: ast.AST) -> set[str]:
    """Every name that is read or bound anywhere below a node."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.alias):
            found.add(node.asname or node.name.partition(".")[0])
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            found.update(node.names)
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
            found.add(node.name)
    return found


def opentelemetry(tree: ast.Module) -> dict[str, str]:
    """Imports from OpenTelemetry in the file's first statements: dotted name -> name in the file."""
    found: dict[str, str] = {}
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom) and statement.module in (
            "opentelemetry",
            "opentelemetry.trace",
        ):
            for alias in statement.names:
                found[f"{statement.module}.{alias.name}"] = alias.asname or alias.name
        elif not isinstance(statement, (ast.Import, ast.ImportFrom, ast.Expr)):
            break
    return found


def exported(tree: ast.Module) -> set[str]:
    """The names in `__all__`."""
    return {
        each.value
        for statement in tree.body
        if isinstance(statement, (ast.Assign, ast.AugAssign))
        and any(
            isinstance(target, ast.Name) and target.id == "__all__"
            for target in (statement.targets if isinstance(statement, ast.Assign) else [statement.target])
        )
        for each in ast.walk(statement.value)
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    }


def in_types(file: File, edits: Iterable[Edit]) -> set[str]:
    """The names in quoted annotations that stay, and in `# type:` comments."""
    replaced = {edit.node for edit in edits if isinstance(edit, Replace)}
    texts: list[str] = []
    for node in file.module.nodes:
        for name in ("annotation", "returns"):
            annotation = getattr(node, name, None)
            if isinstance(annotation, ast.AST):
                texts += [
                    each.value
                    for each in ast.walk(annotation)
                    if isinstance(each, ast.Constant) and isinstance(each.value, str) and each not in replaced
                ]
    for line in file.source.data.split(b"\n"):
        if b"# type:" in line:
            texts.append(line.partition(b"# type:")[2].decode("utf-8", "replace"))
    return {word for text in texts for word in _WORD.findall(text)}


def imported_pairs(judge: Judge) -> set[tuple[str, str]]:
    kept: set[tuple[str, str]] | None = judge.__dict__.get("_pairs")
    if kept is None:
        kept = judge.__dict__["_pairs"] = set()
        for plain in judge.reading.project.plain:
            kept |= plain.imported
        for file in judge.reading.project.legacy:
            for node in file.module.nodes:
                if isinstance(node, ast.ImportFrom):
                    base = file.package[: len(file.package) - node.level + 1] if node.level else []
                    module = ".".join([*base, *([node.module] if node.module else [])])
                    kept |= {(module, alias.name) for alias in node.names}
    return kept
