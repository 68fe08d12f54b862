"""Sets the globals of both APIs, and restores their old values.

An old value is restored only if the global still holds the object that was set here. An object that other
code has set since then stays. OpenTelemetry's guard, which lets a global provider be set only once, is reset
only for a provider that was set here.
"""

from __future__ import annotations

from typing import Any, Final

import opentracing
from opentelemetry import propagate, trace

from ot_bridge.otel import held_provider, hold_provider

_EMPTY: Final = (trace.ProxyTracerProvider, trace.NoOpTracerProvider)


def global_provider() -> trace.TracerProvider | None:
    """A provider that other code (an agent, the application) has made global; None if there is none.

    OpenTelemetry's proxy, and its provider that does nothing, count as none.
    """
    found = trace.get_tracer_provider()
    return None if isinstance(found, _EMPTY) else found


def set_global_provider(provider: Any) -> None:
    """Makes a provider global, in place of OpenTelemetry's proxy or its provider that does nothing."""
    if isinstance(held_provider(), _EMPTY):
        hold_provider(provider)
    else:
        trace.set_tracer_provider(provider)


class Registered:
    """The globals that were set for a tracer, and their old values."""

    def __init__(self, tracer: opentracing.Tracer, textmap: Any = None, provider: Any = None) -> None:
        """Registers the tracer, and a propagator and a provider if they are given."""
        self._tracer = tracer
        self._textmap = textmap
        self._provider = None if provider is held_provider() else provider
        self._before: tuple[Any, ...] = (
            opentracing.tracer,
            opentracing.is_tracer_registered,
            propagate.get_global_textmap(),
            held_provider(),
        )
        opentracing.set_global_tracer(tracer)
        if textmap is not None:
            propagate.set_global_textmap(textmap)
        if self._provider is not None:
            set_global_provider(provider)

    def take_back(self) -> None:
        tracer, registered, textmap, provider = self._before
        if opentracing.tracer is self._tracer:
            opentracing.tracer, opentracing.is_tracer_registered = tracer, registered
        if self._textmap is not None and propagate.get_global_textmap() is self._textmap:
            propagate.set_global_textmap(textmap)
        if self._provider is not None and held_provider() is self._provider:
            hold_provider(provider)
