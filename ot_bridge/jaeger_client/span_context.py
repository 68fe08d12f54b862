"""`SpanContext` with jaeger-client's names. It is also a `bridge.SpanContext`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from opentelemetry import trace

from ot_bridge import bridge
from ot_bridge.bridge.span_context import NO_BAGGAGE
from ot_bridge.wire import Outgoing, Remote
from ot_bridge.wire.jaeger import bits_of, flags_to_bits

_ASSIGNABLE: Final = frozenset({"trace_id", "span_id", "parent_id", "flags"})


class SpanContext(bridge.SpanContext):
    """A span context with jaeger-client's names.

    trace_id: up to 128 bits. span_id, parent_id: 64 bits. flags: 1 sampled, 2 debug. These four can be
    assigned; the span whose `context` it is takes them over. A context without a trace has ids 0
    (jaeger-client: None).
    """

    def __new__(
        cls,
        trace_id: int | None = None,
        span_id: int | None = None,
        parent_id: int | None = None,
        flags: int | None = None,
        baggage: Mapping[str, str] | None = None,
        debug_id: str | None = None,
    ) -> SpanContext:
        sampled, debug, extras = flags_to_bits(flags or 0)
        decision = None if flags is None else sampled
        remote = Remote(trace_id or 0, span_id or 0, parent_id or 0, decision, debug, debug_id, extras=extras)
        return context_of(remote._replace(baggage=baggage or NO_BAGGAGE))

    def __reduce__(self) -> tuple[Any, ...]:
        ids = self.trace_id, self.span_id, self.parent_id, self.flags
        return SpanContext, (*ids, dict(self.baggage), self.debug_id)

    def __setattr__(self, name: str, value: Any) -> None:  # type: ignore[override]
        if name not in _ASSIGNABLE:
            super().__setattr__(name, value)
            return
        # The tuple itself does not change: `plain_context` makes a context of the assigned values.
        self.__dict__[name] = value
        self.__dict__["plain"] = None
        self.__dict__["assigned"] = True
        span = self.__dict__.get("span", lambda: None)()
        if span is not None:
            span.take_ids(self)

    @property
    def trace_id(self) -> int:
        return cast(int, self.__dict__.get("trace_id", self[0]))

    @property
    def span_id(self) -> int:
        return cast(int, self.__dict__.get("span_id", self[1]))

    @property
    def parent_id(self) -> int | None:  # type: ignore[override]
        """The parent's span id, None for a root."""
        return cast("int | None", self.__dict__.get("parent_id") or None)

    @property
    def flags(self) -> int | None:
        """The flags byte, None without a trace."""
        if "flags" in self.__dict__:
            return cast("int | None", self.__dict__["flags"])
        if not self[5]:
            return None
        return self[3] & 1 if self.origin is None else bits_of(plain_context(self))

    @property
    def has_trace(self) -> bool:
        return bool(self.trace_id and self.span_id)

    @property
    def is_debug_id_container_only(self) -> bool:
        return not self.trace_id and self.debug_id is not None

    def with_baggage_item(self, key: str, value: str | None) -> SpanContext:
        """A copy of this context with the item. None as the value removes it; KeyError if there is none."""
        baggage = {**self.baggage, key: value}
        if value is None:
            del baggage[key]
        plain = cast(bridge.SpanContext, plain_context(self))
        return _made(plain, cast("dict[str, str]", baggage), plain.origin, self.parent_id or 0, plain.links)

    @staticmethod
    def with_debug_id(debug_id: str) -> SpanContext:
        """A context that requests a sampled trace, which is tagged with `debug_id`."""
        return SpanContext(debug_id=debug_id)


def _made(
    otel: trace.SpanContext,
    baggage: Mapping[str, str],
    origin: Remote | None,
    parent_id: int,
    links: tuple[trace.SpanContext, ...] = (),
) -> SpanContext:
    """Makes a context of the parts of a `bridge.SpanContext`."""
    make: Any = bridge.SpanContext.__new__
    return make(SpanContext, otel, baggage, origin, parent_id, links)  # type: ignore[no-any-return]


def context_like(context: bridge.SpanContext) -> SpanContext:
    """`context` with jaeger-client's names."""
    if isinstance(context, SpanContext):
        return context
    made = _made(context, context.baggage, context.origin, context.parent_id, context.links)
    made.__dict__["plain"] = context
    return made


def context_of(remote: Remote) -> SpanContext:
    """Converts a decoded `Remote` to a context."""
    return context_like(bridge.span_context.from_remote(remote))


def plain_context(context: bridge.SpanContext) -> Outgoing:
    """A `bridge.SpanContext` with the same values, which every encoder can read."""
    if not isinstance(context, SpanContext):
        return context
    plain: bridge.SpanContext | None = context.__dict__.get("plain")
    if plain is None:
        if "assigned" in context.__dict__:
            ids = context.trace_id, context.span_id, context.parent_id, context.flags
            made = SpanContext(*ids, context.baggage, context.debug_id)
            plain = cast(bridge.SpanContext, plain_context(made))
        else:
            make: Any = bridge.SpanContext
            parent_id = context.parent_id or 0
            plain = cast(
                bridge.SpanContext,
                make(context, context.baggage, context.origin, parent_id, context.links),
            )
        context.__dict__["plain"] = plain
    return plain
