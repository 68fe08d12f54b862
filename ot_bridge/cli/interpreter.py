"""Finds the Python that a command line starts, and whether it reads the `sitecustomize` of `ot-bridge run`.

Nothing is executed here. Only a script's first line (`#!`, `env`) and Python's options are read.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

_PYTHON: Final = re.compile(r"(python|pypy)[\d.]*t?(\.exe)?", re.IGNORECASE)
_OPTION: Final = re.compile(r"-([bBdEhiIOPqRsSuvVx?]*)([cmWXJ]?)(.*)", re.DOTALL)
_ASSIGNED: Final = re.compile(r"[A-Za-z_]\w*=", re.ASCII)
#: Python's options that keep it from reading `sitecustomize` from PYTHONPATH.
_ISOLATING: Final = frozenset("IES")
_CALL: Final = "call ot_bridge.redirect.redirect() first in the program"
_HIDDEN: Final = f"hides the sitecustomize on PYTHONPATH: leave it out, or {_CALL}"
PEX: Final = f"a PEX file restarts itself without PYTHONPATH: build it with ot-bridge in it, and {_CALL}"
_MOST_INTERPRETERS: Final = 5  # how often an interpreter is replaced by the interpreter that it starts


class Interpreter(NamedTuple):
    """The Python that a command line starts. python: its path, "" if none is found.

    options: the options before the program. hindrance: why it does not read our `sitecustomize`; "" if it
    does.
    """

    python: str
    options: tuple[str, ...]
    hindrance: str


def interpreter_of(command: Sequence[str]) -> Interpreter:
    """The Python that this command line starts."""
    words = list(command)
    for _ in range(_MOST_INTERPRETERS):
        program = shutil.which(words[0]) or "" if words else ""
        if not program:
            break
        if _PYTHON.fullmatch(Path(words[0]).name):
            return _python(program, words[1:])
        words = _behind(program, words)
    return Interpreter("", (), "")


def _behind(program: str, words: list[str]) -> list[str]:
    """The command line that replaces this one: the program that `env` starts, or a script's interpreter."""
    if Path(program).name == "env":
        return _without_assignments(words[1:])
    try:
        with open(program, "rb") as file:
            first = file.readline(512)
    except OSError:
        return []
    if not first.startswith(b"#!"):
        return []
    line = first[2:].decode(errors="replace").strip()
    name, _, option = line.partition(" ")  # the system passes the rest of the line as one word
    return [name, *([option.strip()] if option.strip() else []), program, *words[1:]]


def _without_assignments(words: list[str]) -> list[str]:
    """The arguments after the options and variables of `env`."""
    while words and (words[0].startswith("-") or _ASSIGNED.match(words[0])):
        word = words.pop(0)
        if word.startswith(("-S", "--split-string")):
            words = [*shlex.split(re.sub(r"^(-S|--split-string=?)", "", word)), *words]
        elif word in ("-u", "--unset", "-C", "--chdir"):
            words = words[1:]
    return words


def _python(program: str, words: Sequence[str]) -> Interpreter:
    options: list[str] = []
    script = ""
    rest = iter(words)
    for word in rest:
        match = _OPTION.fullmatch(word) if len(word) > 1 and not word.startswith("--") else None
        if match is None:
            script = word
            break
        if match[2] in ("c", "m"):
            options += [f"-{match[1]}"] if match[1] else []
            break
        options.append(word)
        if match[2] and not match[3]:
            options.append(next(rest, ""))
    return Interpreter(program, tuple(options), _hindrance(options, script))


def _hindrance(options: Sequence[str], script: str) -> str:
    flags = [match[1] for word in options if (match := _OPTION.fullmatch(word))]
    found = next((letter for each in flags for letter in each if letter in _ISOLATING), None)
    if found:
        return f"Python's option -{found} {_HIDDEN}"
    return PEX if script and os.path.isfile(script) and _is_pex(script) else ""


def _is_pex(file: str) -> bool:
    try:
        with zipfile.ZipFile(file) as packed:
            return "PEX-INFO" in packed.namelist()
    except (OSError, zipfile.BadZipFile):
        return False
