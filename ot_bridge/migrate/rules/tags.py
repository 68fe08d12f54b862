"""`set_tag`: an attribute, a status, or a kind that belongs to the start."""

from __future__ import annotations

import ast

from ot_bridge.migrate.edits import AddArgument, Argument, Call, Edit, Split
from ot_bridge.migrate.rules.attributes import KINDS, is_text, name_of, status_of, wrapped
from ot_bridge.migrate.rules.chains import Chain, chained
from ot_bridge.migrate.rules.start import written
from ot_bridge.migrate.uses import Block, Site, arguments_of


def set_tag(site: Site) -> list[Edit] | Block:
    """Rewrites `set_tag` to `set_attribute` or `set_status`, or moves it to `kind=` of the start."""
    given = site.arguments()
    if isinstance(given, Block):
        return given
    if set(given) != {"key", "value"}:
        return Block("OTB305", "a tag without name or value")
    chain = chained(site)
    if isinstance(chain, Block):
        return chain
    name = name_of(site, given["key"])
    if isinstance(name, Block):
        return name
    if name == "error":
        return _error(site, given, chain)
    if name == "span.kind" and site.text(given["value"]) not in (None, *KINDS):
        name = ""
    if name == "span.kind":
        return _kind(site, given["value"], chain)
    if name == "sampling.priority":
        return Block("OTB202", "sampling.priority has no counterpart but a sampler")
    return _attribute(site, given, chain)


def _attribute(site: Site, given: dict[str, ast.expr], chain: Chain) -> list[Edit]:
    arguments = tuple(
        Argument(
            each,
            key if each not in site.called.args else None,
            wrapped(site, each) if key == "value" else None,
        )
        for key, each in given.items()
    )
    return [*chain.edits, Call(site.called, "{0}.set_attribute", chain.receiver, arguments)]


def _error(site: Site, given: dict[str, ast.expr], chain: Chain) -> list[Edit] | Block:
    """Sets the status, or for a text and an exception an attribute, as the bridge does."""
    status = status_of(site, given["value"])
    if status is None and is_text(site, given["value"]):
        site.note = Block(
            "OTB203", "this text is an attribute and no status; set_status(Status(StatusCode.ERROR)) sets one"
        )
        return _attribute(site, given, chain)
    if status is None:
        return Block("OTB203", "the value of the error tag is not True or False")
    argument = Argument(None, None, "{Status}({StatusCode}." + status + ")")
    return [*chain.edits, Call(site.called, "{0}.set_status", chain.receiver, (argument,))]


def _kind(site: Site, value: ast.expr, chain: Chain) -> list[Edit] | Block:
    """Moves the kind to the start, if the call follows the start immediately."""
    kind = site.text(value)
    statement = site.statement
    whole = isinstance(statement, ast.Expr) and statement.value is site.called
    start = _start_above(site) if whole and not chain.edits and site.is_removable else None
    if kind is None or start is None:
        return Block(
            "OTB201", "a span's kind cannot be changed after its start; give it at the start as kind="
        )
    return [Split(site.statement), AddArgument(start, Argument(None, "kind", KINDS[kind]))]


def _start_above(site: Site) -> ast.Call | None:
    """The start of the span, if only tags of that span are set between it and this statement."""
    statement = site.statement
    block, above = _block_of(site, statement)
    position = block.index(statement)
    while position > 0 and _sets_tag(site, block[position - 1]):
        position -= 1
    if position > 0:
        before = block[position - 1]
        return _starts(site, before.value) if isinstance(before, (ast.Assign, ast.AnnAssign)) else None
    if isinstance(above, (ast.With, ast.AsyncWith)) and len(above.items) == 1:
        return _starts(site, above.items[0].context_expr)
    return None


def _block_of(site: Site, statement: ast.stmt) -> tuple[list[ast.stmt], ast.AST]:
    block, parent = site.file.module.block(statement), site.parent(statement)
    return block, parent if block is getattr(parent, "body", None) else site.file.tree


def _sets_tag(site: Site, statement: ast.stmt) -> bool:
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not (
        isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "set_tag"
    ):
        return False
    given = arguments_of("set_tag", call)
    if isinstance(given, Block) or "key" not in given or site.text(given["key"]) == "span.kind":
        return False
    value = site.value(call.func.value)
    return _same(site, value.flow if value is not None else None)


def _same(site: Site, flow: object) -> bool:
    return flow is not None and getattr(flow, "root", None) is site.flow.root


def _starts(site: Site, node: ast.expr | None) -> ast.Call | None:
    value = site.value(node) if node is not None else None
    if not isinstance(node, ast.Call) or value is None or not _same(site, value.flow):
        return None
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    named = name in ("start_span", "start_active_span")
    return node if named and not _may_have_kind(site, arguments_of(name, node)) else None


def _may_have_kind(site: Site, given: dict[str, ast.expr] | Block) -> bool:
    if isinstance(given, Block):
        return True
    content = written(site, given["tags"]) if "tags" in given else None
    return isinstance(content, ast.Dict) and any(
        key is not None and site.text(key) == "span.kind" for key in content.keys
    )
