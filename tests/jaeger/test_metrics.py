"""Row "metrics": the counters of jaeger-client, by either kind of factory."""

from __future__ import annotations

from typing import Any

import jaeger_client.metrics
import jaeger_client.metrics.prometheus
import prometheus_client
import pytest

from ot_bridge.jaeger_client import metrics
from ot_bridge.jaeger_client.metrics import prometheus
from tests.jaeger.sides import Side, both


def _program(tracer: Any, side: Side) -> None:
    root = tracer.start_span("root")
    tracer.start_span("child", child_of=root).finish()
    root.finish()
    tracer.start_span("served", tags={"span.kind": "server"}).finish()
    unsampled = side.package.SpanContext(1, 2, 3, 0)
    tracer.start_span("child", child_of=unsampled).finish()
    tracer.start_span("root", tags={"sampling.priority": 0})


@pytest.mark.parametrize("sampled", [True, False])
def test_the_tracer_counts_the_same_metrics_as_jaeger_clients(sampled: bool) -> None:
    def program(side: Side) -> Any:
        counts: dict[str, int] = {}
        legacy = side.package.metrics.Metrics(
            count=lambda key, n: counts.__setitem__(key, counts.get(key, 0) + n)
        )
        tracer, _ = side.tracer(side.package.ConstSampler(sampled), metrics=legacy)
        _program(tracer, side)
        return counts

    assert both(program)


def test_prometheus_sees_the_same_metrics() -> None:
    def program(side: Side) -> Any:
        module = (
            prometheus if side.package.__name__.startswith("ot_bridge") else jaeger_client.metrics.prometheus
        )
        namespace = f"test_{side.package.__name__.replace('.', '_')}"
        made = module.PrometheusMetricsFactory(namespace=namespace, service_name_label="service")
        tracer, _ = side.tracer(metrics_factory=made)
        _program(tracer, side)
        made.create_gauge("jaeger:length")(3)
        found = prometheus_client.generate_latest().decode().splitlines()
        prefix = f"{namespace}_jaeger"
        return sorted(
            line.removeprefix(prefix) for line in found if line.startswith(prefix) and "_created" not in line
        )

    lines = both(program)
    assert any(line.startswith(":started_spans_total{") and line.endswith(" 3.0") for line in lines)


def test_without_labels_prometheus_has_a_plain_metric() -> None:
    made = prometheus.PrometheusMetricsFactory(namespace="plain")
    made.create_counter("jaeger:finished_spans")(2)
    made.create_counter("jaeger:finished_spans")(3)
    assert "plain_jaeger:finished_spans_total 5.0" in prometheus_client.generate_latest().decode()


TAGS: list[Any] = [None, {}, {"b": "2", "a": "1"}]


@pytest.mark.parametrize("tags", TAGS, ids=str)
def test_a_legacy_factory_puts_tags_into_the_key(tags: Any) -> None:
    def program(module: Any) -> Any:
        calls: list[Any] = []
        both_ways = [
            module.Metrics(
                count=lambda *args: calls.append(("count", *args)),
                gauge=lambda *args: calls.append(("gauge", *args)),
                timing=lambda *args: calls.append(("timing", *args)),
            ),
            module.Metrics(count="not callable", gauge=1, timing="nor this"),
        ]
        for each in both_ways:
            factory = module.LegacyMetricsFactory(each)
            factory.create_counter("name", tags)(1)
            factory.create_gauge("name", tags)(2)
            factory.create_timer("name", tags)(3000)
        return calls

    assert program(metrics) == program(jaeger_client.metrics)


def test_the_plain_factory_counts_nothing() -> None:
    made = metrics.MetricsFactory()
    for create in (made.create_counter, made.create_gauge, made.create_timer):
        assert create("name", {"a": "b"})(1) is None
