"""Draws traces as text: one line for each span, and one for each of its events and links."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple, TextIO

from ot_bridge.otlp.decode import SpanRecord
from ot_bridge.view.numbers import duration
from ot_bridge.view.text import cut, harmless, padded, value_text, width
from ot_bridge.view.tree import Node, Tree, trees

_NARROWEST: Final = 20  # the least number of columns of a name
_WIDEST_BAR: Final = 20
_DEEPEST: Final = 12  # levels that are indented
ALIKE: Final = 5  # the number of similar siblings in a row that become one line
_COLOURS: Final = {"error": "\x1b[31m", "warning": "\x1b[33m", "dim": "\x1b[2m", "off": "\x1b[0m"}
_PICTURES: Final = "└─│✖⚠→·µ…×"
_PLAIN: Final = {
    "└─ ": "`- ",
    "✖": "x",
    "⚠": "!",
    "→": ">",
    " · ": " - ",
    "·": "-",
    "µ": "u",
    "…": "...",
    "×": "x",
}


class Style(NamedTuple):
    """How to draw. width: columns, or None for no limit. pictures: whether to use non-ASCII characters."""

    width: int | None = None
    pictures: bool = False
    colours: bool = False
    encoding: str = "utf-8"

    @classmethod
    def of(cls, stream: TextIO, environ: Mapping[str, str] = os.environ) -> Style:
        """The style for a stream. Without a terminal: no colours, no pictures, no limit of the width."""
        encoding = getattr(stream, "encoding", None) or "ascii"
        terminal = bool(getattr(stream, "isatty", bool)()) and environ.get("TERM") != "dumb"
        columns = shutil.get_terminal_size().columns if terminal else None
        plain = bool(environ.get("NO_COLOR"))
        return cls(
            columns,
            terminal and not plain and _can_encode_pictures(encoding),
            terminal and not plain,
            encoding,
        )

    def fit(self, text: str) -> str:
        """A finished line with the characters that this terminal can show."""
        if not self.pictures:
            for picture, plain in _PLAIN.items():
                text = text.replace(picture, plain)
        return text.encode(self.encoding, "backslashreplace").decode(self.encoding)

    def coloured(self, text: str, colour: str) -> str:
        return f"{_COLOURS[colour]}{text}{_COLOURS['off']}" if self.colours and colour else text


def _can_encode_pictures(encoding: str) -> bool:
    try:
        _PICTURES.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


class _Row(NamedTuple):
    """The columns of a line. start, end: of the bar, as shares of the trace's duration; -1 for no bar."""

    indent: str
    name: str
    service: str
    kind: str
    time: str
    start: float
    end: float
    tail: str
    colour: str


def draw(
    spans: Iterable[SpanRecord],
    style: Style,
    *,
    keys: Collection[str] | None = None,
    everything: bool = False,
    headed: bool = True,
) -> Iterator[str]:
    """The lines of all traces. keys: the attributes to show, None for all. headed: with a first line.

    everything: whether similar siblings in a row get a line each.
    """
    for tree in trees(spans):
        if headed:
            yield style.fit(_head(tree, style))
        rows = list(_rows(tree, keys, everything))
        yield from _Table(rows, style).lines()


def _head(tree: Tree, style: Style) -> str:
    trace_id = harmless(tree.trace_id)
    count = len(tree.nodes)
    facts = [
        cut(trace_id, 13, "…") if style.width else trace_id,
        f"{count} span{'s' * (count != 1)}",
        duration(tree.end - tree.start),
        *(["continues the caller's"] if tree.continues else []),
    ]
    return " · ".join(facts)


def _rows(tree: Tree, keys: Collection[str] | None, everything: bool) -> Iterator[_Row]:
    children = tree.children()
    tops = [at for at, node in enumerate(tree.nodes) if node.parent < 0]
    waiting = list(reversed(_runs(tree, tops, children, everything)))
    while waiting:
        run = waiting.pop()
        node = tree.nodes[run[0]]
        if len(run) > 1:
            yield _merged_row(tree, run)
            continue
        yield _row(tree, node, keys)
        yield from _notes(node, keys)
        waiting += reversed(_runs(tree, children[run[0]], children, everything))


def _runs(
    tree: Tree, siblings: Sequence[int], children: Sequence[Sequence[int]], everything: bool
) -> list[list[int]]:
    """Lists of siblings. Similar siblings that follow each other are in one list."""

    def alike(at: int) -> Any:
        span = tree.nodes[at].span
        single = children[at] or tree.nodes[at].warnings or span.status == "ERROR" or span.links
        return at if single or everything else (span.name, span.service, span.kind)

    runs = [list(run) for _, run in groupby(siblings, alike)]
    return [part for run in runs for part in ([run] if len(run) >= ALIKE else [[at] for at in run])]


def _indent(node: Node) -> str:
    return "   " * (min(node.depth, _DEEPEST) - 1) + "└─ " if node.depth else ""


