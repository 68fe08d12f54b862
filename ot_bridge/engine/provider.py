"""`TracerProvider`: the SDK's provider with lean tracers.

Invariants of the `__class__` assignment in `get_tracer`:

1. The SDK keeps the tracers that it hands out, to change their resource after a fork and to switch them off.
   So the object that it keeps has to become the lean tracer; a second object would not get these changes
   (tests/engine/test_tracer.py: test_the_sdk_caches_the_tracer_that_it_returns).
2. Only an object whose class is exactly the SDK's `Tracer` is changed, and only if it has all attributes that
   the engine reads (`carries_the_engine`; tests/engine/test_fallback.py).
"""

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

    On a version of the SDK without the names that the engine needs (`ot_bridge.otel.NEEDED`), it returns the
    SDK's own tracers and logs it once. It replaces the SDK's `RandomIdGenerator` by
    `ot_bridge.ids.RandomIds`, which does not use the program's random number generator.
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
            tracer.__class__ = Tracer  # see the head of this file
        return tracer
