"""Keep every line of your OpenTracing code. Ship OpenTelemetry."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import ot_bridge._start  # noqa: F401 before whatever imports OpenTelemetry
from ot_bridge._version import __version__
from ot_bridge.bridge import Scope, ScopeManager, Span, SpanContext, Tracer, create_tracer
from ot_bridge.install import install, uninstall

if TYPE_CHECKING:
    from ot_bridge.wsgi import TracingMiddleware, trace_wsgi

__all__ = [
    "Scope",
    "ScopeManager",
    "Span",
    "SpanContext",
    "Tracer",
    "TracingMiddleware",
    "__version__",
    "create_tracer",
    "install",
    "trace_wsgi",
    "uninstall",
]

# Rooms that need more than the core's dependencies are entered when a name of theirs is first asked for.
_ROOMS = {"TracingMiddleware": "ot_bridge.wsgi", "trace_wsgi": "ot_bridge.wsgi"}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return getattr(import_module(_ROOMS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
