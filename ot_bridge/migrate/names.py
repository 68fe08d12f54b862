"""Names of legacy packages wherever they stand, and receivers that are known by their name only."""

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


class Names:
    """Of one file."""

    def __init__(self, reading: Reading, file: File, uses: list[Use]) -> None:
        self.reading = reading
        self.file = file
        self.uses = uses
        self._flows: dict[tuple[object, str], Flow] = {}

    def look(self, node: ast.AST) -> None:
        """Every node once."""
        handler = self._HANDLERS.get(type(node))
        if handler is not None:
            handler(self, node)

    def _add(self, node: ast.AST, code: str, text: str | None, flow: Flow | None = None) -> Use:
        block = None if text is None else Block(code, text)
        use = Use(self.file, node, code, flow or Flow(), [], block, always=True)
        self.uses.append(use)
        return use

    # Names

    def _expression(self, node: ast.AST) -> None:
        if not isinstance(getattr(node, "ctx", None), ast.Load):
            return
        assert isinstance(node, (ast.Name, ast.Attribute))
        value = self.reading.value(self.file, node)
        if value is None:
            return
        parent = self.file.module.parents[node]
        if isinstance(parent, ast.Attribute) and value.kind in ("module", "api"):
            above = self.reading.value(self.file, parent)
            if above is not None and (above.kind in ("api", "module", "constant") or above.is_object):
                return
        if value.kind == "constant":
            if isinstance(parent, ast.Compare) and any(
                isinstance(op, (ast.Is, ast.IsNot)) for op in parent.ops
            ):
                self._add(node, "OTB108", "a constant is compared by identity")
                return
            text = legacy.CONSTANTS[value.what]
            if self.reading.semconv:
                text = legacy.TODAY.get(text, text)
            self.uses.append(Use(self.file, node, "OTB108", Flow(), [Replace(node, f'"{text}"')]))
        elif value.kind == "tracer" and value.shared and self._is_of_the_module(node):
            self._tracer(node, value)
        elif value.kind == "api":
            self._api(node, value.what, parent)
        elif value.kind == "member":
            self._of_setup(node, value.what)
        elif value.kind == "module" and legacy.top(value.what) in legacy.PACKAGES:
            self._module(node, value.what, parent)

    def _is_of_the_module(self, node: ast.AST) -> bool:
        """Whether this is `opentracing.tracer`, and not a variable that holds it."""
        base = self.reading.value(self.file, node.value) if isinstance(node, ast.Attribute) else None
        return base is not None and base.kind == "module" and legacy.top(base.what) == legacy.API

    def _tracer(self, node: ast.AST, value: Value) -> None:
        self.uses.append(Use(self.file, node, "OTB101", value.flow, [Replace(node, "{tracer}")]))  # type: ignore[arg-type]

    def _module(self, node: ast.AST, name: str, parent: ast.AST) -> None:
        if isinstance(
            parent, (ast.Compare, ast.If, ast.UnaryOp, ast.BoolOp, ast.IfExp, ast.Call, ast.keyword)
        ):
            self._add(node, "OTB310", f"{name} is tested, patched or handed on as a module")

    def _api(self, node: ast.AST, name: str, parent: ast.AST) -> None:
        call = parent if isinstance(parent, ast.Call) and parent.func is node else None
        if legacy.top(name) != legacy.API:
            code = legacy.package_code(name)
            text = _SETUP[code] if call is None or not name.endswith(".Config") else self._config(call)
            self._add(node, code, text)
        elif name == "opentracing.global_tracer":
            value = None if call is None else self.reading.value(self.file, call)
            if call is None or value is None:
                self._add(node, "OTB302", "global_tracer is handed on as a function")
            else:
                self.uses.append(Use(self.file, call, "OTB101", value.flow, [Replace(call, "{tracer}")]))  # type: ignore[arg-type]
        elif name in legacy.CLASSES:
            self._class(node, name, parent, call)
        elif name in legacy.EXCEPTIONS:
            self._add(
                node,
                "OTB206",
                "OpenTelemetry's propagators never raise this; what is caught here is dead code",
            )
        elif name in legacy.REFERENCES:
            self._reference(node, name, call)
        elif name in legacy.FORMATS or name == "opentracing.Format":
            self._format(node, parent)
        else:
            self._add(node, *self._said(name))

    def _config(self, call: ast.Call) -> str:
        """What takes the place of jaeger-client's `Config`: `install()`, with the variables that it means."""
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        held = given.get("config", call.args[0] if call.args else None)
        service = given.get("service_name")
        try:
            config = ast.literal_eval(held) if held is not None else {}
            name = ast.literal_eval(service) if service is not None else None
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return _SETUP["OTB401"]
        if not isinstance(config, dict) or self.reading.variables is None:
            return _SETUP["OTB401"]
        said = " ".join(
            self.reading.variables({**config, **({} if name is None else {"service_name": name})})
        )
        return f"set-up: ot_bridge.install({'' if name is None else repr(name)}), or the SDK's, with {said}"

    def _of_setup(self, node: ast.AST, name: str) -> None:
        """A method of an object of another legacy package: `config.initialize_tracer`, `tracing.get_span`."""
        is_one = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Call)
        if name.rpartition(".")[2] in legacy.SET_UP_METHODS and not is_one:
            code = legacy.package_code(name)
            self._add(node, code, _SETUP[code])
        elif isinstance(node, ast.Attribute):
            self.by_name(node)  # a span that another package's function gave

    def _format(self, node: ast.AST, parent: ast.AST) -> None:
        call = self.file.module.parents[parent] if isinstance(parent, ast.keyword) else parent
        owner = (
            self.reading.value(self.file, call.func.value)
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
            else None
        )
        method = getattr(getattr(call, "func", None), "attr", "")
        if (owner is None or owner.kind != "tracer") and method not in ("inject", "extract"):
            self._add(
                node,
                "OTB306",
                "the format is used by something else than a known tracer's inject and extract",
            )
        else:
            self.uses.append(Use(self.file, node, "OTB108", Flow()))

    def _reference(self, node: ast.AST, name: str, call: ast.Call | None) -> None:
        if call is not None:
            for above in self.file.module.ancestors(call):
                if isinstance(above, ast.keyword) and above.arg == "references":
                    self.uses.append(Use(self.file, node, "OTB205", Flow()))
                    return
        self._add(node, "OTB205", "references: say by hand which is the parent, and which are links")

    def _class(self, node: ast.AST, name: str, parent: ast.AST, call: ast.Call | None) -> None:
        slot = self._annotated(node)
        if slot is not None:
            self._annotation(node, name, slot[0], slot[1])
        elif isinstance(parent, ast.ClassDef):
            self._add(node, "OTB307", f"a subclass of {name}; left as it is")
        elif call is not None and name == "opentracing.Tracer" and not call.args and not call.keywords:
            value = self.reading.value(self.file, call)
            assert value is not None
            self.uses.append(
                Use(self.file, node, "OTB101", value.flow, [Replace(node, "{trace}.NoOpTracer")], origin=True)  # type: ignore[arg-type]
            )
        else:
            self._add(node, "OTB302", f"{name} is used as a value; left as it is")

    def _quoted(self, node: ast.Constant) -> None:
        """An annotation in quotes: `"opentracing.Span"`."""
        found = kind_of(self.reading, self.file, node)
        slot = self._annotated(node) if found is not None else None
        if found is None or slot is None:
            return
        name = next(name for name, (kind, _) in legacy.CLASSES.items() if kind == found[0])
        self._annotation(node, name, slot[0], slot[1])

    def _annotated(self, node: ast.AST) -> tuple[Slot | None, Value | None] | None:
        """The variable in whose annotation a class stands, and its value; None if it stands in no
        annotation.
        """
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
            self._add(node, "OTB109", "what this annotation says of is not known everywhere; left as it is")
        elif new is None:
            block = Block("OTB303", f"OpenTelemetry has no {name.rpartition('.')[2]}")
            self.uses.append(Use(self.file, node, "OTB303", slot.flow, [], block))
        else:
            text = f'"{{trace}}.{new}"' if isinstance(node, ast.Constant) else f"{{trace}}.{new}"
            self.uses.append(Use(self.file, node, "OTB109", slot.flow, [Replace(node, text)]))

    def _made(self, node: ast.AST) -> None:
        """A tracer or span that is made by something without a counterpart: its flow is left."""
        assert isinstance(node, ast.Call)
        value = self.reading.value(self.file, node)
        function = self.reading.value(self.file, node.func)
        if value is None or not value.is_object or function is None or function.kind not in ("api", "member"):
            return
        if function.what == "opentracing.global_tracer" or (
            function.what == "opentracing.Tracer" and not node.args and not node.keywords
        ):
            return
        code, text = self._said(function.what)
        use = Use(self.file, node, code, value.flow, [], Block(code, text), shown=False, origin=True)  # type: ignore[arg-type]
        self.uses.append(use)

    def _said(self, name: str) -> tuple[str, str]:
        if legacy.top(name) != legacy.API:
            code = legacy.package_code(name)
            return code, _SETUP[code]
        return next((found for start, found in _OTHERS.items() if name.startswith(start)), _OTHER)

    # Other places

    def _import(self, node: ast.AST) -> None:
        assert isinstance(node, (ast.Import, ast.ImportFrom))
        module = "" if isinstance(node, ast.Import) or node.level else node.module or ""
        for alias in node.names:
            name = module or alias.name
            if legacy.top(name) not in legacy.PACKAGES or (isinstance(node, ast.ImportFrom) and node.level):
                continue
            if alias.name == "*":
                self._add(node, "OTB312", "a *-import: what it brings is not visible")
            elif legacy.top(name) != legacy.API and not self._is_used(node, alias):
                code = legacy.package_code(f"{module}.{alias.name}" if module else alias.name)
                self._add(node, code, _SETUP[code])

    def _is_used(self, node: ast.AST, alias: ast.alias) -> bool:
        name = alias.asname or alias.name.partition(".")[0]
        scope = self.file.module.scope_of[node].home(name)
        return bool(scope.loads.get(name))

    def _text(self, node: ast.AST) -> None:
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
            self._add(node, code, _SETUP.get(code, "a module by its name in a string"))

    def _store(self, node: ast.AST) -> None:
        """`opentracing.tracer = t`, and `opentracing = None` beside an import of it."""
        assert isinstance(node, ast.Assign)
        for target in node.targets:
            if isinstance(target, ast.Attribute):
                base = self.reading.value(self.file, target.value)
                if base is not None and base.kind == "module" and legacy.top(base.what) == legacy.API:
                    code = "OTB403" if target.attr == "tracer" else "OTB310"
                    self._add(target, code, _SETUP.get(code, "a name of the module is replaced"))
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

    _HANDLERS: Final = {
        ast.Name: _expression,
        ast.Attribute: _expression,
        ast.Call: _made,
        ast.Import: _import,
        ast.ImportFrom: _import,
        ast.Constant: _text,
        ast.Assign: _store,
    }

    # Receivers by name

    def by_name(self, node: ast.Attribute) -> None:
        """OTB301: the API's attribute on an unknown receiver; OTB209: what a test reads of a span."""
        if node.attr in legacy.SEEN and self.file.is_test and _is_a_span(node.value):
            self.uses.append(Use(self.file, node, "OTB209", Flow()))
            return
        shown = dotted(node.value)
        last = shown.rpartition(".")[2] if shown else ""
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
        flow = self._flows.setdefault((function, shown or ast.dump(node.value)), Flow())
        self._add(node, "OTB301", f"{shown or 'the receiver'} is known by its name only; left as it is", flow)
        self.uses[-1].always = False

    def _is_elsewhere(self, node: ast.expr) -> bool:
        """Whether a receiver comes from OpenTelemetry, or is a text's or a pattern's."""
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
    """Whether a receiver is called `span`, or is an item of what is called `spans` or `finished_spans()`."""
    if isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Call):
        node = node.func
    shown = dotted(node)
    return shown is not None and legacy.SPANS.search(shown.rpartition(".")[2]) is not None


