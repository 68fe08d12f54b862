"""Runs in every Python that `ot-bridge run` starts, directly or indirectly, before the program's code.

It redirects the imports, prints that (in the first of these processes only), and then runs the
`sitecustomize` that it hides. An error is printed, and the program runs as it would without ot_bridge.
"""

import importlib.machinery
import importlib.util
import os
import sys
import traceback
from types import ModuleType

HERE = os.path.dirname(os.path.abspath(__file__))


def load(name: str, path: str) -> ModuleType:
    """Runs one file as a module, without importing its package, which few interpreters need."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # noqa: PT018
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def redirect() -> None:
    """Redirects the imports. If ot_bridge is not installed, a redirected import reports that."""
    module = load("ot_bridge.redirect", os.path.join(HERE, "..", "..", "redirect.py"))
    module.redirect()
    if not os.environ.get("OT_BRIDGE_QUIET") and importlib.util.find_spec("ot_bridge") is not None:
        os.environ["OT_BRIDGE_QUIET"] = "1"  # for child processes
        pairs = ", ".join(f"{old} -> {new}" for old, new in module.REDIRECTED.items())
        print(f"ot-bridge: imports redirected in {sys.executable}: {pairs}", file=sys.stderr, flush=True)


try:
    if os.environ.get("OT_BRIDGE_REDIRECT") != "off":
        redirect()
    if os.environ.get("OT_BRIDGE_SITE"):
        load("_ot_bridge_site", os.environ["OT_BRIDGE_SITE"])
except Exception:
    traceback.print_exc()

elsewhere = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != HERE]
hidden = importlib.machinery.PathFinder.find_spec("sitecustomize", elsewhere)
if hidden is not None and hidden.origin:
    load("sitecustomize", hidden.origin)
