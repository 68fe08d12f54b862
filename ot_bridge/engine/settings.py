"""What the spans of one tracer share, worked out once: settings, sampling rules, span processors.

1. A `Settings` is never changed. When the tracer gets another sampler or resource, it is made anew; spans
   that have started keep the one that they have.
2. `Listeners` follows the processors that are added later, because they see the end of spans that have
   started.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import export, sampling
from opentelemetry.trace import TraceFlags

from ot_bridge import otel
from ot_bridge.engine.current import full_context
from ot_bridge.engine.notes import uncut
from ot_bridge.ids import FastIds

if TYPE_CHECKING:
    from ot_bridge.engine.tracer import Tracer

SAMPLE: Final = sampling.Decision.RECORD_AND_SAMPLE
DROP: Final = sampling.Decision.DROP

ROOT: Final = 0
REMOTE: Final = 1  # + 1 if that parent is sampled
LOCAL: Final = 3  # + 1 if that parent is sampled

SAMPLED: Final = 1  # quicker to calculate with than `TraceFlags.SAMPLED`
RANDOM: Final[int] = getattr(TraceFlags, "RANDOM_TRACE_ID", 0)  # older SDKs know no such flag
FLAGS: Final = tuple(TraceFlags(bits) for bits in range(4))
ID_BITS: Final = sampling.TraceIdRatioBased.TRACE_ID_LIMIT

# A decision; or what the low half of a trace id has to be below to be sampled; or a function of trace id and
# name that says whether it is, and which attributes to add then (clean, and never changed); or None: ask the
# sampler.
Rule = sampling.Decision | int | Callable[[int, str], tuple[bool, Any]] | None

_KINDS: Final = 5  # of parents: a root's, and two of each of the others


def _decides_as(kind: type) -> Callable[[Any], bool]:
    """Whether a sampler decides as this one of the SDK's does: a subclass may do otherwise."""
    usual = kind.should_sample  # type: ignore[attr-defined]
    return lambda sampler: (
        getattr(type(sampler), "should_sample", None) is usual and "should_sample" not in vars(sampler)
    )


_is_static: Final = _decides_as(sampling.StaticSampler)
_is_ratio: Final = _decides_as(sampling.TraceIdRatioBased)
_is_parent_based: Final = _decides_as(sampling.ParentBased)


def _rule(sampler: Any, kind: int, heeded: list[Sequence[str]]) -> Rule:
    """What `sampler` decides for this kind of parent. heeded: gets the keys of contexts where it may not.

    A sampler offers this by protocol: `fast_decision()` gives the rule; or `fast_delegates()` the five
    samplers that decide for the five kinds of parent, but where a context has one of its `context_keys`.
    """
    if hasattr(sampler, "fast_decision"):
        return sampler.fast_decision()  # type: ignore[no-any-return]
    if hasattr(sampler, "fast_delegates"):
        keys = getattr(sampler, "context_keys", None)
        if keys is not None and not any(keys is each for each in heeded):
            heeded.append(keys)
        return _rule(sampler.fast_delegates()[kind], kind, heeded)
    if _is_static(sampler):
        return otel.static_decision(sampler)  # type: ignore[no-any-return]
    if _is_ratio(sampler):
        return int(sampler.bound)
    if _is_parent_based(sampler):
        return _rule(otel.delegate(sampler, kind), kind, heeded)
    return None


def rules_of(sampler: Any) -> tuple[tuple[Rule, ...], Sequence[str]]:
    """The rule for each kind of parent, and the keys of contexts for which the sampler is asked all the same.

    The keys are the sampler's own list, to which some may be added later.
    """
    heeded: list[Sequence[str]] = []
    rules = tuple(_rule(sampler, kind, heeded) for kind in range(_KINDS))
    if len(heeded) > 1:  # of several lists none can be kept up to date
        return (None,) * len(rules), ()
    return rules, heeded[0] if heeded else ()


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
    """The processors to call at a start, an ending and an end; `source` holds them as registered."""

    __slots__ = ("at_end", "at_ending", "at_start", "processors", "source", "watched")
    _span_processors = None

    def __init__(self, source: Any) -> None:
        self.source = source
        self.watched = source if hasattr(source, "_span_processors") else self
        self.refresh()

    def refresh(self) -> None:
        processors: Any = self.watched._span_processors
        plain = type(self.source) is sdk.SynchronousMultiSpanProcessor and processors is not None
        called = processors if plain else (self.source,)
        self.at_start = tuple(each for each in called if _heeds(each, "on_start"))
        self.at_ending = tuple(each for each in called if _heeds(each, "_on_ending"))
        self.at_end = tuple(called)
        self.processors = processors  # last: who finds it up to date finds the others so

    def tell_start(self, span: Any, context: Any) -> None:
        seen = full_context(context)
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


class Settings:
    """See the module. Its attributes have the names that an SDK span has for the same things."""

    def __init__(self, tracer: Tracer) -> None:
        self.sampler = tracer.sampler
        self.rules, self.heeded = rules_of(tracer.sampler)
        self.resource = _hashed(tracer.resource)
        self.processor = tracer.span_processor
        self.listeners = Listeners(tracer.span_processor)
        ids = self.ids = tracer.id_generator
        # See `ot_bridge.ids`.
        fast: FastIds = getattr(ids, "fast_ids", (ids.generate_trace_id, ids.generate_span_id))
        self.trace_id, self.span_id = fast
        self.random = RANDOM if RANDOM and tracer.id_generator.is_trace_id_random() else 0
        self.limits = tracer._span_limits
        self.uncut = uncut(tracer._span_limits)
        self.scope = tracer._instrumentation_scope
        self.info = tracer.instrumentation_info
        self.enabled = otel.is_enabled(tracer)
        self.metrics = otel.metrics_of(tracer)
        if not self.enabled or self.metrics is not None:
            self.rules = (None,) * len(self.rules)  # there is more to do than to decide
