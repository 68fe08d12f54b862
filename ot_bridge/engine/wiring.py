"""What the spans of one tracer share, worked out once: settings, sampling rules, who listens.

A `Wiring` is never changed, only replaced, when somebody gives the tracer another sampler or resource.
`Listeners` follows the processors as they are added, since a span that has begun must end in them too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import export, id_generator, sampling
from opentelemetry.trace import TraceFlags

from .current import shown
from .notes import uncut

if TYPE_CHECKING:
    from .tracer import Tracer

SAMPLE: Final = sampling.Decision.RECORD_AND_SAMPLE
DROP: Final = sampling.Decision.DROP

ROOT: Final = 0
REMOTE: Final = 1  # + 1 if that parent is sampled
LOCAL: Final = 3  # + 1 if that parent is sampled

SAMPLED: Final = TraceFlags.SAMPLED
RANDOM: Final[int] = getattr(TraceFlags, "RANDOM_TRACE_ID", 0)  # older SDKs know no such flag
FLAGS: Final = tuple(TraceFlags(bits) for bits in range(4))
ID_BITS: Final = sampling.TraceIdRatioBased.TRACE_ID_LIMIT

# A decision, the bound that the low half of a trace id is compared with, or None: ask the sampler.
Rule = sampling.Decision | int | None

_DELEGATES: Final = (
    "_root",
    "_remote_parent_not_sampled",
    "_remote_parent_sampled",
    "_local_parent_not_sampled",
    "_local_parent_sampled",
)


def _ask(sampler: Any) -> Rule:
    return None


# By exact type: a subclass may decide otherwise.
_RULE: Final[dict[type, Callable[[Any], Rule]]] = {
    sampling.StaticSampler: lambda sampler: getattr(sampler, "_decision", None),
    sampling.TraceIdRatioBased: lambda sampler: int(sampler.bound),
}


def rules_of(sampler: Any) -> tuple[Rule, ...]:
    """The rule for a root, a remote parent unsampled and sampled, a local parent unsampled and sampled."""
    if getattr(sampler, "context_keys", None) is not None:
        sampler = sampler.default
    if type(sampler) in (sampling.ParentBased, sampling.ParentBasedTraceIdRatio):
        chosen = [getattr(sampler, name, None) for name in _DELEGATES]
    else:
        chosen = [sampler] * len(_DELEGATES)
    return tuple(_RULE.get(type(delegate), _ask)(delegate) for delegate in chosen)


# Hooks of the SDK's that are known to do nothing are not called.
_IDLE: Final = {
    getattr(kind, hook, None)
    for kind in (sdk.SpanProcessor, export.SimpleSpanProcessor, export.BatchSpanProcessor)
    for hook in ("on_start", "_on_ending")
}


def _heeds(processor: sdk.SpanProcessor, hook: str) -> bool:
    if not hasattr(sdk.SpanProcessor, hook):  # `_on_ending`: this SDK does not call it
        return False
    return hook in getattr(processor, "__dict__", ()) or getattr(type(processor), hook, None) not in _IDLE


class Listeners:
    """Who is told of a start, of an ending and of an end; `source` holds the processors as registered."""

    __slots__ = ("at_end", "at_ending", "at_start", "processors", "source", "watched")
    _span_processors = None

    def __init__(self, source: Any) -> None:
        self.source = source
        self.watched = source if hasattr(source, "_span_processors") else self
        self.refresh()

    def refresh(self) -> None:
        processors: Any = self.watched._span_processors
        plain = type(self.source) is sdk.SynchronousMultiSpanProcessor and processors is not None
        told = processors if plain else (self.source,)
        self.at_start = tuple(each for each in told if _heeds(each, "on_start"))
        self.at_ending = tuple(each for each in told if _heeds(each, "_on_ending"))
        self.at_end = tuple(told)
        self.processors = processors  # last: who finds it up to date finds the others so

    def tell_start(self, span: Any, context: Any) -> None:
        seen = shown(context)
        for processor in self.at_start:
            processor.on_start(span, parent_context=seen)


class _Resource(Resource):
    """A resource that works its hash out once: exporters group spans by it, and ask for every span."""

    _hash: int | None = None

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = super().__hash__()
        return self._hash


_resources: WeakKeyDictionary[Resource, _Resource] = WeakKeyDictionary()


def _hashed(resource: Resource) -> Resource:
    """An equal resource, the same for all tracers of an equal resource."""
    if type(resource) is not Resource:
        return resource
    return _resources.setdefault(resource, _Resource(resource.attributes, resource.schema_url))


class Wiring:
    """See the module. Its attributes have the names that an SDK span has for the same things."""

    __slots__ = (
        "enabled",
        "heeded",
        "ids",
        "info",
        "limits",
        "listeners",
        "metrics",
        "processor",
        "random",
        "resource",
        "rules",
        "sampler",
        "scope",
        "uncut",
        "usual",
    )

    def __init__(self, tracer: Tracer) -> None:
        self.sampler = tracer.sampler
        self.rules = rules_of(tracer.sampler)
        # A sampler may say that it decides like its `default` but where a context holds one of these keys.
        self.heeded: Sequence[str] = getattr(tracer.sampler, "context_keys", ())
        self.resource = _hashed(tracer.resource)
        self.processor = tracer.span_processor
        self.listeners = Listeners(tracer.span_processor)
        self.ids = tracer.id_generator
        self.random = RANDOM if RANDOM and tracer.id_generator.is_trace_id_random() else 0
        self.limits = tracer._span_limits
        self.uncut = uncut(tracer._span_limits)
        self.scope = tracer._instrumentation_scope
        self.info = tracer.instrumentation_info
        enabled: Callable[[], bool] | None = getattr(tracer, "_is_enabled", None)
        self.enabled = enabled is None or enabled()
        metrics: Any = getattr(tracer, "_tracer_metrics", None)
        self.metrics = None if type(metrics).__name__ == "NoOpTracerMetrics" else metrics
        # The rules again, where no more than a rule has to be looked at.
        stock_ids = type(tracer.id_generator) is id_generator.RandomIdGenerator
        usual = self.enabled and stock_ids and not self.heeded and self.metrics is None
        self.usual = self.rules if usual else (None,) * len(self.rules)
