"""`inject` and `extract`: they become calls of OpenTelemetry's global propagator, which has no formats."""

from __future__ import annotations

import ast

from ot_bridge.migrate import legacy
from ot_bridge.migrate.edits import Argument, Call, Edit
from ot_bridge.migrate.rules.parents import around
from ot_bridge.migrate.uses import Block, Site


def inject(site: Site) -> list[Edit] | Block:
    """Rewrites `tracer.inject(…)` to `propagate.inject(carrier, context=…)`."""
    given = _given(site, {"span_context", "format", "carrier"})
    if isinstance(given, Block):
        return given
    found = around(site, given["span_context"], "the injected object")
    if isinstance(found, Block):
        return found
    if not found.template:
        return Block("OTB304", "None is injected")
    context = Argument(None, "context", found.template, found.holes)
    return [Call(site.called, "{propagate}.inject", None, (Argument(given["carrier"]), context))]


def extract(site: Site) -> list[Edit] | Block:
    """Rewrites `tracer.extract(…)` to `propagate.extract(…)`, with the current context for empty carriers."""
    given = _given(site, {"format", "carrier"})
    if isinstance(given, Block):
        return given
    carrier = given["carrier"]
    lower = "{{key.lower(): value for key, value in {0}.items()}}" if _in_title_case(site, carrier) else None
    current = Argument(None, None, "{context}.get_current()")
    return [Call(site.called, "{propagate}.extract", None, (Argument(carrier, None, lower), current))]


def _given(site: Site, names: set[str]) -> dict[str, ast.expr] | Block:
    given = site.arguments()
    if isinstance(given, Block):
        return given
    if set(given) != names:
        return Block("OTB306", f"{site.name} without a format or a carrier")
    return (
        given
        if _is_known(site, given["format"])
        else Block("OTB306", "a format that OpenTelemetry does not have, or that is not known")
    )


def _is_known(site: Site, node: ast.expr) -> bool:
    value = site.value(node)
    if value is None:
        return False
    if value.kind == "api":
        return legacy.FORMATS.get(value.what, False)
    return value.kind == "literal" and value.what in legacy.FORMAT_TEXTS


def _in_title_case(site: Site, node: ast.expr) -> bool:
    """Whether a carrier is a plain dictionary of request headers, with names such as `Uber-Trace-Id`."""
    if isinstance(node, ast.Name):
        slot = site.reading.slot_of(site.file, node)
        bindings = [] if slot is None else slot.bindings
        return any(each.value is not None and _from_headers(each.value) for _, each in bindings)
    return _from_headers(node)


def _from_headers(node: ast.expr) -> bool:
    made = isinstance(node, ast.DictComp) or (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict"
    )
    text = ast.dump(node).lower()
    return made and "headers" in text and "lower" not in text
