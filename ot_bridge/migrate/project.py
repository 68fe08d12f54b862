"""Reads all Python files below some paths, and finds the modules that dotted names mean."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ot_bridge.migrate import files, legacy
from ot_bridge.migrate.scopes import Module

_LOADERS: Final = frozenset({"import_module", "__import__", "load_module"})


class File:
    """A file that was read and parses."""

    def __init__(self, source: files.Source, root: Path) -> None:
        assert source.tree is not None
        self.path = source.path
        self.source = source
        self.tree = source.tree
        self.names = names_of(source.path, root)
        self.is_package = source.path.name == "__init__.py"
        self._module: Module | None = None
        self._lines: list[bytes] | None = None

    @property
    def is_test(self) -> bool:
        """Whether pytest or unittest would run it as a test."""
        stem = self.path.stem
        return stem.startswith("test_") or stem.endswith("_test") or stem in ("conftest", "tests")

    @property
    def module(self) -> Module:
        if self._module is None:
            self._module = Module(self.tree)
        return self._module

    @property
    def lines(self) -> list[bytes]:
        """The lines in UTF-8, in which the syntax tree counts columns."""
        if self._lines is None:
            self._lines = [line.encode() for line in re.split("\r\n|\r|\n", files.text_of(self.source.data))]
        return self._lines

    def text(self, node: ast.expr) -> str:
        """The text of a node. `ast.dump` and `ast.unparse` would fail for long chains of calls."""
        lines = self.lines[node.lineno - 1 : node.end_lineno]
        lines[-1] = lines[-1][: node.end_col_offset]
        lines[0] = lines[0][node.col_offset :]
        return b"\n".join(lines).decode()

    @property
    def package(self) -> Sequence[str]:
        """The names of the package that relative imports start from, outermost first."""
        own = max(self.names, key=len, default="").split(".")
        return own if self.is_package else own[:-1]


class Plain(NamedTuple):
    """The names that a file without a legacy import uses: (module, name) pairs, and attributes."""

    path: Path
    imported: frozenset[tuple[str, str]]
    modules: frozenset[str]
    attributes: frozenset[str]


class Project:
    """The files below the paths. legacy: those that import a legacy package. plain: the other files.

    unread: (path, problem) of files that cannot be read.
    """

    def __init__(self) -> None:
        self.legacy: list[File] = []
        self.plain: list[Plain] = []
        self.unread: list[tuple[Path, str]] = []
        self.searched = 0
        #: last part of a module's name -> (name, the file that imports it), of the plain files
        self.users: dict[str, list[tuple[str, Plain]]] = defaultdict(list)
        self._by_name: dict[str, list[File]] = defaultdict(list)
        self._by_end: dict[str, list[File]] = defaultdict(list)

    def add(self, file: File) -> None:
        self.legacy.append(file)
        for name in file.names:
            self._by_name[name].append(file)
        parts = list(file.path.with_suffix("").parts)
        if file.is_package:
            parts.pop()
        for length in range(1, min(len(parts), 6) + 1):
            self._by_end[".".join(parts[-length:])].append(file)

    def find(self, name: str, near: File) -> File | None:
        """The legacy file that `import name` in the file `near` means, or None if that is not clear."""
        top = name.partition(".")[0]
        if top in legacy.PACKAGES and not shadowed(near.path, top):
            return None
        sibling = [each for each in self._by_end.get(name, ()) if _beside(each.path, near.path, name)]
        for found in (sibling, self._by_name.get(name, ()), self._by_end.get(name, ())):
            if len(found) == 1:
                return found[0]
        return None


def _beside(path: Path, near: Path, name: str) -> bool:
    up = name.count(".") + (path.name == "__init__.py")
    return path.parents[up] == near.parent if up < len(path.parents) else False


def names_of(path: Path, root: Path) -> frozenset[str]:
    """The dotted names by which a file may be imported: relative to its top package, and to the root."""
    resolved = path.resolve()
    top = resolved.parent
    while (top / "__init__.py").exists() and top != top.parent:
        top = top.parent
    bases = {top, (root if root.is_dir() else root.parent).resolve()}
    found = set()
    for base in bases:
        if base in resolved.parents:
            parts = list(resolved.relative_to(base).with_suffix("").parts)
            if parts[-1] == "__init__":
                parts.pop()
            if parts:
                found.add(".".join(parts))
    return frozenset(found)


def shadowed(path: Path, top: str) -> bool:
    """Whether `import top` in a program of that folder would find a module of the project."""
    folder = path.resolve().parent
    if (folder / "__init__.py").exists():
        return False
    return (folder / f"{top}.py").exists() or (folder / top / "__init__.py").exists()


def imports(tree: ast.Module) -> Iterator[tuple[str, str | None, int]]:
    """Yields (module, name or None, level) for every import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, None, 0
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.module or "", alias.name, node.level
        elif (
            isinstance(node, ast.Call)
            and node.args
            and isinstance(node.args[0], ast.Constant)
            and isinstance(node.args[0].value, str)
            and getattr(node.func, "attr", getattr(node.func, "id", "")) in _LOADERS
        ):
            yield node.args[0].value, None, 0


def is_legacy(path: Path, tree: ast.Module) -> bool:
    tops = {legacy.top(module) for module, _, level in imports(tree) if not level} & legacy.PACKAGES
    return any(not shadowed(path, top) for top in tops)


def load(paths: Iterable[Path]) -> Project:
    """Reads everything below the paths. Raises OSError only for a path that does not exist."""
    project = Project()
    paths = list(paths)
    for path in paths:
        path.stat()
    needles = [name.encode() for name in legacy.PACKAGES]
    plain: list[File] = []
    for root, path in files.walk(paths, (".py",)):
        if path.name.endswith(files.DECLARING):  # given by its name
            continue
        project.searched += 1
        try:
            source = files.read(path)
        except OSError as error:
            project.unread.append((path, error.strerror or str(error)))
            continue
        mentions = any(needle in source.data for needle in needles)
        if source.tree is None:
            if mentions:
                project.unread.append((path, source.problem or ""))
            continue
        file = File(source, root)
        if not mentions or source.off or not is_legacy(path, file.tree):
            plain.append(file)
        elif not files.generated(path, source.data):
            project.add(file)
    project.plain = [_plain(file) for file in plain] if project.legacy else []
    for user in project.plain:
        for module in user.modules:
            project.users[module.rpartition(".")[2]].append((module, user))
    return project


def _plain(file: File) -> Plain:
    pairs: set[tuple[str, str]] = set()
    modules: set[str] = set()
    for module, name, level in imports(file.tree):
        if level:
            base = file.package[: len(file.package) - level + 1]
            module = ".".join([*base, *([module] if module else [])])
        modules.add(module)
        if name is not None:
            pairs.add((module, name))
            modules.add(f"{module}.{name}")
    attributes = {
        node.attr
        for node in ast.walk(file.tree)
        if isinstance(node, ast.Attribute)
        and not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))
    }
    return Plain(file.path, frozenset(pairs), frozenset(modules), frozenset(attributes))
