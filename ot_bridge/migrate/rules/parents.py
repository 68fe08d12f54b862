"""The OpenTelemetry context for `child_of=x` and for the argument of `inject`."""

from __future__ import annotations

import ast
from typing import NamedTuple

from ot_bridge.migrate.uses import Block, Site

_SIMPLE = (ast.Name, ast.Attribute)


class Around(NamedTuple):
    """A template for a context, and the nodes for its placeholders. Empty if no context is needed."""

    template: str
    holes: tuple[ast.AST, ...] = ()


def around(site: Site, node: ast.expr, what: str = "the parent") -> Around | Block:
    """The context with a span, span context or extracted context in it. Joins its flow with the site's."""
    value = site.value(node)
    if value is not None and value.kind == "none":
        return Around("")
    if value is None or value.kind not in ("span", "context", "extracted"):
        return Block("OTB304", f"the type of {what} is not known")
    if value.what == "mixed":
        return Block("OTB304", f"{what} may be the active span, or none")
    assert value.flow is not None
    site.flow.join(value.flow)
    if value.kind == "extracted":
        return Around("{0}", (node,))
    held: ast.expr = node
    template = "{trace}.set_span_in_context({0})"
    if value.kind == "context":
        inner = site.value(node.value) if isinstance(node, ast.Attribute) and node.attr == "context" else None
        if inner is not None and inner.kind == "span":
            assert isinstance(node, ast.Attribute)
            held = node.value
        else:
            template = "{trace}.set_span_in_context({trace}.NonRecordingSpan({0}))"
    if value.maybe and not value.active:
        if not isinstance(node, _SIMPLE):
            return Block("OTB304", f"{what} may be none")
        return Around("None if {0} is None else " + template, (held,))
    return Around(template, (held,))
