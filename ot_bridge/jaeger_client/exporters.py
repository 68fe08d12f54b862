"""The exporters of the network reporter (OTLP, unless the environment names others), and batch sizes."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from typing import Any, Final

from ot_bridge.delivery import Counts, DeliveryProcessor
from ot_bridge.errors import ConfigurationError, log_once
from ot_bridge.exporters import exporter_factory, exporters_in_environment
from ot_bridge.jaeger_client import settings
from ot_bridge.jaeger_client.local_agent_net import LocalAgentSender
from ot_bridge.jaeger_client.metrics.metrics import MetricsFactory, ReporterMetrics
from ot_bridge.provider import NoExporter, log_unmade
from ot_bridge.semconv.groups import opt_in
from ot_bridge.semconv.wrapping import renaming

_log = logging.getLogger("jaeger_tracing")

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")

#: jaeger-client's defaults, which are made for UDP packets. OpenTelemetry's defaults replace them.
PACKET_SIZED: Final = frozenset({10, 100})


def processors(
    channel: Any, queue_options: dict[str, Any], listener: Callable[[], Callable[[Counts], object]]
) -> Iterator[DeliveryProcessor]:
    """A processor for each exporter that `OTEL_TRACES_EXPORTER` names (default: OTLP)."""
    for name in exporters_in_environment():
        factory = exporter_factory(name, **_options(name, channel)) or NoExporter
        try:
            made = DeliveryProcessor(renaming(factory, opt_in()), listener=listener(), **queue_options)
        except Exception as error:
            if isinstance(error, ConfigurationError) and error.option in queue_options:
                raise
            log_unmade(factory, error)
            made = DeliveryProcessor(NoExporter, listener=listener(), **queue_options)
        yield made


def _options(name: str, channel: Any) -> dict[str, Any]:
    """The endpoint for OTLP, if the environment names none."""
    if name != "otlp" or any(os.environ.get(variable) for variable in _ENDPOINTS):
        return {}
    endpoint = getattr(channel, "traces_endpoint", None)
    if endpoint is None:
        return {}
    old = f"{channel.host}:{channel.reporting_port}" if isinstance(channel, LocalAgentSender) else "an agent"
    text = f"spans are sent by OTLP to {endpoint}; jaeger-client sent them by UDP to {old}"
    log_once(_log, logging.WARNING, text)
    return {"endpoint": endpoint}


def queue_options(capacity: int, batch_size: int, flush_interval: float | None) -> dict[str, Any]:
    """Converts jaeger-client's options to a processor's; `OTEL_BSP_*` win. flush_interval: seconds."""
    queue = _named("reporter_queue_size") or (2048 if capacity in PACKET_SIZED else capacity)
    batch = _named("reporter_batch_size") or (512 if batch_size in PACKET_SIZED else batch_size)
    seconds = _named("reporter_flush_interval") or flush_interval
    return {
        "max_queue_size": queue,
        "max_export_batch_size": min(batch, queue),
        "schedule_delay_millis": 1000 * seconds if seconds else None,
    }


def _named(name: str) -> Any:
    """The value of a setting if an `OTEL_*` variable sets it, else None."""
    setting = settings.resolve(name, {}, os.environ)
    return setting.value if setting.source.startswith("OTEL") else None


class Watch:
    """Converts the counts of one processor to jaeger-client's reporter metrics."""

    def __init__(self, made_by: MetricsFactory) -> None:
        self._metrics = ReporterMetrics(made_by)
        self._known = {"success": 0, "failure": 0, "dropped": 0}

    def __call__(self, counts: Counts) -> None:
        failed = sum(counts.failed.values())
        now = {"success": counts.exported, "failure": failed, "dropped": counts.dropped}
        for name, number in now.items():
            if number > self._known[name]:
                getattr(self._metrics, f"reporter_{name}")(number - self._known[name])
        self._known = now
        self._metrics.reporter_queue_length(counts.waiting)

    def refused(self) -> None:
        """Counts a span that ended after the reporter was closed."""
        self._metrics.reporter_dropped(1)
