"""The SDK's provider, handing out lean tracers. Everything else about it is the SDK's."""

from __future__ import annotations

from opentelemetry import trace as trace_api
from opentelemetry.sdk import trace as sdk
from opentelemetry.util.types import Attributes

from .tracer import Tracer


class TracerProvider(sdk.TracerProvider):
    """Takes what `opentelemetry.sdk.trace.TracerProvider` takes, reads the same `OTEL_*` variables."""

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> trace_api.Tracer:
        tracer = super().get_tracer(
            instrumenting_module_name, instrumenting_library_version, schema_url, attributes
        )
        if type(tracer) is sdk.Tracer:
            # The SDK keeps its tracers, to change their resource after a fork and to switch them off:
            # the very object that it keeps becomes lean, so that those changes reach us.
            tracer.__class__ = Tracer
        return tracer
