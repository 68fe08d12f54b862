"""Finds tags that are more than an attribute, and values that cannot be attributes."""

from __future__ import annotations

import ast
from typing import Final

from ot_bridge.migrate.uses import Block, Site

KINDS: Final = {
    "client": "{SpanKind}.CLIENT",
    "server": "{SpanKind}.SERVER",
    "producer": "{SpanKind}.PRODUCER",
    "consumer": "{SpanKind}.CONSUMER",
}
SPECIAL: Final = ("error", "span.kind", "sampling.priority")
_STATUS: Final = {"true": "ERROR", "false": "OK"}
_NO_ATTRIBUTES: Final = (ast.Dict, ast.Set, ast.DictComp, ast.SetComp, ast.Lambda, ast.GeneratorExp)
_MAKERS: Final = frozenset({"dict", "set", "frozenset", "object"})


def name_of(site: Site, node: ast.expr) -> str | Block:
    """The tag's name, or "" for an unknown name that cannot be one of the special ones."""
    known = site.text(node)
    if known is not None:
        return known
    if any(_may_be(node, special) for special in SPECIAL):
        return Block("OTB305", "the tag's name is not known: it may be error or span.kind")
    return ""


def _may_be(node: ast.expr, special: str) -> bool:
    """Whether a string expression could have this value."""
    if isinstance(node, ast.JoinedStr) and node.values:
        first, last = node.values[0], node.values[-1]
        return _begins(special, first) and (len(node.values) == 1 or _ends(special, last))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _begins(special, node.left) and _ends(special, node.right)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and isinstance(node.left, ast.Constant):
        return _begins(special, ast.Constant(str(node.left.value).partition("%")[0]))
    return True


def _begins(special: str, part: ast.expr) -> bool:
    return not isinstance(part, ast.Constant) or special.startswith(str(part.value))


def _ends(special: str, part: ast.expr) -> bool:
    return not isinstance(part, ast.Constant) or special.endswith(str(part.value))


def status_of(site: Site, node: ast.expr) -> str | None:
    """`ERROR` or `OK` for a literal True or False, or None for any other expression."""
    value = node.value if isinstance(node, ast.Constant) else site.text(node)
    return (
        _STATUS.get(str(value).lower())
        if value in (True, False, "true", "True", "false", "False") and (isinstance(value, (bool, str)))
        else None
    )


def is_text(site: Site, node: ast.expr) -> bool:
    """Whether a value is certainly text, or an exception, which is exported as text."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mod)):
        return is_text(site, node.left)
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute):
            return node.func.attr in ("format", "join") and site.text(node.func.value) is not None
        return getattr(node.func, "id", "") in ("str", "repr") and site.value(node.func) is None
    value = site.value(node)
    is_exception = value is not None and value.kind == "exception"
    return isinstance(node, ast.JoinedStr) or site.text(node) is not None or is_exception


def wrapped(site: Site, node: ast.expr) -> str | None:
    """The template that converts a value that cannot be an attribute to text, or None for other values."""
    if isinstance(node, ast.Constant):
        return None if isinstance(node.value, (str, bool, int, float)) else "str({0})"
    if isinstance(node, _NO_ATTRIBUTES):
        return "str({0})"
    if isinstance(node, (ast.List, ast.Tuple)):
        kinds = {type(each.value) if isinstance(each, ast.Constant) else ast.AST for each in node.elts}
        return "str({0})" if len(kinds) > 1 and ast.AST not in kinds else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _MAKERS:
        return "str({0})"
    value = site.value(node)
    return "str({0})" if value is not None and value.kind in ("exception", "instance", "none") else None
