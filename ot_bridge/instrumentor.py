"""The instrumentor that `opentelemetry-instrument python app.py` loads through an entry point.

It redirects the imports of jaeger-client and grpcio-opentracing, and registers a global OpenTracing tracer on
OpenTelemetry's global provider. `OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=opentracing` turns it off.
"""

from __future__ import annotations

from typing import Any, ClassVar

import opentracing

from ot_bridge.bridge import create_tracer
from ot_bridge.redirect import redirect, undo
from ot_bridge.registered import Registered


class OpenTracingInstrumentor:
    """An OpenTelemetry instrumentor, without OpenTelemetry's base class, whose package may be missing.

    As with the base class, every instance shares one state: any instance can undo what another one did.
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
