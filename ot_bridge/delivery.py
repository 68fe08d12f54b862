"""`DeliveryProcessor`: the SDK's batch processor, whose `force_flush` tells the truth and ends in time.

The SDK's own answers True when an export failed, takes as long as the exporter likes, and lets an
exporter log at every batch that no collector takes. Exporting happens in its thread, never in a request.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from ot_bridge.errors import report

_log = logging.getLogger(__name__)


class OncePerMinute(logging.Filter):
    """Lets each message of a logger through once a minute; a message is its text before formatting."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now, key = time.monotonic(), (record.name, str(record.msg))
        if now - self._seen.get(key, -60.0) < 60.0:
            return False
        self._seen[key] = now
        return True


QUIET = OncePerMinute()
_NOISY = ("opentelemetry.exporter", "opentelemetry.sdk.trace.export", "opentelemetry.sdk._shared_internal")


def quieten(exporter: SpanExporter) -> None:
    """Puts `QUIET` on the loggers that an exporter and the SDK's export thread write to."""
    modules = {kind.__module__ for kind in type(exporter).__mro__}
    names = {name for name in modules if name.split(".")[0] not in ("builtins", "ot_bridge")}  # ours is quiet
    names.update(name for name in logging.root.manager.loggerDict if name.startswith(_NOISY))
    for name in names:
        logging.getLogger(name).addFilter(QUIET)


class _Counted(SpanExporter):
    """Counts the spans that `exporter` did not get rid of; never raises."""

    def __init__(self, exporter: SpanExporter) -> None:
        self.exporter = exporter
        self.lost = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self.exporter.export(spans)
        except Exception:
            report(_log, f"{type(self.exporter).__name__} raised; its spans are lost")
            result = SpanExportResult.FAILURE
        if result is not SpanExportResult.SUCCESS:
            self.lost += len(spans)
        return result

    def shutdown(self) -> None:
        self.exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self.exporter.force_flush(timeout_millis)


class DeliveryProcessor(BatchSpanProcessor):
    """Exports in batches; `force_flush` is True if all that ended since the last one was delivered.

    options: those of `BatchSpanProcessor`; what is not given comes from `OTEL_BSP_*`.
    """

    def __init__(self, exporter: SpanExporter, **options: float | None) -> None:
        quieten(exporter)
        self._counted = _Counted(exporter)
        self._told = 0
        super().__init__(self._counted, **options)  # type: ignore[arg-type]

    @property
    def lost(self) -> int:
        """How many spans the exporter failed to deliver since the start."""
        exact: int | None = getattr(self._counted.exporter, "lost", None)
        return self._counted.lost if exact is None else exact

    def force_flush(self, timeout_millis: int | None = None) -> bool:
        """Exports what is queued; False if time ran out, or a batch was lost since the last flush."""
        done = _within(timeout_millis or 30000, super().force_flush)
        told, self._told = self._told, self.lost
        return done and self._told in (0, told)  # 0: a forked child may count anew

    def shutdown(self, timeout_millis: int = 5000) -> None:
        """Exports what is queued and stops; an exporter that takes too long is told to give up."""
        if not _within(timeout_millis, super().shutdown):
            _within(500, self._counted.shutdown)


def _within(timeout_millis: int, work: Callable[[], object]) -> bool:
    """Whether `work` came to an end in time; else it is left to a daemon thread."""
    failed: list[bool] = []

    def run() -> None:
        try:
            if work() is False:
                failed.append(True)
        except Exception:
            failed.append(True)
            report(_log, "flushing raised")

    thread = threading.Thread(target=run, name="ot_bridge-flush", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # Python 3.12 starts no threads once the interpreter is going down
        run()
    else:
        thread.join(timeout_millis / 1000)
    return not thread.is_alive() and not failed
