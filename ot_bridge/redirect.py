"""Import redirection: `import jaeger_client` gets `ot_bridge.jaeger_client`, with or without the real one.

    from ot_bridge.redirect import redirect
    redirect()

Call it before the program's other imports. `ot-bridge run` does this for an unchanged program. It loads this
file alone, without the package, so this file imports only the standard library.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["redirect", "undo"]

REDIRECTED: Mapping[str, str] = {
    "jaeger_client": "ot_bridge.jaeger_client",
    "grpc_opentracing": "ot_bridge.grpc_opentracing",
}

_log = logging.getLogger("ot_bridge")


class _Alias(Loader):
    """Loads a module by returning its replacement: both names are the same module with the same classes."""

    def __init__(self, target: str) -> None:
        self.target = target

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self.target)
        self._own = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._own  # the import system has replaced it by the spec of the alias


class Finder(MetaPathFinder):
    """Finds the redirected packages and their submodules, and no other module.

    A package is replaced as a whole or not at all: a submodule is redirected only if its package was. The
    package is left alone if ot_bridge is not installed or the package was imported before.
    """

    def __init__(self) -> None:
        self._warned: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        top, _, rest = fullname.partition(".")
        ours = REDIRECTED.get(top)
        if ours is None:
            return None
        if rest and sys.modules.get(top) is not sys.modules.get(ours, self):
            return None
        if not rest and importlib.util.find_spec("ot_bridge") is None:
            # A child interpreter can inherit our variables without our packages.
            self._warn_once(f"{top} is not redirected: ot_bridge is not installed in {sys.executable}")
            return None
        name = f"{ours}.{rest}" if rest else ours
        found = importlib.util.find_spec(name)
        if found is None:
            self._warn_once(f"{fullname} is not among the parts of {top} that ot_bridge stands in for")
            return None
        spec = ModuleSpec(
            fullname, _Alias(name), origin=found.origin, is_package=bool(found.submodule_search_locations)
        )
        spec.submodule_search_locations = found.submodule_search_locations
        return spec

    def _warn_once(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            _log.warning("%s", text)


def redirect() -> Sequence[str]:
    """Redirects every later import of the old packages to ours; returns the names of these packages.

    A package that is already imported stays as it is, and the log says so. A second call has no effect.
    """
    if not any(isinstance(each, Finder) for each in sys.meta_path):
        sys.meta_path.insert(0, Finder())
        early = [name for name in REDIRECTED if name in sys.modules]
        if early:
            _log.warning("imported before redirect(), therefore not redirected: %s", ", ".join(early))
    return list(REDIRECTED)


def undo() -> None:
    """Ends redirection: later imports get the real packages."""
    sys.meta_path[:] = [each for each in sys.meta_path if not isinstance(each, Finder)]
    for name, module in list(sys.modules.items()):
        top, _, rest = name.partition(".")
        ours = REDIRECTED.get(top)
        if ours is not None and module is sys.modules.get(f"{ours}.{rest}" if rest else ours):
            del sys.modules[name]
