"""What a rule wants changed, as data: which node, and what stands there afterwards. No libcst here.

Templates are Python text in which `{0}`, `{1}`, … stand for nodes of the old text (as they are after their
own
edits), and `{trace}`, `{context}`, `{propagate}`, `{SpanKind}`, `{Status}`, `{StatusCode}` for names that
the file
imports when they are used. `{tracer}` is this module's OpenTelemetry tracer, `{name}` the new name of a slot.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TypeAlias

from ot_bridge.migrate.values import Flow, Slot


@dataclass(frozen=True, eq=False)
class Replace:
    """An expression by another. `slot`: whose new name `{name}` is."""

    node: ast.AST
    template: str
    holes: tuple[ast.AST, ...] = ()
    slot: Slot | None = None


@dataclass(frozen=True, eq=False)
class Argument:
    """One argument of a call as it is afterwards; `source` is the old one's value, `{0}` in the template."""

    source: ast.expr | None
    keyword: str | None = None
    template: str | None = None
    holes: tuple[ast.AST, ...] = ()


@dataclass(frozen=True, eq=False)
class Call:
    """A call's function and arguments. tracer: the flow of the tracer, if the receiver is one that may be
    replaced by the module's own where that flow is left.
    """

    node: ast.Call
    function: str
    receiver: ast.expr | None
    arguments: tuple[Argument, ...]
    tracer: Flow | None = None


@dataclass(frozen=True, eq=False)
class AddArgument:
    """An argument more for a call that another edit changes as well."""

    node: ast.Call
    argument: Argument


@dataclass(frozen=True, eq=False)
class Dict:
    """Entries of a dictionary left out, or wrapped: position -> template."""

    node: ast.Dict
    drop: frozenset[int] = frozenset()
    wrap: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Rename:
    """The name after `as` is the slot's new one."""

    item: ast.withitem
    slot: Slot


@dataclass(frozen=True, eq=False)
class Insert:
    """A statement more: after `statement`, or (`first`) at the beginning of its block."""

    statement: ast.stmt
    template: str
    holes: tuple[ast.AST, ...] = ()
    slot: Slot | None = None
    first: bool = False


@dataclass(frozen=True, eq=False)
class Split:
    """A statement becomes several, each an expression; none: it goes."""

    statement: ast.stmt
    parts: tuple[ast.expr, ...] = ()


@dataclass(frozen=True, eq=False)
class ImportedTracer:
    """`from opentracing import tracer` becomes an assignment after the imports."""

    alias: ast.alias
    name: str


Edit: TypeAlias = Replace | Call | AddArgument | Dict | Rename | Insert | Split | ImportedTracer
