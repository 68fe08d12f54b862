"""One span's own sampler, handed over in the OpenTelemetry context.

    context = with_sampler(always_on)
    with tracer.start_as_current_span("settle", context=context): ...

`PerSpanSampler`, at the root of the provider's samplers, asks that sampler instead of its own, even
below a local parent. Spans further down are decided as ever: the choice is for spans whose parent is
the span that was current when it was made, so make it last, and start the span from its result.
"""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.context import Context, create_key, get_value, set_value
from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult
from opentelemetry.trace import Link, Span, SpanKind, TraceState, get_current_span
from opentelemetry.util.types import Attributes

_KEY = create_key("ot-bridge-sampler")
# The keys that any context can hold so far: a program that never chooses is never asked for its choice.
_KEYS: list[str] = []


def with_sampler(sampler: Sampler, context: Context | None = None) -> Context:
    """A context like `context` (default: the current one) for a span that `sampler` decides on."""
    if not _KEYS:
        _KEYS.append(_KEY)
    return set_value(_KEY, (sampler, get_current_span(context)), context)


class PerSpanSampler(Sampler):
    """Asks the sampler that `with_sampler` put into the span's context, if there is one, else `default`."""

    #: See `fast_delegates`: what these decide holds but where a context has one of these keys.
    context_keys = _KEYS

    def __init__(self, default: Sampler) -> None:
        self.default = default

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        sampler = _chosen(parent_context) or self.default
        return sampler.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def fast_delegates(self) -> Sequence[Sampler]:
        """For tracers that work decisions out beforehand: who decides on a root, on the child of a remote
        parent (unsampled, sampled), and of a local one (unsampled, sampled)."""
        return (self.default,) * 5

    def get_description(self) -> str:
        return f"PerSpanSampler{{{self.default.get_description()}}}"


def _chosen(context: Context | None) -> Sampler | None:
    choice = get_value(_KEY, context)
    if choice is None:
        return None
    sampler: Sampler
    parent: Span
    sampler, parent = choice  # type: ignore[misc]  # only with_sampler writes the key
    return sampler if get_current_span(context) is parent else None
