"""Reads annotations such as `opentracing.Span`, `Optional[Span]`, `Span | None` and `"Span"`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from ot_bridge.migrate import legacy
from ot_bridge.migrate.values import dotted

if TYPE_CHECKING:
    from ot_bridge.migrate.project import File
    from ot_bridge.migrate.reading import Reading


def kind_of(reading: Reading, file: File, annotation: ast.expr) -> tuple[str, bool] | None:
    """(kind, whether None is possible) for an annotation that names a class of the API, else None."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return _in_text(reading, file, annotation)
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        sides = (annotation.left, annotation.right)
        inner = [side for side in sides if not (isinstance(side, ast.Constant) and side.value is None)]
        found = kind_of(reading, file, inner[0]) if len(inner) == 1 else None
        return None if found is None else (found[0], True)
    if isinstance(annotation, ast.Subscript):
        if (dotted(annotation.value) or "").rpartition(".")[2] == "Optional":
            found = kind_of(reading, file, annotation.slice)
            return None if found is None else (found[0], True)
        return None
    value = reading.value(file, annotation)
    if value is not None and value.kind == "api" and value.what in legacy.CLASSES:
        return legacy.CLASSES[value.what][0], False
    return None


def _in_text(reading: Reading, file: File, annotation: ast.Constant) -> tuple[str, bool] | None:
    """The kind that an annotation in quotes names. Only a plain or dotted name is read."""
    try:
        inner = ast.parse(str(annotation.value), mode="eval").body
    except (SyntaxError, ValueError):
        return None
    name = dotted(inner)
    scope = file.module.scope_of.get(annotation)
    if name is None or scope is None:
        return None
    first, _, rest = name.partition(".")
    home = scope.find(first)
    slot = None if home is None else reading.slot_at.get((home, first))
    value = reading.slot_value(slot)
    if value is None or value.kind not in ("module", "api"):
        return None
    short = legacy.canonical(f"{value.what}.{rest}" if rest else value.what)
    return (legacy.CLASSES[short][0], False) if short in legacy.CLASSES else None