def _row(tree: Tree, node: Node, keys: Collection[str] | None) -> _Row:
    span = node.span
    total = max(1, tree.end - tree.start)
    failed = span.status == "ERROR"
    tail = [f"⚠ {harmless(each)}" for each in node.warnings]
    tail += [f"✖ {harmless(span.status_message)}".rstrip()] if failed else []
    return _Row(
        _indent(node),
        harmless(span.name),
        harmless(span.service),
        span.kind.lower(),
        duration(span.end - span.start),
        (span.start - tree.start) / total,
        (span.end - tree.start) / total,
        " ".join([*tail, *_pairs(span.attributes, keys)]),
        "error" if failed else "warning" if node.warnings else "",
    )


def _pairs(attributes: Mapping[str, Any], keys: Collection[str] | None) -> Iterator[str]:
    names = attributes if keys is None else [key for key in keys if key in attributes]
    return (f"{harmless(key)}={harmless(value_text(attributes[key]))}" for key in names)


def _merged_row(tree: Tree, run: Sequence[int]) -> _Row:
    spans = [tree.nodes[at].span for at in run]
    total = max(1, tree.end - tree.start)
    whole = duration(sum(span.end - span.start for span in spans))
    first = _row(tree, tree.nodes[run[0]], ())
    end = (max(span.end for span in spans) - tree.start) / total
    return first._replace(
        name=f"{first.name} ×{len(run)}, {whole} in all",
        time=duration(max(span.end for span in spans) - spans[0].start),
        end=end,
        colour="dim",
    )


def _notes(node: Node, keys: Collection[str] | None) -> Iterator[_Row]:
    indent = "   " * min(node.depth, _DEEPEST)
    blank = _Row(indent, "", "", "", "", -1, -1, "", "dim")
    for event in node.span.events:
        offset = duration(event.time - node.span.start)
        name = f"· {harmless(event.name)}"
        yield blank._replace(name=name, time=f"at {offset}", tail=" ".join(_pairs(event.attributes, keys)))
    for link in node.span.links:
        yield blank._replace(name="→", tail=f"{harmless(link.trace_id)}/{harmless(link.span_id)}")


class _Table:
    """Rows in columns that fit the width. The bar is shortened first, then the attributes, then the name."""

    def __init__(self, rows: Sequence[_Row], style: Style) -> None:
        self._rows, self._style = rows, style
        self._time = max((width(row.time) for row in rows), default=0)
        self._service = max((width(row.service) for row in rows), default=0)
        self._kind = max((width(row.kind) for row in rows), default=0)
        self._name = max((width(row.indent + row.name) for row in rows), default=0)
        self._bar = _WIDEST_BAR
        if style.width is not None:
            self._squeeze(style.width)

    def _fixed(self) -> int:
        columns = (self._name, self._service, self._kind, self._time)
        return 2 + sum(columns) + sum(map(bool, columns)) - 1

    def _squeeze(self, whole: int) -> None:
        # The indent is cut where it would leave a name fewer than its least number of columns.
        deepest = max(0, whole - self._time - _NARROWEST - 3)
        self._rows = [row._replace(indent=row.indent[-deepest:] if deepest else "") for row in self._rows]
        least = [width(row.indent) + min(_NARROWEST, width(row.name)) for row in self._rows]
        self._name = max([*least, self._name - max(0, self._fixed() - whole)])
        if self._fixed() > whole:
            self._kind = 0
        if self._fixed() > whole:
            self._service = max(0, min(self._service, self._service - (self._fixed() - whole)))
            self._service = self._service if self._service >= 6 else 0
        tail = max((width(row.tail) for row in self._rows), default=0)
        room = whole - self._fixed() - 2 - (tail + 1 if tail else 0)
        self._bar = min(_WIDEST_BAR, room) if room >= 4 else 0

    def lines(self) -> Iterator[str]:
        for row in self._rows:
            yield self._style.coloured(self._style.fit(self._line(row)), row.colour)

    def _line(self, row: _Row) -> str:
        mark = "…" if self._style.pictures else "..."
        name = row.indent + cut(row.name, self._name - width(row.indent), mark)
        columns = [padded(name, self._name)]
        if self._service:
            columns.append(padded(cut(row.service, self._service, mark), self._service))
        if self._kind:
            columns.append(padded(row.kind, self._kind))
        columns.append(padded(row.time, self._time, right=True))
        if self._bar:
            columns.append(f" {self._bar_text(row) if row.start >= 0 else ' ' * self._bar} ")
        line = "  " + " ".join(columns)
        room = None if self._style.width is None else self._style.width - width(line) - 1
        if row.tail and (room is None or room > width(mark)):
            line += " " + (row.tail if room is None else cut(row.tail, room, mark))
        return line.rstrip()

    def _bar_text(self, row: _Row) -> str:
        begin = min(self._bar - 1, max(0, int(row.start * self._bar)))
        end = min(self._bar, max(begin + 1, round(row.end * self._bar)))
        return " " * begin + "#" * (end - begin) + " " * (self._bar - end)
