"""Where OpenTelemetry's context holds the current span, the baggage and the caller's `Remote`, and our scope.

OpenTelemetry does not publish the names of its keys; each is read off a context that its public
functions made.
"""

from __future__ import annotations

from typing import Final

from opentelemetry import baggage, trace
from opentelemetry.context import Context, create_key

from ot_bridge.propagation import set_remote
from ot_bridge.wire import Remote

SPAN_KEY: Final[str] = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, Context())))
BAGGAGE_KEY: Final[str] = next(iter(baggage.set_baggage("name", "value", Context())))
REMOTE_KEY: Final[str] = next(iter(set_remote(Remote(), Context())))
SCOPE_KEY: Final[str] = create_key("ot_bridge-scope")
