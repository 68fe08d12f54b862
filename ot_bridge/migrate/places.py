"""Finds names of legacy packages outside expressions, and receivers that are known only by their names.

Imports, annotations, texts that name a module, assignments to a module's names, and attributes of receivers
whose value is not known.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

from ot_bridge.migrate import legacy
from ot_bridge.migrate.annotations import kind_of
from ot_bridge.migrate.edits import Replace
from ot_bridge.migrate.scopes import FUNCTIONS
from ot_bridge.migrate.uses import Block, Use
from ot_bridge.migrate.values import Flow, Slot, Value, dotted

if TYPE_CHECKING:
    from ot_bridge.migrate.project import File
    from ot_bridge.migrate.reading import Reading

_PATCHERS: Final = frozenset({"patch", "object", "setattr", "dict"})


class Places:
    """The places in one file. References are added to `uses`."""

    def __init__(self, reading: Reading, file: File, uses: list[Use]) -> None:
        self.reading = reading
        self.file = file
        self.uses = uses
        self._flows: dict[tuple[object, str], Flow] = {}

    def _add(self, node: ast.AST, code: str, text: str | None, flow: Flow | None = None) -> Use:
        block = None if text is None else Block(code, text)
        use = Use(self.file, node, code, flow or Flow(), [], block, always=True)
        self.uses.append(use)
        return use

    def imported(self, node: ast.AST) -> None:
        assert isinstance(node, (ast.Import, ast.ImportFrom))
        module = "" if isinstance(node, ast.Import) or node.level else node.module or ""
        for alias in node.names:
            name = module or alias.name
            if legacy.top(name) not in legacy.PACKAGES or (isinstance(node, ast.ImportFrom) and node.level):
                continue
            if alias.name == "*":
                self._add(node, "OTB312", "a star import: the imported names are not visible")
            elif legacy.top(name) != legacy.API and not self._is_used(node, alias):
                code = legacy.package_code(f"{module}.{alias.name}" if module else alias.name)
                self._add(node, code, legacy.SETUP[code])

    def _is_used(self, node: ast.AST, alias: ast.alias) -> bool:
        name = alias.asname or alias.name.partition(".")[0]
        scope = self.file.module.scope_of[node].home(name)
        return bool(scope.loads.get(name))

    def text(self, node: ast.AST) -> None:
        assert isinstance(node, ast.Constant)
        if not isinstance(node.value, str):
            return
        if node.value.replace(".", "").isidentifier():
            self._quoted(node)
        if legacy.top(node.value) not in legacy.PACKAGES:
            return
        if not re.fullmatch(r"\w+(\.\w+)*", node.value):
            return
        parent = self.file.module.parents.get(node)
        if isinstance(parent, ast.Call):
            called = getattr(parent.func, "attr", getattr(parent.func, "id", ""))
            if called in ("import_module", "__import__"):
                self._add(node, "OTB311", f"{node.value} is imported by its name in a string")
            elif called in _PATCHERS:
                self._add(node, "OTB310", f"{node.value} is patched")
        elif isinstance(parent, (ast.List, ast.Tuple)) and "." in node.value:
            code = legacy.package_code(node.value) if legacy.top(node.value) != legacy.API else "OTB311"
            self._add(node, code, legacy.SETUP.get(code, "a string names a module"))

    def stored(self, node: ast.AST) -> None:
        """Reports `opentracing.tracer = t`, and `opentracing = None` in a file that also imports it."""
        assert isinstance(node, ast.Assign)
        for target in node.targets:
            if isinstance(target, ast.Attribute):
                base = self.reading.value(self.file, target.value)
                if base is not None and base.kind == "module" and legacy.top(base.what) == legacy.API:
                    code = "OTB403" if target.attr == "tracer" else "OTB310"
                    self._add(target, code, legacy.SETUP.get(code, "a name of the module is replaced"))
            elif isinstance(target, ast.Name):
                slot = self.reading.slot_of(self.file, target)
                kinds = {each.kind for _, each in slot.bindings} if slot is not None else set()
                if slot is not None and "import" in kinds and self._of_legacy(slot):
                    self._add(
                        target, "OTB310", f"{target.id} may be missing: the module is tested; left as it is"
                    )

    def _of_legacy(self, slot: Slot) -> bool:
        for file, each in slot.bindings:
            if isinstance(each.node, ast.alias):
                statement = file.module.parents[each.node]
                module = statement.module or "" if isinstance(statement, ast.ImportFrom) else each.node.name
                if legacy.top(module) in legacy.PACKAGES and not getattr(statement, "level", 0):
                    return True
        return False

    def _quoted(self, node: ast.Constant) -> None:
        """Reports an annotation in quotes: `"opentracing.Span"`."""
        found = kind_of(self.reading, self.file, node)
        slot = self._annotated(node) if found is not None else None
        if found is None or slot is None:
            return
        name = next(name for name, (kind, _) in legacy.CLASSES.items() if kind == found[0])
        self._annotation(node, name, slot[0], slot[1])

    def _annotated(self, node: ast.AST) -> tuple[Slot | None, Value | None] | None:
        """The variable in whose annotation a class is, and its value; None if it is not in an annotation."""
        below = node
        for above in self.file.module.ancestors(node):
            if isinstance(above, ast.arg) and above.annotation is below:
                slot = self.reading.slot_of(self.file, above)
                return slot, self.reading.slot_value(slot)
            if isinstance(above, ast.AnnAssign) and above.annotation is below:
                return self._target(above.target)
            if isinstance(above, FUNCTIONS) and above.returns is below:
                if kind_of(self.reading, self.file, above.returns) is None:
                    return None, None
                slot = self.reading.result(self.file, above)
                return slot, self.reading.slot_value(slot)
            if isinstance(above, ast.stmt):
                return None
            below = above
        return None

    def _target(self, target: ast.expr) -> tuple[Slot | None, Value | None]:
        slot = None
        if isinstance(target, ast.Name):
            slot = self.reading.slot_of(self.file, target)
        elif isinstance(target, ast.Attribute):
            owner = self.reading.value(self.file, target.value)
            if owner is not None and owner.kind in ("instance", "class"):
                slot = self.reading.attribute_slot(owner.what, target.attr)
        return slot, self.reading.slot_value(slot)

    def _annotation(self, node: ast.AST, name: str, slot: Slot | None, value: Value | None) -> None:
        kind, new = legacy.CLASSES[name]
        if slot is None or value is None or value.kind != kind:
            self._add(
                node, "OTB109", "the value of the annotated variable is not known everywhere; left as it is"
            )
        elif new is None:
            block = Block("OTB303", f"OpenTelemetry has no {name.rpartition('.')[2]}")
            self.uses.append(Use(self.file, node, "OTB303", slot.flow, [], block))
        else:
            text = f'"{{trace}}.{new}"' if isinstance(node, ast.Constant) else f"{{trace}}.{new}"
            self.uses.append(Use(self.file, node, "OTB109", slot.flow, [Replace(node, text)]))

    def by_name(self, node: ast.Attribute) -> None:
        """Reports the API's attributes on unknown receivers (OTB301) and those that a test reads (OTB209)."""
        if node.attr in legacy.SEEN and self.file.is_test and _is_a_span(node.value):
            self.uses.append(Use(self.file, node, "OTB209", Flow()))
            return
        name = dotted(node.value)
        last = name.rpartition(".")[2] if name else ""
        match = legacy.BY_NAME.search(last)
        kind = match[1] if match else None
        known = (
            kind is not None
            and node.attr in legacy.METHODS[kind]
            and node.attr not in ("close", "reset", "flush")
        )
        if not (known or node.attr in legacy.TELLING) or self._is_elsewhere(node.value):
            return
        function = self.file.module.scope_of[node].nearest()
        flow = self._flows.setdefault((function, name or self.file.text(node.value)), Flow())
        self._add(node, "OTB301", f"{name or 'the receiver'} is known only by its name; left as it is", flow)
        self.uses[-1].always = False

    def _is_elsewhere(self, node: ast.expr) -> bool:
        """Whether a receiver comes from OpenTelemetry, or belongs to a string or a pattern."""
        value = self.reading.value(self.file, node)
        if value is not None:
            return value.kind not in ("setup", "member")
        if isinstance(node, ast.Name) and (slot := self.reading.slot_of(self.file, node)) is not None:
            for file, each in slot.bindings:
                held = None if each.value is None else self.reading.value(file, each.value)
                if (
                    held is not None
                    and held.kind == "foreign"
                    and legacy.top(held.what) in ("opentelemetry", "re")
                ):
                    return True
        return False


def _is_a_span(node: ast.expr) -> bool:
    """Whether a receiver is named `span`, or is an item of `spans` or `finished_spans()`."""
    if isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Call):
        node = node.func
    name = dotted(node)
    return name is not None and legacy.SPANS.search(name.rpartition(".")[2]) is not None
