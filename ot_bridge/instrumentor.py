"""The entry point by which `opentelemetry-instrument` finds us: `opentelemetry-instrument python app.py`.

It redirects the imports of jaeger-client and grpcio-opentracing, and gives a program that asks for the
global OpenTracing tracer one on OpenTelemetry's global provider. `OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=
opentracing` leaves it out.
"""

from __future__ import annotations

from typing import Any

import opentracing

from ot_bridge.bridge import create_tracer
from ot_bridge.redirect import redirect, undo


class OpenTracingInstrumentor:
    """What OpenTelemetry calls an instrumentor, without its base class: that package may not be there."""

    def instrument(self, **kwargs: Any) -> None:
        redirect()
        if not opentracing.is_global_tracer_registered():
            opentracing.set_global_tracer(create_tracer())

    def uninstrument(self, **kwargs: Any) -> None:
        undo()
        opentracing.tracer = opentracing.Tracer()
        opentracing.is_tracer_registered = False
