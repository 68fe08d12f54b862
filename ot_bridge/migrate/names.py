"""Decides on the names of legacy packages in expressions."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from ot_bridge.migrate import legacy
from ot_bridge.migrate.edits import Replace
from ot_bridge.migrate.places import Places
from ot_bridge.migrate.uses import Block, Use
from ot_bridge.migrate.values import Flow, Value

if TYPE_CHECKING:
    pass


class Names(Places):
    """The names of legacy packages in the expressions of one file."""

    def look(self, node: ast.AST) -> None:
        """Visits every node once."""
        handler = self._HANDLERS.get(type(node))
        if handler is not None:
            handler(self, node)

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
            self._add(node, "OTB310", f"{name} is tested, patched or passed on as a module")

    def _api(self, node: ast.AST, name: str, parent: ast.AST) -> None:
        call = parent if isinstance(parent, ast.Call) and parent.func is node else None
        if legacy.top(name) != legacy.API:
            code = legacy.package_code(name)
            text = legacy.SETUP[code] if call is None or not name.endswith(".Config") else self._config(call)
            self._add(node, code, text)
        elif name == "opentracing.global_tracer":
            value = None if call is None else self.reading.value(self.file, call)
            if call is None or value is None:
                self._add(node, "OTB302", "global_tracer is passed on as a function")
            else:
                self.uses.append(Use(self.file, call, "OTB101", value.flow, [Replace(call, "{tracer}")]))  # type: ignore[arg-type]
        elif name in legacy.CLASSES:
            self._class(node, name, parent, call)
        elif name in legacy.EXCEPTIONS:
            self._add(
                node,
                "OTB206",
                "OpenTelemetry's propagators never raise this; the handler is dead code",
            )
        elif name in legacy.REFERENCES:
            self._reference(node, name, call)
        elif name in legacy.FORMATS or name == "opentracing.Format":
            self._format(node, parent)
        else:
            self._add(node, *legacy.advice(name))

    def _config(self, call: ast.Call) -> str:
        """The replacement of jaeger-client's `Config`: `install()` and the variables that mean the same."""
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        held = given.get("config", call.args[0] if call.args else None)
        service = given.get("service_name")
        try:
            config = ast.literal_eval(held) if held is not None else {}
            name = ast.literal_eval(service) if service is not None else None
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return legacy.SETUP["OTB401"]
        if not isinstance(config, dict) or self.reading.variables is None:
            return legacy.SETUP["OTB401"]
        variables = " ".join(
            self.reading.variables({**config, **({} if name is None else {"service_name": name})})
        )
        return (
            f"set-up: ot_bridge.install({'' if name is None else repr(name)}), or the SDK's, with {variables}"
        )

    def _of_setup(self, node: ast.AST, name: str) -> None:
        """A method of an object of another legacy package: `config.initialize_tracer`, `tracing.get_span`."""
        is_one = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Call)
        if name.rpartition(".")[2] in legacy.SET_UP_METHODS and not is_one:
            code = legacy.package_code(name)
            self._add(node, code, legacy.SETUP[code])
        elif isinstance(node, ast.Attribute):
            self.by_name(node)  # a span from a function of another package

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
                "the format is used outside inject and extract of a known tracer",
            )
        else:
            self.uses.append(Use(self.file, node, "OTB108", Flow()))

    def _reference(self, node: ast.AST, name: str, call: ast.Call | None) -> None:
        if call is not None:
            for above in self.file.module.ancestors(call):
                if isinstance(above, ast.keyword) and above.arg == "references":
                    self.uses.append(Use(self.file, node, "OTB205", Flow()))
                    return
        self._add(node, "OTB205", "references: a person decides which one is the parent, and which are links")

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

    def _made(self, node: ast.AST) -> None:
        """Blocks the flow of a tracer or span that is made by a function without a counterpart."""
        assert isinstance(node, ast.Call)
        value = self.reading.value(self.file, node)
        function = self.reading.value(self.file, node.func)
        if value is None or not value.is_object or function is None or function.kind not in ("api", "member"):
            return
        if function.what == "opentracing.global_tracer" or (
            function.what == "opentracing.Tracer" and not node.args and not node.keywords
        ):
            return
        code, text = legacy.advice(function.what)
        use = Use(self.file, node, code, value.flow, [], Block(code, text), reported=False, origin=True)  # type: ignore[arg-type]
        self.uses.append(use)

    _HANDLERS: Final = {
        ast.Name: _expression,
        ast.Attribute: _expression,
        ast.Call: _made,
        ast.Import: Places.imported,
        ast.ImportFrom: Places.imported,
        ast.Constant: Places.text,
        ast.Assign: Places.stored,
    }
