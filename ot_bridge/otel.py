"""The names of OpenTelemetry that it does not publish, each once, under a name of ours; the current context.

Each name has a replacement for the versions that lack it. Versions 1.28 to 1.45 were examined: where no
version is given, all of them have the name. `NEEDED` lists the attributes of the SDK's spans,
tracers and containers that `ot_bridge.engine` inherits, fills and overrides. Only that room uses them, and on
a version that lacks one, the SDK's own tracer makes the spans.
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

# The current context, read and set in one step where it is a context variable. `OTEL_PYTHON_CONTEXT` may have
# put another runtime context in place, or a version another variable: then the API's functions serve.

_runtime: Final[Any] = getattr(context_api, "_RUNTIME_CONTEXT", None)
_variable: Final[Any] = getattr(_runtime, "_current_context", None)
_stock: Final = type(_runtime).__module__ == "opentelemetry.context.contextvars_context"
_direct: Final = _stock and _variable is not None

current: Final[Callable[[], Context]] = _variable.get if _direct else context_api.get_current
attach: Final[Callable[[Context], Any]] = _variable.set if _direct else context_api.attach
#: `detach` that raises ValueError where the token is another task's or thread's, in place of logging it.
reset: Final[Callable[[Any], None]] = _variable.reset if _direct else context_api.detach

# Keys of the context, read off contexts that public functions made.

SPAN_KEY: Final[str] = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, Context())))
BAGGAGE_KEY: Final[str] = next(iter(baggage.set_baggage("name", "value", Context())))
#: The key that instrumentations look for before they trace. Where a version has none, a key without effect.
SUPPRESS_KEY: Final[str] = getattr(context_api, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")
#: The keys that instrumentations look for, older ones and those of HTTP clients included.
SUPPRESS_KEYS: Final[tuple[str, ...]] = (
    SUPPRESS_KEY,
    getattr(context_api, "_SUPPRESS_HTTP_INSTRUMENTATION_KEY", "suppress_http_instrumentation"),
    "suppress_instrumentation",
)
#: The context of an exporter's own traffic: empty but for the keys that keep instrumentations from tracing.
UNTRACED: Final = Context(dict.fromkeys(SUPPRESS_KEYS, True))

# The global provider, which public functions set once and never take back.


def held_provider() -> trace.TracerProvider | None:
    """The global provider, None if none was set."""
    return getattr(trace, "_TRACER_PROVIDER", None)


def provider_slot() -> tuple[Any, Any]:
    """The global provider, and the guard that lets it be set once: the arguments of `hold_provider`."""
    return held_provider(), getattr(trace, "_TRACER_PROVIDER_SET_ONCE", None)


def hold_provider(provider: Any, guard: Any = None) -> None:
    """Makes a provider global, in place of any other. None: no provider is global, and one can be set again.

    guard: the guard from `provider_slot`, to bring back an earlier state. Where the API has other names, a
    provider can be set once only, and not be taken back.
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

#: Attributes of the SDK's tracer that its spans are made from; the last two are there since 1.40.
TRACER_SETTINGS: Final = frozenset(
    {
        *("sampler", "resource", "span_processor", "id_generator", "instrumentation_info"),
        *("_span_limits", "_instrumentation_scope"),
        *("_tracer_config", "_tracer_metrics"),
    }
)


def is_enabled(tracer: Any) -> bool:
    """Whether the provider's configurator has the tracer switched on. True in versions before 1.40."""
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
    """Changes the kind of a span of the SDK, which has no public way. False for any other span."""
    if not hasattr(span, "_kind"):
        return False
    span._kind = kind
    return True


# Containers.


class _Silence(threading.local):
    on = False


#: `on`: whether the SDK logs no line for each attribute that this thread makes it drop (it does since 1.44).
SILENCE: Final = _Silence()
_FULL: Final = "Attributes dict is full."
logging.getLogger("opentelemetry.attributes").addFilter(
    lambda record: not (SILENCE.on and str(record.msg).startswith(_FULL))
)


def quietly(call: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a method of the SDK's in `SILENCE`. The caller logs the number of dropped attributes."""
    SILENCE.on = True
    try:
        return call(*arguments)
    finally:
        SILENCE.on = False


def dropped_by(owner: Any) -> tuple[int, int | None]:
    """How many attributes a span or event of the SDK's has dropped, and how many it may hold."""
    held = getattr(owner, "_attributes", None)
    return getattr(held, "dropped", 0), getattr(held, "maxlen", None)


def last_event(span: Any) -> Any:
    """The event that was last added to a span of the SDK's, None if there is none."""
    return events[-1] if (events := getattr(span, "_events", None)) else None


def set_many(container: Any, attributes: dict[str, Any]) -> None:
    """Sets attributes in a container at once; one by one up to 1.41, which cannot do better."""
    if hasattr(BoundedAttributes, "_set_items"):
        container._set_items(attributes)
    else:
        for key, value in attributes.items():
            container[key] = value


_STATE_HAS_DICT: Final = hasattr(trace.TraceState(), "_dict")


def state_of(entries: dict[str, str]) -> trace.TraceState:
    """A trace state of entries that are known to be valid, without the API's validation."""
    if not _STATE_HAS_DICT:
        return trace.TraceState(list(entries.items()))
    state = trace.TraceState()
    state._dict = entries
    return state


def parts_of(textmap: Any) -> Any:
    """The propagators that a `CompositePropagator` is made of. For any other propagator, a list of itself."""
    return getattr(textmap, "_propagators", [textmap])


# What the engine builds on.

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
#: All of these, and those that not every version has: the rooms of the engine alone may use their names.
MIRRORED: Final = frozenset(
    {name for names in NEEDED.values() for name in names} - {"_dict"} | {"_on_ending", "_record_end_metrics"}
)


def lacking(tracer: Any) -> list[str]:
    """What of `NEEDED` the installed SDK does not have, as `span._name`. tracer: one of the SDK's."""
    # Here, since the propagators, which programs without the SDK use, need this module too.
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
        instead = "the SDK's own tracer is used, which costs more; update ot-bridge"
        log_once(_log, logging.WARNING, f"{problem}: {instead}")
    return not missing


_known: dict[str, list[str]] = {}
