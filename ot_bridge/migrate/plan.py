"""Plans the changes of each file: edits for flows that are rewritten, marks for those that are left, imports.

Theory of operation:
1. A use is rewritten if its flow is not blocked; its edits then determine which nodes vanish from the text.
2. An import is removed if every load of its name vanishes and no other file uses the name.
3. If an object is left, a mark is put above the statement that makes it, or else above its first use, once
   for each flow and function. Code that needs a person anyway (set-up, patches, subclasses, …) gets its own
   mark, and so does a use that is rewritten but has a note.
4. If the variable of the global tracer cannot be rewritten, the module's own tracer replaces the receiver.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from ot_bridge.migrate import legacy
from ot_bridge.migrate.edits import AddArgument, Call, Edit, ImportedTracer, Rename, Replace
from ot_bridge.migrate.judge import Judge
from ot_bridge.migrate.needs import (
    exported,
    identifiers,
    imported_pairs,
    in_types,
    opentelemetry,
    templates,
    vanishing,
)
from ot_bridge.migrate.project import File
from ot_bridge.migrate.scopes import FUNCTIONS, Scope
from ot_bridge.migrate.uses import Block, Use
from ot_bridge.migrate.values import Flow, Slot

MARK: Final = "# ot-bridge:"


@dataclass
class Plan:
    """The changes of one file. inline: calls whose receiver is replaced by the module's tracer. marks:
    statement (or `except` clause) -> the comment above it. dropped: import aliases that are removed. names:
    the values of the templates' placeholders. imports, tracers: lines to add.
    """

    file: File
    edits: list[Edit] = field(default_factory=list)
    inline: set[ast.Call] = field(default_factory=set)
    marks: dict[ast.AST, str] = field(default_factory=dict)
    dropped: set[ast.alias] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)
    slots: dict[Slot, str] = field(default_factory=dict)
    imports: list[str] = field(default_factory=list)
    tracers: list[str] = field(default_factory=list)
    rewritten: int = 0
    left: int = 0

    @property
    def is_empty(self) -> bool:
        return not (self.edits or self.marks or self.dropped)


def plans(judge: Judge) -> Iterator[Plan]:
    """One plan for each file that imports a legacy package."""
    for file in judge.reading.project.legacy:
        yield _Planner(judge, file).plan


class _Planner:
    def __init__(self, judge: Judge, file: File) -> None:
        self.judge = judge
        self.file = file
        self.plan = Plan(file)
        self.uses = list(judge.of(file))
        self._identifiers = identifiers(file.tree)
        self._choose()
        self._drop_imports()
        self._name_slots()
        self._name_modules()
        self._mark()

    # Edits

    def _choose(self) -> None:
        plan = self.plan
        added: list[AddArgument] = []
        for use in self.uses:
            left = self.judge.block_of(use) is not None
            if use.reported:
                plan.left += left
                plan.rewritten += not left
            if left:
                continue
            for edit in use.edits:
                if isinstance(edit, AddArgument):
                    added.append(edit)
                    continue
                plan.edits.append(edit)
                if (
                    isinstance(edit, Call)
                    and edit.tracer is not None
                    and not self.judge.tracer_goes(edit.tracer)
                ):
                    plan.inline.add(edit.node)
        for more in added:
            for position, edit in enumerate(plan.edits):
                if isinstance(edit, Call) and edit.node is more.node:
                    plan.edits[position] = Call(
                        edit.node, edit.function, edit.receiver, (*edit.arguments, more.argument), edit.tracer
                    )

    # Imports that are removed

    def _drop_imports(self) -> None:
        gone = {node for edit in self.plan.edits for node in vanishing(edit, self.plan.inline)}
        tracers = {edit.alias: edit.name for edit in self.plan.edits if isinstance(edit, ImportedTracer)}
        module = self.file.module
        for scope in module.own.values():
            for name, bindings in scope.names.items():
                aliases = [each.node for each in bindings if self._is_api(each.node)]
                if not aliases:
                    continue
                if name in [tracers.get(each) for each in aliases]:  # type: ignore[call-overload]
                    self.plan.dropped.update(aliases)  # type: ignore[arg-type]
                    self.plan.tracers.append(name)
                    continue
                others = len(aliases) < len(bindings)
                loads = scope.loads.get(name, [])
                if (
                    not others
                    and all(load in gone for load in loads)
                    and not self._is_seen(scope, name, loads)
                ):
                    self.plan.dropped.update(aliases)  # type: ignore[arg-type]

    def _is_api(self, node: ast.AST) -> bool:
        if not isinstance(node, ast.alias) or node.name == "*":
            return False
        statement = self.file.module.parents[node]
        if isinstance(statement, ast.ImportFrom):
            return not statement.level and legacy.top(statement.module or "") == legacy.API
        return legacy.top(node.name) == legacy.API

    def _is_seen(self, scope: Scope, name: str, loads: list[ast.Name]) -> bool:
        """Whether an imported name is needed by other modules, `__all__`, quoted types or type comments."""
        if scope.parent is not None:
            return False
        if not loads and (self.file.is_package or self._is_intended(scope, name)):
            return True
        if name in exported(self.file.tree) or name in in_types(self.file, self.plan.edits):
            return True
        for module in self.file.names:
            for each, imported in imported_pairs(self.judge):
                if imported == name and each and (module == each or module.endswith(f".{each}")):
                    return True
        return False

    def _is_intended(self, scope: Scope, name: str) -> bool:
        """Whether `# noqa` marks an import as intended although this file does not use it."""
        lines = self.file.source.data.split(b"\n")
        numbers = [getattr(each.node, "lineno", 1) for each in scope.names[name]]
        return any(number <= len(lines) and b"noqa" in lines[number - 1] for number in numbers)

    # Names

    def _name_slots(self) -> None:
        """Finds new names for `as scope` that the surrounding function does not use."""
        for edit in self.plan.edits:
            slot = edit.slot if isinstance(edit, (Rename, Replace)) else getattr(edit, "slot", None)
            if slot is not None and slot not in self.plan.slots:
                self.plan.slots[slot] = self._free_name(slot)

    def _free_name(self, slot: Slot) -> str:
        if slot.new_name is not None:
            return slot.new_name
        wished = slot.name.replace("scope", "span").replace("Scope", "Span")
        if wished == slot.name:
            return wished
        assert slot.scope is not None
        taken = identifiers(slot.scope.function().node)
        taken |= {
            name
            for other, name in self.plan.slots.items()
            if other.scope is not None
            and (other.scope is not slot.scope or other.name != slot.name)
            and other.scope.function() is slot.scope.function()
        }
        if slot.scope.parent is None:
            taken |= self._identifiers
        for candidate in (wished, f"{slot.name}_span", *(f"{wished}{number}" for number in range(2, 99))):
            if candidate not in taken:
                return candidate
        return slot.name

    def _name_modules(self) -> None:
        texts = [text for edit in self.plan.edits for text in templates(edit)]
        inline = len(self.plan.inline) + sum(text.count("{tracer}") for text in texts)
        everything = " ".join(texts) + ("{tracer}" if inline or self.plan.tracers else "")
        has = opentelemetry(self.file.tree)
        wanted: dict[str, list[str]] = {"opentelemetry": [], "opentelemetry.trace": []}
        for name in ("context", "propagate", "trace"):
            if f"{{{name}}}" in everything or (name == "trace" and "{tracer}" in everything):
                self.plan.names[name] = self._imported("opentelemetry", name, has, wanted)
        for name in ("SpanKind", "Status", "StatusCode"):
            if f"{{{name}}}" in everything:
                self.plan.names[name] = self._imported("opentelemetry.trace", name, has, wanted)
        made = f"{self.plan.names.get('trace')}.get_tracer(__name__)"
        if inline > 1 and "tracer" not in self._identifiers:
            self.plan.names["tracer"] = "tracer"
            self.plan.tracers.append("tracer")
        else:
            self.plan.names["tracer"] = made
        self.plan.tracers = [f"{name} = {made}" for name in dict.fromkeys(self.plan.tracers)]
        self.plan.imports = [
            f"from {module} import {', '.join(sorted(names, key=str.lower))}"
            for module, names in wanted.items()
            if names
        ]

    def _imported(self, module: str, name: str, has: dict[str, str], wanted: dict[str, list[str]]) -> str:
        if f"{module}.{name}" in has:
            return has[f"{module}.{name}"]
        if name not in self._identifiers:
            wanted[module].append(name)
            return name
        alias = f"otel_{name}" if name.islower() else f"Otel{name}"
        wanted[module].append(f"{name} as {alias}")
        return alias

    # Marks

    def _mark(self) -> None:
        chosen: dict[ast.AST, Block] = {}
        for use in self._to_mark():
            own = use.block if use.always else None
            block = own or self.judge.block_of(use) or use.note
            assert block is not None
            where = self._statement(use.node)
            if where not in chosen or (block.code[3] == "4" and chosen[where].code[3] != "4"):
                chosen[where] = block
        self.plan.marks = {
            where: f"{MARK} {block.code} {_plain(block.text)}" for where, block in chosen.items()
        }

    def _to_mark(self) -> Iterator[Use]:
        first: dict[tuple[Flow, object], Use] = {}
        for use in self.uses:
            left = self.judge.block_of(use) is not None
            if not left and use.note is None:
                continue
            if not left or (use.always and use.block is not None):
                yield use
                continue
            key = (use.flow.root, self._function(use.node))
            old = first.get(key)
            if old is None or (use.origin and not old.origin):
                first[key] = use
        yield from first.values()

    def _function(self, node: ast.AST) -> object:
        module = self.file.module
        statement = self._statement(node)
        if isinstance(statement, FUNCTIONS) and node is not statement:
            return module.own[statement]  # a parameter or an annotation
        return module.scope_of[node].nearest() if node in module.scope_of else None

    def _statement(self, node: ast.AST) -> ast.AST:
        """The statement or `except` clause above which the mark for a node is put."""
        module = self.file.module
        below = node
        while not isinstance(below, (ast.stmt, ast.ExceptHandler)):
            below = module.parents[below]
        while isinstance(below, ast.stmt):
            above = module.parents[below]
            inside = isinstance(above, (ast.stmt, ast.ExceptHandler)) and above.lineno == below.lineno
            if not inside:
                break
            below = above
        return below


def _plain(text: str) -> str:
    """The text on one line, in ASCII, which every encoding can hold."""
    return " ".join(text.encode("ascii", "replace").decode().split())
