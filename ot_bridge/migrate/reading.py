"""`Reading`: the value of every expression, of every variable and of every function's result.

Theory of operation:
1. Variables are read without regard to order: a slot's value is the union of all that is ever put into it,
   and is
   known only if all of that is known and of one kind (None aside). So a known receiver is known on every
   path.
2. A name bound by `with … as name` alone, and read only inside those blocks, is one slot for each block.
3. A parameter without annotation is known if every use of the function below the paths is a call, and each
   passes
   the same kind. What code outside the paths passes is not seen; nor would it be rewritten.
4. What leads in a circle (a slot put into itself) adds nothing; a value found on the way round is not kept.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from typing import Any

from ot_bridge.migrate import legacy
from ot_bridge.migrate.annotations import kind_of
from ot_bridge.migrate.calls import Calls
from ot_bridge.migrate.expressions import HANDLERS
from ot_bridge.migrate.project import File, Project, shadowed
from ot_bridge.migrate.scopes import FUNCTIONS, Binding, Function, Scope
from ot_bridge.migrate.values import NONE, PENDING, Flow, Slot, Value, union


class Reading:
    """project: what is read. `value(file, node)` and `slot_of(file, name)` are what rules ask."""

    def __init__(self, project: Project, trust_names: bool = False, semconv: bool = False) -> None:
        self.project = project
        self.trust_names = trust_names
        self.semconv = semconv
        #: from a Jaeger configuration to OpenTelemetry's variables, if the caller can tell
        self.variables: Callable[[dict[str, Any]], Iterable[str]] | None = None
        self.calls = Calls()
        self.guess_parameters = False
        self._values: dict[ast.AST, Value | None] = {}
        self._flows: dict[ast.AST, Flow] = {}
        self._slots: dict[tuple[object, str], Slot] = {}
        self._regions: dict[ast.AST, Slot] = {}
        self._attributes: dict[tuple[ast.ClassDef, str], Slot] = {}
        self._results: dict[ast.AST, Slot] = {}
        self._family: dict[ast.ClassDef, ast.ClassDef] = {}
        self._home: dict[ast.AST, File] = {}
        self._trusted_flows: dict[tuple[File, str], Flow] = {}
        self._circle = False
        self._yields_of: dict[File, list[ast.AST]] = {}
        self._busy: list[Slot] = []
        self._depth = 0
        self._prepare()

    def _prepare(self) -> None:
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
        self._find_attributes(classes)
        self.calls.collect(self)
        self._values.clear()
        for slot in self.slots():
            slot.forget()
        self._flows.clear()
        self.guess_parameters = True

    def slots(self) -> Iterable[Slot]:
        yield from self._slots.values()
        yield from (slot for slot in self._regions.values())
        yield from self._attributes.values()
        yield from self._results.values()

    # Slots

    def _make_slots(self, file: File) -> None:
        module = file.module
        for scope in module.own.values():
            for name, bindings in scope.names.items():
                loads = scope.loads.get(name, [])
                if not self._make_regions(file, scope, name, bindings, loads):
                    self._slots[scope, name] = Slot(name, [(file, each) for each in bindings], scope)

    def _make_regions(
        self, file: File, scope: Scope, name: str, bindings: list[Binding], loads: list[ast.Name]
    ) -> bool:
        """A slot for each `with … as name` (invariant 2); whether that could be done."""
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
        """The slot of a name, read or bound; None for builtins."""
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
        return None if found is None else self._slots.get((found, text))

    def global_slot(self, file: File, name: str) -> Slot | None:
        return self._slots.get((file.module.root, name))

    # Classes and their attributes

    def family(self, node: ast.ClassDef) -> ast.ClassDef:
        """One class for all that inherit from each other."""
        while node in self._family:
            node = self._family[node]
        return node

    def _bases(self, file: File, node: ast.ClassDef) -> Iterable[ast.ClassDef]:
        for base in node.bases:
            value = self.value(file, base)
            if value is not None and value.kind == "class":
                yield value.what

    def _find_attributes(self, classes: list[tuple[File, ast.ClassDef]]) -> None:
        for file, node in classes:
            for name, bindings in file.module.own[node].names.items():
                for binding in bindings:
                    if binding.kind == "assign":
                        self._add_attribute(node, name, file, binding)
        for file in self.project.legacy:
            for each in file.module.nodes:
                if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Store):
                    owner = self.value(file, each.value)
                    if owner is not None and owner.kind in ("instance", "class"):
                        self._add_attribute(owner.what, each.attr, file, _binding_of(file, each))

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
        """The function that `instance.name` means."""
        file = self._home[node]
        for each in node.body:
            if isinstance(each, FUNCTIONS) and each.name == name:
                return Value("function", what=(file, each), maybe=True)
        for base in self._bases(file, node):
            if base not in seen and (found := self.method(base, name, seen | {node})) is not None:
                return found
        return None

    def is_overridden(self, node: ast.ClassDef, name: str) -> bool:
        """Whether more than one class of a family has a method of this name: a call may mean either."""
        root = self.family(node)
        owners = [
            each
            for each in self._home
            if isinstance(each, ast.ClassDef)
            and self.family(each) is root
            and any(isinstance(part, FUNCTIONS) and part.name == name for part in each.body)
        ]
        return len(owners) > 1

    def home(self, node: ast.ClassDef) -> File:
        return self._home[node]

    # Values

    def value(self, file: File, node: ast.AST) -> Value | None:
        """What an expression gives; None if nobody knows."""
        if node in self._values:
            return self._values[node]
        handler = HANDLERS.get(type(node))
        if handler is None:
            return None
        if self._depth > 60:  # absurdly nested code is code that nobody knows
            return None
        self._depth += 1
        try:
            value = handler(self, file, node)
        finally:
            self._depth -= 1
        if value is not None and value.kind != "pending" and value.flow is None and value.is_object:
            value = value._replace(flow=self._flows.setdefault(node, Flow()))
        if not self._circle:
            self._values[node] = value
        return value

    def slot_value(self, slot: Slot | None) -> Value | None:
        """What a variable holds, whatever put it there (invariant 1)."""
        if slot is None:
            return None
        if slot.state == "done":
            return slot.value
        if slot.state == "busy":
            self._circle = True
            return PENDING
        outermost = not self._busy
        slot.state = "busy"
        self._busy.append(slot)
        values = [self._bound(file, binding) for file, binding in slot.bindings]
        self._busy.pop()
        slot.state = "new"
        if outermost:
            self._circle = False
        value = union(values)
        if value is None and self.trust_names:
            value = self._trusted(slot, values)
        if value is not None and value.is_object:
            for each in values:
                if each is not None and each.flow is not None:
                    slot.flow.join(each.flow)
            value = value._replace(flow=slot.flow)
            if len({each.active for each in values if each is not None and each.kind != "pending"}) > 1:
                value = value._replace(what="mixed")
        if not self._circle:
            slot.state, slot.value = "done", value
        return value

    def _trusted(self, slot: Slot, values: list[Value | None]) -> Value | None:
        """What a variable would be by its name, if it is used as such, and nothing speaks against it."""
        match = legacy.BY_NAME.search(slot.name)
        kind = match[1] if match else ""
        if kind not in legacy.METHODS or any(
            each is not None and each.kind not in (kind, "none", "pending", "foreign") for each in values
        ):
            return None
        loads = [] if slot.scope is None else slot.scope.loads.get(slot.name, [])
        parents = [slot.bindings[0][0].module.parents.get(load) for load in loads]
        asked = any(isinstance(each, ast.Attribute) and each.attr in legacy.METHODS[kind] for each in parents)
        if not asked and not (slot.scope is None and kind != "scope"):
            return None
        return Value(kind, flow=slot.flow, shared=kind == "tracer", maybe=NONE in values)

    def trusted_attribute(self, file: File, node: ast.Attribute) -> Value | None:
        """The same for an attribute of something unknown: `request.span`."""
        match = legacy.BY_NAME.search(node.attr)
        if not self.trust_names or match is None or match[1] == "scope":
            return None
        flow = self._trusted_flows.setdefault((file, ast.unparse(node)), Flow())
        return Value(match[1], flow=flow, shared=match[1] == "tracer")

    def _bound(self, file: File, binding: Binding) -> Value | None:
        if binding.kind == "import":
            return self._imported(file, binding.node)
        if binding.kind == "def":
            return Value("function", what=(file, binding.node))
        if binding.kind == "class":
            return Value("class", what=binding.node)
        if binding.kind == "param":
            return self._parameter(file, binding.node)
        if binding.kind == "except":
            return Value("exception", what=binding.node)
        if isinstance(binding.node, ast.AnnAssign):
            kind = kind_of(self, file, binding.node.annotation)
            if kind is not None and (binding.value is None or _plain_none(binding.value)):
                return Value(kind[0], maybe=kind[1] or binding.value is not None)
        if binding.kind == "assign" and binding.value is not None:
            return self.value(file, binding.value)
        if binding.kind == "with" and binding.value is not None:
            held = self.value(file, binding.value)
            return held if held is not None and held.kind in ("scope", "span", "pending") else None
        return None

    def _imported(self, file: File, alias: ast.AST) -> Value | None:
        assert isinstance(alias, ast.alias)
        statement = file.module.parents[alias]
        if isinstance(statement, ast.Import):
            return self.named(file, alias.name if alias.asname else legacy.top(alias.name), alias)
        assert isinstance(statement, ast.ImportFrom)
        module = statement.module or ""
        if statement.level:
            base = file.package[: len(file.package) - statement.level + 1]
            module = ".".join([*base, *([module] if module else [])])
            return self._from_project(file, module, alias.name)
        if module == "opentracing.tracer":  # the module, not the global tracer
            module = "opentracing"
        if legacy.top(module) in legacy.PACKAGES and not shadowed(file.path, legacy.top(module)):
            return self.named(file, f"{module}.{alias.name}", alias)
        return self._from_project(file, module, alias.name) or Value("foreign", what=f"{module}.{alias.name}")

    def _from_project(self, file: File, module: str, name: str) -> Value | None:
        found = self.project.find(module, file)
        if found is not None and (slot := self.global_slot(found, name)) is not None:
            return self.slot_value(slot)
        submodule = self.project.find(f"{module}.{name}" if module else name, file)
        return Value("module", what=f"{module}.{name}") if submodule is not None else None

    def named(self, file: File, dotted: str, node: ast.AST) -> Value | None:
        """What a dotted name means that begins with a package."""
        top = legacy.top(dotted)
        if top not in legacy.PACKAGES or shadowed(file.path, top):
            return Value("module", what=dotted)
        if dotted in legacy.MODULES or dotted == top:
            return Value("module", what=dotted)
        short = legacy.canonical(dotted)
        if short == "opentracing.tracer":
            return Value("tracer", flow=self._flows.setdefault(node, Flow()), shared=True)
        if short in legacy.CONSTANTS:
            return Value("constant", what=short)
        return Value("api", what=short)

    def _parameter(self, file: File, node: ast.AST) -> Value | None:
        assert isinstance(node, ast.arg)
        arguments = file.module.parents[node]
        function = file.module.parents[arguments]
        if not isinstance(function, FUNCTIONS) or node in (arguments.vararg, arguments.kwarg):  # type: ignore[attr-defined]
            return None
        owner = file.module.parents[function]
        listed = [*arguments.posonlyargs, *arguments.args]  # type: ignore[attr-defined]
        if isinstance(owner, ast.ClassDef) and listed and listed[0] is node:
            marks = {each.id for each in function.decorator_list if isinstance(each, ast.Name)}
            if "staticmethod" not in marks:
                return Value("class" if "classmethod" in marks else "instance", what=owner)
        if node.annotation is not None:
            kind = kind_of(self, file, node.annotation)
            return None if kind is None else Value(kind[0], maybe=kind[1])
        if not self.guess_parameters:
            return None
        return self.calls.parameter(self, file, function, node)

    def result(self, file: File, function: Function) -> Slot:
        """The slot of what a function returns."""
        if function not in self._results:
            returns = [
                Binding("assign", each, each.value or ast.Constant(None))
                for each in file.module.nodes
                if isinstance(each, ast.Return) and _function_of(file, each) is function
            ]
            if (
                function.returns is not None
                and kind_of(self, file, function.returns) is not None
                and not returns
            ):
                returns = []
            self._results[function] = Slot(f"{function.name}()", [(file, each) for each in returns])
        return self._results[function]

    def called(self, file: File, function: Function) -> Value | None:
        """What a call of a function of the project gives."""
        if function.decorator_list and not _harmless(function):
            return None
        if any(
            isinstance(each, (ast.Yield, ast.YieldFrom)) and _function_of(file, each) is function
            for each in self._yields(file)
        ):
            return None
        return self.slot_value(self.result(file, function))

    def _yields(self, file: File) -> list[ast.AST]:
        cache = self._yields_of
        if file not in cache:
            cache[file] = [each for each in file.module.nodes if isinstance(each, (ast.Yield, ast.YieldFrom))]
        return cache[file]


def _enclosing(file: File, node: ast.AST, items: set[ast.AST]) -> list[ast.AST]:
    """Those of the `with` items in whose block (or behind which in the same `with`) the node stands."""
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


def _plain_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _function_of(file: File, node: ast.AST) -> ast.AST | None:
    return next(
        (each for each in file.module.ancestors(node) if isinstance(each, (*FUNCTIONS, ast.Lambda))), None
    )


def _harmless(function: Function) -> bool:
    return all(
        isinstance(each, ast.Name) and each.id in ("staticmethod", "classmethod")
        for each in function.decorator_list
    )
