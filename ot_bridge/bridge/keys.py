"""The keys of OpenTelemetry's context for the current span, baggage, the caller's `Remote` and our scope."""

from __future__ import annotations

from typing import Final

from opentelemetry.context import Context, create_key

from ot_bridge.otel import BAGGAGE_KEY, SPAN_KEY
from ot_bridge.propagation import set_remote
from ot_bridge.wire import Remote

REMOTE_KEY: Final[str] = next(iter(set_remote(Remote(), Context())))
SCOPE_KEY: Final[str] = create_key("ot_bridge-scope")

__all__ = ["BAGGAGE_KEY", "REMOTE_KEY", "SCOPE_KEY", "SPAN_KEY"]
