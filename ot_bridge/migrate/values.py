"""What an expression is worth, as far as it matters: a tracer, a span, a scope, a name of the API.

Theory of operation:
1. A `Value` says what kind of thing an expression gives; None says that this is not known.
2. A `Flow` stands for all that one object reaches. Two expressions that may give the same object have their
   flows joined; joining is all that is ever done to a flow, so that the order of reading does not matter.
3. A flow is rewritten whole or not at all: a use without a counterpart blocks the flow.
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
    """A set of expressions, joined with others as reading goes on (a union-find forest)."""

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
    """kind: one of OBJECTS, or module, api, constant, foreign, function, class, instance, none, pending, ….

    what: the dotted name, or the definition. maybe: None is possible as well. active: it is what was active,
    which in OpenTelemetry is never None. shared: a tracer that is the global one, whatever variable holds it.
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
    """A variable, parameter, attribute or function's result: whatever may hold an object."""

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
    """The value of something that is one of `values`: known if all that are known agree and none is
    unknown.
    """
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


def mixed_activity(values: list[Value | None]) -> bool:
    """Whether some may be what was active, and others None or a span that was started."""
    return len({value.active for value in values if value is not None}) > 1


def dotted(node: ast.expr) -> str | None:
    """`a.b.c` of a chain of names; None for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return None if base is None else f"{base}.{node.attr}"
    return None
