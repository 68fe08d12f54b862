"""What the exporters share: trying again, giving up in time, and the truth about what was not delivered.

An exporter delivers while `export` runs, in the thread of a batch processor. Nothing is kept behind, so
there is nothing to lose in a crash or a fork.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from opentelemetry.context import attach, detach, set_value
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from ot_bridge.errors import ConfigurationError
from ot_bridge.otel import SUPPRESS_KEY

FIRST_PAUSE = 0.2  # seconds; twice as long after each round
LONGEST_PAUSE = 5.0
MOST_IDLE_ROUNDS = 5  # in which the receiver answered and took nothing
DEFAULT_TIMEOUT = 30.0  # seconds for one `export`, as OTEL_BSP_EXPORT_TIMEOUT is by default

_logger = logging.getLogger(__name__)
T = TypeVar("T")


class TryAgain(Exception):
    """The receiver may take it later: it is overloaded, ill or out of reach. after: in so many seconds."""

    def __init__(self, reason: object, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class DeliveringExporter(SpanExporter, Generic[T]):
    """Base of the exporters. T: what a span becomes on its way.

    lost: how many spans could not be delivered since the start, in this process. name: as in
    `OTEL_TRACES_EXPORTER`.
    """

    name = "xray"
    batch_size = 50

    def __init__(self, timeout: float) -> None:
        if not 0 < timeout <= threading.TIMEOUT_MAX:
            raise ConfigurationError("timeout", timeout, "a number of seconds above 0")
        self._timeout = timeout
        self._closed = threading.Event()
        self._begin()

    def _begin(self) -> None:
        """At the start, and anew in a forked child, which shares neither connections nor locks."""
        self._pid = os.getpid()
        self._exporting = threading.RLock()
        self._failing = False
        self._flushed = self.lost = 0
        if self._closed.is_set():
            return
        self._closed = threading.Event()
        self._connect()

    def _connect(self) -> None:
        """Open what this process needs to send."""

    def _payload(self, span: ReadableSpan) -> T:
        """What is to be sent of a span."""
        raise NotImplementedError

    def _send(self, batch: list[T]) -> Iterable[T]:
        """Send these, at most `batch_size`; gives back those to send again.

        Raises TryAgain if that is all of them; anything else means that none will ever be taken.
        """
        raise NotImplementedError

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Deliver these spans, however many attempts that takes in the time there is. Never raises."""
        if self._pid != os.getpid():
            self._begin()
        token = attach(set_value(SUPPRESS_KEY, True))
        try:
            with self._exporting:
                before = self.lost
                if self._closed.is_set():
                    self._lose(len(spans), "the exporter is shut down")
                else:
                    self._deliver(self._payloads(spans))
                if self.lost != before:
                    return SpanExportResult.FAILURE
                self._failing = False
                return SpanExportResult.SUCCESS
        finally:
            detach(token)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Wait for what is on its way. Whether all spans since the last flush were delivered."""
        if self._pid != os.getpid():
            self._begin()
        if not self._exporting.acquire(timeout=timeout_millis / 1000):
            return False
        self._exporting.release()
        lost, self._flushed = self.lost - self._flushed, self.lost
        return not lost

    def shutdown(self, timeout_millis: int = 30000) -> None:
        """Let the attempt under way end, and make no other."""
        self._closed.set()
        if self._pid == os.getpid() and self._exporting.acquire(timeout=timeout_millis / 1000):
            self._exporting.release()

    def _payloads(self, spans: Sequence[ReadableSpan]) -> list[T]:
        payloads = []
        for span in spans:
            try:
                payloads.append(self._payload(span))
            except Exception as error:
                self._lose(1, f"a span that cannot be translated: {error!r}")
        return payloads

    def _deliver(self, pending: list[T]) -> None:
        deadline = time.monotonic() + self._timeout
        rounds = idle = 0
        while pending:
            left, error = self._round(pending)
            # An ill receiver may recover; what a healthy one leaves again and again, it will not take.
            idle = idle + 1 if error is None and len(left) == len(pending) else 0
            pending = left
            if not pending:
                return
            pause = min(FIRST_PAUSE * 2.0**rounds, LONGEST_PAUSE) * random.uniform(0.5, 1.0)
            pause = max(pause, error.after or 0.0) if error else pause
            rounds += 1
            in_time = idle < MOST_IDLE_ROUNDS and time.monotonic() + pause < deadline
            if not in_time or self._closed.wait(pause):
                self._lose(len(pending), error or "left unprocessed")
                return

    def _round(self, pending: list[T]) -> tuple[list[T], TryAgain | None]:
        """Send everything once. What is to be sent again, and the error that cut the round short."""
        again: list[T] = []
        for start in range(0, len(pending), self.batch_size):
            batch = pending[start : start + self.batch_size]
            try:
                again += self._send(batch)
            except TryAgain as error:
                # The batches behind this one would meet the same.
                return again + pending[start:], error
            except Exception as error:
                self._lose(len(batch), error)
        return again, None

    def _lose(self, count: int, reason: object) -> None:
        self.lost += count
        level = logging.DEBUG if self._failing else logging.WARNING
        self._failing = True
        _logger.log(level, "%s lost %d spans: %s", type(self).__name__, count, reason)
