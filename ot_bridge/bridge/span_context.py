"""`SpanContext`: one frozen value that is both OpenTracing's and OpenTelemetry's span context.

The tuple itself is OpenTelemetry's part (ids, flags, trace state). Attributes hold the baggage, the caller's
values that OpenTelemetry cannot represent (`origin`), and links for a new trace. It also has the attributes
that the encoders in `ot_bridge.wire` read, so that `inject` passes it to them unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any, Final, Literal, NoReturn, TypeAlias

import opentracing
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import DEFAULT_TRACE_STATE, TraceFlags

from ot_bridge.bridge.bases import SHIM_CONTEXT, SpanContextBase
from ot_bridge.bridge.keys import BAGGAGE_KEY, SPAN_KEY
from ot_bridge.errors import ConfigurationError
from ot_bridge.propagation import trace_state, undecided
from ot_bridge.wire import EMPTY, RANDOM_TRACE_ID, Remote
from ot_bridge.wire.remote import W3C_RANDOM

Trust: TypeAlias = Literal["all", "context", "link", "none"]

new: Final[Any] = tuple.__new__
_FLAGS = tuple(TraceFlags(bits) for bits in range(4))  # 1: sampled, 2: the trace id is random
_RANDOM = 2
_INVALID: Final = trace.INVALID_SPAN_CONTEXT


class Baggage(dict[str, str]):
    """A span context's baggage: a dict that cannot be changed."""

    def _frozen(self, *args: object, **kwargs: object) -> NoReturn:
        raise TypeError("the baggage of a span context cannot change; use span.set_baggage_item()")

    __setitem__ = __delitem__ = _frozen
    __ior__ = clear = pop = popitem = setdefault = update = _frozen

    def __reduce__(self) -> tuple[Any, ...]:
        return Baggage, (dict(self),)


NO_BAGGAGE: Final = Baggage()


class SpanContext(SpanContextBase, trace.SpanContext):
    """What children and other processes get of a span (OpenTracing specification, "SpanContext").

    otel_context: ids, flags and trace state. baggage: str to str. origin: the `Remote` of the caller, if it
    holds values that OpenTelemetry cannot represent, else None. parent_id: the parent's span id, 0 if
    unknown. links: OpenTelemetry span contexts that a trace started from this context links to.
    """

    def __new__(
        cls,
        otel_context: trace.SpanContext = _INVALID,
        baggage: Mapping[str, str] = NO_BAGGAGE,
        origin: Remote | None = None,
        parent_id: int = 0,
        links: tuple[trace.SpanContext, ...] = (),
    ) -> SpanContext:
        return _with(tuple.__new__(cls, otel_context), baggage, origin, parent_id, links)

    def __init__(self, *args: object, **kwargs: object) -> None:
        """Does nothing: `__new__` sets everything."""

    def __getnewargs__(self) -> tuple[Any, ...]:
        origin = self.origin
        if origin is not None:  # it may hold mappings that cannot be pickled
            origin = origin._replace(baggage=dict(origin.baggage), extras=dict(origin.extras))
        return trace.SpanContext(*self[:5]), self.baggage, origin, self.parent_id, self.links

    def __reduce__(self) -> tuple[Any, ...]:
        return SpanContext, self.__getnewargs__()

    # Class attributes, so that most contexts need no dict.
    baggage: Baggage = NO_BAGGAGE
    origin: Remote | None = None
    parent_id: int = 0
    links: tuple[trace.SpanContext, ...] = ()
    debug: bool = False
    #: The W3C `tracestate` header's text.
    tracestate: str = ""
    #: The id with which a caller requests a debug trace. Only a context without a trace id has one.
    debug_id: str | None = None

    # These are quicker to read than OpenTelemetry's properties. Every injection reads them.
    trace_id = property(itemgetter(0))
    span_id = property(itemgetter(1))

    def in_context(self, context: Context) -> Context:
        """A copy of `context` with this as the current span, and its baggage; samplers of children get it."""
        span = trace.NonRecordingSpan(self) if self[5] else trace.INVALID_SPAN
        made = {**context, SPAN_KEY: span, BAGGAGE_KEY: self.baggage}
        if not self.baggage:
            del made[BAGGAGE_KEY]
        return Context(made)

    def unwrap(self) -> trace.SpanContext:
        """OpenTelemetry's span context: this same object."""
        return self

    @property
    def sampled(self) -> bool | None:
        """Whether the trace is sampled; None if the decision is still open (deferred)."""
        if self[3] & 1:
            return True
        origin = self.origin
        if origin is None or origin.sampled is not None:
            return False
        # Open for the caller's span, and for a span of this process that has taken over its span id.
        return None if self[2] or self[1] == origin.span_id else False

    @property
    def extras(self) -> Mapping[str, str]:
        """Values that only one header format has, by the names in `ot_bridge.wire`."""
        extras = self.origin.extras if self.origin is not None else EMPTY
        if self[3] & _RANDOM:
            return {**extras, **RANDOM_TRACE_ID} if extras else RANDOM_TRACE_ID
        return extras


