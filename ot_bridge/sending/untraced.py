"""The context of our own traffic: no span, and OpenTelemetry's instrumentations are told to look away."""

from __future__ import annotations

from typing import Final

from opentelemetry.context import (
    _SUPPRESS_HTTP_INSTRUMENTATION_KEY,
    _SUPPRESS_INSTRUMENTATION_KEY,
    Context,
)

UNTRACED: Final = Context(
    dict.fromkeys(
        (_SUPPRESS_INSTRUMENTATION_KEY, _SUPPRESS_HTTP_INSTRUMENTATION_KEY, "suppress_instrumentation"), True
    )
)
