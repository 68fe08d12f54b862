"""`OTLPSpanExporter`: sends spans to a collector over HTTP, in protobuf, with the standard library alone.

1. An export ends within `timeout` seconds, or at `give_up_at`. By then each of its spans has been delivered,
   or counted once in `failed`. It never raises.
2. It starts no thread and holds no lock, so any thread may export, also in a signal handler and at the
   interpreter's exit. Only the first export takes a lock, while it loads `sender`. `Patience` holds what
   other threads may change during an export.
3. Requests are sent in an empty context in which OpenTelemetry's instrumentations do not trace.

The tests, by number, in tests/otlp/:
1. test_http_connection.py::test_a_collector_cannot_delay_an_export_beyond_its_timeout,
   test_exporter.py::test_give_up_at_ends_an_attempt_in_progress
2. test_http_processes.py::test_a_signal_handler_may_export_change_and_end_while_its_thread_exports,
   test_http_processes.py::test_the_exporter_works_at_the_interpreters_exit_and_starts_no_thread
3. test_http_own_traffic.py::test_a_patch_of_sockets_sees_that_instrumentation_is_suppressed
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from ot_bridge.errors import ConfigurationError
from ot_bridge.instance import dict_of
from ot_bridge.otel import UNTRACED
from ot_bridge.otlp.settings import Settings
from ot_bridge.sending.clock import Patience
from ot_bridge.sending.late import loading

if TYPE_CHECKING:
    from ot_bridge.otlp.sender import Sender

MAX_REQUEST: Final = 64 * 1024 * 1024  # bytes, before compression
_NOTHING: Final[Mapping[str, int]] = MappingProxyType({})


class OTLPSpanExporter(SpanExporter):
    """Sends spans to a collector by OTLP over HTTP.

    An argument that is None comes from `OTEL_EXPORTER_OTLP_TRACES_*` or `OTEL_EXPORTER_OTLP_*`. endpoint: the
    whole URL, such as `http://localhost:4318/v1/traces`. headers: are added to those of the variable.
    timeout: seconds for one export with all its attempts (default 10); a number from 1,000 on means
    milliseconds. compression: `gzip`, `deflate` or `none`. The files, given by their paths, are for https.
    max_request_size: bytes before compression; a larger batch is sent in parts. Raises ConfigurationError.

    target: the URL without user, password and query.
    """

    name = "otlp"
    _sender: Sender | None = None

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        timeout: float | None = None,
        compression: Any = None,
        certificate_file: str | os.PathLike[str] | None = None,
        client_key_file: str | os.PathLike[str] | None = None,
        client_certificate_file: str | os.PathLike[str] | None = None,
        max_request_size: int = MAX_REQUEST,
    ) -> None:
        if not isinstance(max_request_size, int) or max_request_size < 1:
            raise ConfigurationError("max_request_size", max_request_size, "expected a number above 0")
        self._settings = Settings(
            endpoint,
            headers=headers,
            timeout=timeout,
            compression=compression,
            certificate_file=certificate_file,
            client_key_file=client_key_file,
            client_certificate_file=client_certificate_file,
        )
        self._largest = max_request_size
        self.target = self._settings.target
        self._patience = Patience()
        self._pid = os.getpid()

    def _here(self) -> Sender | None:
        """The sender. In a forked child, it begins to count losses from zero."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._patience.give_up_at(None)
            if self._sender is not None:
                self._sender.renew()
        return self._sender

    def _made(self) -> Sender:
        with loading:
            from ot_bridge.otlp.sender import Sender
        made = Sender(self._settings, self._largest, self._patience)
        return dict_of(self).setdefault("_sender", made)  # type: ignore[no-any-return]  # one for all threads

    @property
    def failed(self) -> Mapping[str, int]:
        """How many spans were lost so far in this process, by reason (see `ot_bridge.sending.losses`)."""
        sender = self._here()
        return _NOTHING if sender is None else sender.losses.failed

    @property
    def refusing(self) -> bool:
        """Whether nothing listened at the collector's address at the last attempt."""
        sender = self._here()
        return sender is not None and sender.refusing

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Delivers these spans, in as many attempts as the time allows. SUCCESS if none is lost."""
        sender = self._here() or self._made()
        token = attach(UNTRACED)
        try:
            lost = sender.deliver(spans)
        finally:
            detach(token)
        return SpanExportResult.FAILURE if lost else SpanExportResult.SUCCESS

    def give_up_at(self, moment: float | None) -> None:
        """Allows no attempt and no pause after this moment of `time.monotonic()`, from now on."""
        self._here()
        self._patience.give_up_at(moment)

    def log_rest(self) -> None:
        """Logs the losses that were not logged yet: each kind is logged once a minute."""
        if (sender := self._here()) is not None:
            sender.losses.log_rest()

    def shutdown(self) -> None:
        """Ends a pause at once. A running attempt may complete. Later spans are lost."""
        self._patience.end()
        if (sender := self._here()) is not None:
            sender.close()
            sender.losses.log_rest()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Returns True, because nothing is kept between exports."""
        return True
