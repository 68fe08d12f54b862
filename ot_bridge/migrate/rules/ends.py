"""Rewrites `finish` and `set_operation_name`."""

from __future__ import annotations

import ast

from ot_bridge.migrate.edits import Argument, Call, Edit
from ot_bridge.migrate.rules.chains import chained
from ot_bridge.migrate.rules.times import nanoseconds
from ot_bridge.migrate.uses import Block, Site


def finish(site: Site) -> list[Edit] | Block:
    """Rewrites `finish` to `end`, with the time in nanoseconds."""
    given = site.arguments()
    if isinstance(given, Block):
        return given
    receiver, edits = site.node.value, list[Edit]()
    if isinstance(receiver, ast.Call) and isinstance(receiver.func, ast.Attribute):
        value = site.value(receiver.func.value)
        if value is not None and value.kind == "span":
            chain = chained(site)
            if isinstance(chain, Block):
                return chain
            receiver, edits = chain.receiver, chain.edits
    time = given.get("finish_time")
    arguments = (
        ()
        if time is None or (isinstance(time, ast.Constant) and time.value is None)
        else (Argument(time, "end_time", nanoseconds(site, time)),)
    )
    return [*edits, Call(site.called, "{0}.end", receiver, arguments)]


def set_operation_name(site: Site) -> list[Edit] | Block:
    """Rewrites `set_operation_name` to `update_name`."""
    given = site.arguments()
    if isinstance(given, Block):
        return given
    chain = chained(site)
    if isinstance(chain, Block):
        return chain
    arguments = tuple(Argument(node, None if node in site.called.args else "name") for node in given.values())
    return [*chain.edits, Call(site.called, "{0}.update_name", chain.receiver, arguments)]
