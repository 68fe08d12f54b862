"""The response header that tells the caller the request's trace id."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import opentracing
from opentracing import Format

from ot_bridge import bridge
from ot_bridge.errors import ConfigurationError
from ot_bridge.wire import FORMATS
from ot_bridge.wire.remote import LIMITS

MakeHeaders: TypeAlias = Callable[[opentracing.Span], list[tuple[str, str]]]


def response_header(name: str | None) -> MakeHeaders | None:
    """Returns a function that makes the response headers for a span; None if `name` is None.

    name: the name of a header, or of a format in `ot_bridge.wire`. Raises `ConfigurationError` for others.
    """
    if name is None:
        return None
    formats = [format for format in FORMATS.values() if not format.raw]
    for format in formats:
        if name in (format.name, *format.fields):
            break
    else:
        known = ", ".join(format.name for format in formats)
        raise ConfigurationError("response_header", name, f"expected a header, or one of {known}")
    wanted = format.fields if name == format.name else (name,)

    def headers(span: opentracing.Span) -> list[tuple[str, str]]:
        carrier: dict[str, Any] = {}
        if isinstance(span, bridge.Span):
            format.encode(span.context, carrier, LIMITS)
        else:
            span.tracer.inject(span.context, Format.HTTP_HEADERS, carrier)
        return [(key, value) for key, value in carrier.items() if key.lower() in wanted]

    return headers
