"""Names that jaeger-client's modules import from each other. Programs may import them from these modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

_HERE: Final = "ot_bridge.jaeger_client"
#: Module -> the modules whose public names can be imported from it, too.
_HOMES: Final[Mapping[str, str]] = {
    "codecs": "constants",
    "config": "constants metrics sampler utils opentracing",
    "local_agent_net": "TUDPTransport",
    "reporter": "constants metrics metrics.metrics span utils",
    "sampler": "constants metrics metrics.metrics rate_limiter utils",
    "span": "constants opentracing",
    "throttler": "metrics metrics.metrics utils",
    "tracer": "constants metrics metrics.metrics codecs reporter span span_context sampler throttler utils"
    " opentracing opentracing.scope_managers",
}
#: Modules that jaeger-client's modules have under these names.
_MODULES: Final[Mapping[str, str]] = {
    "Agent": "thrift_gen.agent.Agent",
    "codecs": "codecs",
    "ext_tags": "opentracing.ext.tags",
    "ioloop_util": "ioloop_util",
    "thrift": "thrift",
    "ttypes": "thrift_gen.jaeger.ttypes",
}


def _imported(name: str) -> Any:
    return import_module(name if name.startswith("opentracing") else f"{_HERE}.{name}")


def also(module: str) -> Callable[[str], Any]:
    """Makes the `__getattr__` of a module, which finds the names that jaeger-client's module imports."""
    homes = _HOMES[module.rpartition(".")[2]].split()

    def find(name: str) -> Any:
        if name == "default_logger":
            return vars(import_module(module))["logger"]
        if name in _MODULES:
            return _imported(_MODULES[name])
        for home in () if name.startswith("_") else homes:
            names = vars(_imported(home))
            if name in names:
                return names[name]
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return find
