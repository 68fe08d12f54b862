"""What gRPC's tests share: the tracer as the global one, and a way to wait for spans that end elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import opentracing
import pytest
from opentelemetry.sdk.trace import ReadableSpan

from tests.conftest import Recorded
from tests.grpc.things import Seen

Finished = Callable[[int], Sequence[ReadableSpan]]


@pytest.fixture(autouse=True)
def _global_tracer(otel: Recorded) -> Iterator[None]:
    before = opentracing.global_tracer()
    opentracing.set_global_tracer(otel.tracer)
    yield
    opentracing.set_global_tracer(before)


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def finished(otel: Recorded) -> Finished:
    """Waits until that many spans have ended, in any thread, and returns them; there must be no more."""
    pause = threading.Event()

    def wait(count: int) -> Sequence[ReadableSpan]:
        for _ in range(5000):
            if len(otel.exporter.get_finished_spans()) >= count:
                break
            pause.wait(0.001)
        spans = otel.exporter.get_finished_spans()
        assert len(spans) == count, [span.name for span in spans]
        return spans

    return wait
