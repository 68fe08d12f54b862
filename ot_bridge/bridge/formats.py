"""`inject` and `extract`, and the table of propagators by OpenTracing carrier format."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagate import get_global_textmap
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import DEFAULT_TRACE_STATE
from opentracing import (
    Format,
    InvalidCarrierException,
    SpanContextCorruptedException,
    UnsupportedFormatException,
)

from ot_bridge.bridge import convert
from ot_bridge.bridge import span_context as contexts
from ot_bridge.bridge.keys import BAGGAGE_KEY, REMOTE_KEY
from ot_bridge.bridge.span_context import BY_FLAGS, NO_BAGGAGE, SpanContext, from_remote, new
from ot_bridge.errors import BadHeader
from ot_bridge.otel import current
from ot_bridge.propagation import LOWER_CASE, Propagator, lower_case, parse_propagators
from ot_bridge.wire import Outgoing, Remote


class Binary:
    """`opentracing.Format.BINARY` in Jaeger's layout: appends to a bytearray, and reads from its start.

    Few programs use it, so its codec is imported at its first use.
    """

    def encode(self, outgoing: Outgoing, carrier: bytearray) -> None:
        if not isinstance(carrier, bytearray):
            raise TypeError("expected a bytearray")
        from ot_bridge.wire.binary import binary_encode

        carrier.extend(binary_encode(outgoing))

    def decode(self, carrier: bytes | bytearray) -> Remote | None:
        if not isinstance(carrier, bytes | bytearray):
            raise TypeError("expected a bytearray")
        from ot_bridge.wire.binary import binary_decode

        return binary_decode(carrier) if carrier else None


def propagators_by_format(given: Any) -> dict[object, TextMapPropagator | Binary | None]:
    """The table that a tracer reads. None stands for OpenTelemetry's global propagator.

    given: None; an argument of `parse_propagators`, for HTTP_HEADERS and TEXT_MAP; or a dict of such
    arguments by format.
    Raises ConfigurationError for an unknown propagator name.
    """
    table: dict[object, TextMapPropagator | Binary | None] = {
        Format.HTTP_HEADERS: None,
        Format.TEXT_MAP: None,
        Format.BINARY: Binary(),
    }
    if isinstance(given, Mapping):
        table.update({name: _parsed(name, spec) for name, spec in given.items()})
    elif given is not None:
        parsed = _parsed(Format.HTTP_HEADERS, given)
        table[Format.HTTP_HEADERS], table[Format.TEXT_MAP] = parsed, _parsed(Format.TEXT_MAP, parsed)
    return table


def _parsed(name: object, spec: Any) -> TextMapPropagator | Binary | None:
    if spec is None or isinstance(spec, Binary):
        return spec
    propagator = parse_propagators(spec)
    if not isinstance(propagator, Propagator) or name == Format.HTTP_HEADERS:
        return propagator
    return propagator.text_map if name == Format.TEXT_MAP else propagator.raw


def _no_ids(*arguments: object) -> None:
    """Stands in for `Propagator.read_ids` and `write_ids` where a propagator has no such function."""


class Carriers:
    """The part of a tracer that reads and writes carriers."""

    def __init__(self, propagators: Any) -> None:
        self._formats = propagators_by_format(propagators)
        self._encode: dict[object, Any] = {}
        self._read_ids: dict[object, Any] = {}
        self._write_ids = getattr(self._formats[Format.HTTP_HEADERS], "write_ids", None) or _no_ids
        for name, each in self._formats.items():
            other = partial(self._inject_by_other, name)
            self._encode[name] = each.encode if isinstance(each, Propagator | Binary) else other
            self._read_ids[name] = each.read_ids if isinstance(each, Propagator) else _no_ids

    def inject(self, span_context: Any, format: object, carrier: Any) -> None:
        """Writes `span_context` (or a span's) and its baggage into `carrier`.

        format: one of `opentracing.Format`, or a format that was given to `create_tracer`. carrier: a mutable
        mapping of str to str, for BINARY a bytearray. Raises UnsupportedFormatException,
        InvalidCarrierException.
        """
        try:
            encode = self._encode[format]
        except Exception:  # KeyError, or it cannot be hashed or compared
            raise UnsupportedFormatException(format) from None
        context = span_context if isinstance(span_context, SpanContext) else contexts.of(span_context)
        if context is None:
            return
        held: Any = current().get(BAGGAGE_KEY)
        if held:
            context = with_current_baggage(context, held)
        try:
            encode(context, carrier)
        except Exception as error:
            raise _invalid(carrier, format, error) from error

    def _inject_by_other(self, format: object, context: SpanContext, carrier: Any) -> None:
        """Injects with a propagator of another package."""
        self._propagator(format).inject(carrier, _otel_context(context))

    def ids_to_send(self, span: Any) -> tuple[tuple[str, str], ...] | None:
        """The HTTP headers, as pairs, of a span of this tracer; None if `inject` has to write them.

        This makes no span context. It is for spans that pass on nothing but ids and flags. Never raises.
        tests/bridge/test_sent_ids.py checks that it agrees with `inject`; benchmark row grpc needs it.
        """
        ids, above = span.ids, span.parent_ids
        if (
            span._baggage
            or span.origin is not None
            or span.priority_flags is not None
            or ids[4] is not DEFAULT_TRACE_STATE
            or not ids[5]
            or current().get(BAGGAGE_KEY)
        ):
            return None
        try:
            return self._write_ids(ids, 0 if above is None else above[1])
        except Exception:  # an id is too long for a header; `inject` leaves that header out
            return None

    def extract(self, format: object, carrier: Any) -> SpanContext | None:
        """The caller's span context, which may hold only baggage, a sampling decision or a debug id.

        format: as for `inject`. carrier: anything that `Propagator.decode` reads; for BINARY bytes or a
        bytearray. Returns None if there is nothing to read. Raises UnsupportedFormatException,
        InvalidCarrierException, and SpanContextCorruptedException for a tracing header that cannot be read.
        """
        try:
            ids = self._read_ids[format](carrier)
            if ids is not None:
                trace_id, span_id, parent_id, bits = ids
                if trace_id and span_id:
                    made_as, flags = BY_FLAGS[bits]
                    values = trace_id, span_id, True, flags, DEFAULT_TRACE_STATE, True
                    made: SpanContext = new(made_as, values)
                    if parent_id:
                        made.__dict__["parent_id"] = parent_id
                    return made
        except Exception:
            pass  # `_extract` reads unusual values, and reports wrong ones
        return self._extract(format, carrier)

    def _extract(self, format: object, carrier: Any) -> SpanContext | None:
        """`extract` where `read_ids` cannot read the carrier's ids, and for other propagators."""
        propagator = self._propagator(format)
        try:
            if not isinstance(propagator, Propagator | Binary):
                return _from_otel_context(propagator.extract(lower_case(carrier), Context(), LOWER_CASE))
            remote = propagator.decode(carrier)
            return None if remote is None else from_remote(remote)
        except BadHeader as error:
            raise SpanContextCorruptedException(str(error)) from error
        except Exception as error:
            raise _invalid(carrier, format, error) from error

    def _propagator(self, format: object) -> Any:
        try:
            propagator = self._formats[format]
        except Exception:  # KeyError, or it cannot be hashed or compared
            raise UnsupportedFormatException(format) from None
        return propagator or get_global_textmap()


def _invalid(carrier: object, format: object, error: Exception) -> InvalidCarrierException:
    what, why = convert.text(format), convert.text(error)
    return InvalidCarrierException(f"{convert.class_name(carrier)} for {what}: {why}")


def with_current_baggage(context: SpanContext, held: Mapping[str, Any]) -> SpanContext:
    """Adds the baggage that OpenTelemetry code has set while the span of `context` is active."""
    active = trace.get_current_span().get_span_context()
    if active.span_id != context.span_id or active.trace_id != context.trace_id:
        return context
    items = {name: value if type(value) is str else convert.text(value) for name, value in held.items()}
    if items == context.baggage:
        return context
    return SpanContext(context, {**context.baggage, **items}, context.origin, context.parent_id)


def _otel_context(context: SpanContext) -> Context:
    made = trace.set_span_in_context(trace.NonRecordingSpan(context), Context())
    values: dict[str, object] = {BAGGAGE_KEY: dict(context.baggage)}
    if context.origin is not None:
        values[REMOTE_KEY] = context.origin
    return Context({**made, **values})


def _from_otel_context(found: Context) -> SpanContext | None:
    otel = trace.get_current_span(found).get_span_context()
    baggage: Any = found.get(BAGGAGE_KEY) or NO_BAGGAGE
    origin: Any = found.get(REMOTE_KEY)
    items = {name: convert.text(value) for name, value in baggage.items()}
    if otel.is_valid:
        return SpanContext(otel, items, origin)
    if origin is not None:
        return contexts.from_remote(origin._replace(baggage=items))
    return SpanContext(baggage=items) if items else None
