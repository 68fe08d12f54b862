"""Runs in every Python that `ot-bridge compare` starts.

jaeger-client's packets are sent to `compare`, whatever address the program gives, and the client is flushed
at the exit. With `OT_BRIDGE_SAMPLE`, both clients sample every trace.
"""

import atexit
import os
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_PORT = int(os.environ["OT_BRIDGE_UDP"])


def _transport(module: Any) -> None:
    begin = module.TUDPTransport.__init__

    def __init__(self: Any, host: str, port: int, blocking: bool = False) -> None:
        begin(self, "127.0.0.1", _PORT, blocking)

    module.TUDPTransport.__init__ = __init__


def _reporter(module: Any) -> None:
    begin = module.Reporter.__init__

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        atexit.register(_flush, self)

    module.Reporter.__init__ = __init__


def _flush(reporter: Any) -> None:
    """Flushes as `close()` does, for programs that never call it."""
    over = threading.Event()

    def close() -> None:
        reporter._flush().add_done_callback(lambda future: over.set())

    if not reporter.stopped:
        reporter.io_loop.add_callback(close)
        over.wait(3)


def _config(module: Any) -> None:
    sampler = getattr(module, "samplers", module).ConstSampler
    if os.environ.get("OT_BRIDGE_SAMPLE"):
        module.Config.sampler = property(lambda config: sampler(True))


_THEIRS: "dict[str, Callable[[Any], None]]" = {
    "jaeger_client.TUDPTransport": _transport,
    "jaeger_client.reporter": _reporter,
    "jaeger_client.config": _config,
}
_OURS: "dict[str, Callable[[Any], None]]" = {"ot_bridge.jaeger_client.config": _config}
_PATCHES = _THEIRS if os.environ.get("OT_BRIDGE_REDIRECT") == "off" else _OURS


class Patching(MetaPathFinder):
    """A finder that changes these modules after they have been imported as usual."""

    def find_spec(
        self, fullname: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        patch = _PATCHES.get(fullname)
        spec = PathFinder.find_spec(fullname, path) if patch is not None else None
        if patch is None or spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            patch(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


class Missing(MetaPathFinder):
    """The last finder: reports that the real package is missing, even if the program ignores the error."""

    def find_spec(
        self, fullname: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> None:
        if fullname == "jaeger_client":
            text = f"{sys.executable} has no jaeger-client: pip install 'ot-bridge[legacy]'"
            print(f"ot-bridge compare: {text}", file=sys.stderr, flush=True)


sys.meta_path.insert(0, Patching())
sys.meta_path.append(Missing())
