"""Row C6: a signal handler may use any part that its thread is using. No lock of ours hangs the thread."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased
from opentracing import Format

from ot_bridge import jaeger_client
from ot_bridge.bridge import create_tracer
from ot_bridge.edge.callers import Callers
from ot_bridge.jaeger_client.config import Config
from ot_bridge.jaeger_client.throttler import RemoteThrottler
from ot_bridge.sampling import RateLimitingSampler, rate_limited
from ot_bridge.testing import RecordingTracer
from tests.interrupts import PACKAGE, handled

MANY = 1_000_000.0


def _span_of(tracer: Any) -> Callable[[], object]:
    def step() -> None:
        with tracer.start_active_span("op", tags={"list": [1]}) as scope:
            scope.span.set_tag("late", [2]).log_kv({"event": "x", "list": [3]}).set_baggage_item("k", "v")
            attributes = getattr(scope.span.unwrap(), "attributes", {})
            assert len(attributes) >= 2
            tracer.inject(scope.span.context, Format.HTTP_HEADERS, {})

    return step


def _of_jaegers_sampler() -> Callable[[], object]:
    sampler = RateLimitingSampler(MANY)

    def step() -> None:
        sampler.is_sampled(1)
        sampler.update(MANY + sampler.traces_per_second % 2 + 1)

    return step


def _drop_in() -> Callable[[], object]:
    reporter = jaeger_client.reporter.InMemoryReporter()
    throttler = RemoteThrottler(SimpleNamespace(credits_endpoint="http://127.0.0.1:9/"), "test")
    throttler.credits["op"] = MANY
    tracer = jaeger_client.Tracer("test", reporter, jaeger_client.ConstSampler(True), throttler=throttler)

    def step() -> None:
        with tracer.start_span("op") as span:
            span.set_tag("sampling.priority", 1)
        assert reporter.get_spans()
        throttler.set_client_id(1)
        Config.initialized()

    return step


def _recorded() -> Callable[[], object]:
    return _span_of(RecordingTracer())


def _broken_headers() -> Callable[[], object]:
    tracer = create_tracer(TracerProvider(shutdown_on_exit=False), propagators="jaeger")
    callers = Callers("all", False, "root")
    return lambda: callers.parent(tracer, {"uber-trace-id": "broken"})


def _survives(step: Callable[[], object]) -> None:
    line = 0
    while handled(step, line := line + 1, PACKAGE, step):
        pass
    assert line > 20


@pytest.mark.timeout(30)
def test_a_signal_handler_may_use_the_tracer_that_its_thread_is_using(
    provider_class: type[TracerProvider],
) -> None:
    provider = provider_class(ParentBased(rate_limited(MANY)), shutdown_on_exit=False)
    _survives(_span_of(create_tracer(provider)))


@pytest.mark.timeout(30)
@pytest.mark.parametrize("provider_class", [TracerProvider], indirect=True)
@pytest.mark.parametrize("made", [_of_jaegers_sampler, _drop_in, _recorded, _broken_headers])
def test_a_signal_handler_may_use_other_parts_that_its_thread_is_using(
    made: Callable[[], Callable[[], object]],
) -> None:
    _survives(made())
