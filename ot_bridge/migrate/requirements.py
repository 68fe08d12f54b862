"""Reads a project's requirements, line by line.

The files are requirements*.txt, setup.py, setup.cfg, pyproject.toml, Pipfile and lock files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from ot_bridge.migrate import files

_FILES: Final = re.compile(
    r"(?:.*requirements.*\.(?:txt|in)|constraints.*\.txt|setup\.(?:py|cfg)|pyproject\.toml|Pipfile(?:\.lock)?"
    r"|poetry\.lock|uv\.lock|pdm\.lock|pylock.*\.toml)\Z",
    re.IGNORECASE,
)
_NAME: Final = r"(?P<name>[A-Za-z][A-Za-z0-9._-]*)"
_SPEC: Final = r"(?P<spec>(?:\s*(?:[<>=!~]=?=?|\^)\s*[0-9A-Za-z.*+!_-]+\s*,?)*)"
_LINE: Final = re.compile(rf"\s*{_NAME}\s*(?:\[[^\]]*\])?\s*\(?{_SPEC}\)?\s*(?:[;#\\].*)?$")
_QUOTED: Final = re.compile(rf"""["']{_NAME}\s*(?:\[[^\]]*\])?\s*{_SPEC}\s*(?:;[^"']*)?["']""")
_TABLE: Final = re.compile(
    rf"""\s*["']?{_NAME}["']?\s*=\s*(?:\{{.*?version\s*=\s*)?["'](?P<spec>[^"']*)["']"""
)
_LOCKED_NAME: Final = re.compile(rf"""\s*name\s*=\s*["']{_NAME}["']""")
_LOCKED_VERSION: Final = re.compile(r"""\s*version\s*=\s*["'](?P<version>[^"']*)["']""")
_PIPFILE_LOCK: Final = re.compile(rf"""\s*["']{_NAME}["']\s*:\s*\{{""")
_PIPFILE_VERSION: Final = re.compile(r"""\s*["']version["']\s*:\s*["'](?P<version>[^"']*)["']""")
_FOLDER: Final = re.compile(r"requirements", re.IGNORECASE)
_KEYS: Final = frozenset({"name", "version", "python", "description", "readme", "requires-python", "license"})


class Requirement(NamedTuple):
    """A requirement. name: in lower case with dashes. spec: as written, "" for any version."""

    path: Path
    line: int
    column: int
    name: str
    spec: str


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def find(paths: Iterable[Path]) -> Iterator[Requirement]:
    """Every requirement in the files below the paths. Files that cannot be read are skipped."""
    for root, path in files.walk(paths, (*files.DECLARING, ".py")):
        is_list = _FOLDER.search(path.parent.name) and path.suffix == ".txt" and path.parent != root
        if not _FILES.fullmatch(path.name) and not is_list:
            continue
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        yield from _reader(path)(path, lines)


def _reader(path: Path) -> Callable[[Path, list[str]], Iterator[Requirement]]:
    name = path.name
    if name == "Pipfile.lock":
        return lambda path, lines: _locked(path, lines, _PIPFILE_LOCK, _PIPFILE_VERSION)
    if name.endswith(".lock") or name.startswith("pylock"):
        return lambda path, lines: _locked(path, lines, _LOCKED_NAME, _LOCKED_VERSION)
    if path.suffix == ".py":
        return _quoted
    return _plain if path.suffix in (".txt", ".in", ".cfg") else _tables


def _plain(path: Path, lines: list[str]) -> Iterator[Requirement]:
    for number, line in enumerate(lines, 1):
        key = re.match(r"\s*\w+_requires?s?\s*=(?=\s*\w)", line)
        match = _LINE.match(line.split("--hash")[0].split(" #")[0], key.end() if key else 0)
        if match and "[" not in line.lstrip()[:1]:
            yield _requirement(path, number, match)


def _quoted(path: Path, lines: list[str]) -> Iterator[Requirement]:
    for number, line in enumerate(lines, 1):
        for match in _QUOTED.finditer(line.partition("#")[0]):
            yield _requirement(path, number, match)


def _tables(path: Path, lines: list[str]) -> Iterator[Requirement]:
    for number, line in enumerate(lines, 1):
        match = _TABLE.match(line)
        if match and match["name"] not in _KEYS and re.match(r"[\d^~<>=!*]", match["spec"] or "x"):
            yield _requirement(path, number, match)
        elif not match or match["name"] not in _KEYS:
            yield from _quoted(path, [""] * (number - 1) + [line])


def _locked(
    path: Path, lines: list[str], names: re.Pattern[str], versions: re.Pattern[str]
) -> Iterator[Requirement]:
    held: tuple[int, re.Match[str]] | None = None
    for number, line in enumerate(lines, 1):
        if match := names.match(line):
            held = (number, match)
        elif held is not None and (match := versions.match(line)):
            version = "==" + match["version"].lstrip("=")
            yield Requirement(path, held[0], held[1].start("name") + 1, normal(held[1]["name"]), version)
            held = None


def _requirement(path: Path, number: int, match: re.Match[str]) -> Requirement:
    return Requirement(
        path,
        number,
        match.start("name") + 1,
        normal(match["name"]),
        (match["spec"] or "").strip(" ,"),
    )


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:4])


def allows(spec: str, version: str) -> bool:
    """Whether a specification allows a version. A specification that cannot be read allows it."""
    wanted = numbers(version)
    for operator, text in re.findall(r"([<>=!~^]*)\s*([0-9][0-9A-Za-z.*+!-]*)", spec):
        given = numbers(text)
        if given and not _COMPARE[operator if operator in _COMPARE else "=="](wanted, given, text):
            return False
    return True


def _padded(one: tuple[int, ...], two: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    length = max(len(one), len(two))
    return one + (0,) * (length - len(one)), two + (0,) * (length - len(two))


def _compare(one: tuple[int, ...], two: tuple[int, ...]) -> int:
    left, right = _padded(one, two)
    return (left > right) - (left < right)


_COMPARE: Final[dict[str, Callable[[tuple[int, ...], tuple[int, ...], str], bool]]] = {
    "==": lambda have, given, text: (
        have[: len(given)] == given if "*" in text else _compare(have, given) == 0
    ),
    "===": lambda have, given, text: _compare(have, given) == 0,
    ">=": lambda have, given, text: _compare(have, given) >= 0,
    "<=": lambda have, given, text: _compare(have, given) <= 0,
    ">": lambda have, given, text: _compare(have, given) > 0,
    "<": lambda have, given, text: _compare(have, given) < 0,
    "!=": lambda have, given, text: _compare(have, given) != 0,
    "~=": lambda have, given, text: _compare(have, given) >= 0 and have[: len(given) - 1] == given[:-1],
    "~": lambda have, given, text: _compare(have, given) >= 0 and have[:2] == given[:2],
    "^": lambda have, given, text: _compare(have, given) >= 0 and have[:1] == given[:1],
}
