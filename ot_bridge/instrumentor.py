"""The entry point by which `opentelemetry-instrument` finds us: `opentelemetry-instrument python app.py`.

It redirects the imports of jaeger-client and grpcio-opentracing, and gives a program that asks for the
global OpenTracing tracer one on OpenTelemetry's global provider. `OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=
opentracing` leaves it out.
"""

from __future__ import annotations

from typing import Any, ClassVar

import opentracing

from ot_bridge.bridge import create_tracer
from ot_bridge.redirect import redirect, undo
from ot_bridge.registered import Registered


class OpenTracingInstrumentor:
    """What OpenTelemetry calls an instrumentor, without its base class: that package may not be there.

    As there, any object of it takes back what another has done.
    """

    _registered: ClassVar[Registered | None] = None

    def instrument(self, **kwargs: Any) -> None:
        redirect()
        if not opentracing.is_global_tracer_registered():
            OpenTracingInstrumentor._registered = Registered(create_tracer())

    def uninstrument(self, **kwargs: Any) -> None:
        undo()
        if self._registered is not None:
            self._registered.take_back()
            OpenTracingInstrumentor._registered = None
