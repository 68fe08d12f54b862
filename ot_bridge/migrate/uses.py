"""`Use`: one reference to the API, what it is, and what a rule says of it."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ot_bridge.migrate import legacy
from ot_bridge.migrate.edits import Edit
from ot_bridge.migrate.values import Flow, Value

if TYPE_CHECKING:
    from ot_bridge.migrate.project import File
    from ot_bridge.migrate.reading import Reading


class Block(NamedTuple):
    """Why a flow, or one reference, is left as it is."""

    code: str
    text: str


@dataclass(eq=False)
class Use:
    """A reference. shown: whether `check` prints it; a use may be nothing but the place where a span leaves.

    flow: what it is rewritten with. tracer: the flow of the tracer that it is a use of, where that is the
    global
    one: then the use can be rewritten though other uses of the tracer are left.
    """

    file: File
    node: ast.AST
    code: str
    flow: Flow
    edits: Sequence[Edit] = ()
    block: Block | None = None
    tracer: Flow | None = None
    shown: bool = True
    origin: bool = False  # the object is made here: where a mark for its flow belongs
    always: bool = False  # what is left gets its own mark, whatever is said of the flow

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
    """What a rule is given: the attribute `base.name`, and the call of it where it is called."""

    reading: Reading
    file: File
    node: ast.Attribute
    base: Value
    flow: Flow
    call: ast.Call | None = None
    extra: list[Use] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.node.attr

    def value(self, node: ast.AST) -> Value | None:
        return self.reading.value(self.file, node)

    def parent(self, node: ast.AST) -> ast.AST:
        return self.file.module.parents[node]

    @property
    def statement(self) -> ast.stmt:
        return self.file.module.statement(self.node)

    def text(self, node: ast.AST) -> str | None:
        """The text that an expression is known to be: a literal, a constant of the API, or of the project."""
        value = self.value(node)
        if value is None or value.maybe:
            return None
        if value.kind == "constant":
            return legacy.CONSTANTS[value.what]
        return value.what if value.kind == "literal" and isinstance(value.what, str) else None

    def literal(self, node: ast.AST) -> object:
        """The value of a literal; `...` for anything else."""
        return node.value if isinstance(node, ast.Constant) else ...

    def arguments(self) -> dict[str, ast.expr] | Block:
        """The call's arguments by the API's names, in their order."""
        assert self.call is not None
        names = legacy.ARGUMENTS[self.name]
        found: dict[str, ast.expr] = {}
        for position, node in enumerate(self.call.args):
            if isinstance(node, ast.Starred) or position >= len(names):
                return Block("OTB312", f"what is given to {self.name}() by a star is not visible")
            found[names[position]] = node
        for keyword in self.call.keywords:
            if keyword.arg is None:
                return Block("OTB312", f"what is given to {self.name}() by ** is not visible")
            if names and keyword.arg not in names:
                return Block("OTB308", f"{keyword.arg}= is an implementation's own argument")
            found[keyword.arg] = keyword.value
        return found
