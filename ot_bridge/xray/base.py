"""The base of the exporters: tries again, gives up in time, and counts what was not delivered.

1. An exporter delivers while `export` runs, in the thread that calls it, and starts no thread. Nothing is
   kept after `export`, so nothing is lost in a crash or a fork.
2. Each process has its own lock, times, connection and counts. A forked child makes new ones when it first
   calls any method.
3. Only one `export` runs at a time. The thread that has its lock can take it again (in a signal handler or a
   finalizer). A thread waits for the lock only as long as its own timeout allows.
4. No attempt and no pause lasts longer than the time of the export, nor beyond `give_up_at`. Only the C
   library's name look-up and botocore's search for credentials may take longer (8 s for a source of
   credentials). The export thread of `DeliveryProcessor` does them, so a flush or the exit does not wait.

The tests, by number, in tests/xray/:
1. test_giving_up.py::test_at_the_exit_of_a_program_the_export_needs_no_thread_and_ends_in_time
2. test_giving_up.py::test_a_fork_during_an_export_gives_the_child_its_own_locks_and_counts
3. test_giving_up.py::test_a_span_that_ends_inside_an_export_is_counted_and_does_not_deadlock,
   test_giving_up.py::test_an_export_waits_for_another_one_only_until_give_up_at
4. test_giving_up.py::test_an_attempt_ends_at_give_up_at_even_if_the_server_is_silent
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from ot_bridge.errors import ConfigurationError
from ot_bridge.otel import UNTRACED
from ot_bridge.sending.clock import Clock, Patience
from ot_bridge.sending.losses import Losses

MOST_IDLE_ROUNDS = 5  # rounds in a row in which the receiver responded and took nothing
DEFAULT_TIMEOUT = 30.0  # seconds for one `export`, as OTEL_BSP_EXPORT_TIMEOUT is by default
SHUTDOWN_MILLIS = 5000  # how long a program's exit may take

_log = logging.getLogger("ot_bridge.xray")
T = TypeVar("T")


class Failure(Exception):
    """The receiver will not accept these spans. kind: the key in `failed` under which they are counted."""

    def __init__(self, kind: str, reason: object) -> None:
        super().__init__(reason)
        self.kind = kind


class TryAgain(Failure):
    """The receiver may accept the spans later: it is overloaded, broken or unreachable.

    after: the seconds that the receiver asks to wait, or None.
    """

    def __init__(self, kind: str, reason: object, after: float | None = None) -> None:
        super().__init__(kind, reason)
        self.after = after


class TooLarge(Failure):
    """The receiver may accept smaller requests. refused: whether it refused this one; it is halved once."""

    def __init__(self, reason: object, *, refused: bool = False) -> None:
        super().__init__("too large", reason)
        self.refused = refused


class DeliveringExporter(SpanExporter, Generic[T]):
    """Base of the exporters. T: the form in which a span is sent.

    name: as in `OTEL_TRACES_EXPORTER`. target: the address for logs, without user and query.
    """

    name = "xray"
    batch_size = 50
    target = "X-Ray"

    def __init__(self, timeout: float) -> None:
        if not 0 < timeout <= threading.TIMEOUT_MAX:
            raise ConfigurationError("timeout", timeout, "expected a number of seconds above 0")
        self._timeout = timeout
        self._closed = False
        self._begin()

    def _begin(self) -> None:
        """Makes the objects that each process has for itself: at the start, and in a forked child."""
        self._exporting = threading.RLock()
        self._patience = Patience()
        self._clock: Clock | None = None  # of the running export
        self._losses = Losses(_log, self.target, {})
        self._refusing = False
        self._flushed = 0
        if self._closed:
            self._patience.end()
        self._reset()
        self._pid = os.getpid()

    def _renew_after_fork(self) -> None:
        if self._pid != os.getpid():
            self._begin()

    def _reset(self) -> None:
        """Drops the connection. The next attempt makes a new one."""

    def _payload(self, span: ReadableSpan) -> T:
        """Converts a span to the form in which it is sent."""
        raise NotImplementedError

    def _send(self, batch: list[T], clock: Clock) -> Iterable[T]:
        """Sends a batch of at most `batch_size` in the time of the clock. Returns the spans to send again.

        Raises TryAgain if all are to be sent again, and TooLarge if smaller batches may be accepted. Any
        other exception means that none of them will ever be accepted.
        """
        raise NotImplementedError

    @property
    def failed(self) -> Mapping[str, int]:
        """How many spans this process has not delivered since its start or fork, by reason: `refused`,
        `timeout`, `status`, `partial`, `too large`, `not encodable`, `shut down`, `other`.
        """
        self._renew_after_fork()
        return self._losses.failed

    @property
    def refusing(self) -> bool:
        """Whether nothing listened at the receiver's address at the last attempt."""
        self._renew_after_fork()
        return self._refusing

    def give_up_at(self, moment: float | None) -> None:
        """Allows no attempt and no pause after this moment of `time.monotonic()`; None allows them again.

        For any thread and for signal handlers. A pause that would go on beyond the moment ends at once.
        """
        self._renew_after_fork()
        self._patience.give_up_at(moment)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Delivers these spans, in as many attempts as the time allows. Never raises."""
        self._renew_after_fork()
        token = attach(UNTRACED)
        try:
            if self._exporting.acquire(timeout=min(self._timeout, self._patience.remaining())):
                try:
                    return self._export(spans)
                finally:
                    self._exporting.release()
            self._lose(len(spans), "timeout", "another export did not end in time")
            return SpanExportResult.FAILURE
        finally:
            detach(token)

    def _export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        before = self._losses.total
        if self._patience.ended:
            self._lose(len(spans), "shut down", "the exporter was shut down before")
        elif self._clock is not None:
            # A finalizer or signal handler calls this while the same thread is exporting.
            self._lose(len(spans), "other", "they ended inside an export; use a batch processor")
        else:
            self._clock = clock = self._patience.start(self._timeout)
            try:
                self._deliver(self._payloads(spans), clock)
            finally:
                self._clock = None
        if self._losses.total != before:
            return SpanExportResult.FAILURE
        if spans:
            self._losses.delivered()
        return SpanExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Waits for a running export. Returns whether all spans since the last flush were delivered."""
        self._renew_after_fork()
        if not self._wait(timeout_millis):
            return False
        lost, self._flushed = self._losses.total - self._flushed, self._losses.total
        return not lost

    def log_rest(self) -> None:
        """Logs the losses that were not logged yet: each kind is logged once a minute."""
        self._renew_after_fork()
        self._losses.log_rest()

    def shutdown(self, timeout_millis: int = SHUTDOWN_MILLIS) -> None:
        """Ends a pause between attempts at once, and allows no new attempt. A running one may complete."""
        self._renew_after_fork()
        self._closed = True
        self._patience.end()
        self._wait(timeout_millis)
        self._losses.log_rest()

    def _wait(self, timeout_millis: float) -> bool:
        seconds = min(max(0.0, timeout_millis / 1000), self._patience.remaining(), threading.TIMEOUT_MAX)
        waited = self._exporting.acquire(timeout=seconds)
        if waited:
            if self._closed and self._clock is None:
                self._reset()
            self._exporting.release()
        return waited

    def _payloads(self, spans: Sequence[ReadableSpan]) -> list[T]:
        payloads = []
        for span in spans:
            try:
                payloads.append(self._payload(span))
            except Exception as error:
                self._lose(1, "not encodable", f"a span that cannot be translated: {error!r}")
        return payloads

    def _deliver(self, pending: list[T], clock: Clock) -> None:
        rounds = idle = 0
        why: TryAgain | None = None
        while pending:
            before = len(pending)
            pending, error = self._round(pending, clock)
            # A receiver that fails may recover. If it leaves the same spans unprocessed again, it will not.
            idle = idle + 1 if error is None and len(pending) == before else 0
            if why is None or error is None or error.kind != "timeout" or not clock.over:
                why = error  # kept, because it is more useful than the timeout of the last attempt
            delay = error.after if error else None
            if pending and (idle >= MOST_IDLE_ROUNDS or not clock.pause(rounds, delay)):
                kind = "shut down" if self._patience.ended else why.kind if why else "partial"
                self._lose(len(pending), kind, why or "left unprocessed")
                return
            rounds += 1

    def _round(self, pending: list[T], clock: Clock) -> tuple[list[T], TryAgain | None]:
        """Sends everything once. Returns what is to be sent again, and the error that ended the round."""
        again: list[T] = []
        batches = deque(
            (pending[start : start + self.batch_size], True)
            for start in range(0, len(pending), self.batch_size)
        )
        while batches:
            batch, may_halve = batches.popleft()
            try:
                again += self._attempt(batch, clock)
            except TryAgain as error:
                # The batches after this one would fail in the same way.
                rest = [payload for others, _ in batches for payload in others]
                return [*again, *batch, *rest], error
            except TooLarge as error:
                middle = len(batch) // 2
                if middle and may_halve:
                    once = not error.refused
                    batches.extendleft(((batch[middle:], once), (batch[:middle], once)))
                else:
                    self._lose(len(batch), error.kind, error)
            except Failure as error:
                self._lose(len(batch), error.kind, error)
            except Exception as error:
                self._lose(len(batch), "other", error)
        return again, None

    def _attempt(self, batch: list[T], clock: Clock) -> Iterable[T]:
        if why := clock.forbids():
            raise TryAgain(*why)
        refused = False
        try:
            return self._send(batch, clock)
        except Failure as error:
            # A timeout does not show whether the receiver refuses connections.
            refused = self._refusing if error.kind == "timeout" else error.kind == "refused"
            raise
        finally:
            self._refusing = refused

    def _lose(self, count: int, kind: str, reason: object) -> None:
        self._losses.lose(count, kind, reason)
