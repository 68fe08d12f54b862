"""jaeger-client's counters for Prometheus. Needs `prometheus_client`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prometheus_client import Counter, Gauge

from ot_bridge.jaeger_client.metrics.metrics import Count, MetricsFactory


class PrometheusMetricsFactory(MetricsFactory):
    """Makes metrics of `prometheus_client`.

    namespace: prefix of their names. service_name_label: the value of a `service` label; None for no label.
    """

    def __init__(self, namespace: str = "", service_name_label: str | None = None) -> None:
        self._cache: dict[str, Any] = {}
        self._namespace = namespace
        self._service_name_label = service_name_label

    def create_counter(self, name: str, tags: Mapping[str, Any] | None = None) -> Count:
        return self._metric(Counter, name, tags).inc  # type: ignore[no-any-return]

    def create_gauge(self, name: str, tags: Mapping[str, Any] | None = None) -> Count:
        return self._metric(Gauge, name, tags).set  # type: ignore[no-any-return]

    def _metric(self, kind: type[Counter | Gauge], name: str, tags: Mapping[str, Any] | None) -> Any:
        labels = dict(tags or {})
        if self._service_name_label:
            labels["service"] = self._service_name_label
        key = "@@".join([name, *labels])
        if key not in self._cache:
            self._cache[key] = kind(
                name=name, documentation=name, labelnames=list(labels), namespace=self._namespace
            )
        return self._cache[key].labels(**labels) if labels else self._cache[key]
