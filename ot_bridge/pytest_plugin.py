"""The pytest plugin: the `ot_tracer` fixture.

pytest imports this module in every test run, so OpenTelemetry is imported only when a test uses the fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ot_bridge.testing import RecordingTracer


@pytest.fixture
def ot_tracer() -> Iterator[RecordingTracer]:
    """A recording tracer, which `opentracing.global_tracer()` returns while the test runs."""
    import opentracing
    from opentelemetry.context import Context, attach, detach

    from ot_bridge.testing import RecordingTracer

    before = opentracing.tracer, opentracing.is_tracer_registered
    tracer = RecordingTracer()
    opentracing.set_global_tracer(tracer)
    token = attach(Context())  # without spans that an earlier test has left active
    yield tracer
    detach(token)
    opentracing.tracer, opentracing.is_tracer_registered = before
