"""The `start_options` option, by which a program chooses how the span of a request starts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import opentracing
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.trace import SpanKind

from ot_bridge import bridge
from ot_bridge.edge.isolation import attempt

_log = logging.getLogger("ot_bridge.edge")


class StartOptions(NamedTuple):
    """How to start the span of one request. A field that is left out changes nothing.

    sampler: decides on this span alone, even if the caller has decided. kind: an OpenTelemetry `SpanKind` or
    the text of an OpenTracing `span.kind` tag. name: the operation name. trace: False if neither the request
    nor anything that it does is to get a span.
    """

    sampler: Sampler | None = None
    kind: SpanKind | str | None = None
    name: str | None = None
    trace: bool = True


#: The options of a request that gets no span. What the request does gets no span either.
DO_NOT_TRACE: Final = StartOptions(trace=False)
AS_USUAL: Final = StartOptions()

#: What a `start_options` callable may return in place of a `StartOptions`.
_SHORT: Final[Mapping[type, Callable[[Any], StartOptions]]] = {
    type(None): lambda nothing: AS_USUAL,
    bool: lambda trace: AS_USUAL if trace else DO_NOT_TRACE,
    str: lambda name: StartOptions(name=name),
    SpanKind: lambda kind: StartOptions(kind=kind),
    StartOptions: lambda options: options,
}


def options_for(function: Callable[[Any], Any], request: Any) -> StartOptions:
    """Calls `function(request)`. If it raises or returns another type, the span starts as usual."""
    options: StartOptions = attempt("start_options", _options_from, function, request, default=AS_USUAL)
    return options


def _options_from(function: Callable[[Any], Any], request: Any) -> StartOptions:
    value = function(request)
    if type(value) in _SHORT:
        return _SHORT[type(value)](value)
    if hasattr(value, "should_sample"):
        return StartOptions(sampler=value)
    raise TypeError(f"start_options returned {value!r}")


def sampler_argument(tracer: opentracing.Tracer, options: StartOptions) -> dict[str, Any]:
    """The sampler as a keyword argument of `tracer.start_span`; empty if the tracer takes no sampler."""
    if options.sampler is None:
        return {}
    if isinstance(tracer, bridge.Tracer):
        return {"sampler": options.sampler}
    _log.debug("the sampler of start_options is ignored: it needs a tracer of ot_bridge")
    return {}


def kind_tag(kind: object) -> str:
    """The value of OpenTracing's `span.kind` tag for a kind of either API."""
    return kind.name.lower() if isinstance(kind, SpanKind) else str(kind)
