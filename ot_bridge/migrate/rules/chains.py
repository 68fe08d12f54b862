"""`span.set_tag(…).log_kv(…)`: a chain becomes statements, since OpenTelemetry's methods return None."""

from __future__ import annotations

import ast
from typing import NamedTuple

from ot_bridge.migrate.edits import Edit, Split
from ot_bridge.migrate.uses import Block, Site

_LINKS = frozenset({"set_tag", "log_kv", "log_event", "log", "set_operation_name"})


class Chain(NamedTuple):
    """A chain of calls. receiver: the span. edits: split the statement; made for the last call only."""

    receiver: ast.expr
    edits: list[Edit]


def chained(site: Site) -> Chain | Block:
    """The chain of a call that returns the span, or the reason why the call is left."""
    parts: list[ast.expr] = [site.called]
    receiver = site.node.value
    while _is_link(receiver):
        parts.append(receiver)
        receiver = receiver.func.value  # type: ignore[attr-defined]
    top: ast.AST = site.called
    above = site.parent(top)
    while isinstance(above, ast.Attribute) and above.attr in (*_LINKS, "finish"):
        top = site.parent(above)
        above = site.parent(top)
    last = top is site.called
    if not isinstance(above, ast.Expr):
        return Block("OTB302", f"the result of {site.name}() is used; OpenTelemetry returns None")
    if len(parts) > 1 or not last:
        if not site.is_alone:
            return Block("OTB302", f"{site.name}() in a chain that shares its line with other code")
        if not isinstance(receiver, (ast.Name, ast.Attribute)):
            return Block("OTB302", f"{site.name}() in a chain that begins with a call")
        return Chain(receiver, [Split(above, tuple(reversed(parts)))] if last else [])
    return Chain(receiver, [])


def _is_link(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _LINKS
