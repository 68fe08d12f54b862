"""`Use`: one reference to the API, and the decision of a rule on it."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ot_bridge.migrate import legacy
from ot_bridge.migrate.edits import Edit
from ot_bridge.migrate.values import Flow, Value

if TYPE_CHECKING:
    from ot_bridge.migrate.project import File
    from ot_bridge.migrate.reading import Reading


class Block(NamedTuple):
    """The reason why a flow or one reference is left as it is."""

    code: str
    text: str


@dataclass(eq=False)
class Use:
    """A reference. reported: whether `check` prints it; places where a span is only passed on are omitted.

    flow: the flow with which it is rewritten or left. tracer: the flow of the global tracer, if it uses that.
    Then it can be rewritten even if other uses of that tracer are left. note: the comment above a use that is
    rewritten.
    """

    file: File
    node: ast.AST
    code: str
    flow: Flow
    edits: Sequence[Edit] = ()
    block: Block | None = None
    tracer: Flow | None = None
    reported: bool = True
    origin: bool = False  # the object is made here, so a mark for its flow is put here
    always: bool = False  # if it is left, it gets its own mark, even if its flow has a mark
    note: Block | None = None

    @property
    def place(self) -> tuple[int, int]:
        """Line and column, both from 1."""
        node = self.node
        if isinstance(node, ast.Call):
            node = node.func
        if isinstance(node, ast.Attribute):
            assert node.end_lineno is not None
            assert node.end_col_offset is not None
            return node.end_lineno, node.end_col_offset - len(node.attr.encode()) + 1
        return getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1


@dataclass
class Site:
    """The input of a rule: the attribute `base.name`, and the call if it is called."""

    reading: Reading
    file: File
    node: ast.Attribute
    base: Value
    flow: Flow
    call: ast.Call | None = None
    note: Block | None = None  # set by a rule whose edits a person has to look at

    @property
    def name(self) -> str:
        return self.node.attr

    @property
    def called(self) -> ast.Call:
        """The call. Only for a rule that has read `arguments`, which makes sure that there is a call."""
        assert self.call is not None
        return self.call

    def value(self, node: ast.AST) -> Value | None:
        return self.reading.value(self.file, node)

    def parent(self, node: ast.AST) -> ast.AST:
        return self.file.module.parents[node]

    @property
    def statement(self) -> ast.stmt:
        return self.file.module.statement(self.node)

    @property
    def is_removable(self) -> bool:
        """Whether the statement can be removed. It cannot if its block stands on the line of the `:`."""
        return not self._before(self.file.module.block(self.statement)[0])

    @property
    def is_alone(self) -> bool:
        """Whether no other code stands on the statement's lines, so that statements can be put beside it."""
        end = self.statement.end_lineno or 1
        behind = self.file.lines[end - 1][self.statement.end_col_offset or 0 :].strip()
        return not self._before(self.statement) and (not behind or behind.startswith(b"#"))

    def _before(self, statement: ast.stmt) -> bytes:
        return self.file.lines[statement.lineno - 1][: statement.col_offset].strip()

    def text(self, node: ast.AST) -> str | None:
        """The known string value of an expression: a literal, or a constant of the API or the project."""
        value = self.value(node)
        if value is None or value.maybe:
            return None
        if value.kind == "constant":
            return legacy.CONSTANTS[value.what]
        return value.what if value.kind == "literal" and isinstance(value.what, str) else None

    def arguments(self) -> dict[str, ast.expr] | Block:
        """The call's arguments by their names in the API, in order."""
        if self.call is None:
            return Block("OTB302", f"{self.name} is passed on as a function")
        return arguments_of(self.name, self.call)


def arguments_of(name: str, call: ast.Call) -> dict[str, ast.expr] | Block:
    """The arguments of a call of the API's function `name`, by their names in the API, in order."""
    names = legacy.ARGUMENTS[name]
    found: dict[str, ast.expr] = {}
    for position, node in enumerate(call.args):
        if isinstance(node, ast.Starred) or position >= len(names):
            return Block("OTB312", f"arguments that {name}() gets by * are not visible")
        found[names[position]] = node
    for keyword in call.keywords:
        if keyword.arg is None:
            return Block("OTB312", f"arguments that {name}() gets by ** are not visible")
        if names and keyword.arg not in names:
            return Block("OTB308", f"{keyword.arg}= is an argument of an implementation, not of the API")
        found[keyword.arg] = keyword.value
    return found
