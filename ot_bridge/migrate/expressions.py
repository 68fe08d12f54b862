"""Finds the value of one expression by its kind of node. `reading` finds the values of variables."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ot_bridge.migrate import legacy
from ot_bridge.migrate.values import NONE, Flow, Value, decorators_of, union

if TYPE_CHECKING:
    from ot_bridge.migrate.project import File
    from ot_bridge.migrate.reading import Reading


def _name(reading: Reading, file: File, node: ast.AST) -> Value | None:
    assert isinstance(node, ast.Name)
    return reading.slot_value(reading.slot_of(file, node))


def _constant(reading: Reading, file: File, node: ast.AST) -> Value | None:
    assert isinstance(node, ast.Constant)
    if node.value is None:
        return NONE
    return Value("literal", what=node.value)


def _attribute(reading: Reading, file: File, node: ast.AST) -> Value | None:
    assert isinstance(node, ast.Attribute)
    base = reading.value(file, node.value)
    if base is None:
        return reading.trusted_attribute(file, node)
    if base.kind == "pending":
        return base
    if base.kind == "module":
        name = f"{base.what}.{node.attr}"
        found = reading.project.find(base.what, file)
        if found is not None and (slot := reading.global_slot(found, node.attr)) is not None:
            return reading.slot_value(slot)
        return reading.named(file, name, node)
    if base.kind in ("api", "foreign"):
        return Value(base.kind, what=f"{base.what}.{node.attr}")
    if base.kind == "setup":
        return Value("member", what=f"{base.what}.{node.attr}")
    if base.kind in ("instance", "class"):
        method = reading.method(base.what, node.attr)
        if method is not None:
            home, definition = method.what
            decorators = decorators_of(definition)
            if decorators & _PROPERTIES:
                return reading.slot_value(reading.result(home, definition))
            bound = "staticmethod" not in decorators and (
                base.kind == "instance" or "classmethod" in decorators
            )
            return method._replace(maybe=bound)
        slot = reading.attribute_slot(base.what, node.attr)
        return reading.trusted_attribute(file, node) if slot is None else reading.slot_value(slot)
    member = _MEMBERS.get((base.kind, node.attr))
    return None if member is None else member(base)


_PROPERTIES: Final = frozenset({"property", "cached_property", "functools.cached_property"})
_MEMBERS: Final[dict[tuple[str, str], Callable[[Value], Value]]] = {
    ("tracer", "active_span"): lambda base: Value("span", active=True, maybe=True),
    ("tracer", "scope_manager"): lambda base: Value("manager", shared=base.shared),
    ("manager", "active"): lambda base: Value("scope", active=True, maybe=True),
    ("span", "context"): lambda base: Value("context", flow=base.flow, active=base.active),
    ("scope", "span"): lambda base: Value("span", flow=base.flow, active=base.active),
    ("scope", "manager"): lambda base: Value("manager"),
}
_RETURNS: Final[dict[tuple[str, str], Callable[[Value], Value]]] = {
    ("tracer", "start_span"): lambda base: Value("span"),
    ("tracer", "start_active_span"): lambda base: Value("scope"),
    ("tracer", "extract"): lambda base: Value("extracted"),
    ("manager", "activate"): lambda base: Value("scope"),
    ("span", "set_tag"): lambda base: Value("span", flow=base.flow, active=base.active),
    ("span", "log_kv"): lambda base: Value("span", flow=base.flow, active=base.active),
    ("span", "set_operation_name"): lambda base: Value("span", flow=base.flow, active=base.active),
    ("span", "set_baggage_item"): lambda base: Value("span", flow=base.flow, active=base.active),
}


def _call(reading: Reading, file: File, node: ast.AST) -> Value | None:
    assert isinstance(node, ast.Call)
    if isinstance(node.func, ast.Attribute):
        base = reading.value(file, node.func.value)
        if base is not None and (base.kind, node.func.attr) in _RETURNS:
            return _RETURNS[base.kind, node.func.attr](base)
    function = reading.value(file, node.func)
    if function is None or function.kind == "pending":
        return function
    if function.kind in ("api", "member"):
        return _api_call(function.what)
    if function.kind == "function":
        home, definition = function.what
        value = reading.called(home, definition)
        if isinstance(definition, ast.AsyncFunctionDef):
            return None if value is None else Value("coroutine", what=value)
        return value
    if function.kind == "class":
        return Value("instance", what=function.what)
    if function.kind in ("foreign", "module"):
        return Value("foreign", what=function.what)
    return None


def _api_call(name: str) -> Value | None:
    last = name.rpartition(".")[2]
    if name == "opentracing.global_tracer" or last == "initialize_tracer":
        return Value("tracer", shared=True)
    if name in ("opentracing.Tracer", "opentracing.mocktracer.MockTracer") or last in (
        "create_tracer",
        "new_tracer",
    ):
        return Value("tracer")
    if name == "opentracing.start_child_span" or last == "get_current_span":
        return Value("span", maybe=True)
    if legacy.top(name) in legacy.TRACERS:
        return Value("tracer") if last in ("Tracer", "BasicTracer") else Value("setup", what=name)
    return Value("setup", what=name)


def _await(reading: Reading, file: File, node: ast.AST) -> Value | None:
    assert isinstance(node, ast.Await)
    value = reading.value(file, node.value)
    return value.what if value is not None and value.kind == "coroutine" else None


def _choice(reading: Reading, file: File, parts: list[ast.expr]) -> Value | None:
    values = [reading.value(file, part) for part in parts]
    value = union(values)
    if value is not None and value.is_object:
        flow = Flow()
        for each in values:
            if each is not None and each.flow is not None:
                flow.join(each.flow)
        value = value._replace(flow=flow)
        if len({each.active for each in values if each is not None}) > 1:
            value = value._replace(what="mixed")
    return value


def _conditional(reading: Reading, file: File, node: ast.AST) -> Value | None:
    assert isinstance(node, ast.IfExp)
    return _choice(reading, file, [node.body, node.orelse])


def _either(reading: Reading, file: File, node: ast.AST) -> Value | None:
    assert isinstance(node, ast.BoolOp)
    return _choice(reading, file, node.values) if isinstance(node.op, ast.Or) else None


def _walrus(reading: Reading, file: File, node: ast.AST) -> Value | None:
    assert isinstance(node, ast.NamedExpr)
    return reading.value(file, node.value)


HANDLERS: Final[dict[type, Callable[[Reading, File, ast.AST], Value | None]]] = {
    ast.Name: _name,
    ast.Constant: _constant,
    ast.Attribute: _attribute,
    ast.Call: _call,
    ast.Await: _await,
    ast.IfExp: _conditional,
    ast.BoolOp: _either,
    ast.NamedExpr: _walrus,
}
