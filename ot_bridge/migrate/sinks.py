"""Follows objects into variables, arguments, results and tests, and finds where they cannot be followed."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from ot_bridge.migrate import legacy
from ot_bridge.migrate.calls import argument, has_hidden_arguments, outside, parameter_of
from ot_bridge.migrate.edits import Edit, ImportedTracer
from ot_bridge.migrate.rules.active import consumes, test
from ot_bridge.migrate.scopes import FUNCTIONS
from ot_bridge.migrate.uses import Block, Site, Use
from ot_bridge.migrate.values import WORDS, Slot, Value, dotted

if TYPE_CHECKING:
    from ot_bridge.migrate.project import File
    from ot_bridge.migrate.reading import Reading


class Sinks:
    """Follows the objects of one file."""

    def __init__(self, reading: Reading, file: File, uses: list[Use]) -> None:
        self.reading = reading
        self.file = file
        self.uses = uses

    def goes(self, node: ast.expr, value: Value) -> None:
        """Joins the object's flow with the flow of its target, or blocks it."""
        parent = self.file.module.parents.get(node)
        if parent is None or (isinstance(parent, ast.Attribute) and parent.value is node):
            return
        if value.kind == "scope" and value.active:
            return  # the rule of `scope_manager.active` decides
        if value.kind == "scope" and not isinstance(node, ast.Call):
            self._add(node, value, Block("OTB303", "the scope is used for more than its span"))
            return
        site = Site(self.reading, self.file, node, value, value.flow, None)  # type: ignore[arg-type]
        tested = test(site, node, value) if value.kind != "tracer" or value.active else None
        if tested is True:
            return
        if tested is not None:
            self._add(node, value, tested if isinstance(tested, Block) else None, tested)  # type: ignore[arg-type]
            return
        handler = getattr(self, f"_{type(parent).__name__.lower()}", None)
        problem = handler(node, value, parent) if handler is not None else self._kept(value)
        if problem is not None:
            self._add(node, value, problem)

    def _add(self, node: ast.AST, value: Value, block: Block | None, edit: Edit | None = None) -> None:
        assert value.flow is not None
        edits = [] if block is not None or edit is None else [edit]
        code = block.code if block else "OTB107"
        use = Use(self.file, node, code, value.flow, edits, block, reported=False)
        use.always = value.shared
        self.uses.append(use)

    def _kept(self, value: Value) -> Block:
        return Block("OTB302", f"{WORDS[value.kind]} goes where it cannot be followed; left as it is")

    # Targets that can be followed

    def _expr(self, node: ast.expr, value: Value, parent: ast.AST) -> Block | None:
        if value.kind == "scope" and not value.active and isinstance(node, ast.Call):
            return Block("OTB303", "the scope is never closed")
        return None

    def _compare(self, node: ast.expr, value: Value, parent: ast.AST) -> Block | None:
        return (
            self._kept(value)
            if not any(_is_none(each) for each in getattr(parent, "comparators", ()))
            else None
        )

    def _if(self, node: ast.expr, value: Value, parent: ast.AST) -> Block | None:
        return None  # a truth test of a tracer

    def _unaryop(self, node: ast.expr, value: Value, parent: ast.AST) -> Block | None:
        return None

    def _ifexp(self, node: ast.expr, value: Value, parent: ast.IfExp) -> Block | None:
        return self._choice(node, value, parent)

    def _boolop(self, node: ast.expr, value: Value, parent: ast.BoolOp) -> Block | None:
        found = self._choice(node, value, parent)
        if found is None and (value.active or value.maybe) and value.kind != "tracer":
            return Block("OTB302", f"{WORDS[value.kind]} is one of several possible values; left as it is")
        return found

    def _choice(self, node: ast.expr, value: Value, parent: ast.expr) -> Block | None:
        whole = self.reading.value(self.file, parent)
        return None if whole is not None and whole.kind == value.kind else self._kept(value)

    def _namedexpr(self, node: ast.expr, value: Value, parent: ast.NamedExpr) -> Block | None:
        return (
            self._into(value, self.reading.slot_of(self.file, parent.target))
            if parent.value is node
            else None
        )

    def _assign(self, node: ast.expr, value: Value, parent: ast.Assign) -> Block | None:
        for target in parent.targets:
            problem = self._into(value, self._slot(target))
            if problem is not None:
                return problem
        if value.kind == "scope" and isinstance(node, ast.Call):
            return Block(
                "OTB303", "the scope is used without with; use start_as_current_span in a with block"
            )
        return None

    def _annassign(self, node: ast.expr, value: Value, parent: ast.AnnAssign) -> Block | None:
        return self._into(value, self._slot(parent.target)) if parent.value is node else None

    def _slot(self, target: ast.expr) -> Slot | None:
        if isinstance(target, ast.Name):
            return self.reading.slot_of(self.file, target)
        if isinstance(target, ast.Attribute):
            owner = self.reading.value(self.file, target.value)
            if owner is not None and owner.kind in ("instance", "class"):
                return self.reading.attribute_slot(owner.what, target.attr)
        return None

    def _into(self, value: Value, slot: Slot | None) -> Block | None:
        held = self.reading.slot_value(slot)
        if slot is None or held is None or held.kind != value.kind:
            where = "a place" if slot is None else f"{slot.name.lstrip('.')}, which also holds other values"
            if slot is None:
                return self._kept(value)
            return Block("OTB302", f"{WORDS[value.kind]} is assigned to {where}; left as it is")
        slot.flow.join(value.flow)  # type: ignore[arg-type]
        return None

    def _withitem(self, node: ast.expr, value: Value, parent: ast.withitem) -> Block | None:
        if value.kind == "span":
            if parent.optional_vars is None:
                return None
            named = isinstance(parent.optional_vars, ast.Name)
            return self._into(value, self.reading.slot_of(self.file, parent) if named else None)
        if value.kind == "scope" and isinstance(node, ast.Call):
            return None  # the rule of the start decides
        return Block("OTB303", "the scope is used without with")

    def _call(self, node: ast.expr, value: Value, parent: ast.Call) -> Block | None:
        if parent.func is node:
            return None
        site = Site(self.reading, self.file, node, value, value.flow)  # type: ignore[arg-type]
        if consumes(site, parent, node):
            return None
        return self._given(node, value, parent)

    def _keyword(self, node: ast.expr, value: Value, parent: ast.keyword) -> Block | None:
        site = Site(self.reading, self.file, node, value, value.flow)  # type: ignore[arg-type]
        if consumes(site, parent, node):
            return None
        call = self.file.module.parents[parent]
        return self._given(node, value, call) if isinstance(call, ast.Call) else self._kept(value)

    def _given(self, node: ast.expr, value: Value, call: ast.Call) -> Block | None:
        function = self.reading.value(self.file, call.func)
        callee = dotted(call.func) or "a function"
        if function is not None and function.kind == "class":
            made = self.reading.method(function.what, "__init__")
            function = made
        if function is None or function.kind != "function":
            if function is not None and function.kind == "api" and value.kind == "tracer":
                return Block(_api_code(function.what), f"the tracer is passed to {callee}(); left as it is")
            return Block(
                "OTB302",
                f"{WORDS[value.kind]} is passed to {callee}(), which is not below the paths; left as it is",
            )
        home, definition = function.what
        owner = home.module.parents[definition]
        if isinstance(owner, ast.ClassDef) and self.reading.is_overridden(owner, definition.name):
            return Block("OTB302", f"{WORDS[value.kind]} is passed to {callee}(), which a subclass overrides")
        parameter = parameter_of(definition, call, node, function.maybe)
        slot = None if parameter is None else self.reading.slot_of(home, parameter)
        held = self.reading.slot_value(slot)
        if slot is None or held is None or held.kind != value.kind:
            return Block(
                "OTB302",
                f"{WORDS[value.kind]} is passed to {callee}(), where its type is not known; left as it is",
            )
        slot.flow.join(value.flow)  # type: ignore[arg-type]
        return None

    def _return(self, node: ast.expr, value: Value, parent: ast.Return) -> Block | None:
        function = next(
            (each for each in self.file.module.ancestors(node) if isinstance(each, FUNCTIONS)), None
        )
        if function is None:
            return self._kept(value)
        left = Block(
            "OTB302", f"{WORDS[value.kind]} is returned by {function.name}(), and not all callers are known"
        )
        if not self.reading.calls.closed(self.reading, self.file, function):
            return left
        held = self.reading.called(self.file, function)
        return left if held is None or held.kind != value.kind else None

    # Values of variables that have an annotation or are used by other files

    def slots(self) -> None:
        """Blocks variables that files without a legacy import use, and parameters that get unknown values."""
        for scope in self.file.module.own.values():
            for name in scope.names:
                slot = self.reading.slot_at.get((scope, name))
                if slot is not None:
                    self._seen(slot, name, scope is self.file.module.root)
        for node in self.file.module.nodes:
            if isinstance(node, FUNCTIONS):
                self._calls_of(node)

    def _seen(self, slot: Slot, name: str, is_global: bool) -> None:
        value = self.reading.slot_value(slot)
        if value is None or not value.is_object:
            return
        _, binding = slot.bindings[0]
        if is_global and (where := outside(self.reading, self.file, name)) is not None:
            self._block(
                binding.node,
                value,
                f"{name} is used in {where}, which has no import to change; left as it is",
            )
        if isinstance(binding.node, ast.alias):
            use = Use(self.file, binding.node, "OTB101", slot.flow, reported=False)
            if is_global and value.kind == "tracer" and len(slot.bindings) == 1:
                use.edits = [ImportedTracer(binding.node, name)]
            elif legacy.top(_source(self.file, binding.node)) in legacy.PACKAGES:
                use.block = Block("OTB101", "the tracer is imported where an assignment is not possible")
            self.uses.append(use)
        for _, each in slot.bindings:
            given = each.value if isinstance(each.node, ast.AnnAssign) else None
            if given is None or self.reading.suggested(name) == value.kind:
                continue
            if self.reading.value(self.file, given) is None:
                self._block(each.node, value, f"{name} gets a value that is not known; left as it is")

    def _block(self, node: ast.AST, value: Value, text: str) -> None:
        assert value.flow is not None
        self.uses.append(
            Use(self.file, node, "OTB302", value.flow, [], Block("OTB302", text), reported=False)
        )

    def _calls_of(self, function: ast.AST) -> None:
        assert isinstance(function, FUNCTIONS)
        arguments = function.args
        for each in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
            value = self.reading.slot_value(self.reading.slot_of(self.file, each))
            if value is None or not value.is_object:
                continue

            for home, call, bound in self.reading.calls.of(function):
                given = argument(function, call, each, bound)
                passed = None if given is None else self.reading.value(home, given)
                unknown = passed is None or passed.kind not in (value.kind, "none")
                if unknown if given is not None else has_hidden_arguments(call):
                    self._block(
                        each, value, f"{function.name}() is also called with a value that is not known"
                    )


def _api_code(name: str) -> str:
    return (
        "OTB403"
        if name == "opentracing.set_global_tracer"
        else ("OTB302" if legacy.top(name) == legacy.API else legacy.package_code(name))
    )


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _source(file: File, alias: ast.alias) -> str:
    statement = file.module.parents[alias]
    return (statement.module or "") if isinstance(statement, ast.ImportFrom) and not statement.level else ""
