"""Which propagator serves which of OpenTracing's carrier formats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.propagators.textmap import TextMapPropagator
from opentracing import Format

from ot_bridge.errors import ConfigurationError
from ot_bridge.propagation import Propagator, parse_propagators
from ot_bridge.wire import Outgoing, Remote, binary_decode, binary_encode


class Binary:
    """`opentracing.Format.BINARY`: a bytearray in Jaeger's layout, appended to and read from its start."""

    def encode(self, outgoing: Outgoing, carrier: bytearray) -> None:
        if not isinstance(carrier, bytearray):
            raise TypeError("a bytearray is due")
        carrier.extend(binary_encode(outgoing))

    def decode(self, carrier: bytes | bytearray) -> Remote | None:
        if not isinstance(carrier, bytes | bytearray):
            raise TypeError("a bytearray is due")
        return binary_decode(carrier) if carrier else None


#: What can be asked directly, without an OpenTelemetry context in between.
Codec = Propagator | Binary


def propagators_by_format(given: Any) -> dict[object, TextMapPropagator | Binary | None]:
    """The table that a tracer reads. None stands for OpenTelemetry's global propagator.

    given: None; what `parse_propagators` takes, for HTTP_HEADERS and TEXT_MAP; or a dict of such by format.
    """
    table: dict[object, TextMapPropagator | Binary | None] = {
        Format.HTTP_HEADERS: None,
        Format.TEXT_MAP: None,
        Format.BINARY: Binary(),
    }
    if isinstance(given, Mapping):
        table.update({name: _parsed(name, spec) for name, spec in given.items()})
    elif given is not None:
        for name in (Format.HTTP_HEADERS, Format.TEXT_MAP):
            table[name] = _parsed(name, given)
    return table


def _parsed(name: object, spec: Any) -> TextMapPropagator | Binary | None:
    if spec is None or isinstance(spec, Binary):
        return spec
    try:
        propagator = parse_propagators(spec)
    except TypeError:
        raise ConfigurationError("propagators", spec, "names, formats or propagators are due") from None
    if name == Format.TEXT_MAP and isinstance(propagator, Propagator):
        return propagator.text_map
    return propagator
