"""The active span: `active_span`, `scope_manager.active.span`, `scope_manager.activate`, tests for None."""

from __future__ import annotations

import ast

from ot_bridge.migrate import legacy
from ot_bridge.migrate.edits import Argument, Call, Edit, Rename, Replace, Split
from ot_bridge.migrate.uses import Block, Site
from ot_bridge.migrate.values import Value

_HELD = Block("OTB303", "the active scope is used by itself; OpenTelemetry has only the current span")


def active_span(site: Site) -> list[Edit] | Block:
    """Rewrites `tracer.active_span` to `trace.get_current_span()`, which is never None."""
    return [Replace(site.node, "{trace}.get_current_span()")]


def scope_manager(site: Site) -> list[Edit] | Block:
    """Adds no edit: the rule of the attribute that is read from the manager decides."""
    parent = site.parent(site.node)
    if isinstance(parent, ast.Attribute) and parent.attr in ("active", "activate"):
        return []
    return Block("OTB303", "OpenTelemetry has no scope manager")


def active(site: Site) -> list[Edit] | Block:
    """Rewrites `.active.span`, and `.active is None`."""
    parent = site.parent(site.node)
    if isinstance(parent, ast.Attribute) and parent.attr == "span":
        return []
    tested = test(site, site.node, Value("span", flow=site.flow, active=True))
    if isinstance(tested, Replace):
        return [Replace(tested.node, tested.template.replace("{0}", "{trace}.get_current_span()"))]
    return _HELD


def scope_span(site: Site) -> list[Edit] | Block:
    """Rewrites `scope.span` to the name after `as`, which is the span in OpenTelemetry."""
    node = site.node.value
    value = site.value(node)
    if isinstance(node, ast.Name) and value is not None and not value.active:
        slot = site.reading.slot_of(site.file, node)
        name = _name_for_it(site)
        if name is not None and slot is not None and slot.new_name in (None, name):
            slot.new_name = name
            return [Split(site.statement)]
        return [Replace(site.node, "{name}", slot=slot)]
    if isinstance(node, ast.Attribute) and node.attr == "active":
        return [Replace(site.node, "{trace}.get_current_span()")]
    return _HELD if value is not None and value.active else Block("OTB303", "the scope is used without with")


def _name_for_it(site: Site) -> str | None:
    """For `with … as scope: span = scope.span`: the name of the span, if it names nothing else."""
    statement = site.statement
    if (
        not isinstance(statement, ast.Assign)
        or statement.value is not site.node
        or len(statement.targets) > 1
        or not site.is_removable
    ):
        return None
    target = statement.targets[0]
    slot = site.reading.slot_of(site.file, target) if isinstance(target, ast.Name) else None
    if slot is None or not all(_is_first(site, binding.node) for _, binding in slot.bindings):
        return None
    here = site.file.module.scope_of[site.node]
    return slot.name if slot.scope is here and here.parent is not None else None


def _is_first(site: Site, statement: ast.AST) -> bool:
    """Whether this is `name = scope.span` as the first statement of `with … as scope:`."""
    above = site.file.module.parents.get(statement)
    return (
        isinstance(statement, ast.Assign)
        and isinstance(statement.value, ast.Attribute)
        and statement.value.attr == "span"
        and isinstance(statement.value.value, ast.Name)
        and isinstance(above, (ast.With, ast.AsyncWith))
        and above.body[0] is statement
        and any(
            isinstance(item.optional_vars, ast.Name) and item.optional_vars.id == statement.value.value.id
            for item in above.items
        )
    )


def activate(site: Site) -> list[Edit] | Block:
    """Rewrites `activate(span, …)` to `trace.use_span(span, end_on_exit=…)` in a `with` statement."""
    given = site.arguments()
    if isinstance(given, Block):
        return given
    item = site.parent(site.called)
    if not (isinstance(item, ast.withitem) and isinstance(item.optional_vars, (ast.Name, type(None)))):
        return Block("OTB303", "the scope is used without with; use trace.use_span in a with block")
    value = site.value(given["span"]) if "span" in given else None
    if value is None or value.kind != "span" or value.what == "mixed":
        return Block("OTB304", "the type of the activated object is not known")
    assert value.flow is not None
    site.flow.join(value.flow)
    edits: list[Edit] = []
    if item.optional_vars is not None:
        slot = site.reading.slot_of(site.file, item)
        held = site.reading.slot_value(slot)
        if slot is None or held is None or held.kind != "scope":
            return Block("OTB303", "the name after `as` also holds other values")
        edits.append(Rename(item, slot))
    arguments = [Argument(given["span"])]
    if "finish_on_close" in given:
        arguments.append(Argument(given["finish_on_close"], "end_on_exit"))
    return [*edits, Call(site.called, "{trace}.use_span", None, tuple(arguments))]


