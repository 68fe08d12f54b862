"""`ot-bridge check --tags`: finds tags of a program whose names change, stay, or whose values carry secrets.

Names come from code (`set_tag`, `tags=`, `log_kv` and OpenTracing's constants, and the tags that imported old
libraries set), or from recorded spans. `stale_lines` looks for the old names in dashboards, alerts and
collector configurations.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from ot_bridge.migrate import files, legacy
from ot_bridge.migrate.project import File, load
from ot_bridge.migrate.reading import Reading
from ot_bridge.semconv.names import RENAMED, SECRETS, why_it_stays

_HTTP: Final = ("component", "http.method", "http.url", "http.status_code")
_SQL: Final = ("db.type", "db.instance", "db.statement")
#: Package -> the names of the tags in its recorded spans.
LIBRARIES: Final[Mapping[str, tuple[str, ...]]] = {
    "flask_opentracing": _HTTP,
    "django_opentracing": _HTTP,
    "bottle_opentracing": _HTTP,
    "pyramid_opentracing": (*_HTTP, "pyramid.route"),
    "tornado_opentracing": _HTTP,
    "requests_opentracing": (*_HTTP, "error.object"),
    "opentracing_instrumentation": (
        *_HTTP[1:],
        *_SQL,
        *("peer.ipv4", "peer.port", "peer.service", "sql", "sql.params", "redis.key", "celery.task_name"),
    ),
    "grpc_opentracing": ("component", "peer.ipv4", "peer.port", "error.kind"),
    "sqlalchemy_opentracing": ("component", "db.type", "db.statement", "sqlalchemy.dialect"),
    "dbapi_opentracing": ("db.type", "db.statement", "db.rows_produced"),
    "redis_opentracing": ("component", "db.type", "db.statement", "command.name"),
    "pymongo_opentracing": ("component", "db.type", "db.instance", "command", "namespace", "event.reply"),
    "elasticsearch_opentracing": ("component", "db.type", "db.statement", "elasticsearch.url"),
    "celery_opentracing": ("component", "message_bus.destination", "celery.task_name"),
}


class Name(NamedTuple):
    """A tag's name. new: its new names; if empty, it stays, and `why` has the reason. found: how often."""

    name: str
    new: tuple[str, ...]
    groups: tuple[str, ...]
    why: str
    found: int
    places: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        fields = self._asdict()
        return {**fields, "count": fields.pop("found")}

    def __str__(self) -> str:
        outcome = ", ".join(self.new) if self.new else self.why
        group = f" [{', '.join(self.groups)}]" if self.groups else ""
        return f"{self.name} -> {outcome}{group}: {self.found} ({', '.join(self.places[:3])})"


class Stale(NamedTuple):
    """A line that contains an old name. new: the name that replaces it."""

    file: str
    line: int
    name: str
    new: str

    def __str__(self) -> str:
        by_hand = "; for servers it becomes several names: rewrite by hand" if self.name == "http.url" else ""
        return f"{self.file}:{self.line}: {self.name} -> {self.new}{by_hand}"


class Found:
    """Collects names and their places."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._places: dict[str, dict[str, None]] = {}

    def add(self, name: str, place: str) -> None:
        self._counts[name] += 1
        self._places.setdefault(name, {})[place] = None

    def names(self) -> Iterator[Name]:
        """The names that change or are known to stay, sorted. A program's own names are left out."""
        for name, count in sorted(self._counts.items()):
            row = RENAMED.get(name)
            why = why_it_stays(name)
            if row is not None or why is not None:
                new = () if row is None else tuple(dict.fromkeys((*row.new, *row.server)))
                groups = () if row is None else row.groups
                yield Name(name, new, groups, why or "", count, tuple(self._places[name]))

    def secrets(self) -> dict[str, str]:
        """Names whose values may contain secrets -> the kind of secret."""
        return {name: what for name, what in SECRETS.items() if name in self._counts}


def in_code(paths: Iterable[Path], found: Found) -> list[tuple[Path, str]]:
    """Adds the names in the code below the paths. Returns the files that cannot be read, with the reasons."""
    project = load(paths)
    reading = Reading(project)
    for file in project.legacy:
        for node in file.module.nodes:
            for name in _of(reading, file, node):
                found.add(name, f"{file.path}:{getattr(node, 'lineno', 1)}")
    return project.unread


def _of(reading: Reading, file: File, node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
        value = reading.value(file, node)
        if value is not None and value.kind == "constant":
            name = legacy.CONSTANTS[value.what]
            if "." in name or name == "component":  # not the values of span.kind
                yield name
    elif isinstance(node, ast.Call):
        method = getattr(node.func, "attr", "")
        if method == "set_tag" and node.args:
            yield from _texts(node.args[:1])
        if method == "log_kv" and node.args:
            yield from _keys(node.args[0])
        for keyword in node.keywords:
            if keyword.arg == "tags":
                yield from _keys(keyword.value)
    elif isinstance(node, ast.Import):
        for alias in node.names:
            yield from LIBRARIES.get(legacy.top(alias.name), ())
    elif isinstance(node, ast.ImportFrom) and not node.level:
        yield from LIBRARIES.get(legacy.top(node.module or ""), ())


def _keys(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Dict):
        yield from _texts(key for key in node.keys if key is not None)


def _texts(nodes: Iterable[ast.expr]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


#: Files that hold queries: Grafana's JSON, alert rules, a collector's configuration.
QUERIES: Final = (".json", ".yaml", ".yml", ".rules", ".promql", ".traceql", ".toml", ".tf", ".libsonnet")
_PREFIX: Final = r"(?<![\w.])(?:(?:span|resource|attributes|tags?)[._]|\.)?"


def _spelt(name: str) -> str:
    """A pattern for the spellings of a name in OpenTelemetry, TraceQL and Prometheus (`http_method`)."""
    return re.escape(name).replace(r"\.", "[._]")


_OLD: Final = re.compile(
    f"{_PREFIX}({'|'.join(map(_spelt, sorted(RENAMED, key=len, reverse=True)))})(?![\\w.])"
)
_BY_SPELLING: Final[Mapping[str, str]] = {name.replace(".", "_"): name for name in RENAMED}


def stale_lines(folders: Iterable[Path]) -> Iterator[Stale]:
    """The lines below the folders that contain an old name. Raises OSError for a path that does not exist."""
    folders = list(folders)
    for folder in folders:
        folder.stat()
    for _, path in files.walk(folders, QUERIES):
        text = path.read_text(encoding="utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            for spelt in dict.fromkeys(match[1] for match in _OLD.finditer(line)):
                name = _BY_SPELLING[spelt.replace(".", "_")]
                new = RENAMED[name].new[0]
                yield Stale(str(path), number, name, new if "." in spelt else new.replace(".", "_"))


def as_json(found: Found, stale: Iterable[Stale]) -> dict[str, Any]:
    """The report as JSON values. Its keys are stable."""
    names = list(found.names())
    return {
        "changes": [each.as_json() for each in names if each.new],
        "stays": [each.as_json() for each in names if not each.new],
        "secrets": found.secrets(),
        "queries": [each._asdict() for each in stale],
    }