def _decided(bits: int) -> type[SpanContext]:
    """The class of contexts without `origin`, as most are: the flags alone give `sampled` and `extras`."""
    extras = RANDOM_TRACE_ID if bits & _RANDOM else EMPTY
    return type("SpanContext", (SpanContext,), {"sampled": bool(bits & 1), "extras": extras})


_BY_FLAGS: Final = tuple(map(_decided, range(4)))
#: By the flags 0 to 3: the class, and the flags as a `TraceFlags`.
BY_FLAGS: Final = tuple(zip(_BY_FLAGS, _FLAGS, strict=True))


def _with(
    made: SpanContext,
    baggage: Mapping[str, str],
    origin: Remote | None,
    parent_id: int,
    links: tuple[trace.SpanContext, ...] = (),
) -> SpanContext:
    # OpenTelemetry's class refuses to set attributes, so this is the one place that sets them.
    if made[4] is not DEFAULT_TRACE_STATE and made[4]:
        made.__dict__["tracestate"] = made[4].to_header()
    if baggage:
        made.__dict__["baggage"] = baggage if type(baggage) is Baggage else Baggage(baggage)
    if parent_id:
        made.__dict__["parent_id"] = parent_id
    if links:
        made.__dict__["links"] = links
    if origin is not None:
        made.__dict__.update(origin=origin, debug=origin.debug)
        if not made[0]:
            made.__dict__["debug_id"] = origin.debug_id
    return made


def from_ids(ids: Any, baggage: Mapping[str, str], origin: Remote | None, parent_id: int) -> SpanContext:
    """Makes a context of the six values of an OpenTelemetry span context."""
    made: SpanContext = new(_BY_FLAGS[ids[3] & 3] if origin is None else SpanContext, ids)
    if baggage or origin is not None or ids[4] is not DEFAULT_TRACE_STATE:
        return _with(made, baggage, origin, parent_id)
    if parent_id:
        made.__dict__["parent_id"] = parent_id
    return made


def from_remote(remote: Remote) -> SpanContext:
    """Converts a decoded `Remote` to the context of a span in another process."""
    trace_id, span_id, parent_id, sampled, debug, debug_id, baggage, tracestate, extras = remote
    state = trace_state(tracestate) if tracestate else DEFAULT_TRACE_STATE
    random = W3C_RANDOM in extras if extras else False
    has_more = debug or debug_id or sampled is None or (extras and len(extras) > random)
    flags = (1 if sampled else 0) + (_RANDOM if random else 0)
    ids = (trace_id, span_id, True, _FLAGS[flags], state, bool(trace_id and span_id))
    kind = SpanContext if has_more else _BY_FLAGS[flags]
    return _with(tuple.__new__(kind, ids), baggage, remote if has_more else None, parent_id)


def of(subject: object) -> SpanContext | None:
    """The context of a span or span context of this package, the shim or OpenTelemetry; None for others."""
    if isinstance(subject, SpanContext):
        return subject
    if isinstance(subject, opentracing.Span):
        subject = subject.context
    if isinstance(subject, opentracing.SpanContext):
        if isinstance(subject, SHIM_CONTEXT) and not isinstance(subject, SpanContext):
            return SpanContext(subject.unwrap(), subject.baggage)
        return subject if isinstance(subject, SpanContext) else None
    if isinstance(subject, trace.Span):
        subject = subject.get_span_context()
    return SpanContext(subject) if isinstance(subject, trace.SpanContext) else None


def _link(context: SpanContext) -> SpanContext:
    return SpanContext(links=(context,) if context.is_valid else ())


def _ids_only(context: SpanContext) -> SpanContext:
    """Keeps the caller's ids, baggage and tracestate, without its sampling decision and its debug flag."""
    origin = Remote(context.trace_id, context.span_id, sampled=None, extras=context.extras)
    flags = _FLAGS[context.trace_flags & _RANDOM]
    plain = trace.SpanContext(context.trace_id, context.span_id, True, flags, undecided(context.trace_state))
    return SpanContext(plain, context.baggage, origin, context.parent_id)


_TRUST: Mapping[Trust, Callable[[SpanContext], SpanContext | None]] = {
    "all": lambda context: context,
    "context": _ids_only,
    "link": _link,
    "none": lambda context: None,
}


def trusted(context: Any, trust: Trust = "all") -> Any:
    """Returns the parent for a server span: as much of a caller's `context` as `trust` allows, or None.

    `all`: ids, sampling decision, debug flag and baggage. `context`: ids and baggage; this process decides
    on sampling. `link`: a new trace with a link to the caller's span. `none`: nothing. A context of another
    tracer is returned unchanged for `all` and `context`, else None. Raises ConfigurationError for another
    value.
    """
    try:
        choose = _TRUST[trust]
    except (KeyError, TypeError):
        raise ConfigurationError("trust", trust, f"expected one of {', '.join(_TRUST)}") from None
    if isinstance(context, SpanContext):
        return choose(context)
    return context if trust in ("all", "context") else None
