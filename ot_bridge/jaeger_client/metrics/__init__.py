"""jaeger-client's counters of its own work; `metrics.prometheus` needs prometheus_client."""

from ot_bridge.jaeger_client.metrics.metrics import LegacyMetricsFactory, Metrics, MetricsFactory

__all__ = ["LegacyMetricsFactory", "Metrics", "MetricsFactory"]