_SETUP: Final = {
    "OTB401": "set-up: ot_bridge.install(service), or the SDK's provider, processor and exporter",
    "OTB402": "set-up of a tracer: samplers, exporters and propagators of OpenTelemetry take its place",
    "OTB403": "the global tracer: ot_bridge.install(service) sets it, and OpenTelemetry has its own",
    "OTB404": "a framework's package: ot_bridge's middleware, interceptors, or opentelemetry-instrumentation",
    "OTB405": "a client library's package: opentelemetry-instrumentation takes its place",
}
_OTHERS: Final = {
    "opentracing.mocktracer": (
        "OTB207",
        "MockTracer: ot_bridge.testing.RecordingTracer, or the SDK's in-memory exporter",
    ),
    "opentracing.harness": ("OTB207", "OpenTracing's own test harness"),
    "opentracing.scope_managers": (
        "OTB208",
        "OpenTelemetry's context follows threads' and tasks' variables by itself",
    ),
    "opentracing.set_global_tracer": ("OTB403", _SETUP["OTB403"]),
    "opentracing.is_global_tracer_registered": ("OTB403", _SETUP["OTB403"]),
    "opentracing.start_child_span": ("OTB309", "start_child_span asks a span for its tracer"),
}
_OTHER: Final = ("OTB308", "this is no part of OpenTracing's public API")
