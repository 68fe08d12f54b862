"""The counts as OpenTelemetry's own metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from ot_bridge.delivery import DeliveryProcessor
from tests.delivery.parts import Keeping, spans

SWITCH = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemoryMetricReader]:
    made = InMemoryMetricReader()
    provider = MeterProvider([made], shutdown_on_exit=False)
    monkeypatch.setattr("ot_bridge.delivery.meters.get_meter_provider", lambda: provider)
    yield made
    provider.shutdown()


def _points(reader: InMemoryMetricReader) -> dict[tuple[str, Any], int]:
    data: Any = reader.get_metrics_data()
    if data is None:
        return {}
    return {
        (metric.name, point.attributes.get("error.type")): point.value
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }


class _Ours(Keeping):
    failed = {"refused": 2}


def test_the_number_of_processed_and_exported_spans_is_reported_as_metrics(
    reader: InMemoryMetricReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWITCH, "true")
    exporter = _Ours()
    processor = DeliveryProcessor(
        exporter, max_queue_size=5, max_export_batch_size=5, schedule_delay_millis=60_000
    )
    end = spans(processor)
    exporter.gate.clear()
    end(*"abcde")
    assert exporter.entered.wait(20)
    end(*"fghijklm")
    processed = "otel.sdk.processor.span.processed"
    assert _points(reader) == {
        (processed, None): 0,
        (processed, "queue_full"): 3,
        ("otel.sdk.processor.span.queue.size", None): 5,
        ("otel.sdk.processor.span.queue.capacity", None): 5,
        ("otel.sdk.exporter.span.exported", None): 0,
        ("otel.sdk.exporter.span.inflight", None): 5,
    }
    exporter.gate.set()
    processor.force_flush(10_000)
    assert _points(reader)[processed, None] == 10
    processor.shutdown()


@pytest.mark.parametrize("text", ["", "false", "yes"])
def test_without_the_switch_no_metrics_are_reported(
    text: str, reader: InMemoryMetricReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWITCH, text)
    processor = DeliveryProcessor(Keeping())
    assert _points(reader) == {}
    processor.shutdown()


def test_a_deleted_processor_reports_no_metrics(
    reader: InMemoryMetricReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWITCH, "true")
    processor = DeliveryProcessor(Keeping())
    assert ("otel.sdk.exporter.span.exported", None) not in _points(reader)  # that exporter has its own
    processor.shutdown()
    del processor
    assert _points(reader) == {}


@pytest.mark.parametrize("first", [Keeping, _Ours], ids=["another's first", "ours first"])
def test_only_exporters_that_count_their_losses_are_reported(
    first: type[Keeping], reader: InMemoryMetricReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWITCH, "true")
    kinds = [first, *({Keeping, _Ours} - {first})]
    processors = [DeliveryProcessor(kind) for kind in kinds]
    data: Any = reader.get_metrics_data()
    reported = {
        metric.name: len({point.attributes["otel.component.name"] for point in metric.data.data_points})
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
    }
    assert reported == {name: 1 if ".exporter." in name else 2 for name in EVERY}
    for processor in processors:
        processor.shutdown()


def test_metrics_without_a_meter_provider_raise_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "true")
    assert metrics.get_meter_provider() is not None
    DeliveryProcessor(Keeping()).shutdown()


#: Name -> kind of instrument, and its points: error.type -> number. (Semantic conventions, "SDK metrics".)
EVERY: dict[str, tuple[str, dict[Any, int]]] = {
    "otel.sdk.processor.span.processed": ("Sum, monotonic", {None: 3, "queue_full": 0}),
    "otel.sdk.processor.span.queue.size": ("Sum", {None: 0}),
    "otel.sdk.processor.span.queue.capacity": ("Sum", {None: 2048}),
    "otel.sdk.exporter.span.exported": ("Sum, monotonic", {None: 1, "refused": 2}),
    "otel.sdk.exporter.span.inflight": ("Sum", {None: 0}),
}


class _Loses(Keeping):
    def __init__(self) -> None:
        super().__init__()
        self.failed: dict[str, int] = {}

    def export(self, spans: Any) -> Any:
        self.failed["refused"] = 2
        return super().export(spans)


def test_each_metric_has_the_kind_unit_and_attributes_of_the_conventions(
    reader: InMemoryMetricReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWITCH, " True ")
    processors = [DeliveryProcessor(_Loses()) for _ in range(2)]
    for processor in processors:
        spans(processor)("a", "b", "c")
        processor.force_flush(10_000)
    data: Any = reader.get_metrics_data()
    ((scope,),) = [resource.scope_metrics for resource in data.resource_metrics]
    assert scope.scope.name == "opentelemetry-sdk"
    seen, components = {}, set()
    for metric in scope.metrics:
        kind = type(metric.data).__name__ + (", monotonic" if metric.data.is_monotonic else "")
        assert metric.unit == "{span}"
        points = {}
        for point in metric.data.data_points:
            attributes = dict(point.attributes)
            points[attributes.pop("error.type", None)] = point.value
            assert attributes.pop("otel.component.type") == "ot_bridge_span_processor"
            components.add(attributes.pop("otel.component.name"))
            assert attributes == {}
        seen[metric.name] = kind, points
    assert seen == EVERY
    assert len(components) == 2
    assert {name.rpartition("/")[0] for name in components} == {"ot_bridge_span_processor"}
    for processor in processors:
        processor.shutdown()
