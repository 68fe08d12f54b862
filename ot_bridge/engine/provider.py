"""The SDK's provider, handing out lean tracers. Everything else about it is the SDK's."""

from __future__ import annotations

from typing import Any

from opentelemetry import trace as trace_api
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.util.types import Attributes

from ot_bridge.engine.tracer import Tracer
from ot_bridge.ids import RandomIds
from ot_bridge.otel import carries_the_engine


class TracerProvider(sdk.TracerProvider):
    """Takes what `opentelemetry.sdk.trace.TracerProvider` takes, and reads the same `OTEL_*` variables.

    On a version of the SDK without the names that the engine needs (`ot_bridge.otel.NEEDED`), its tracers are
    the SDK's own, which is logged once.

    In place of the SDK's `RandomIdGenerator` it takes `ot_bridge.ids.RandomIds`, which leaves the program's
    own random numbers alone.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if type(self.id_generator) is RandomIdGenerator:
            self.id_generator = RandomIds()  # type: ignore[assignment]

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
        if type(tracer) is sdk.Tracer and carries_the_engine(tracer):
            # The SDK keeps its tracers, to change their resource after a fork and to switch them off:
            # the very object that it keeps becomes lean, so that those changes reach us.
            tracer.__class__ = Tracer
        return tracer
