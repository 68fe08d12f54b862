"""The next process: goes on with the trace whose headers it gets (JSON, standard input), by both APIs.

Writes, as JSON: for each of its spans the trace, the parent and the baggage that both APIs saw in it, and
the headers that it would send on.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from opentelemetry import baggage, propagate, trace
from opentelemetry.context import attach
from opentelemetry.sdk.trace import TracerProvider
from opentracing import Format

from ot_bridge.bridge import create_tracer
from ot_bridge.propagation import parse_propagators


def main(first: str, headers: dict[str, str]) -> dict[str, Any]:
    propagate.set_global_textmap(parse_propagators("tracecontext,baggage"))
    provider = TracerProvider(shutdown_on_exit=False)
    tracer, native = create_tracer(provider), provider.get_tracer("native")
    seen: list[dict[str, Any]] = []

    def look() -> None:
        span: Any = trace.get_current_span()
        active: Any = tracer.active_span
        seen.append(
            {
                "trace": span.get_span_context().trace_id,
                "id": span.get_span_context().span_id,
                "parent": span.parent.span_id,
                "opentelemetry": dict(baggage.get_all()),
                "opentracing": {name: active.get_baggage_item(name) for name in baggage.get_all()},
            }
        )

    if first == "opentracing":
        received = tracer.extract(Format.HTTP_HEADERS, headers)
        with tracer.start_active_span("server", child_of=received) as scope:
            look()
            scope.span.set_baggage_item("server", "opentracing")
            with native.start_as_current_span("inside"):
                look()
                sent: dict[str, str] = {}
                propagate.inject(sent)
    else:
        attach(propagate.extract(headers))
        with native.start_as_current_span("server"):
            look()
            attach(baggage.set_baggage("server", "opentelemetry"))
            with tracer.start_active_span("inside") as scope:
                look()
                sent = {}
                tracer.inject(scope.span.context, Format.HTTP_HEADERS, sent)
    return {"spans": seen, "sent": sent}


if __name__ == "__main__":
    json.dump(main(sys.argv[1], json.load(sys.stdin)), sys.stdout)
