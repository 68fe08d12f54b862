"""How the network reporter's spans leave: over OTLP, in batches, from every process that has the reporter."""

from __future__ import annotations

import itertools
import logging
import multiprocessing.util
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from ot_bridge.delivery import DeliveryProcessor
from ot_bridge.exporters import exporter_factory, exporters_in_environment
from ot_bridge.jaeger_client.local_agent_net import LocalAgentSender
from ot_bridge.jaeger_client.metrics.metrics import REPORTER, Counters, MetricsFactory

logger = logging.getLogger("jaeger_tracing")
_said: set[str] = set()

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")

#: jaeger-client's defaults fit UDP packets; with them, OpenTelemetry's are taken.
PACKET_SIZED: Final = frozenset({10, 100})


def _once(level: int, message: str, *args: object) -> None:
    if message % args not in _said:
        _said.add(message % args)
        logger.log(level, message, *args)


class PerProcess(SpanExporter):
    """An exporter that a forked child makes anew: two processes must not share one connection."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._pid = os.getpid()
        self._exporter: SpanExporter = make()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self._pid != os.getpid():
            self._pid, self._exporter = os.getpid(), self._make()
        return self._exporter.export(spans)

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def exporters(channel: Any) -> list[PerProcess]:
    """The exporters that `OTEL_TRACES_EXPORTER` names, else OTLP's."""
    made = (exporter_factory(name, **_options(name, channel)) for name in exporters_in_environment())
    return [PerProcess(factory) for factory in made if factory is not None]


def _options(name: str, channel: Any) -> dict[str, Any]:
    """Where to, if the environment does not say it."""
    if name != "otlp" or any(os.environ.get(variable) for variable in _ENDPOINTS):
        return {}
    endpoint = getattr(channel, "traces_endpoint", None)
    if endpoint is None:
        return {}
    old = f"{channel.host}:{channel.reporting_port}" if isinstance(channel, LocalAgentSender) else "an agent"
    _once(logging.WARNING, "spans go to %s by OTLP, where jaeger-client sent UDP to %s", endpoint, old)
    return {"endpoint": endpoint}


class Counted(SpanExporter):
    """Counts what becomes of spans, in jaeger-client's metrics. capacity: of the queue before it."""

    def __init__(self, exporter: SpanExporter, capacity: int, made_by: MetricsFactory) -> None:
        self._exporter = exporter
        self._capacity = capacity
        self._counters = Counters(REPORTER, made_by)
        self._queue_length = made_by.create_gauge(name="jaeger:reporter_queue_length")
        self._numbers = itertools.count(1)
        self._queued = 0
        self._gone = 0

    def queued(self) -> None:
        self._queued = next(self._numbers)

    def refused(self) -> None:
        self._counters.reporter_dropped(1)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            good = result is SpanExportResult.SUCCESS
            (self._counters.reporter_success if good else self._counters.reporter_failure)(len(spans))
            self._gone += len(spans)
            self._settle(self._capacity)
        return result

    def _settle(self, most: int) -> None:
        """What is neither gone nor can still be in the queue, the queue has dropped."""
        dropped = self._queued - self._gone - most
        if dropped > 0:
            self._gone += dropped
            self._counters.reporter_dropped(dropped)
        self._queue_length(max(self._queued - self._gone, 0))

    def shutdown(self) -> None:
        self._settle(0)
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def queue_options(capacity: int, batch_size: int, flush_interval: float | None) -> dict[str, float]:
    """jaeger-client's numbers (interval in seconds) as options of a batch processor; `OTEL_BSP_*` win."""
    queue = _number("OTEL_BSP_MAX_QUEUE_SIZE", capacity if capacity not in PACKET_SIZED else 2048)
    batch = _number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", batch_size if batch_size not in PACKET_SIZED else 512)
    delay = _number("OTEL_BSP_SCHEDULE_DELAY", 1000 * flush_interval if flush_interval else 5000)
    return {
        "max_queue_size": queue,
        "max_export_batch_size": min(batch, queue),
        "schedule_delay_millis": delay,
    }


def _number(variable: str, given: float) -> float:
    value = os.environ.get(variable, "")
    return int(value) if value.isdigit() and int(value) else given


def after_fork(owner: Any, work: Callable[[Any], object]) -> None:
    """Has `work(owner)` done when a child of `multiprocessing` ends, which does without `atexit`."""

    def in_child(owner: Any) -> None:
        multiprocessing.util.Finalize(owner, work, args=(owner,), exitpriority=1)

    multiprocessing.util.register_after_fork(owner, in_child)


def processors(
    channel: Any, options: Mapping[str, float], made_by: MetricsFactory
) -> list[tuple[DeliveryProcessor, Counted]]:
    """A batch processor for each exporter, and the counters at its end."""
    counted = [Counted(each, int(options["max_queue_size"]), made_by) for each in exporters(channel)]
    return [(DeliveryProcessor(each, **options), each) for each in counted]
