"""All private names of OpenTelemetry that this package uses, each under a public name; the current context.

Each name has a replacement for versions without it. Versions 1.28 to 1.45 were examined. If a comment gives
no version, all of them have the name. `NEEDED` lists the attributes of the SDK's spans, tracers and
containers that `ot_bridge.engine` inherits, fills and overrides. Only that room uses them. If the installed
version lacks one of them, the SDK's own tracer makes the spans.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from opentelemetry import baggage, trace
from opentelemetry import context as context_api
from opentelemetry.context import Context

from ot_bridge.errors import log_once

try:
    from opentelemetry.attributes import BoundedAttributes as BoundedAttributes
except ImportError:

    class BoundedAttributes:  # type: ignore[no-redef]
        """Lacks all that the engine needs (`NEEDED`), so that the SDK's own tracer is used."""


_log = logging.getLogger("ot_bridge")

# The current context, which is read and set directly if it is the known context variable. Otherwise (another
# `OTEL_PYTHON_CONTEXT`, or another version) the API's functions are used.

_runtime: Final[Any] = getattr(context_api, "_RUNTIME_CONTEXT", None)
_variable: Final[Any] = getattr(_runtime, "_current_context", None)
_stock: Final = type(_runtime).__module__ == "opentelemetry.context.contextvars_context"
_direct: Final = _stock and _variable is not None

current: Final[Callable[[], Context]] = _variable.get if _direct else context_api.get_current
attach: Final[Callable[[Context], Any]] = _variable.set if _direct else context_api.attach
#: As `detach`, but raises ValueError for a token of another task or thread, where `detach` logs an error.
reset: Final[Callable[[Any], None]] = _variable.reset if _direct else context_api.detach

# Keys of the context, found in contexts that public functions have made.

