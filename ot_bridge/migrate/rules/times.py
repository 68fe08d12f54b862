"""Times: float seconds since the epoch in OpenTracing, whole nanoseconds in OpenTelemetry."""

from __future__ import annotations

import ast

from ot_bridge.migrate.uses import Site

_TIGHT = (ast.Name, ast.Attribute, ast.Call, ast.Subscript, ast.Constant)


def nanoseconds(site: Site, node: ast.expr) -> str:
    """The template that converts a time. If it may be None (the default of a parameter), None stays None."""
    time = "int({0} * 1e9)" if isinstance(node, _TIGHT) else "int(({0}) * 1e9)"
    slot = site.reading.slot_of(site.file, node) if isinstance(node, ast.Name) else None
    values = (
        [site.reading.bound(file, binding) for file, binding in slot.bindings] if slot is not None else []
    )
    may_be_none = any(value is not None and value.kind == "none" for value in values) or any(
        binding.kind == "param" for _, binding in (slot.bindings if slot is not None else ())
    )
    return "None if {0} is None else " + time if may_be_none else time
