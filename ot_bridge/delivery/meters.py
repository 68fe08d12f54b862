"""Reports the counts as OpenTelemetry's metrics where `OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED` is `true`.

Names and attributes are those of the semantic conventions, "SDK metrics", as the SDK's batch processor
reports them. Metrics of the exporter are reported only for exporters that count their losses (`failed`),
since OpenTelemetry's own exporters report themselves.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any, Final
from weakref import ref

from opentelemetry.metrics import CallbackOptions, Observation, get_meter_provider

from ot_bridge.delivery.counts import Counts

_numbers: Final = itertools.count()
_KIND: Final = "ot_bridge_span_processor"


def _processed(counts: Counts) -> Iterator[tuple[int, dict[str, str]]]:
    yield counts.exported + sum(counts.failed.values()), {}
    yield counts.dropped, {"error.type": "queue_full"}


def _waiting(counts: Counts) -> Iterator[tuple[int, dict[str, str]]]:
    yield counts.waiting, {}


def _exported(counts: Counts) -> Iterator[tuple[int, dict[str, str]]]:
    yield counts.exported, {}
    for reason, number in counts.failed.items():
        yield number, {"error.type": reason}


def _in_flight(counts: Counts) -> Iterator[tuple[int, dict[str, str]]]:
    yield counts.in_flight, {}


_PROCESSOR: Final = (
    ("create_observable_counter", "otel.sdk.processor.span.processed", _processed),
    ("create_observable_up_down_counter", "otel.sdk.processor.span.queue.size", _waiting),
)
_EXPORTER: Final = (
    ("create_observable_counter", "otel.sdk.exporter.span.exported", _exported),
    ("create_observable_up_down_counter", "otel.sdk.exporter.span.inflight", _in_flight),
)


def observe(processor: Any) -> None:
    """Reports the counts of a processor to the global meter provider, also to one that is set later."""
    if os.environ.get("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "").strip().lower() != "true":
        return
    meter = get_meter_provider().get_meter("opentelemetry-sdk")
    fixed = {"otel.component.type": _KIND, "otel.component.name": f"{_KIND}/{next(_numbers)}"}
    size = processor.worker.settings.queue
    table = (
        *_PROCESSOR,
        (
            "create_observable_up_down_counter",
            "otel.sdk.processor.span.queue.capacity",
            lambda _: [(size, {})],
        ),
        *(_EXPORTER if hasattr(processor.exporter, "failed") else ()),
    )
    for create, name, read in table:
        getattr(meter, create)(name, callbacks=[_callback(ref(processor), read, fixed)], unit="{span}")


def _callback(found: Callable[[], Any], read: Any, fixed: dict[str, str]) -> Any:
    def observations(options: CallbackOptions) -> list[Observation]:
        processor = found()
        if processor is None:
            return []
        return [Observation(number, {**fixed, **more}) for number, more in read(processor.counts())]

    return observations
