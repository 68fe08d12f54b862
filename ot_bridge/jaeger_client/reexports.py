"""Names that jaeger-client's modules had at hand from each other, so that programs import them from there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final

_OURS: Final = "ot_bridge.jaeger_client"
_METRICS: Final = "LegacyMetricsFactory Metrics MetricsFactory"
_OF_SAMPLERS: Final = (
    "DEFAULT_SAMPLING_INTERVAL SAMPLER_TYPE_CONST SAMPLER_TYPE_LOWER_BOUND SAMPLER_TYPE_PROBABILISTIC"
    " SAMPLER_TYPE_RATE_LIMITING"
)
_OF_STRATEGIES: Final = (
    "STRATEGIES_STR OPERATION_STR DEFAULT_LOWER_BOUND_STR PROBABILISTIC_SAMPLING_STR SAMPLING_RATE_STR"
    " DEFAULT_SAMPLING_PROBABILITY_STR OPERATION_SAMPLING_STR MAX_TRACES_PER_SECOND_STR"
    " RATE_LIMITING_SAMPLING_STR STRATEGY_TYPE_STR PROBABILISTIC_SAMPLING_STRATEGY"
    " RATE_LIMITING_SAMPLING_STRATEGY get_sampling_probability get_rate_limit"
)
_OF_CONFIG: Final = (
    "DEFAULT_SAMPLING_INTERVAL DEFAULT_FLUSH_INTERVAL SAMPLER_TYPE_CONST SAMPLER_TYPE_PROBABILISTIC"
    " SAMPLER_TYPE_RATE_LIMITING TRACE_ID_HEADER BAGGAGE_HEADER_PREFIX DEBUG_ID_HEADER_KEY"
    " MAX_TAG_VALUE_LENGTH MAX_TRACEBACK_LENGTH DEFAULT_THROTTLER_REFRESH_INTERVAL"
)
_OF_SAMPLER: Final = "ConstSampler ProbabilisticSampler RateLimitingSampler RemoteControlledSampler Sampler"

#: Module -> where its names are really -> these names; without names it is the module itself.
REEXPORTS: Final[Mapping[str, Mapping[str, str]]] = {
    "codecs": {".constants": "SAMPLED_FLAG DEBUG_FLAG"},
    "config": {
        ".constants": _OF_CONFIG,
        ".metrics": _METRICS,
        ".sampler": _OF_SAMPLER,
        "opentracing": "ScopeManager",
    },
    "local_agent_net": {".TUDPTransport": "TUDPTransport"},
    "reporter": {
        ".constants": "DEFAULT_FLUSH_INTERVAL",
        ".metrics": _METRICS,
        ".metrics.parts": "ReporterMetrics",
        ".span": "Span",
        ".utils": "ErrorReporter",
        ".thrift": "",
        ".ioloop_util": "",
        ".thrift_gen.agent.Agent": "",
    },
    "sampler": {
        ".constants": _OF_SAMPLERS,
        ".metrics": _METRICS,
        ".metrics.parts": "SamplerMetrics",
        ".rate_limiter": "RateLimiter",
        ".strategies": _OF_STRATEGIES,
        ".utils": "ErrorReporter",
    },
    "span": {
        ".constants": "SAMPLED_FLAG DEBUG_FLAG",
        "opentracing": "Reference",
        "opentracing.ext.tags": "",
        ".codecs": "",
        ".thrift": "",
        ".thrift_gen.jaeger.ttypes": "",
    },
    "throttler": {".metrics": _METRICS, ".metrics.parts": "ThrottlerMetrics", ".utils": "ErrorReporter"},
    "tracer": {
        ".constants": "SAMPLED_FLAG DEBUG_FLAG",
        ".metrics": _METRICS,
        ".metrics.parts": "TracerMetrics",
        ".reporter": "BaseReporter",
        ".sampler": "Sampler",
        ".throttler": "Throttler",
        ".utils": "local_ip",
        "opentracing": "Reference ScopeManager",
        "opentracing.ext.tags": "",
        "opentracing.scope_managers": "ThreadLocalScopeManager",
    },
}
#: Names of modules under another name.
_RENAMED: Final = {"ext_tags": "tags"}


def also(module: str) -> Callable[[str], Any]:
    """A module's `__getattr__`: finds what jaeger-client's module of this name had from others."""
    table = REEXPORTS[module.rpartition(".")[2]]

    def find(name: str) -> Any:
        for home, names in table.items():
            path = f"{_OURS}{home}" if home.startswith(".") else home
            if name in names.split():
                return getattr(import_module(path), name)
            if not names and home.rpartition(".")[2] == _RENAMED.get(name, name):
                return import_module(path)
        if name == "default_logger":
            return getattr(import_module(module), "logger")  # noqa: B009
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return find
