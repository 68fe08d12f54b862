"""`Reading`: finds the values of all expressions, variables and function results.

Theory of operation:
1. The order of assignments does not matter. The value of a slot is the union of all values that are assigned
   to it. It is known only if all of them are known and of one kind, apart from None. So a known receiver is
   known on every path.
2. A name that only `with … as name` binds, and that is read only inside those blocks, has a slot for each
   block.
3. A parameter without annotation is known if every use of the function below the paths is a call and all
   calls pass the same kind. Calls outside the paths are not seen, and would not be rewritten either.
4. A cycle (a slot that is assigned to itself) adds no value. A value that was found inside the cycle is not
   kept.
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
from ot_bridge.migrate.scopes import FUNCTIONS, Binding, Function
from ot_bridge.migrate.slots import Slots
from ot_bridge.migrate.values import NONE, PENDING, Flow, Slot, Value, decorators_of, union


class Reading(Slots):
    """The values in a project. Rules call `value(file, node)` and `slot_of(file, name)`."""

    def __init__(self, project: Project, trust_names: bool = False, semconv: bool = False) -> None:
        super().__init__(project)
        self.trust_names = trust_names
        self.semconv = semconv
        #: The caller's function that translates a Jaeger configuration to OpenTelemetry's variables, or None
        self.variables: Callable[[dict[str, Any]], Iterable[str]] | None = None
        self.calls = Calls()
        self.guess_parameters = False
        self._values: dict[ast.AST, Value | None] = {}
        self._flows: dict[ast.AST, Flow] = {}
        self._results: dict[ast.AST, Slot] = {}
        self._trusted_flows: dict[tuple[File, str], Flow] = {}
        self._circle = False
        self._yields_of: dict[File, list[ast.AST]] = {}
        self._busy: list[Slot] = []
        self._depth = 0
        self._prepare()

    def _prepare(self) -> None:
        self.find_slots()
        while self.find_attributes():
            self._forget()
        self.calls.collect(self)
        self._forget()
        self.guess_parameters = True

    def _forget(self) -> None:
        """Forgets all values, because more is known now."""
        self._values.clear()
        for slot in (*self.slots(), *self._results.values()):
            slot.forget()
        self._flows.clear()

    # Values

    def value(self, file: File, node: ast.AST) -> Value | None:
        """The value of an expression; None if it is not known."""
        if node in self._values:
            return self._values[node]
        handler = HANDLERS.get(type(node))
        if handler is None:
            return None
        if self._depth > 60:  # extremely nested code has no known value
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
        """The union of all values that are assigned to a variable (invariant 1)."""
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
        values = [self.bound(file, binding) for file, binding in slot.bindings]
        self._busy.pop()
        slot.state = "new"
        if outermost:
            self._circle = False
        value = union(values)
        if value is None:
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

    def suggested(self, name: str) -> str:
        """The kind that a name suggests; empty if names are not trusted.

        A name never suggests a scope, because how to rewrite one depends on where it was made.
        """
        match = legacy.BY_NAME.search(name) if self.trust_names else None
        return match[1] if match and match[1] != "scope" else ""

    def _trusted(self, slot: Slot, values: list[Value | None]) -> Value | None:
        """The value that a variable's name suggests, if it is used accordingly and nothing contradicts it."""
        kind = self.suggested(slot.name)
        if not kind:
            return None
        if any(each is not None and each.kind not in (kind, "none", "pending", "foreign") for each in values):
            return None
        loads = [] if slot.scope is None else slot.scope.loads.get(slot.name, [])
        parents = [slot.bindings[0][0].module.parents.get(load) for load in loads]
        used = any(isinstance(each, ast.Attribute) and each.attr in legacy.METHODS[kind] for each in parents)
        if not used and slot.scope is not None:
            return None
        return Value(kind, flow=slot.flow, shared=kind == "tracer", maybe=NONE in values)

    def trusted_attribute(self, file: File, node: ast.Attribute) -> Value | None:
        """The value that the name of an attribute of an unknown object suggests, such as `request.span`."""
        kind = self.suggested(node.attr)
        if not kind:
            return None
        flow = self._trusted_flows.setdefault((file, ast.unparse(node)), Flow())
        return Value(kind, flow=flow, shared=kind == "tracer")

    def bound(self, file: File, binding: Binding) -> Value | None:
        """The value that one binding gives to its name."""
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
        """The value of a dotted name that begins with a package."""
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
            decorators = decorators_of(function)
            if "staticmethod" not in decorators:
                return Value("class" if "classmethod" in decorators else "instance", what=owner)
        if node.annotation is not None:
            kind = kind_of(self, file, node.annotation)
            return None if kind is None else Value(kind[0], maybe=kind[1])
        if not self.guess_parameters:
            return None
        return self.calls.parameter(self, file, function, node)

    def result(self, file: File, function: Function) -> Slot:
        """The slot of a function's result."""
        if function not in self._results:
            returns = [
                Binding("assign", each, each.value or ast.Constant(None))
                for each in file.module.nodes
                if isinstance(each, ast.Return) and _function_of(file, each) is function
            ]
            self._results[function] = Slot(f"{function.name}()", [(file, each) for each in returns])
        return self._results[function]

    def called(self, file: File, function: Function) -> Value | None:
        """The value of a call of a function of the project."""
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
