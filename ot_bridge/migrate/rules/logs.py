"""`log_kv`, `log_event`, `log`: an event, or a recorded exception."""

from __future__ import annotations

import ast
import json
from typing import Final

from ot_bridge.migrate.edits import Argument, Call, Dict, Edit, Split
from ot_bridge.migrate.rules.attributes import wrapped
from ot_bridge.migrate.rules.chains import Chain, chained
from ot_bridge.migrate.rules.times import nanoseconds
from ot_bridge.migrate.scopes import FUNCTIONS
from ot_bridge.migrate.uses import Block, Site

#: OpenTracing's fields of an error -> attributes of OpenTelemetry's `exception` event.
_ERROR_FIELDS: Final = {
    "error.kind": "exception.type",
    "message": "exception.message",
    "stack": "exception.stacktrace",
}
_UNKNOWN: Final = Block(
    "OTB305", "the content of the log is not known: it may be an error, or name the event"
)


def log_kv(site: Site) -> list[Edit] | Block:
    """Rewrites `log_kv` to `add_event`, or to `record_exception` for an error with its exception.

    The `event` field becomes the name of the event; without one the name is `log`.
    """
    given = site.arguments()
    if isinstance(given, Block):
        return given
    chain = chained(site)
    if isinstance(chain, Block):
        return chain
    fields = given.get("key_values")
    if not isinstance(fields, ast.Dict):
        return _UNKNOWN
    if any(key is None for key in fields.keys):
        return Block("OTB312", "the fields that ** adds to the log are not visible")
    names = [site.text(key) for key in fields.keys if key is not None]
    if any(name is None for name in names):
        return _UNKNOWN
    time = _time(site, given.get("timestamp"))
    found = dict(zip(names, fields.values, strict=True))
    event = site.text(found["event"]) if "event" in found else "log"
    if event is None:
        return _UNKNOWN
    if event == "error":
        return _error(site, fields, found, chain, time)  # type: ignore[arg-type]
    wrap = _wraps(site, fields)
    edits: list[Edit] = [*chain.edits, *([Dict(fields, frozenset(), wrap)] if wrap else [])]
    named = Argument(None, None, _quoted(event or "log"))
    return [*edits, Call(site.called, "{0}.add_event", chain.receiver, (named, Argument(fields), *time))]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("{", "{{").replace("}", "}}")


def _time(site: Site, node: ast.expr | None) -> tuple[Argument, ...]:
    if node is None or (isinstance(node, ast.Constant) and node.value is None):
        return ()
    return (Argument(node, "timestamp", nanoseconds(site, node)),)


def _wraps(site: Site, fields: ast.Dict) -> dict[int, str]:
    found = {position: wrapped(site, node) for position, node in enumerate(fields.values)}
    return {position: template for position, template in found.items() if template is not None}


def _error(
    site: Site, fields: ast.Dict, found: dict[str, ast.expr], chain: Chain, time: tuple[Argument, ...]
) -> list[Edit] | Block:
    raised = found.get("error.object")
    if raised is None:
        parts = [
            f"{_quoted(_ERROR_FIELDS.get(name, name))}: "
            + (wrapped(site, node) or "{0}").replace("0", str(position))
            for position, (name, node) in enumerate((n, v) for n, v in found.items() if n != "event")
        ]
        holes = tuple(node for name, node in found.items() if name != "event")
        attributes = '{{"event": "error"' + "".join(f", {part}" for part in parts) + "}}"
        named = Argument(None, None, '"exception"')
        given = (named, Argument(None, None, attributes, holes), *time)
        return [*chain.edits, Call(site.called, "{0}.add_event", chain.receiver, given)]
    value = site.value(raised)
    if value is None or value.kind != "exception":
        return Block("OTB305", "error.object may be no exception")
    rest = {
        name: node
        for name, node in found.items()
        if name not in ("error.object", "error.kind", "stack", "event") and not _is_message_of(node, raised)
    }
    if _goes_on(site, value.what):
        if rest or chain.edits or not site.is_removable:
            return Block("OTB305", "the exception leaves the block of the span, which records it again")
        return [Split(site.statement)]
    arguments = [Argument(raised)]
    parts = [
        f"{_quoted(name)}: " + (wrapped(site, node) or "{0}").replace("0", str(position))
        for position, (name, node) in enumerate(rest.items())
    ]
    attributes = '{{"event": "error"' + "".join(f", {part}" for part in parts) + "}}"
    arguments.append(Argument(None, "attributes", attributes, tuple(rest.values())))
    return [*chain.edits, Call(site.called, "{0}.record_exception", chain.receiver, (*arguments, *time))]


def _is_message_of(node: ast.expr, raised: ast.expr) -> bool:
    """Whether a message is the text of the exception: `str(e)`."""
    return ast.dump(node) == ast.dump(ast.Call(ast.Name("str", ast.Load()), [raised], []))


def _goes_on(site: Site, handler: ast.ExceptHandler) -> bool:
    """Whether the handler, inside the block of the span, ends by raising the exception again."""
    last = handler.body[-1]
    again = isinstance(last, ast.Raise) and (
        last.exc is None or (isinstance(last.exc, ast.Name) and last.exc.id == handler.name)
    )
    if not again:
        return False
    for above in site.file.module.ancestors(handler):
        if isinstance(above, FUNCTIONS):
            return False
        if isinstance(above, (ast.With, ast.AsyncWith)):
            for item in above.items:
                value = site.value(item.context_expr)
                if value is not None and value.flow is not None and value.flow.root is site.flow.root:
                    return True
    return False


def log_event(site: Site) -> list[Edit] | Block:
    """Rewrites `log_event(e, payload)` and `log(event=…, payload=…, timestamp=…)` as `log_kv`."""
    given = site.arguments()
    if isinstance(given, Block):
        return given
    chain = chained(site)
    if isinstance(chain, Block):
        return chain
    event = site.text(given["event"]) if "event" in given else "log"
    if event is None or event == "error" or not {*given} <= {"event", "payload", "timestamp"}:
        return _UNKNOWN
    fields = [f'"event": {_quoted(event)}'] if "event" in given else []
    holes: tuple[ast.expr, ...] = ()
    payload = given.get("payload")
    absent = site.name == "log_event" and isinstance(payload, ast.Constant) and payload.value is None
    if payload is not None and not absent:
        fields.append('"payload": ' + (wrapped(site, payload) or "{0}"))
        holes = (payload,)
    named = Argument(None, None, _quoted(event or "log"))
    attributes = Argument(None, None, "{{" + ", ".join(fields) + "}}", holes)
    arguments = (named, attributes, *_time(site, given.get("timestamp")))
    return [*chain.edits, Call(site.called, "{0}.add_event", chain.receiver, arguments)]
