"""Finds the scopes of a module and the bindings of each name in them, by Python's rules and without types."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPREHENSIONS: Final = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_OPEN: Final = (*FUNCTIONS, ast.Lambda, ast.ClassDef, *_COMPREHENSIONS)


class Binding(NamedTuple):
    """A place that binds a name. kind: assign, with, param, import, def, class, other.

    node: the statement, parameter, `with` item or import alias. value: the expression, or None.
    """

    kind: str
    node: ast.AST
    value: ast.expr | None = None


class Scope:
    """A module, class, function, lambda or comprehension."""

    def __init__(self, node: ast.AST, parent: Scope | None) -> None:
        self.node = node
        self.parent = parent
        self.names: dict[str, list[Binding]] = {}
        self.loads: dict[str, list[ast.Name]] = {}  # name -> the loads that use its binding in this scope
        self.elsewhere: dict[str, str] = {}  # name -> "global" or "nonlocal"

    @property
    def is_class(self) -> bool:
        return isinstance(self.node, ast.ClassDef)

    def module(self) -> Scope:
        return self if self.parent is None else self.parent.module()

    def home(self, name: str) -> Scope:
        """The scope that a binding of `name` made here belongs to."""
        where = self.elsewhere.get(name)
        if where == "global":
            return self.module()
        if where == "nonlocal" and self.parent is not None:
            return self.parent.find(name) or self
        return self

    def find(self, name: str, inner: bool = False) -> Scope | None:
        """The scope where a load of `name` finds its value, or None for builtins and unbound names."""
        if self.elsewhere.get(name) == "global":
            return self.module()
        if name in self.names and not (inner and self.is_class):
            return self
        return self.parent.find(name, True) if self.parent is not None else None

    def nearest(self) -> Scope:
        """The innermost function around this scope, or the module."""
        scope = self
        while scope.parent is not None and not isinstance(scope.node, FUNCTIONS):
            scope = scope.parent
        return scope

    def function(self) -> Scope:
        """The outermost function around this scope, or the module. A new name must not clash in it."""
        scope, found = self, self
        while scope.parent is not None:
            if isinstance(scope.node, (*FUNCTIONS, ast.Lambda)):
                found = scope
            scope = scope.parent
        return found if isinstance(found.node, (*FUNCTIONS, ast.Lambda)) else scope


class Module:
    """Scopes, parents and bindings of a syntax tree."""

    def __init__(self, tree: ast.Module) -> None:
        self.parents: dict[ast.AST, ast.AST] = {}
        self.scope_of: dict[ast.AST, Scope] = {}  # node -> the scope where its names are looked up
        self.own: dict[ast.AST, Scope] = {}  # function or class -> the scope that it opens
        self.nodes: list[ast.AST] = []
        self.root = Scope(tree, None)
        self.own[tree] = self.root
        self._enter(tree, self.root)
        for node in self.nodes:
            self._bind(node)
        for node in self.nodes:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                scope = self.scope_of[node].find(node.id)
                if scope is not None:
                    scope.loads.setdefault(node.id, []).append(node)

    def _enter(self, node: ast.AST, scope: Scope) -> None:
        stack = [(node, scope)]
        while stack:
            node, scope = stack.pop()
            self.nodes.append(node)
            self.scope_of[node] = scope
            inner = outer = scope
            if isinstance(node, _OPEN):
                inner = self.own[node] = Scope(node, scope)
            elif isinstance(
                node, (ast.arguments, ast.arg)
            ):  # the node itself belongs to the function's scope
                outer = scope.parent or scope
            elif isinstance(node, (ast.Global, ast.Nonlocal)):
                kind = "global" if isinstance(node, ast.Global) else "nonlocal"
                scope.elsewhere.update(dict.fromkeys(node.names, kind))
            outside = set(map(id, _evaluated_outside(node)))
            for child in reversed(list(ast.iter_child_nodes(node))):
                self.parents[child] = node
                stack.append((child, outer if id(child) in outside else inner))

    def _add(self, node: ast.AST, name: str, binding: Binding) -> None:
        scope = self.scope_of[node].home(name)
        scope.names.setdefault(name, []).append(binding)

    def _bind(self, node: ast.AST) -> None:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            self._add(node, node.id, self._of_target(node))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Del):
            self._add(node, node.id, Binding("other", node))
        elif isinstance(node, ast.arg):
            self._add(node, node.arg, Binding("param", node))
        elif isinstance(node, FUNCTIONS):
            self._add(node, node.name, Binding("def", node))
        elif isinstance(node, ast.ClassDef):
            self._add(node, node.name, Binding("class", node))
        elif isinstance(node, ast.alias):
            name = node.asname or node.name.partition(".")[0]
            self._add(node, name, Binding("import", node))
        elif isinstance(node, ast.ExceptHandler) and node.name:
            self._add(node, node.name, Binding("except", node))
        elif isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name:
            self._add(node, node.name, Binding("other", node))
        elif isinstance(node, ast.MatchMapping) and node.rest:
            self._add(node, node.rest, Binding("other", node))

    def _of_target(self, name: ast.Name) -> Binding:
        parent = self.parents[name]
        if isinstance(parent, ast.Assign):
            return Binding("assign", parent, parent.value)
        if isinstance(parent, ast.AnnAssign):
            return Binding("assign", parent, parent.value)
        if isinstance(parent, ast.NamedExpr):
            return Binding("assign", parent, parent.value)
        if isinstance(parent, ast.withitem):
            return Binding("with", parent, parent.context_expr)
        return Binding("other", parent)

    def statement(self, node: ast.AST) -> ast.stmt:
        """The statement that contains `node`."""
        while not isinstance(node, ast.stmt):
            node = self.parents[node]
        return node

    def block(self, statement: ast.stmt) -> list[ast.stmt]:
        """The statements of the block that contains `statement`."""
        fields = (found for _, found in ast.iter_fields(self.parents[statement]))
        return next(found for found in fields if isinstance(found, list) and statement in found)

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        while node in self.parents:
            node = self.parents[node]
            yield node


def _evaluated_outside(node: ast.AST) -> Iterator[ast.AST]:
    """Children whose names are looked up outside the scope: decorators, bases, defaults, annotations."""
    if isinstance(node, FUNCTIONS):
        yield from node.decorator_list
        if node.returns is not None:
            yield node.returns
    elif isinstance(node, ast.ClassDef):
        yield from (*node.decorator_list, *node.bases, *node.keywords)
    elif isinstance(node, ast.arguments):
        yield from (*node.defaults, *(each for each in node.kw_defaults if each is not None))
    elif isinstance(node, ast.arg) and node.annotation is not None:
        yield node.annotation
