"""jaeger-client's codec classes, which call the functions of `ot_bridge.wire`.

A program may pass its own `Codec` to `Tracer(extra_codecs=...)`, or put it into `tracer.codecs`.
"""

from __future__ import annotations

from typing import Any

from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import NoOpTracerProvider
from opentracing import InvalidCarrierException, SpanContextCorruptedException

from ot_bridge import bridge
from ot_bridge.bridge import span_context as contexts
from ot_bridge.bridge.formats import Binary
from ot_bridge.errors import BadHeader
from ot_bridge.jaeger_client.constants import (
    BAGGAGE_HEADER_KEY,
    BAGGAGE_HEADER_PREFIX,
    DEBUG_ID_HEADER_KEY,
    TRACE_ID_HEADER,
)
from ot_bridge.jaeger_client.reexports import also
from ot_bridge.jaeger_client.span_context import SpanContext, context_like, context_of, plain_context
from ot_bridge.propagation import Propagator
from ot_bridge.wire import FORMATS, Outgoing, b3, jaeger

ZipkinSpanFormat = "zipkin-span-format"


class Codec:
    """Base class of codecs, which write a span context into a carrier and read one."""

    def inject(self, span_context: Any, carrier: Any) -> None:
        raise NotImplementedError

    def extract(self, carrier: Any) -> Any:
        raise NotImplementedError


class WireCodec(Codec):
    """A codec that calls a propagator. Raises only the exceptions that OpenTracing defines."""

    def __init__(self, propagator: Propagator | Binary) -> None:
        self.propagator = propagator

    def inject(self, span_context: Any, carrier: Any) -> None:
        """Writes a context into `carrier`.

        span_context: a context, a span, or any object with the attributes of jaeger-client's context. Raises
        InvalidCarrierException.
        """
        try:
            self.propagator.encode(_outgoing(span_context), carrier)
        except (TypeError, AttributeError) as error:
            raise InvalidCarrierException(f"{type(carrier).__name__}: {error}") from error

    def extract(self, carrier: Any) -> SpanContext | None:
        _refuse_nothing(carrier)
        try:
            remote = self.propagator.decode(carrier)
        except BadHeader as error:
            if _is_half_of_b3(error):
                return None
            raise SpanContextCorruptedException(str(error)) from error
        except (TypeError, AttributeError) as error:
            raise InvalidCarrierException(f"{type(carrier).__name__}: {error}") from error
        return None if remote is None else context_of(remote)


def _outgoing(subject: Any) -> Outgoing:
    context = contexts.of(subject)
    if context is None:
        parts = subject.trace_id, subject.span_id, subject.parent_id, subject.flags
        context = SpanContext(*parts, getattr(subject, "baggage", None))
    return plain_context(context)


def _refuse_nothing(carrier: Any) -> None:
    """Raises InvalidCarrierException for an empty list, set or text, as jaeger-client does."""
    if isinstance(carrier, list | tuple | set | frozenset | str | bytes) and not carrier:
        raise InvalidCarrierException(f"an empty {type(carrier).__name__} is no carrier; expected a mapping")


def _is_half_of_b3(error: BadHeader) -> bool:
    """Whether an id of B3 is missing or zero, which jaeger-client reads as no context, without an error."""
    return error.header in (b3.TRACE_ID, b3.SPAN_ID) and not str(error.value).strip("0")


class TextCodec(WireCodec):
    """Jaeger's format (`uber-trace-id`, baggage and debug id), with configurable header names."""

    def __init__(
        self,
        url_encoding: bool = False,
        trace_id_header: str = TRACE_ID_HEADER,
        baggage_header_prefix: str = BAGGAGE_HEADER_PREFIX,
        debug_id_header: str = DEBUG_ID_HEADER_KEY,
        baggage_header: str = BAGGAGE_HEADER_KEY,
    ) -> None:
        format = jaeger(
            trace_id_header=trace_id_header,
            baggage_header_prefix=baggage_header_prefix,
            debug_id_header=debug_id_header,
            baggage_header=baggage_header,
            url_encoded=url_encoding,
        )
        super().__init__(Propagator((format,)))
        self.url_encoding = url_encoding
        self.trace_id_header, self.debug_id_header, self.baggage_header = format.fields
        self.baggage_prefix = format.prefixes[0]
        self.prefix_length = len(self.baggage_prefix)


class BinaryCodec(WireCodec):
    """Jaeger's binary format, in a bytearray."""

    def __init__(self) -> None:
        super().__init__(Binary())


class ZipkinCodec(WireCodec):
    """The ids of a Zipkin span as integers, as TChannel carries them."""

    def __init__(self) -> None:
        super().__init__(Propagator((FORMATS[ZipkinSpanFormat],), raw=True))

    def extract(self, carrier: Any) -> SpanContext | None:
        if not hasattr(carrier, "items"):
            names = FORMATS[ZipkinSpanFormat].fields
            missing = [name for name in names if not hasattr(carrier, name)]
            if missing:
                raise InvalidCarrierException(f"carrier has no {missing[0]}")
            carrier = {name: getattr(carrier, name) for name in names}
        return super().extract(carrier)


class B3Codec(WireCodec):
    """B3 in five headers (https://github.com/openzipkin/b3-propagation)."""

    trace_header = "X-B3-TraceId"
    span_header = "X-B3-SpanId"
    parent_span_header = "X-B3-ParentSpanId"
    sampled_header = "X-B3-Sampled"
    flags_header = "X-B3-Flags"

    def __init__(self, generate_128bit_trace_id: bool = False) -> None:
        super().__init__(Propagator(("b3multi",)))
        self.generate_128bit_trace_id = generate_128bit_trace_id


class PropagatorCodec(Codec):
    """A codec that calls any OpenTelemetry propagator."""

    def __init__(self, propagator: TextMapPropagator) -> None:
        self._carriers = bridge.create_tracer(NoOpTracerProvider(), propagators={"": propagator})

    def inject(self, span_context: bridge.SpanContext, carrier: Any) -> None:
        self._carriers.inject(span_context, "", carrier)

    def extract(self, carrier: Any) -> SpanContext | None:
        _refuse_nothing(carrier)
        found = self._carriers.extract("", carrier)
        return None if found is None else context_like(found)


def codec_of(propagator: TextMapPropagator) -> Codec:
    """The codec for a propagator: `WireCodec` for those of this package, else `PropagatorCodec`."""
    return WireCodec(propagator) if isinstance(propagator, Propagator) else PropagatorCodec(propagator)


def span_context_to_string(trace_id: int, span_id: int, parent_id: int | None, flags: int) -> str:
    """`{trace}:{span}:{parent}:{flags}`, in hex without padding."""
    return f"{trace_id:x}:{span_id:x}:{parent_id or 0:x}:{flags:x}"


def span_context_from_string(value: Any) -> tuple[int, int, int | None, int]:
    """(trace id, span id, parent id or None, flags) of an `uber-trace-id` header.

    value: a text, or a list of one text. Raises SpanContextCorruptedException.
    """
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    context = TextCodec().extract({TRACE_ID_HEADER: value}) if isinstance(value, str) else None
    if context is None:
        raise SpanContextCorruptedException(f"trace context not a string: {value!r:.80}")
    return context.trace_id, context.span_id, context.parent_id, context.flags or 0


def header_to_hex(header: Any) -> int:
    """The number in a header of hex digits. Raises SpanContextCorruptedException."""
    try:
        return int(header, 16)
    except (TypeError, ValueError):
        raise SpanContextCorruptedException(
            f"malformed trace context {header!r:.80}, expected hex string"
        ) from None


__getattr__ = also(__name__)
