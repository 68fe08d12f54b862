"""Small parts of the editor: positions of nodes, filling of templates, comments above statements."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import libcst as cst

from ot_bridge.migrate.edits import Edit, Replace
from ot_bridge.migrate.plan import MARK

Span: TypeAlias = tuple[int, int]
_HOLE: Final = re.compile(r"__hole(\d+)__")


class Offsets:
    """Converts lines and columns of the syntax tree to byte offsets."""

    def __init__(self, data: bytes, encoding: str) -> None:
        mark = 3 if data.startswith(b"\xef\xbb\xbf") else 0
        self._utf8 = encoding in ("utf-8", "utf8")
        self._lines = data[mark:].splitlines(keepends=True) if self._utf8 else []
        if not self._utf8:
            text = data.decode(encoding)
            self._lines = [line.encode("utf-8") for line in re.split(r"(?<=\n)|(?<=\r)(?!\n)", text)]
        else:
            self._lines = re.split(rb"(?<=\n)|(?<=\r)(?!\n)", data[mark:])
        self._starts = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))

    def span(self, node: ast.AST) -> Span:
        start = self._starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]
        end = self._starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]
        return start, end


class Fill(cst.CSTTransformer):
    def __init__(self, filling: Sequence[cst.BaseExpression]) -> None:
        super().__init__()
        self.filling = filling

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        match = _HOLE.fullmatch(updated_node.value)
        if match is None:
            return updated_node
        filling = self.filling[int(match[1])].deep_clone()
        if filling.lpar or not updated_node.lpar:
            return filling
        return filling.with_changes(lpar=updated_node.lpar, rpar=updated_node.rpar)


def wraps_itself(each: Edit) -> bool:
    return isinstance(each, Replace) and each.node in each.holes


def without_blank_lines(block: cst.IndentedBlock) -> cst.IndentedBlock:
    """The block without blank lines at its beginning, after its first statement was removed."""
    if not block.body:
        return block
    first: Any = block.body[0]
    lines = list(first.leading_lines)
    while lines and lines[0].comment is None:
        lines.pop(0)
    return block.with_changes(body=[first.with_changes(leading_lines=lines), *block.body[1:]])


def marked(statement: Any, text: str) -> Any:
    """The statement with a comment above it, unless it has a mark already."""
    lines = list(statement.leading_lines)
    if any(line.comment is not None and line.comment.value.startswith(MARK) for line in lines):
        return statement
    return statement.with_changes(leading_lines=[*lines, cst.EmptyLine(comment=cst.Comment(text))])