SPAN_KEY: Final[str] = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, Context())))
BAGGAGE_KEY: Final[str] = next(iter(baggage.set_baggage("name", "value", Context())))
#: The key that instrumentations look for before they trace. In a version without it, a key without effect.
SUPPRESS_KEY: Final[str] = getattr(context_api, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")
#: The keys that instrumentations look for, including older keys and those for HTTP clients.
SUPPRESS_KEYS: Final[tuple[str, ...]] = (
    SUPPRESS_KEY,
    getattr(context_api, "_SUPPRESS_HTTP_INSTRUMENTATION_KEY", "suppress_http_instrumentation"),
    "suppress_instrumentation",
)
#: The context for an exporter's own traffic. It has only the keys that keep instrumentations from tracing.
UNTRACED: Final = Context(dict.fromkeys(SUPPRESS_KEYS, True))

# The global provider. Public functions can set it only once, and cannot unset it.


def held_provider() -> trace.TracerProvider | None:
    """The global provider, or None if none has been set."""
    return getattr(trace, "_TRACER_PROVIDER", None)


def provider_slot() -> tuple[Any, Any]:
    """The global provider, and the guard that lets it be set once: the arguments of `hold_provider`."""
    return held_provider(), getattr(trace, "_TRACER_PROVIDER_SET_ONCE", None)


def hold_provider(provider: Any, guard: Any = None) -> None:
    """Makes a provider global in place of any other. None unsets it, so that one can be set again.

    guard: the guard from `provider_slot`, to restore an earlier state. If this version of the API has other
    private names, a provider can be set only once, and cannot be unset.
    """
    if not hasattr(trace, "_TRACER_PROVIDER_SET_ONCE"):
        if provider is not None:
            trace.set_tracer_provider(provider)
        return
    if provider is None and guard is None:
        guard = type(trace._TRACER_PROVIDER_SET_ONCE)()
    trace._TRACER_PROVIDER = provider
    if guard is not None:
        trace._TRACER_PROVIDER_SET_ONCE = guard


# The SDK's samplers and processors, and values that they keep in private attributes.

_DELEGATES: Final = (
    "_root",
    "_remote_parent_not_sampled",
    "_remote_parent_sampled",
    "_local_parent_not_sampled",
    "_local_parent_sampled",
)


def static_decision(sampler: Any) -> Any:
    """The decision that a `StaticSampler` always makes. None if it cannot be read."""
    return getattr(sampler, "_decision", None)


def delegate(sampler: Any, kind: int) -> Any:
    """The sampler that a `ParentBased` calls for a kind of span; None if it cannot be read.

    kind: 0 for a root, 1 and 2 for a remote parent (unsampled, sampled), 3 and 4 for a local one.
    """
    return getattr(sampler, _DELEGATES[kind], None)


# Tracers.

#: Attributes of the SDK's tracer from which it makes spans. The last two exist since 1.40.
TRACER_SETTINGS: Final = frozenset(
    {
        *("sampler", "resource", "span_processor", "id_generator", "instrumentation_info"),
        *("_span_limits", "_instrumentation_scope"),
        *("_tracer_config", "_tracer_metrics"),
    }
)


def is_enabled(tracer: Any) -> bool:
    """Whether the provider's configurator has enabled the tracer. True in versions before 1.40."""
    enabled = getattr(tracer, "_is_enabled", None)
    return enabled is None or bool(enabled())


def metrics_of(tracer: Any) -> Any:
    """The object that counts the tracer's spans, or None."""
    metrics = getattr(tracer, "_tracer_metrics", None)
    return None if type(metrics).__name__ == "NoOpTracerMetrics" else metrics


def behind_proxy(tracer: Any) -> Any:
    """The tracer behind a proxy of the API, which was made before the global provider was set."""
    return getattr(tracer, "_tracer", tracer)


# Spans.


def set_kind(span: Any, kind: trace.SpanKind) -> bool:
    """Changes the kind of a span of the SDK, for which there is no public way. False for any other span."""
    if not hasattr(span, "_kind"):
        return False
    span._kind = kind
    return True


# Containers.


class _Silence(threading.local):
    on = False


#: `on`: whether to suppress the line that the SDK logs (since 1.44) for each attribute that it drops.
SILENCE: Final = _Silence()
_FULL: Final = "Attributes dict is full."
logging.getLogger("opentelemetry.attributes").addFilter(
    lambda record: not (SILENCE.on and str(record.msg).startswith(_FULL))
)


def quietly(call: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a method of the SDK with `SILENCE` on. The caller logs the number of dropped attributes."""
    SILENCE.on = True
    try:
        return call(*arguments)
    finally:
        SILENCE.on = False


def dropped_by(owner: Any) -> tuple[int, int | None]:
    """The number of attributes that a span or event of the SDK has dropped, and how many it may hold."""
    held = getattr(owner, "_attributes", None)
    return getattr(held, "dropped", 0), getattr(held, "maxlen", None)


def last_event(span: Any) -> Any:
    """The event that was last added to a span of the SDK, or None."""
    return events[-1] if (events := getattr(span, "_events", None)) else None


def set_many(container: Any, attributes: dict[str, Any]) -> None:
    """Sets attributes in a container, all at once since version 1.42, else one by one."""
    if hasattr(BoundedAttributes, "_set_items"):
        container._set_items(attributes)
    else:
        for key, value in attributes.items():
            container[key] = value


_STATE_HAS_DICT: Final = hasattr(trace.TraceState(), "_dict")


def state_of(entries: dict[str, str]) -> trace.TraceState:
    """Makes a trace state of entries that are known to be valid, without the API's validation."""
    if not _STATE_HAS_DICT:
        return trace.TraceState(list(entries.items()))
    state = trace.TraceState()
    state._dict = entries
    return state


def parts_of(textmap: Any) -> Any:
    """The propagators that a `CompositePropagator` is made of. For any other propagator, a list of itself."""
    return getattr(textmap, "_propagators", [textmap])


# The names that the engine needs.

#: Kind of object -> the attributes of the SDK's own that `ot_bridge.engine` inherits, fills or overrides.
NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "tracer": (
        *("sampler", "resource", "span_processor", "id_generator"),
        *("_span_limits", "_instrumentation_scope"),
    ),
    "span": (
        *("_attributes", "_context", "_end_time", "_events", "_instrumentation_info"),
        *("_instrumentation_scope",),
        *("_kind", "_limits", "_links", "_lock", "_name", "_new_links", "_parent", "_readable_span"),
        *("_record_exception", "_resource", "_sampler", "_set_status_on_exception", "_span_processor"),
        *("_start_time", "_status", "_trace_config"),
    ),
    "attributes": ("_dict", "_immutable", "_lock"),
    "processors": ("_span_processors",),
}
#: All of these, and those that only some versions have. Only the engine may use these names.
MIRRORED: Final = frozenset(
    {name for names in NEEDED.values() for name in names} - {"_dict"} | {"_on_ending", "_record_end_metrics"}
)


def lacking(tracer: Any) -> list[str]:
    """The names in `NEEDED` that the installed SDK lacks, as `span._name`. tracer: of the SDK."""
    # Imported here, because propagators need this module too, and work without the SDK.
    from opentelemetry.sdk import trace as sdk
    from opentelemetry.sdk.resources import Resource

    try:
        span: Any = sdk._Span("", trace.INVALID_SPAN_CONTEXT, resource=Resource.get_empty())
    except Exception:
        return ["span"]
    found = {
        "tracer": tracer,
        "span": span,
        "attributes": BoundedAttributes(),
        "processors": sdk.SynchronousMultiSpanProcessor(),  # type: ignore[no-untyped-call]
    }
    return [
        f"{kind}.{name}" for kind, names in NEEDED.items() for name in names if not hasattr(found[kind], name)
    ]


def carries_the_engine(tracer: Any) -> bool:
    """Whether the engine works on the installed version of the SDK. If not, that is logged once."""
    missing = _known.get("missing")
    if missing is None:
        missing = _known["missing"] = lacking(tracer)
    if missing:
        from opentelemetry.sdk.version import __version__

        problem = f"opentelemetry-sdk {__version__} has no {', '.join(missing)}, which the engine needs"
        instead = "the SDK's own tracer is used, which is slower; update ot-bridge"
        log_once(_log, logging.WARNING, f"{problem}: {instead}")
    return not missing


_known: dict[str, list[str]] = {}
