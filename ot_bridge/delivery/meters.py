"""Reports the counts as OpenTelemetry's metrics where `OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED` is `true`.

Names and attributes are those of the semantic conventions, "SDK metrics", as the SDK's batch processor
reports them. Metrics of the exporter are reported only for exporters that count their losses (`failed`),
since OpenTelemetry's own exporters report themselves.

A meter keeps the first instrument of a name and ignores the callbacks of others. So there is one instrument
for all processors of the process, whose callback reads each of them.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any, Final
from weakref import WeakKeyDictionary

from opentelemetry.metrics import CallbackOptions, Observation, get_meter_provider

_numbers: Final = itertools.count()
_KIND: Final = "ot_bridge_span_processor"

_observed: Final[WeakKeyDictionary[Any, dict[str, str]]] = WeakKeyDictionary()  # processor -> its attributes
_known: Final[WeakKeyDictionary[Any, set[str]]] = WeakKeyDictionary()  # meter provider -> names in it

_Numbers = Iterator[tuple[int, dict[str, str]]]


def _processed(processor: Any) -> _Numbers:
    counts = processor.counts()
    yield counts.exported + sum(counts.failed.values()), {}
    yield counts.dropped, {"error.type": "queue_full"}


def _waiting(processor: Any) -> _Numbers:
    yield processor.counts().waiting, {}


def _capacity(processor: Any) -> _Numbers:
    yield processor.worker.settings.queue, {}


def _exported(processor: Any) -> _Numbers:
    if _counts_losses(processor):
        counts = processor.counts()
        yield counts.exported, {}
        for reason, number in counts.failed.items():
            yield number, {"error.type": reason}


def _in_flight(processor: Any) -> _Numbers:
    if _counts_losses(processor):
        yield processor.counts().in_flight, {}


def _counts_losses(processor: Any) -> bool:
    return hasattr(processor.worker.outlet.made, "failed")


_PROCESSOR: Final = (
    ("create_observable_counter", "otel.sdk.processor.span.processed", _processed),
    ("create_observable_up_down_counter", "otel.sdk.processor.span.queue.size", _waiting),
    ("create_observable_up_down_counter", "otel.sdk.processor.span.queue.capacity", _capacity),
)
_EXPORTER: Final = (
    ("create_observable_counter", "otel.sdk.exporter.span.exported", _exported),
    ("create_observable_up_down_counter", "otel.sdk.exporter.span.inflight", _in_flight),
)


def observe(processor: Any) -> None:
    """Reports the counts of a processor to the global meter provider, also to one that is set later."""
    if os.environ.get("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "").strip().lower() != "true":
        return
    _observed[processor] = {
        "otel.component.type": _KIND,
        "otel.component.name": f"{_KIND}/{next(_numbers)}",
    }
    provider = get_meter_provider()
    known = _known.setdefault(provider, set())
    meter = provider.get_meter("opentelemetry-sdk")
    for create, name, read in (*_PROCESSOR, *(_EXPORTER if _counts_losses(processor) else ())):
        if name not in known:
            known.add(name)
            getattr(meter, create)(name, callbacks=[_callback(read)], unit="{span}")


def _callback(read: Callable[[Any], _Numbers]) -> Callable[[CallbackOptions], list[Observation]]:
    return lambda options: [
        Observation(number, {**fixed, **more})
        for processor, fixed in list(_observed.items())
        for number, more in read(processor)
    ]
