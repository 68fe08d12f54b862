"""Every name of OpenTelemetry that it does not publish, once, under a name of ours; and the current context.

Beside each stands what takes its place in a version that lacks it. 1.28 to 1.45 were looked at: where no
version is given, all of them have the name. `MIRRORED` lists the attributes of the SDK's own spans, tracers
and containers that `ot_bridge.engine` inherits, fills and overrides; that room alone uses them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from opentelemetry import baggage, trace
from opentelemetry import context as context_api
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext

# The current context, read and set in one step where it is a context variable. `OTEL_PYTHON_CONTEXT` may have
# put another runtime context in place, or a version another variable: then the API's functions serve.

_runtime: Final[Any] = getattr(context_api, "_RUNTIME_CONTEXT", None)
_variable: Final[Any] = getattr(_runtime, "_current_context", None)
_direct: Final = type(_runtime) is ContextVarsRuntimeContext and _variable is not None

current: Final[Callable[[], Context]] = _variable.get if _direct else context_api.get_current
attach: Final[Callable[[Context], Any]] = _variable.set if _direct else context_api.attach
#: `detach` that raises ValueError where the token is another task's or thread's, in place of logging it.
reset: Final[Callable[[Any], None]] = _variable.reset if _direct else context_api.detach

# Keys of the context, read off contexts that public functions made.

SPAN_KEY: Final[str] = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, Context())))
BAGGAGE_KEY: Final[str] = next(iter(baggage.set_baggage("name", "value", Context())))
#: What instrumentations look for before they trace; a key that nobody reads where there is none.
SUPPRESS_KEY: Final[str] = getattr(context_api, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")
#: The same of older instrumentations, and of those of HTTP clients.
SUPPRESS_KEYS: Final[tuple[str, ...]] = (
    SUPPRESS_KEY,
    getattr(context_api, "_SUPPRESS_HTTP_INSTRUMENTATION_KEY", "suppress_http_instrumentation"),
    "suppress_instrumentation",
)
#: The context of an exporter's own traffic: empty, and instrumentations are told in it to look away.
UNTRACED: Final = Context(dict.fromkeys(SUPPRESS_KEYS, True))

# The global provider, which public functions set once and never take back.


def held_provider() -> trace.TracerProvider | None:
    """The global provider, None if none was set."""
    return trace._TRACER_PROVIDER


def provider_slot() -> tuple[Any, Any]:
    """The global provider, and the guard that lets it be set once: what `hold_provider` takes."""
    return trace._TRACER_PROVIDER, trace._TRACER_PROVIDER_SET_ONCE


def hold_provider(provider: Any, guard: Any = None) -> None:
    """Makes a provider global, whatever was; guard: one of before. None for no provider can be set again."""
    if provider is None and guard is None:
        guard = type(trace._TRACER_PROVIDER_SET_ONCE)()
    trace._TRACER_PROVIDER = provider
    if guard is not None:
        trace._TRACER_PROVIDER_SET_ONCE = guard


# Samplers and processors of the SDK's, and what they do not tell.

_DELEGATES: Final = (
    "_root",
    "_remote_parent_not_sampled",
    "_remote_parent_sampled",
    "_local_parent_not_sampled",
    "_local_parent_sampled",
)


def static_decision(sampler: Any) -> Any:
    """What a `StaticSampler` always says; None if it does not show it."""
    return getattr(sampler, "_decision", None)


def delegate(sampler: Any, kind: int) -> Any:
    """Whom a `ParentBased` asks: for a root, a remote parent (unsampled, sampled), a local one; else None."""
    return getattr(sampler, _DELEGATES[kind], None)


def batch_emit(processor: Any) -> Callable[[Any], None] | None:
    """What a `BatchSpanProcessor` does with a sampled span that ends; None up to 1.33."""
    emit: Callable[[Any], None] | None = getattr(getattr(processor, "_batch_processor", None), "emit", None)
    return emit


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
    """Whether the provider's configurator has the tracer switched on; always before 1.40."""
    enabled = getattr(tracer, "_is_enabled", None)
    return enabled is None or bool(enabled())


def metrics_of(tracer: Any) -> Any:
    """What counts the tracer's spans, if anything does."""
    metrics = getattr(tracer, "_tracer_metrics", None)
    return None if type(metrics).__name__ == "NoOpTracerMetrics" else metrics


def behind_proxy(tracer: Any) -> Any:
    """The tracer that a proxy of the API's stands for, made before the global provider was set."""
    return getattr(tracer, "_tracer", tracer)


# Spans.


def set_kind(span: Any, kind: trace.SpanKind) -> bool:
    """Changes the kind of a span of the SDK's, which nothing published can; False for any other span."""
    if not hasattr(span, "_kind"):
        return False
    span._kind = kind
    return True


# Containers.


class QuietAttributes(BoundedAttributes):
    """The SDK's container, which drops what is too much without a line of log for each.

    It logs since 1.44. Up to 1.41 it has no such method, and this class changes nothing.
    """

    def _setitem_locked(self, key: str, value: Any) -> None:
        held = self._dict
        if key in held:
            del held[key]
        elif self.maxlen is not None and len(held) >= self.maxlen:
            del held[next(iter(held))]
            self.dropped += 1
        held[key] = value


def quieten(span: Any) -> None:
    """Makes the container of a span of the SDK's a `QuietAttributes`, as far as it has one. Not for ours."""
    held = getattr(span, "_attributes", None)
    if type(held) is BoundedAttributes:
        held.__class__ = QuietAttributes


def dropped_by(span: Any) -> tuple[int, int | None]:
    """How many attributes a span of the SDK's has dropped without a word, and how many it may hold."""
    held = getattr(span, "_attributes", None)
    return (held.dropped, held.maxlen) if type(held) is QuietAttributes else (0, None)


def set_many(container: Any, attributes: dict[str, Any]) -> None:
    """Sets attributes in a container at once; one by one up to 1.41, which cannot do better."""
    if hasattr(BoundedAttributes, "_set_items"):
        container._set_items(attributes)
    else:
        for key, value in attributes.items():
            container[key] = value


def state_of(entries: dict[str, str]) -> trace.TraceState:
    """A trace state of entries that somebody has looked at, without the API's look at them."""
    state = trace.TraceState()
    state._dict = entries
    return state


def parts_of(textmap: Any) -> Any:
    """The propagators that a `CompositePropagator` is made of; of any other, itself."""
    return getattr(textmap, "_propagators", [textmap])


MIRRORED: Final = frozenset(
    {
        # of spans
        *(
            "_attributes",
            "_context",
            "_end_time",
            "_events",
            "_instrumentation_info",
            "_instrumentation_scope",
        ),
        *("_kind", "_limits", "_links", "_lock", "_name", "_new_links", "_parent", "_readable_span"),
        *("_record_end_metrics", "_record_exception", "_resource", "_sampler", "_set_status_on_exception"),
        *("_span_processor", "_start_time", "_status", "_trace_config"),
        # of tracers and processors; `_on_ending` since 1.40
        *("_on_ending", "_span_limits", "_span_processors"),
        # of containers
        *("_immutable",),
    }
)
