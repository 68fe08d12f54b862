"""Keep every line of your OpenTracing code. Ship OpenTelemetry."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import ot_bridge._start  # noqa: F401 - before any import of OpenTelemetry
from ot_bridge._version import __version__

if TYPE_CHECKING:
    from ot_bridge.bridge import Scope, ScopeManager, Span, SpanContext, Tracer, create_tracer
    from ot_bridge.installation import install, uninstall
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

# Each name is imported when it is first used. OpenTelemetry loads entry points of this package while it is
# half imported itself, and pytest loads one in every test run. So neither may import the whole package.
_ROOMS = {
    "TracingMiddleware": "wsgi",
    "install": "installation",
    "trace_wsgi": "wsgi",
    "uninstall": "installation",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_ROOMS.get(name, 'bridge')}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
