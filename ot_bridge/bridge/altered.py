"""Copies of a tracer with another sampler, or with a given trace id.

OpenTelemetry's API has no way to choose these for one span. A tracer of the SDK or of the engine keeps its
sampler and its id generator in attributes, so a copy can have others. Other tracers cannot be altered.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeAlias

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult

from ot_bridge.otel import behind_proxy, state_of


class AsRoot(Sampler):
    """Calls `sampler` as if the span had no parent, because the caller left the sampling decision open.

    flags: calls it as if the parent were a remote span with these flags. This is for a caller that has
    decided but sent no span id.
    """

    def __init__(self, sampler: Sampler, flags: trace.TraceFlags | None = None) -> None:
        self._sampler = sampler
        self._flags = flags

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: trace.SpanKind | None = None,
        attributes: Any = None,
        links: Sequence[trace.Link] | None = None,
        trace_state: trace.TraceState | None = None,
    ) -> SamplingResult:
        context = trace.set_span_in_context(self._caller(trace_id), parent_context)
        decided = self._sampler.should_sample(context, trace_id, name, kind, attributes, links)
        state = trace.get_current_span(parent_context).get_span_context().trace_state
        return _with_entries_of(state, decided) if state else decided

    def _caller(self, trace_id: int) -> trace.Span:
        if self._flags is None:
            return trace.INVALID_SPAN
        return trace.NonRecordingSpan(trace.SpanContext(trace_id, 1, True, self._flags))

    def get_description(self) -> str:
        name = "AsRoot" if self._flags is None else "AsSampled" if self._flags.sampled else "AsUnsampled"
        return f"{name}{{{self._sampler.get_description()}}}"


def _with_entries_of(caller: trace.TraceState, decided: SamplingResult) -> SamplingResult:
    """Adds the caller's tracestate, which has to be passed on in any case (W3C Trace Context, 3.3)."""
    own: Mapping[str, str] = decided.trace_state or {}
    state = state_of({**own, **{key: value for key, value in caller.items() if key not in own}})
    return SamplingResult(decided.decision, decided.attributes, state)


AsUnsampled: Final = partial(AsRoot, flags=trace.TraceFlags(trace.TraceFlags.DEFAULT))
AsSampled: Final = partial(AsRoot, flags=trace.TraceFlags(trace.TraceFlags.SAMPLED))
#: Replaces a tracer's own sampler: another sampler, or a function that takes the own one and wraps it.
Decider: TypeAlias = Sampler | Callable[[Sampler], Sampler] | None


class GivenTraceId(IdGenerator):
    """Gives root spans a trace id that exists already, such as one that a load balancer has sent.

    span_id: makes the span ids.
    """

    def __init__(self, trace_id: int, span_id: Callable[[], int]) -> None:
        self._trace_id = trace_id
        self._span_id = span_id

    def generate_trace_id(self) -> int:
        return self._trace_id

    def generate_span_id(self) -> int:
        return self._span_id()

    def is_trace_id_random(self) -> bool:
        return False


class AlteredTracers:
    """The altered copies of one tracer. Each is made when it is first needed."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer: Any = tracer
        self._made: dict[int, tuple[Any, Any]] = {}  # by id: not every sampler can be hashed

    def get(self, sampler: Decider, trace_id: int = 0) -> Any:
        """A copy with this sampler (or its own, wrapped by `sampler`) and, if not 0, this trace id.

        None if the tracer cannot be altered.
        """
        # Before OpenTelemetry's global provider is set, it hands out proxies of the real tracers.
        real = behind_proxy(self._tracer)
        own = getattr(real, "sampler", None)
        if own is None:
            return None
        if trace_id:
            made = self._copy(real, own, sampler)
            made.id_generator = GivenTraceId(trace_id, made.id_generator.generate_span_id)
            return made
        made, resource = self._made.get(id(sampler), (None, None))
        if made is None or resource is not real.resource:  # a fork changes the resource
            made = self._copy(real, own, sampler)
            if len(self._made) < 64:  # bounded, since a program may make a sampler for each span
                self._made[id(sampler)] = (made, real.resource)
        return made

    @staticmethod
    def _copy(real: Any, own: Sampler, sampler: Decider) -> Any:
        made = copy.copy(real)
        if sampler is not None:
            made.sampler = sampler(own) if isinstance(sampler, type | partial) else sampler
        return made
