"""`DeliveryProcessor`: an OpenTelemetry span processor whose flush ends in time and reports lost spans."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter

from ot_bridge.delivery import exit, processes
from ot_bridge.delivery.counts import Counts
from ot_bridge.delivery.log import quieten, restore
from ot_bridge.delivery.meters import observe
from ot_bridge.delivery.settings import Settings
from ot_bridge.delivery.worker import Worker
from ot_bridge.errors import ConfigurationError

FLUSH_MILLIS: Final = 30000
SHUTDOWN_MILLIS: Final = 5000
_SAMPLED: Final = 1


class DeliveryProcessor(SpanProcessor):
    """Exports sampled spans in batches, by a thread of its own; for any exporter and any provider.

    exporter: an exporter, or a callable that makes one. The callable is called in every process, since a
    forked child must not share its parent's connection. max_queue_size, max_export_batch_size: numbers of
    spans. An argument that is None comes from `OTEL_BSP_*` (OpenTelemetry specification, "Batch Span
    Processor"), or is 2048, 512, 1000 ms and 30000 ms. listener: is called with the counts, in the export
    thread, when they have changed. Raises ConfigurationError for an argument that cannot be used.
    """

    def __init__(
        self,
        exporter: SpanExporter | Callable[[], SpanExporter | None],
        *,
        max_queue_size: int | None = None,
        max_export_batch_size: int | None = None,
        schedule_delay_millis: float | None = None,
        export_timeout_millis: float | None = None,
        listener: Callable[[Counts], object] | None = None,
    ) -> None:
        self._makes = isinstance(exporter, type) or not hasattr(exporter, "export")
        if self._makes and not callable(exporter):
            raise ConfigurationError(
                "exporter", exporter, "expected an exporter, or a callable that makes one"
            )
        given: Any = exporter
        chosen = Settings(max_queue_size, max_export_batch_size, schedule_delay_millis, export_timeout_millis)
        self.worker = Worker(chosen, given if self._makes else lambda: given, listener)
        quieten(self)
        self.worker.outlet.exporter  # noqa: B018 - makes it, so that an error is raised here
        self._open = [None]
        if "uwsgi" in sys.modules:
            self.on_end = self._on_end_in_uwsgi  # type: ignore[method-assign]
        exit.PROCESSORS.add(self)
        processes.watch()
        observe(self)

    def on_end(self, span: ReadableSpan) -> None:
        """Puts a sampled span into the queue, without a lock."""
        try:
            flags = span.ids[3]  # type: ignore[attr-defined]  # the engine's
        except AttributeError:
            flags = 0 if span.context is None else span.context.trace_flags
        if not flags & _SAMPLED:
            return
        worker = self.worker
        waiting = worker.queue
        if len(waiting) < worker.mark or worker.admit(span):
            waiting.append(span)

    def _on_end_in_uwsgi(self, span: ReadableSpan) -> None:
        """`on_end` in uWSGI, which forks without Python's hooks: compares the process's id for each span."""
        if self.worker.pid != os.getpid():
            processes.in_child()
        DeliveryProcessor.on_end(self, span)

    @property
    def exporter(self) -> SpanExporter:
        """This process's exporter."""
        made: SpanExporter = self.worker.outlet.exporter
        return made

    def counts(self) -> Counts:
        """The counts of this process's spans."""
        return self._here().counts()

    def force_flush(self, timeout_millis: int | None = None) -> bool:
        """Exports all spans that have ended. Never raises.

        False if the time ran out, or if any span was lost or refused by the full queue since this thread's
        previous flush (or since the start of the process).
        """
        millis = FLUSH_MILLIS if timeout_millis is None else timeout_millis
        return self._here().flush(exit.limited(time.monotonic() + millis / 1000))

    def shutdown(self, timeout_millis: int = SHUTDOWN_MILLIS) -> None:
        """Exports all spans that have ended, within the time given, and takes no more. Works once.

        At the exit of the process, the exit's deadline holds instead, and a processor that makes its own
        exporter still accepts spans.
        """
        if exit.leaving():
            exit.finish()
            if self._makes:
                return
        try:
            self._open.pop()
        except IndexError:
            return
        worker, deadline = self._here(), exit.limited(time.monotonic() + timeout_millis / 1000)
        if exit.leaving() and worker.outlet.refusing:
            deadline = time.monotonic()  # `exit.finish` has waited long enough for such a collector
        worker.close(deadline)
        restore(self)

    def release(self) -> None:
        """As `shutdown`, but an exporter that the program has made stays open."""
        self._here().outlet.keeps = not self._makes
        self.shutdown()

    def renew(self) -> None:
        """Begins anew in a forked child: an empty queue, no thread, and no exporter if it can make one."""
        self.worker = self.worker.for_child(keeps=not self._makes)

    def _here(self) -> Worker:
        if self.worker.pid != os.getpid():
            processes.in_child()
        return self.worker

    def __del__(self) -> None:
        worker = getattr(self, "worker", None)
        if worker is not None:
            worker.abandon()
