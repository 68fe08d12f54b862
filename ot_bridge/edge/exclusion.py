"""The `exclude` option: paths or full methods that are not traced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ot_bridge.edge.isolation import attempt
from ot_bridge.edge.options import as_names

# Bounds of the remembered names, since clients can send any number of them.
_MOST_NAMES: Final = 1024
_LONGEST: Final = 256


class Exclusion(dict[str, bool]):
    """Maps a name to whether it is excluded: `exclusion["/healthz"]`. Results are remembered, up to a bound.

    given: a name, several names, or a callable that gets each request. A `*` at the end of a name stands for
    any text. is_callable: whether `given` is a callable. Raises `ConfigurationError` for anything else.
    """

    def __init__(self, given: Any) -> None:
        super().__init__()
        self._function: Callable[[Any], object] | None = given if callable(given) else None
        self.is_callable = self._function is not None
        names = () if self.is_callable else as_names("exclude", [given] if isinstance(given, str) else given)
        self._names = frozenset(names)
        self._prefixes = tuple(name[:-1] for name in names if name.endswith("*"))

    def __missing__(self, name: str) -> bool:
        if not isinstance(name, str):  # from a server that does not follow its standard
            return False
        excluded = name in self._names or name.startswith(self._prefixes)
        if len(self) < _MOST_NAMES and len(name) <= _LONGEST:
            self[name] = excluded
        return excluded

    def excludes(self, request: Any) -> bool:
        """Whether there is a callable and it excludes `request`. If it raises, the request is traced."""
        return self._function is not None and bool(attempt("exclude", self._function, request))
