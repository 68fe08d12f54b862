"""The values of expressions that rules distinguish: a tracer, a span, a scope, a name of the API, ….

Theory of operation:
1. A `Value` has the kind of an expression's result. None means that the kind is not known.
2. A `Flow` stands for all expressions that one object may reach. The flows of two expressions that may give
   the same object are joined. Flows are never split, so the order of reading does not matter.
3. A flow is rewritten as a whole or not at all: a use without a counterpart blocks the flow.
"""

from __future__ import annotations

import ast
from typing import Any, Final, NamedTuple

from ot_bridge.migrate.scopes import Binding, Scope

#: Kinds of objects that have a flow.
OBJECTS: Final = frozenset({"tracer", "span", "scope", "manager", "context", "extracted"})

WORDS: Final = {
    "tracer": "the tracer",
    "span": "the span",
    "scope": "the scope",
    "manager": "the scope manager",
    "context": "the span's context",
    "extracted": "the extracted context",
}


class Flow:
    """A set of expressions, which is joined with others while code is read (a union-find forest)."""

    __slots__ = ("_parent",)

    def __init__(self) -> None:
        self._parent: Flow | None = None

    @property
    def root(self) -> Flow:
        flow = self
        while flow._parent is not None:
            if flow._parent._parent is not None:
                flow._parent = flow._parent._parent
            flow = flow._parent
        return flow

    def join(self, other: Flow) -> None:
        one, two = self.root, other.root
        if one is not two:
            one._parent = two


class Value(NamedTuple):
    """The known value of an expression.

    kind: one of OBJECTS, or module, api, constant, foreign, function, class, instance, none, pending, ….
    what: the dotted name, or the definition. maybe: whether None is possible as well. active: whether it was
    read as the active span, which is never None in OpenTelemetry. shared: whether it is the global tracer.
    """

    kind: str
    flow: Flow | None = None
    what: Any = None
    maybe: bool = False
    active: bool = False
    shared: bool = False

    @property
    def is_object(self) -> bool:
        return self.kind in OBJECTS


NONE: Final = Value("none")
PENDING: Final = Value("pending")


class Slot:
    """A variable, parameter, attribute or function result, which may hold an object."""

    def __init__(self, name: str, bindings: list[tuple[Any, Binding]], scope: Scope | None = None) -> None:
        self.name = name
        self.bindings = bindings  # each with its file
        self.scope = scope
        self.flow = Flow()
        self.value: Value | None = None
        self.state = "new"  # new, busy, done
        self.new_name: str | None = None

    def forget(self) -> None:
        self.flow, self.value, self.state = Flow(), None, "new"


def union(values: list[Value | None]) -> Value | None:
    """The value of an expression that is one of `values`: known if all of them are known and agree."""
    known = [value for value in values if value is not None and value.kind != "pending"]
    if len(known) < len([value for value in values if value is None or value.kind != "pending"]):
        return None
    rest = [value for value in known if value.kind != "none"]
    if not rest:
        return NONE if known else PENDING if values else None
    first = rest[0]
    if any(value.kind != first.kind for value in rest):
        return None
    if not first.is_object and any(
        value.what is not first.what and value.what != first.what for value in rest
    ):
        return None
    return first._replace(
        maybe=len(rest) < len(known) or any(value.maybe for value in rest),
        active=any(value.active for value in rest),
        shared=all(value.shared for value in rest),
    )


def dotted(node: ast.expr) -> str | None:
    """`a.b.c` for a chain of names, or None for any other expression."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return None if base is None else f"{base}.{node.attr}"
    return None


def decorators_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str | None]:
    """The names of a function's decorators; None for those that are no names."""
    return {dotted(each) for each in function.decorator_list}
