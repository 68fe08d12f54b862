"""Makes one self-contained HTML page of traces, and the page's data for the viewer.

1. The page does not sort, nest or measure. It gets rows with parents before children, their depths, their
   times as offsets from the trace's start (nanoseconds since 1970 do not fit a JavaScript number), and
   values as texts.
2. The data is JSON in a block that no browser runs, with every `<` escaped. The script sets text, never
   markup.
3. The page's Content-Security-Policy allows its one script and its one style by their hashes, and nothing
   else.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from ot_bridge.otlp.decode import Attributes
from ot_bridge.view.text import value_text
from ot_bridge.view.times import critical_path, own_times
from ot_bridge.view.tree import Node, Tree, identity

_FILES: Final = Path(__file__).parent / "files"
_SHORT: Final = 200  # characters of a name in the list of traces
_SERVICES: Final = 20  # services of a trace in the list of traces
SCRIPTS: Final = (
    "text.js",
    "grid.js",
    "waterfall.js",
    "details.js",
    "list.js",
    "compare.js",
    "start.js",
    "live.js",
    "begin.js",
)


@lru_cache
def part(name: str) -> str:
    """A file of the page without indents and comments. `page.js` is all scripts, one after the other."""
    if name == "page.js":
        return "\n".join(map(part, SCRIPTS))
    lines = map(str.strip, (_FILES / name).read_text("utf-8").splitlines())
    return "\n".join(line for line in lines if line and not line.startswith(("// ", "/** ")))


def of_traces(traces: Sequence[Tree]) -> str:
    """The page with these traces."""
    return filled({"traces": [trace_data(tree) for tree in traces]})


def filled(data: Mapping[str, Any]) -> str:
    """The page with its data, script, style and policy in it."""
    script, style = part("page.js"), part("page.css")
    policy = f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; base-uri 'none'"
    return (
        part("page.html")
        .replace("<!--policy-->", f'<meta http-equiv="Content-Security-Policy" content="{policy}">')
        .replace("<!--style-->", f"<style>{style}</style>")
        .replace("<!--data-->", f'<script type="application/json" id="data">{_json(data)}</script>')
        .replace("<!--script-->", f"<script>{script}</script>")
    )


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _json(data: Any) -> str:
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def write_page(text: str, target: str, command: str) -> bool:
    """Writes the whole page to the file `target`, or to standard output for `-`.

    If the file cannot be written, it stays as it was, a message is printed, and False is returned.
    """
    if target == "-":
        sys.stdout.write(text)
        return True
    try:
        _put(text, Path(target).resolve())
    except OSError as error:
        print(f"{command}: {target} was not written: {error.strerror or error}", file=sys.stderr)
        return False
    return True


def _put(text: str, path: Path) -> None:
    if path.exists() and not path.is_file():  # a device or a pipe, which cannot be replaced
        path.write_text(text, encoding="utf-8")
        return
    made = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(made, "x", encoding="utf-8") as file:
            file.write(text)
        if path.exists():
            shutil.copymode(path, made)
        os.replace(made, path)
    except OSError:
        made.unlink(missing_ok=True)
        raise


def trace_data(tree: Tree) -> dict[str, Any]:
    """A trace in the form that the page reads."""
    shared = _Shared()
    own, critical = own_times(tree), critical_path(tree)
    spans = [
        _span(node, tree, shared, own[at], [(a - tree.start, b - tree.start) for a, b in critical[at]])
        for at, node in enumerate(tree.nodes)
    ]
    return {
        "id": tree.trace_id,
        "started": started(tree.start),
        "duration": tree.end - tree.start,
        "continues": tree.continues,
        "summary": summary(tree),
        "spans": spans,
        "shared": shared.values,
    }


def summary(tree: Tree) -> dict[str, Any]:
    """A trace's row in the list of traces. at: its start in microseconds, by which the list is ordered."""
    services = {node.span.service: None for node in tree.nodes if node.span.service}
    return {
        "id": tree.trace_id,
        "at": tree.start // 1000,
        "started": started(tree.start),
        "name": tree.nodes[0].span.name[:_SHORT] if tree.nodes else "",
        "services": [name[:_SHORT] for name in services][:_SERVICES],
        "spans": len(tree.nodes),
        "errors": tree.errors,
        "duration": tree.end - tree.start,
    }


def started(nanoseconds: int) -> str:
    """The time in UTC as text."""
    try:
        moment = datetime.fromtimestamp(nanoseconds // 10**9, timezone.utc)
    except (OverflowError, ValueError, OSError):
        return f"{nanoseconds} ns since 1970"
    return f"{moment:%Y-%m-%d %H:%M:%S}.{nanoseconds % 10**9 // 1000:06d} UTC"


class _Shared:
    """A list of resources and scopes without duplicates."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._known: dict[str, int] = {}

    def at(self, value: Any) -> int:
        key = repr(value)
        if key not in self._known:
            self._known[key] = len(self.values)
            self.values.append(value)
        return self._known[key]


def _pairs(attributes: Attributes) -> list[tuple[str, str]]:
    return sorted((key, value_text(value)) for key, value in attributes.items())


def _key(node: Node, tree: Tree) -> str:
    """A key for a server span that shares its client's span id; "" for any other span."""
    above = tree.nodes[node.parent].span if node.parent >= 0 else None
    return identity(node.span) if above is not None and above.span_id == node.span.span_id else ""


def _span(
    node: Node, tree: Tree, shared: _Shared, own: int, critical: Iterable[tuple[int, int]]
) -> dict[str, Any]:
    span = node.span
    made: dict[str, Any] = {
        "id": span.span_id,
        "key": _key(node, tree),
        "parent": span.parent_id,
        "up": node.parent,
        "depth": node.depth,
        "how": node.how,
        "name": span.name,
        "service": span.service,
        "kind": span.kind.lower(),
        "start": span.start - tree.start,
        "duration": span.end - span.start,
        "own": own,
        "critical": list(critical),
        "status": span.status.lower(),
        "message": span.status_message,
        "warnings": node.warnings,
        "attributes": _pairs(span.attributes),
        "events": [[each.time - tree.start, each.name, _pairs(each.attributes)] for each in span.events],
        "links": [[each.trace_id, each.span_id, _pairs(each.attributes)] for each in span.links],
        "state": span.trace_state,
        "dropped": [span.dropped_attributes, span.dropped_events, span.dropped_links],
        "resource": shared.at(_pairs(span.resource)),
        "scope": shared.at([span.scope_name, span.scope_version]),
    }
    return {key: value for key, value in made.items() if value not in ("", [], (), [0, 0, 0])}
