"""Lets a program choose the sampler of a single span, by way of the OpenTelemetry context.

    context = with_sampler(always_on)
    with tracer.start_as_current_span("settle", context=context): ...

`PerSpanSampler`, which has to be the provider's outermost sampler, calls the chosen sampler instead of its
own, even below a local parent. The choice holds for spans whose parent is the span that is current in the
given context, and not for their descendants. So call `with_sampler` last, and start the span with its result.
"""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.context import Context, create_key, get_value, set_value
from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult
from opentelemetry.trace import Link, Span, SpanKind, TraceState, get_current_span
from opentelemetry.util.types import Attributes

_KEY = create_key("ot-bridge-sampler")
# Empty until `with_sampler` is first called, so that no context is searched in a program that never does.
_KEYS: list[str] = []


def with_sampler(sampler: Sampler, context: Context | None = None) -> Context:
    """A copy of `context` (default: the current one) with which a span starts that `sampler` decides on."""
    if not _KEYS:
        _KEYS.append(_KEY)
    return set_value(_KEY, (sampler, get_current_span(context)), context)


class PerSpanSampler(Sampler):
    """Calls the sampler that `with_sampler` has put into the span's context, else `default`."""

    #: Where a context has one of these keys, the samplers of `fast_delegates` do not decide.
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
        """The samplers that decide on a root, on the child of a remote parent (unsampled, sampled), and on
        the child of a local parent (unsampled, sampled): see `ot_bridge.engine.settings`."""
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