def context(site: Site) -> list[Edit] | Block:
    """Rewrites `span.context` to the span context, except where the rule of `child_of` or `inject` does."""
    parent = site.parent(site.node)
    if consumes(site, parent, site.node):
        return []
    return [Replace(site.node, "{0}.get_span_context()", (site.node.value,))]


def id_of_a_context(site: Site) -> list[Edit] | Block:
    """Adds no edit: `trace_id` and `span_id` are the same in OpenTelemetry's span context."""
    return []


def consumes(site: Site, parent: ast.AST, node: ast.AST) -> bool:
    """Whether the argument belongs to a call of the API whose rule rewrites it."""
    call = site.parent(parent) if isinstance(parent, ast.keyword) else parent
    if not isinstance(call, ast.Call) or call.func is node:
        return False
    function = site.value(call.func)
    if function is not None and function.kind == "api":
        return function.what in legacy.REFERENCES and _is_reference_of_a_start(site, call)
    if not isinstance(call.func, ast.Attribute):
        return False
    owner = site.value(call.func.value)
    kind = owner.kind if owner is not None else None
    if isinstance(parent, ast.keyword):
        name = parent.arg
    else:
        position = call.args.index(node) if node in call.args else -1
        name = _TAKEN.get((call.func.attr, position))
    return kind in ("tracer", "manager") and name in ("child_of", "span_context", "span")


def _is_reference_of_a_start(site: Site, call: ast.Call) -> bool:
    for above in site.file.module.ancestors(call):
        if isinstance(above, ast.keyword):
            start = site.parent(above)
            owner = (
                site.value(start.func.value)
                if isinstance(start, ast.Call) and isinstance(start.func, ast.Attribute)
                else None
            )
            return above.arg == "references" and owner is not None and owner.kind == "tracer"
        if not isinstance(above, (ast.List, ast.Tuple)):
            return False
    return False


_TAKEN = {
    ("start_span", 1): "child_of",
    ("start_active_span", 1): "child_of",
    ("inject", 0): "span_context",
    ("activate", 0): "span",
}


def test(site: Site, node: ast.AST, value: Value) -> Replace | Block | bool | None:
    """Rewrites a test of a span for None or truth. True: it may stay. None: this is not such a test."""
    parent = site.parent(node)
    if isinstance(parent, ast.Compare):
        if not (
            len(parent.ops) == 1
            and isinstance(parent.ops[0], (ast.Is, ast.IsNot, ast.Eq, ast.NotEq))
            and isinstance(parent.comparators[0], ast.Constant)
            and parent.comparators[0].value is None
            and parent.left is node
        ):
            return None
        sign = "is not" if isinstance(parent.ops[0], (ast.IsNot, ast.NotEq)) else "is"
        return _tested(parent, node, value, sign)
    if isinstance(parent, ast.UnaryOp) and isinstance(parent.op, ast.Not):
        return _tested(parent, node, value, "is")
    return _tested(node, node, value, "is not") if _for_truth(site, node) else None


def _tested(whole: ast.AST, node: ast.AST, value: Value, sign: str) -> Replace | Block | bool:
    if value.kind in ("extracted", "context") and (value.kind == "extracted" or value.active):
        return Block(
            "OTB304",
            "the extracted context is tested: it is never None in OpenTelemetry, ask its span for is_valid",
        )
    if value.what == "mixed":
        return Block("OTB302", "the span is tested, and may be the active one, or none")
    if not value.active:
        return True
    held = "({0})" if isinstance(node, ast.NamedExpr) else "{0}"
    return Replace(whole, held + " " + sign + " {trace}.INVALID_SPAN", (node,))


def _for_truth(site: Site, node: ast.AST) -> bool:
    parent = site.parent(node)
    if isinstance(parent, (ast.If, ast.While, ast.IfExp, ast.Assert)):
        return parent.test is node
    if isinstance(parent, ast.UnaryOp) and isinstance(parent.op, ast.Not):
        return True
    return isinstance(parent, ast.BoolOp) and _for_truth(site, parent)
