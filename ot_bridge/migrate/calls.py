"""Finds the calls of the project's functions, and the places where a function is used without a call."""

from __future__ import annotations

import ast
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from ot_bridge.migrate.scopes import Function
from ot_bridge.migrate.values import Value, union

if TYPE_CHECKING:
    from ot_bridge.migrate.project import File
    from ot_bridge.migrate.reading import Reading

_HANDED: Final = (ast.Call, ast.keyword, ast.Assign, ast.Return, ast.List, ast.Tuple, ast.Dict, ast.ClassDef)


class Calls:
    """The calls of all functions. `collect` fills it once, before anything is known about parameters."""

    def __init__(self) -> None:
        self._calls: dict[ast.AST, list[tuple[File, ast.Call, bool]]] = defaultdict(list)
        self._loose: set[ast.AST] = set()  # functions that are passed as values, or called in unknown ways
        self._attributes: set[str] = set()  # attributes of unknown receivers

    def collect(self, reading: Reading) -> None:
        for file in reading.project.legacy:
            for node in file.module.nodes:
                if isinstance(node, ast.Call):
                    self._add(reading, file, node)
                elif isinstance(node, ast.Attribute) and reading.value(file, node.value) is None:
                    self._attributes.add(node.attr)
                if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
                    self._handed_on(reading, file, node)
        for plain in reading.project.plain:
            self._attributes |= plain.attributes

    def _add(self, reading: Reading, file: File, node: ast.Call) -> None:
        function = reading.value(file, node.func)
        if function is None:
            return
        if function.kind == "function":
            self._calls[function.what[1]].append((file, node, function.maybe))
        elif function.kind == "class":
            made = reading.method(function.what, "__init__")
            if made is not None:
                self._calls[made.what[1]].append((file, node, True))

    def _handed_on(self, reading: Reading, file: File, node: ast.expr) -> None:
        parent = file.module.parents.get(node)
        if isinstance(parent, ast.Call) and parent.func is node:
            return
        value = reading.value(file, node)
        if value is not None and value.kind == "function":
            self._loose.add(value.what[1])
        elif value is not None and value.kind == "class" and isinstance(parent, _HANDED):
            made = reading.method(value.what, "__init__")
            if made is not None:
                self._loose.add(made.what[1])

    def of(self, function: ast.AST) -> list[tuple[File, ast.Call, bool]]:
        """The calls of a function: file, call, and whether the instance is its first argument."""
        return self._calls.get(function, [])

    def closed(self, reading: Reading, file: File, function: Function) -> bool:
        """Whether every use of the function is a known call."""
        if function in self._loose or not self.of(function):
            return False
        owner = file.module.parents[function]
        if isinstance(owner, ast.ClassDef):
            if reading.is_overridden(owner, function.name):
                return False
            if function.name == "__init__":
                return not outside(reading, file, owner.name)
            return function.name not in self._attributes
        return not outside(reading, file, function.name)

    def parameter(self, reading: Reading, file: File, function: Function, node: ast.arg) -> Value | None:
        """The value that all calls pass for a parameter without annotation."""
        if function.decorator_list or not self.closed(reading, file, function):
            return None
        values: list[Value | None] = []
        default = default_of(function, node)
        if default is not None:
            values.append(reading.value(file, default))
        for home, call, bound in self.of(function):
            given = argument(function, call, node, bound)
            if given is not None:
                values.append(reading.value(home, given))
            elif default is None:
                return None
        value = union(values)
        return value if value is not None and (value.is_object or value.kind == "none") else None


def outside(reading: Reading, file: File, name: str) -> str | None:
    """A file without a legacy import that uses this name of the module, or None."""
    for module in file.names:
        for each, plain in reading.project.users.get(module.rpartition(".")[2], ()):
            if module != each and not module.endswith(f".{each}"):
                continue
            if {(each, name), (each, "*")} & plain.imported or name in plain.attributes:
                return str(plain.path)
    return None


def default_of(function: Function, node: ast.arg) -> ast.expr | None:
    arguments = function.args
    listed = [*arguments.posonlyargs, *arguments.args]
    if node in listed:
        position = listed.index(node) - (len(listed) - len(arguments.defaults))
        return arguments.defaults[position] if position >= 0 else None
    return arguments.kw_defaults[arguments.kwonlyargs.index(node)]


def has_hidden_arguments(call: ast.Call) -> bool:
    """Whether a call passes arguments by `*` or `**`."""
    return any(isinstance(each, ast.Starred) for each in call.args) or any(
        keyword.arg is None for keyword in call.keywords
    )


def argument(function: Function, call: ast.Call, node: ast.arg, bound: bool) -> ast.expr | None:
    """The expression that a call passes for a parameter, or None if none is visible."""
    for keyword in call.keywords:
        if keyword.arg == node.arg:
            return keyword.value
    listed = [*function.args.posonlyargs, *function.args.args]
    if node not in listed:
        return None
    position = listed.index(node) - bound
    if position < 0 or any(isinstance(each, ast.Starred) for each in call.args[:position]):
        return None
    return call.args[position] if position < len(call.args) else None


def parameter_of(function: Function, call: ast.Call, given: ast.expr, bound: bool) -> ast.arg | None:
    """The parameter that an argument of a call is passed for."""
    everything = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return next((each for each in everything if argument(function, call, each, bound) is given), None)
