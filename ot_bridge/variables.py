"""Reads environment variables under one policy, and finds objects (`Parts`) by their names.

A bad argument raises ConfigurationError. A bad variable never stops a program: it is logged once, as an ERROR
with the variable, its value, the known names and what is done instead, and then counts as unset. In a list
(`OTEL_TRACES_EXPORTER`, `OTEL_PROPAGATORS`, ...) only the bad names are left out. If no name remains, the
variable counts as unset.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import MappingProxyType
from typing import Any

from ot_bridge.errors import ConfigurationError, bad_variable


def text(name: str) -> str:
    """A variable's value without surrounding blanks; empty if it is unset."""
    return os.environ.get(name, "").strip()


def is_true(name: str) -> bool:
    """A boolean variable. Only `true` is true (OpenTelemetry, "Environment Variable Specification")."""
    value = text(name).lower()
    if value not in ("", "true", "false"):
        bad_variable(name, value, "expected true or false", "false is taken")
    return value == "true"


@contextmanager
def replaced(values: Mapping[str, str | None]) -> Iterator[None]:
    """Sets variables while a block runs. None unsets one."""
    before = {name: os.environ.get(name) for name in values}
    _put(values)
    try:
        yield
    finally:
        _put(before)


def _put(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def usable(
    variable: str, check: Callable[[str], object], default: str, value: str | None = None
) -> list[str]:
    """The names in a list variable for which `check` raises no ConfigurationError.

    Empty if the variable is unset or no name is left. default: what the caller uses then, for the log.
    value: is read in place of the variable.
    """
    good, problems = [], []
    value = text(variable) if value is None else value
    for name in filter(None, map(str.strip, value.split(","))):
        try:
            check(name)
            good.append(name)
        except ConfigurationError as error:
            problems.append(f"{error.value!r}: {error.reason}")
    if problems:
        instead = f"only {','.join(good)} is taken" if good else f"{default} is taken, as if it were unset"
        bad_variable(variable, value, "; ".join(problems), instead)
    return good


def entry_points(group: str, name: str | None = None) -> list[Any]:
    """The entry points of a group, or those of one name."""
    from importlib.metadata import entry_points  # here, because it takes 20 ms to load

    return list(entry_points(group=group) if name is None else entry_points(group=group, name=name))


def loaded(path: str) -> Any:
    """The object at `module:name`. Raises ImportError."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


class Parts:
    """One kind of objects (exporters, samplers, ...) that users choose by name.

    option: the argument that names them. group: their group of entry points. own: name -> `module:name` of
    the parts that are found without entry points. hints: name -> advice if the part is missing. also: further
    known names, of parts that the caller itself provides.
    """

    def __init__(
        self,
        option: str,
        group: str,
        own: Mapping[str, str] = MappingProxyType({}),
        hints: Mapping[str, str] = MappingProxyType({}),
        also: tuple[str, ...] = (),
    ) -> None:
        self.option = option
        self.group = group
        self.own = own
        self.hints = hints
        self.also = also

    def load(self, name: str) -> Any:
        """The part of this name, in any case. Raises ConfigurationError if there is none."""
        problem = ""
        for spelling in dict.fromkeys((name, name.lower())):
            for load in self._loaders(spelling):
                try:
                    return load()
                except Exception as error:  # another package may raise anything
                    problem = f"{type(error).__name__}: {error}"
        reasons = (self.hints.get(name.lower()) or problem, f"expected one of {', '.join(self.known())}")
        raise ConfigurationError(self.option, name, "; ".join(filter(None, reasons)))

    def _loaders(self, name: str) -> Iterator[Callable[[], Any]]:
        if name in self.own:
            yield lambda: loaded(self.own[name])
        else:
            yield from (entry.load for entry in entry_points(self.group, name))

    def known(self) -> list[str]:
        """All known names. Those of this package come first."""
        others = sorted({entry.name for entry in entry_points(self.group)})
        return list(dict.fromkeys([*self.also, *self.own, *others]))
