"""`Settings`: the values that all spans of a tracer share (sampling rules, processors, limits), made once.

1. A `Settings` never changes. When the tracer gets another sampler or resource, it makes a new one; spans
   that have started keep the old one.
2. `Listeners` is updated when processors are added, because these are called at the end of spans that have
   started before.

The tests, by number, in tests/engine/ (benchmark rows root and child need 1):
1. test_tracer.py::test_a_change_of_resource_reaches_the_next_span
2. test_processors.py::test_a_processor_added_while_a_span_runs_is_called_at_its_end
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
RANDOM: Final[int] = getattr(TraceFlags, "RANDOM_TRACE_ID", 0)  # older SDKs have no such flag
FLAGS: Final = tuple(TraceFlags(bits) for bits in range(4))
ID_BITS: Final = sampling.TraceIdRatioBased.TRACE_ID_LIMIT

# One of four things. A decision. A number: a trace is sampled if the low half of its id is below this. A
# function (trace id, name) -> (whether to sample, attributes to add, which are clean and never change). None:
# the sampler has to be called.
Rule = sampling.Decision | int | Callable[[int, str], tuple[bool, Any]] | None

_KINDS: Final = 5  # ROOT, and two each of REMOTE and LOCAL


def _decides_as(kind: type) -> Callable[[Any], bool]:
    """Makes a test whether a sampler uses `should_sample` of the SDK's class `kind`, not an override."""
    usual = kind.should_sample  # type: ignore[attr-defined]
    return lambda sampler: (
        getattr(type(sampler), "should_sample", None) is usual and "should_sample" not in vars(sampler)
    )


_is_static: Final = _decides_as(sampling.StaticSampler)
_is_ratio: Final = _decides_as(sampling.TraceIdRatioBased)
_is_parent_based: Final = _decides_as(sampling.ParentBased)


def _rule(sampler: Any, kind: int, exception_keys: list[Sequence[str]]) -> Rule:
    """The rule of `sampler` for this kind of parent.

    A sampler may have `fast_decision()`, which returns the rule, or `fast_delegates()`, which returns the
    samplers for the five kinds of parent. The latter may have `context_keys`: if a context has one of these
    keys, the rule does not hold. This function adds them to `exception_keys`.
    """
    if hasattr(sampler, "fast_decision"):
        return sampler.fast_decision()  # type: ignore[no-any-return]
    if hasattr(sampler, "fast_delegates"):
        keys = getattr(sampler, "context_keys", None)
        if keys is not None and not any(keys is each for each in exception_keys):
            exception_keys.append(keys)
        return _rule(sampler.fast_delegates()[kind], kind, exception_keys)
    if _is_static(sampler):
        return otel.static_decision(sampler)  # type: ignore[no-any-return]
    if _is_ratio(sampler):
        return int(sampler.bound)
    if _is_parent_based(sampler):
        return _rule(otel.delegate(sampler, kind), kind, exception_keys)
    return None


def rules_of(sampler: Any) -> tuple[tuple[Rule, ...], Sequence[str]]:
    """The rule for each kind of parent, and the keys of contexts in which the sampler is called instead.

    The keys are the sampler's own list, to which it may add keys later.
    """
    exception_keys: list[Sequence[str]] = []
    rules = tuple(_rule(sampler, kind, exception_keys) for kind in range(_KINDS))
    if len(exception_keys) > 1:  # a merged list would miss keys that a sampler adds later
        return (None,) * len(rules), ()
    return rules, exception_keys[0] if exception_keys else ()


# Methods of the SDK's processors that do nothing. They are not called.
_IDLE: Final = {
    getattr(kind, hook, None)
    for kind in (sdk.SpanProcessor, export.SimpleSpanProcessor, export.BatchSpanProcessor)
    for hook in ("on_start", "_on_ending")
}


def _uses(processor: sdk.SpanProcessor, hook: str) -> bool:
    if not hasattr(sdk.SpanProcessor, hook):  # `_on_ending`: this SDK does not call it
        return False
    return hook in getattr(processor, "__dict__", ()) or getattr(type(processor), hook, None) not in _IDLE


class Listeners:
    """The processors to call at `on_start`, `_on_ending` and `on_end`. source: the SDK's multi-processor."""

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
        self.at_start = tuple(each for each in called if _uses(each, "on_start"))
        self.at_ending = tuple(each for each in called if _uses(each, "_on_ending"))
        self.at_end = tuple(called)
        self.processors = processors  # last: a thread that finds this up to date may rely on the others

    def call_on_start(self, span: Any, context: Any) -> None:
        seen = full_context(context)
        for processor in self.at_start:
            processor.on_start(span, parent_context=seen)


class _Resource(Resource):
    """A resource that computes its hash once. Exporters group spans by resource and hash it for each span."""

    _hash: int | None = None

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = super().__hash__()
        return self._hash


_resources: WeakKeyDictionary[Resource, _Resource] = WeakKeyDictionary()


def _hashed(resource: Resource) -> Resource:
    """Returns an equal `_Resource`, one object for all equal resources."""
    if type(resource) is not Resource:
        return resource
    return _resources.setdefault(resource, _Resource(resource.attributes, resource.schema_url))


class Settings:
    """See the docstring of this module. Attributes are named as in the SDK's spans."""

    def __init__(self, tracer: Tracer) -> None:
        self.sampler = tracer.sampler
        self.rules, self.exception_keys = rules_of(tracer.sampler)
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
            self.rules = (None,) * len(self.rules)  # `_sample` handles these
