"""What each part of jaeger-client counts, as a class that takes a factory."""

from __future__ import annotations

from ot_bridge.jaeger_client.metrics.metrics import (
    REPORTER,
    SAMPLER,
    THROTTLER,
    TRACER,
    Counters,
    MetricsFactory,
)


class TracerMetrics(Counters):
    def __init__(self, metrics_factory: MetricsFactory) -> None:
        super().__init__(TRACER, metrics_factory)


class ReporterMetrics(Counters):
    def __init__(self, metrics_factory: MetricsFactory) -> None:
        super().__init__(REPORTER, metrics_factory)
        self.reporter_queue_length = metrics_factory.create_gauge(name="jaeger:reporter_queue_length")


class SamplerMetrics(Counters):
    def __init__(self, metrics_factory: MetricsFactory) -> None:
        super().__init__(SAMPLER, metrics_factory)


class ThrottlerMetrics(Counters):
    def __init__(self, metrics_factory: MetricsFactory) -> None:
        super().__init__(THROTTLER, metrics_factory)
