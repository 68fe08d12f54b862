"""Edits as data: which node is changed, and what replaces it. This module does not need libcst.

Templates are Python text. In them `{0}`, `{1}`, … stand for nodes of the old text after their own edits, and
`{trace}`, `{context}`, `{propagate}`, `{SpanKind}`, `{Status}` and `{StatusCode}` for names that the file
imports if they are used. `{tracer}` is this module's OpenTelemetry tracer, `{name}` the new name of a slot.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TypeAlias

from ot_bridge.migrate.values import Flow, Slot


@dataclass(frozen=True, eq=False)
class Replace:
    """Replaces an expression by another. slot: the slot whose new name is `{name}`."""

    node: ast.AST
    template: str
    holes: tuple[ast.AST, ...] = ()
    slot: Slot | None = None


@dataclass(frozen=True, eq=False)
class Argument:
    """An argument of the new call. source: the value of the old argument, `{0}` in the template."""

    source: ast.expr | None
    keyword: str | None = None
    template: str | None = None
    holes: tuple[ast.AST, ...] = ()


@dataclass(frozen=True, eq=False)
class Call:
    """Replaces a call's function and arguments. tracer: the tracer's flow, if the module's own tracer
    may replace the receiver where that flow is left.
    """

    node: ast.Call
    function: str
    receiver: ast.expr | None
    arguments: tuple[Argument, ...]
    tracer: Flow | None = None


@dataclass(frozen=True, eq=False)
class AddArgument:
    """Adds an argument to a call that another edit may change as well."""

    node: ast.Call
    argument: Argument


@dataclass(frozen=True, eq=False)
class Dict:
    """Removes entries of a dictionary, or wraps them: position -> template."""

    node: ast.Dict
    drop: frozenset[int] = frozenset()
    wrap: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Rename:
    """Replaces the name after `as` by the slot's new name."""

    item: ast.withitem
    slot: Slot


@dataclass(frozen=True, eq=False)
class Insert:
    """Adds a statement after `statement`, or (`first`) at the beginning of its block."""

    statement: ast.stmt
    template: str
    holes: tuple[ast.AST, ...] = ()
    slot: Slot | None = None
    first: bool = False


@dataclass(frozen=True, eq=False)
class Split:
    """Replaces a statement by several expressions. Without any, the statement is removed."""

    statement: ast.stmt
    parts: tuple[ast.expr, ...] = ()


@dataclass(frozen=True, eq=False)
class ImportedTracer:
    """`from opentracing import tracer` becomes an assignment after the imports."""

    alias: ast.alias
    name: str


Edit: TypeAlias = Replace | Call | AddArgument | Dict | Rename | Insert | Split | ImportedTracer
