"""`Slots`: makes a slot for every variable, every name of a `with` block and every attribute of a class."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from ot_bridge.migrate.project import File, Project
from ot_bridge.migrate.scopes import FUNCTIONS, Binding, Scope
from ot_bridge.migrate.values import Slot, Value


class Slots:
    """The slots of a project. `Reading`, which is built on this class, finds their values."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.slot_at: dict[tuple[object, str], Slot] = {}  # by scope and name
        self._regions: dict[ast.AST, Slot] = {}
        self._attributes: dict[tuple[ast.ClassDef, str], Slot] = {}
        self._family: dict[ast.ClassDef, ast.ClassDef] = {}
        self._home: dict[ast.AST, File] = {}
        self._stores: list[tuple[File, ast.Attribute]] = []  # those whose class is not known yet

    def value(self, file: File, node: ast.AST) -> Value | None:
        """The value of an expression, or None if it is not known."""
        raise NotImplementedError

    def find_slots(self) -> None:
        """Makes all slots, once."""
        for file in self.project.legacy:
            self._make_slots(file)
        classes = [
            (file, node)
            for file in self.project.legacy
            for node in file.module.nodes
            if isinstance(node, ast.ClassDef)
        ]
        for file, node in classes:
            self._home[node] = file
            for base in self._bases(file, node):
                one, two = self.family(node), self.family(base)
                if one is not two:
                    self._family[one] = two
        for file, node in classes:
            for name, bindings in file.module.own[node].names.items():
                for binding in bindings:
                    if binding.kind == "assign":
                        self._add_attribute(node, name, file, binding)
        self._stores = [
            (file, node)
            for file in self.project.legacy
            for node in file.module.nodes
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        ]

    def slots(self) -> Iterable[Slot]:
        """All slots."""
        yield from self.slot_at.values()
        yield from self._regions.values()
        yield from self._attributes.values()

    def _make_slots(self, file: File) -> None:
        module = file.module
        for scope in module.own.values():
            for name, bindings in scope.names.items():
                loads = scope.loads.get(name, [])
                if not self._make_regions(file, scope, name, bindings, loads):
                    self.slot_at[scope, name] = Slot(name, [(file, each) for each in bindings], scope)

    def _make_regions(
        self, file: File, scope: Scope, name: str, bindings: list[Binding], loads: list[ast.Name]
    ) -> bool:
        """Makes a slot for each `with … as name` (invariant 2 of `reading`). False if that is impossible."""
        if len(bindings) < 2 or any(each.kind != "with" for each in bindings) or scope.is_class:
            return False
        items = {each.node for each in bindings}
        around: dict[ast.Name, ast.AST] = {}
        for load in loads:
            found = _enclosing(file, load, items)
            if len(found) != 1:
                return False
            around[load] = found[0]
        for item in items:
            if _enclosing(file, item, items - {item}):
                return False
        for each in bindings:
            self._regions[each.node] = Slot(name, [(file, each)], scope)
        for load, item in around.items():
            self._regions[load] = self._regions[item]
        return True

    def slot_of(self, file: File, name: ast.Name | ast.withitem | ast.arg) -> Slot | None:
        """The slot of a name that is read or bound, or None for builtins."""
        if name in self._regions:
            return self._regions[name]
        if isinstance(name, ast.withitem):
            return (
                self.slot_of(file, name.optional_vars) if isinstance(name.optional_vars, ast.Name) else None
            )
        parent = file.module.parents.get(name)
        if isinstance(parent, ast.withitem) and parent in self._regions:
            return self._regions[parent]
        text = name.arg if isinstance(name, ast.arg) else name.id
        scope = file.module.scope_of[name]
        stored = isinstance(name, ast.arg) or not isinstance(name.ctx, ast.Load)
        found = scope.home(text) if stored else scope.find(text)
        return None if found is None else self.slot_at.get((found, text))

    def global_slot(self, file: File, name: str) -> Slot | None:
        return self.slot_at.get((file.module.root, name))

    # Classes and their attributes

    def family(self, node: ast.ClassDef) -> ast.ClassDef:
        """A class that represents all classes that inherit from each other."""
        while node in self._family:
            node = self._family[node]
        return node

    def _bases(self, file: File, node: ast.ClassDef) -> Iterable[ast.ClassDef]:
        for base in node.bases:
            value = self.value(file, base)
            if value is not None and value.kind == "class":
                yield value.what

    def find_attributes(self) -> bool:
        """Finds assignments to attributes. If it finds any, they may tell the classes of others."""
        unknown = []
        for file, each in self._stores:
            owner = self.value(file, each.value)
            if owner is not None and owner.kind in ("instance", "class"):
                self._add_attribute(owner.what, each.attr, file, _binding_of(file, each))
            else:
                unknown.append((file, each))
        found = len(unknown) < len(self._stores)
        self._stores = unknown
        return found

    def _add_attribute(self, node: ast.ClassDef, name: str, file: File, binding: Binding) -> None:
        key = (self.family(node), name)
        if key not in self._attributes:
            self._attributes[key] = Slot(f".{name}", [])
        self._attributes[key].bindings.append((file, binding))

    def attribute_slot(self, node: ast.ClassDef, name: str) -> Slot | None:
        return self._attributes.get((self.family(node), name))

    def method(
        self, node: ast.ClassDef, name: str, seen: frozenset[ast.ClassDef] = frozenset()
    ) -> Value | None:
        """The method that `instance.name` calls, or None."""
        file = self._home[node]
        for each in node.body:
            if isinstance(each, FUNCTIONS) and each.name == name:
                return Value("function", what=(file, each), maybe=True)
        for base in self._bases(file, node):
            if base not in seen and (found := self.method(base, name, seen | {node})) is not None:
                return found
        return None

    def is_overridden(self, node: ast.ClassDef, name: str) -> bool:
        """Whether several classes of a family have this method, so that a call may mean any of them."""
        root = self.family(node)
        owners = [
            each
            for each in self._home
            if isinstance(each, ast.ClassDef)
            and self.family(each) is root
            and any(isinstance(part, FUNCTIONS) and part.name == name for part in each.body)
        ]
        return len(owners) > 1


def _enclosing(file: File, node: ast.AST, items: set[ast.AST]) -> list[ast.AST]:
    """The `with` items whose name the node can see: those around it, and earlier ones of the same `with`."""
    found: list[ast.AST] = []
    below = node
    for above in file.module.ancestors(node):
        if isinstance(above, (ast.With, ast.AsyncWith)):
            in_item = below in above.items
            for position, item in enumerate(above.items):
                behind = not in_item or above.items.index(below) > position  # type: ignore[arg-type]
                if item in items and item is not below and behind:
                    found.append(item)
        below = above
    return found


def _binding_of(file: File, node: ast.Attribute) -> Binding:
    parent = file.module.parents[node]
    if isinstance(parent, (ast.Assign, ast.AnnAssign)):
        return Binding("assign", parent, parent.value)
    if isinstance(parent, ast.withitem):
        return Binding("with", parent, parent.context_expr)
    return Binding("other", parent)
