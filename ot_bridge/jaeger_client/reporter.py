"""Reporters, which get a tracer's finished sampled spans. A program may write its own `BaseReporter`."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from ot_bridge import delivery
from ot_bridge.errors import log_once
from ot_bridge.jaeger_client.closing import Closing, all_of, done, in_background
from ot_bridge.jaeger_client.constants import DEFAULT_FLUSH_INTERVAL
from ot_bridge.jaeger_client.exporters import Watch, processors, queue_options
from ot_bridge.jaeger_client.metrics.metrics import Metrics, MetricsFactory, factory
from ot_bridge.jaeger_client.recorded import as_otel
from ot_bridge.jaeger_client.reexports import also
from ot_bridge.jaeger_client.span import Span

CLOSE_SECONDS: Final = 4.0  # programs made for jaeger-client wait for about five
SHUTDOWN_SECONDS: Final = 0.5

logger = logging.getLogger("jaeger_tracing")


class BaseReporter:
    """Base class of reporters. The tracer calls `report_span` once for each sampled span, at its end."""

    def report_span(self, span: Any) -> None:
        raise NotImplementedError

    def set_process(self, service_name: str, tags: Any, max_length: int) -> None:
        """The tracer calls this once. tags: of the process. max_length: of a value, in characters."""

    def close(self) -> Any:
        """Called after the last span. Returns a future that is done when all spans are sent."""
        return done()


class NullReporter(BaseReporter):
    """Ignores all spans."""

    def report_span(self, span: Any) -> None:
        pass


class InMemoryReporter(BaseReporter):
    """Keeps all spans, for tests."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.lock = threading.RLock()

    def report_span(self, span: Any) -> None:
        with self.lock:
            self.spans.append(span)

    def get_spans(self) -> list[Any]:
        with self.lock:
            return self.spans[:]


class LoggingReporter(BaseReporter):
    """Logs one line per span, at level INFO."""

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self.logger = logger or globals()["logger"]

    def report_span(self, span: Any) -> None:
        self.logger.info("Reporting span %s", span)


class CompositeReporter(BaseReporter):
    """Passes spans and calls on to several reporters."""

    def __init__(self, *reporters: BaseReporter) -> None:
        self.reporters = reporters

    def set_process(self, service_name: str, tags: Any, max_length: int) -> None:
        for reporter in self.reporters:
            reporter.set_process(service_name, tags, max_length)

    def report_span(self, span: Any) -> None:
        for reporter in self.reporters:
            reporter.report_span(span)

    def flush(self, timeout: float = 30.0) -> bool:
        return _within(timeout, [partial(flush, reporter) for reporter in self.reporters])

    def close(self) -> Closing:
        return all_of([reporter.close() for reporter in self.reporters])


def flush(reporter: Any, timeout: float) -> bool:
    """Calls `reporter.flush(timeout)`; True if the reporter has no such method."""
    flush = getattr(reporter, "flush", None)
    return flush is None or bool(flush(timeout))


def _within(timeout: float, works: Iterable[Callable[[float], object]]) -> bool:
    """Calls each with the seconds that are left of `timeout`. Whether all results are true."""
    end = time.monotonic() + timeout
    results = [work(max(0.0, end - time.monotonic())) for work in works]
    return all(results)


def _force_flush(processor: delivery.DeliveryProcessor, seconds: float) -> bool:
    return processor.force_flush(int(seconds * 1000))


def _shutdown(processor: delivery.DeliveryProcessor, seconds: float) -> None:
    processor.shutdown(int(seconds * 1000))


class Reporter(BaseReporter):
    """Sends spans by OTLP, in batches, from a thread.

    channel: a `LocalAgentSender`; `OTEL_EXPORTER_OTLP_*` and `OTEL_TRACES_EXPORTER` override it.
    queue_capacity, batch_size: numbers of spans. flush_interval: seconds. `OTEL_BSP_*` override these three.
    Raises ValueError if the queue is smaller than a batch.
    """

    def __init__(
        self,
        channel: Any,
        queue_capacity: int = 100,
        batch_size: int = 10,
        flush_interval: float | None = DEFAULT_FLUSH_INTERVAL,
        io_loop: Any = None,
        error_reporter: Any = None,
        metrics: Metrics | None = None,
        metrics_factory: MetricsFactory | None = None,
        **kwargs: Any,
    ) -> None:
        if queue_capacity < batch_size:
            raise ValueError("Queue capacity cannot be less than batch size")
        self.queue_capacity = queue_capacity
        self.batch_size = batch_size
        self.flush_interval = flush_interval or None
        self.metrics_factory = factory(metrics_factory, metrics)
        self.stopped = False
        options = queue_options(queue_capacity, batch_size, flush_interval)
        self._metrics = Watch(self.metrics_factory)
        self._processors = list(processors(channel, options, self._listener))
        delivery.flush_on_sigterm_if_enabled()

    def _listener(self) -> Watch:
        return Watch(self.metrics_factory)

    def report_span(self, span: Span) -> None:
        for processor in self._processors:
            if self.stopped:
                self._metrics.refused()
                log_once(logger, logging.WARNING, "spans that end after the close of their tracer are lost")
            else:
                processor.on_end(as_otel(span))

    def flush(self, timeout: float = 30.0) -> bool:
        """Sends the queued spans. True if all of them arrived within `timeout` seconds."""
        return _within(timeout, [partial(_force_flush, each) for each in self._processors])

    def close(self) -> Closing:
        """Sends the queued spans and stops. The future's result is True if all of them arrived."""
        self.stopped = True
        return in_background(self._close)

    def _close(self) -> bool:
        sent = self.flush(CLOSE_SECONDS)
        _within(SHUTDOWN_SECONDS, [partial(_shutdown, each) for each in self._processors])
        return sent


__getattr__ = also(__name__)
