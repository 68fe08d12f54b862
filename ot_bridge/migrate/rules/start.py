"""`start_span` and `start_active_span`: name, parent, tags and time of the call."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ot_bridge.migrate.edits import Argument, Call, Dict, Edit, Insert, Rename
from ot_bridge.migrate.rules.attributes import KINDS, name_of, status_of, wrapped
from ot_bridge.migrate.rules.parents import around
from ot_bridge.migrate.rules.times import nanoseconds
from ot_bridge.migrate.uses import Block, Site
from ot_bridge.migrate.values import Slot


@dataclass
class Started:
    """The parts of the new call."""

    site: Site
    arguments: list[Argument] = field(default_factory=list)
    edits: list[Edit] = field(default_factory=list)
    parent: bool = False
    root: bool = False
    kind: str | None = None
    status: str | None = None


def start(site: Site) -> list[Edit] | Block:
    """The edits for a start, or the reason why it is left."""
    given = site.arguments()
    if isinstance(given, Block):
        return given
    call = site.called
    active = site.name == "start_active_span"
    item = site.parent(call)
    if active and not (
        isinstance(item, ast.withitem) and isinstance(item.optional_vars, (ast.Name, type(None)))
    ):
        return Block(
            "OTB303",
            "the scope is used without with; use start_as_current_span in a with block, or attach and detach",
        )
    made = Started(site)
    if "operation_name" not in given:
        made.arguments.append(Argument(None, None, '""'))
    for name, node in given.items():
        problem = _ARGUMENTS[name](made, node)
        if problem is not None:
            return problem
    return _finished(made, call, item if active else None)


def _finished(made: Started, call: ast.Call, item: ast.AST | None) -> list[Edit] | Block:
    site = made.site
    if made.root and not made.parent:
        made.arguments.append(Argument(None, "context", "{context}.Context()"))
    if made.kind is not None:
        made.arguments.append(Argument(None, "kind", made.kind))
    slot = None
    if isinstance(item, ast.withitem) and item.optional_vars is not None:
        slot = site.reading.slot_of(site.file, item)
        held = site.reading.slot_value(slot)
        if slot is None or held is None or held.kind != "scope":
            return Block("OTB303", "the name after `as` also holds other values")
        made.edits.append(Rename(item, slot))
    if made.status is not None:
        problem = _with_status(made, call, slot)
        if problem is not None:
            return problem
    new = "start_as_current_span" if item is not None else "start_span"
    tracer = site.base.flow if site.base.shared else None
    return [
        *made.edits,
        Call(call, "{0}." + new, site.node.value, tuple(made.arguments), tracer),
    ]


def _with_status(made: Started, call: ast.Call, slot: Slot | None) -> Block | None:
    """Adds a statement after the start that sets the status which was given as a tag."""
    site = made.site
    statement, parent = site.statement, site.parent(call)
    line = ".set_status({Status}({StatusCode}." + str(made.status) + "))"
    if slot is not None and isinstance(statement, (ast.With, ast.AsyncWith)) and len(statement.items) == 1:
        made.edits.append(Insert(statement, "{name}" + line, slot=slot, first=True))
        return None
    if isinstance(parent, ast.withitem) and isinstance(parent.optional_vars, ast.Name) and slot is None:
        made.edits.append(Insert(statement, parent.optional_vars.id + line, first=True))
        return None
    if not site.is_alone:
        return Block("OTB203", "the error tag of a span whose start shares its line with other code")
    if isinstance(parent, ast.Assign) and isinstance(parent.targets[0], (ast.Name, ast.Attribute)):
        made.edits.append(Insert(statement, "{0}" + line, (parent.targets[0],)))
        return None
    return Block("OTB203", "the error tag of a span without a name")


def _operation_name(made: Started, node: ast.expr) -> Block | None:
    positional = node in made.site.called.args
    if isinstance(node, ast.Constant) and node.value is None:
        made.arguments.append(Argument(None, None, '""'))
    else:
        made.arguments.append(Argument(node, None if positional else "name"))
    return None


_SEVERAL: Final = Block("OTB205", "references: a person decides which one is the parent, and which are links")


def _child_of(made: Started, node: ast.expr) -> Block | None:
    found = around(made.site, node)
    if isinstance(found, Block):
        return found
    if found.template:
        if made.parent:
            return _SEVERAL
        made.parent = True
        made.arguments.append(Argument(None, "context", found.template, found.holes))
    return None


def _references(made: Started, node: ast.expr) -> Block | None:
    if isinstance(node, ast.Constant) and node.value is None:
        return None
    listed = node.elts if isinstance(node, (ast.List, ast.Tuple)) else [node]
    if not listed:
        return None
    only = listed[0]
    value = made.site.value(only.func) if isinstance(only, ast.Call) else None
    if (
        len(listed) > 1
        or made.parent
        or not isinstance(only, ast.Call)
        or value is None
        or value.what not in ("opentracing.follows_from", "opentracing.child_of")
        or len(only.args) != 1
        or only.keywords
    ):
        return _SEVERAL
    found = around(made.site, only.args[0], "what is referred to")
    held = made.site.value(only.args[0])
    if isinstance(found, Block) or held is None or held.kind != "context" or held.maybe:
        return Block("OTB205", "a reference to an object that is not a known span's context")
    made.parent = True
    made.arguments.append(Argument(None, "context", found.template, found.holes))
    link = "{0}" if "NonRecordingSpan" in found.template else "{0}.get_span_context()"
    made.arguments.append(Argument(None, "links", "[{trace}.Link(" + link + ")]", found.holes))
    return None


def _tags(made: Started, node: ast.expr) -> Block | None:
    if isinstance(node, ast.Constant) and node.value is None:
        return None
    given, node = node, written(made.site, node)
    if not isinstance(node, ast.Dict):
        return Block("OTB305", "the content of the tags is not known: they may contain error or span.kind")
    drop: set[int] = set()
    wrap: dict[int, str] = {}
    for position, (key, value) in enumerate(zip(node.keys, node.values, strict=True)):
        if key is None:
            return Block("OTB312", "the tags that ** adds are not visible")
        name = name_of(made.site, key)
        if isinstance(name, Block):
            return name
        taken = _SPECIAL[name](made, value) if name in _SPECIAL else False
        if isinstance(taken, Block):
            return taken
        if taken:
            drop.add(position)
        elif (template := wrapped(made.site, value)) is not None:
            wrap[position] = template
    if drop or wrap:
        made.edits.append(Dict(node, frozenset(drop), wrap))
    if len(drop) < len(node.keys):
        made.arguments.append(Argument(given, "attributes"))
    return None


def written(site: Site, node: ast.expr) -> ast.expr:
    """The dictionary in a variable that this function binds once and reads only here, or None."""
    slot = site.reading.slot_of(site.file, node) if isinstance(node, ast.Name) else None
    if slot is None or slot.scope is not site.file.module.scope_of[node] or len(slot.bindings) > 1:
        return node
    ((_, binding),) = slot.bindings
    alone = slot.scope.loads.get(slot.name) == [node]
    return binding.value if alone and isinstance(binding.value, ast.Dict) else node


def _tag_kind(made: Started, value: ast.expr) -> bool | Block:
    kind = made.site.text(value)
    if kind is None:
        return Block("OTB201", "span.kind is not known at the start")
    if kind in KINDS:
        made.kind = KINDS[kind]
    return kind in KINDS


def _tag_error(made: Started, value: ast.expr) -> bool | Block:
    made.status = status_of(made.site, value)
    if made.status is None:
        return Block("OTB203", "the value of the error tag is not True or False")
    return True


def _tag_priority(made: Started, value: ast.expr) -> bool | Block:
    return Block("OTB202", "sampling.priority has no counterpart but a sampler")


_SPECIAL: Final = {"span.kind": _tag_kind, "error": _tag_error, "sampling.priority": _tag_priority}


def _start_time(made: Started, node: ast.expr) -> Block | None:
    if isinstance(node, ast.Constant) and node.value is None:
        return None
    made.arguments.append(Argument(node, "start_time", nanoseconds(made.site, node)))
    return None


def _ignore(made: Started, node: ast.expr) -> Block | None:
    if not isinstance(node, ast.Constant):
        return Block("OTB304", "whether the active span is ignored is not known")
    made.root = bool(node.value)
    return None


def _finish_on_close(made: Started, node: ast.expr) -> Block | None:
    if not (isinstance(node, ast.Constant) and isinstance(node.value, bool)):
        return Block("OTB303", "finish_on_close is not known")
    if not node.value:
        made.arguments.append(Argument(node, "end_on_exit"))
    return None


_ARGUMENTS: Final[dict[str, Callable[[Started, ast.expr], Block | None]]] = {
    "operation_name": _operation_name,
    "child_of": _child_of,
    "references": _references,
    "tags": _tags,
    "start_time": _start_time,
    "ignore_active_span": _ignore,
    "finish_on_close": _finish_on_close,
}
