"""The pytest plugin: the `ot_tracer` fixture. Nothing else is imported before a test asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ot_bridge.testing import RecordingTracer


@pytest.fixture
def ot_tracer() -> Iterator[RecordingTracer]:
    """A recording tracer, for the time of the test also the one that `opentracing.global_tracer()` gives."""
    import opentracing
    from opentelemetry.context import Context, attach, detach

    from ot_bridge.testing import RecordingTracer

    before = opentracing.tracer, opentracing.is_tracer_registered
    tracer = RecordingTracer()
    opentracing.set_global_tracer(tracer)
    token = attach(Context())  # nothing that an earlier test has left active
    yield tracer
    detach(token)
    opentracing.tracer, opentracing.is_tracer_registered = before
