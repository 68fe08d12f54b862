"""`OTLPSpanExporter`: spans to a collector, over HTTP, in protobuf, with nothing but the standard library.

1. An export ends within `timeout` seconds, or at `give_up_at`, and every span of it is delivered by then, or
   counted once in `failed`. It never raises.
2. It starts no thread, and holds no lock: an export may be begun by any thread, within a signal handler, at
   the interpreter's exit. What other threads may change meanwhile is in `Patience`.
3. Its own traffic has an empty context in which OpenTelemetry's instrumentations are told to look away.
"""

from __future__ import annotations

import logging
import os
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from ot_bridge._version import __version__
from ot_bridge.errors import ConfigurationError, report
from ot_bridge.otel import UNTRACED
from ot_bridge.sending.clock import Clock, Patience
from ot_bridge.sending.line import Line, lines
from ot_bridge.sending.losses import Losses

from .encode import encode
from .settings import Settings, read_settings
from .verdict import Verdict, judge, judge_error

if TYPE_CHECKING:
    from ot_bridge.sending.tls import TLS

_log = logging.getLogger("ot_bridge.otlp")

MAX_REQUEST: Final = 64 * 1024 * 1024  # bytes, before compression
USER_AGENT: Final = f"ot-bridge/{__version__} OTel-OTLP-Exporter-Python/{__version__}"
_HINTS: Final = {
    "refused": "; is a collector running? OTEL_EXPORTER_OTLP_ENDPOINT says where",
    "timeout": "; OTEL_EXPORTER_OTLP_TIMEOUT says how long an export may take",
    "too large": "; a smaller OTEL_BSP_MAX_EXPORT_BATCH_SIZE makes smaller requests",
}
_WBITS: Final = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


class OTLPSpanExporter(SpanExporter):
    """What is not given comes from `OTEL_EXPORTER_OTLP_TRACES_…`, `OTEL_EXPORTER_OTLP_…`, or is the default.

    endpoint: the whole URL, such as `http://localhost:4318/v1/traces`. headers: laid over the variable's.
    timeout: seconds for one export with all its attempts (10); from 1,000 on, milliseconds. compression:
    `gzip`, `deflate` or `none`. The files are paths, for https. max_request_size: bytes before compression;
    a larger batch is sent in parts. Raises ConfigurationError.

    target: the URL without user, password and query. refusing: nobody listened at the last attempt.
    """

    name = "otlp"

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
            raise ConfigurationError("max_request_size", max_request_size, "a number of bytes above 0 is due")
        self._settings = read_settings(
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
        self._headers = _headers(self._settings)
        self._line = Line(self._trust)
        self._patience = Patience()
        self._begin()

    def _begin(self) -> None:
        """At the start, and anew in a forked child."""
        self._pid = os.getpid()
        self._losses = Losses(_log, self.target, _HINTS)
        self.refusing = False

    def _here(self) -> None:
        """What came through a fork is the parent's: its counts, and the moment at which it gives up."""
        if self._pid != os.getpid():
            self._begin()
            self._patience.give_up_at(None)

    @property
    def failed(self) -> Mapping[str, int]:
        """How many spans were lost so far in this process, by reason (see `ot_bridge.sending.losses`)."""
        self._here()
        return self._losses.failed

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Delivers these spans, in as many attempts as the time allows. SUCCESS if none is lost."""
        self._here()
        before = self._losses.total
        token = attach(UNTRACED)
        try:
            lost = self._export(spans, self._patience.start(self._settings.timeout))
        except Exception as error:  # a want of memory, most likely
            counted = self._losses.total - before
            self._lose(Verdict(max(0, len(spans) - counted), "other", f"the exporter failed ({error!r})"))
            lost = len(spans)
        finally:
            detach(token)
        return SpanExportResult.FAILURE if lost else SpanExportResult.SUCCESS

    def give_up_at(self, moment: float | None) -> None:
        """No attempt and no pause after this moment of `time.monotonic()`; also for an export under way."""
        self._here()
        self._patience.give_up_at(moment)

    def shutdown(self) -> None:
        """Ends a pause at once; an attempt under way may end. Spans that come later are lost."""
        self._patience.end()
        self._line.close()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """True: nothing is kept between exports."""
        return True

    def _export(self, spans: Sequence[ReadableSpan], clock: Clock) -> int:
        """Encodes and sends; a batch that is too large in halves. How many spans are lost."""
        if self._patience.ended:
            return self._lose(Verdict(len(spans), "shut down", "the exporter was shut down before"))
        if self._settings.url is None:
            return self._lose(Verdict(len(spans), "other", "this is no address that can be used"))
        body, failed = self._encoded(spans)
        if len(body) <= self._largest:
            if failed:
                self._lose(Verdict(failed, "not encodable", "they cannot be written in OTLP"))
            return failed + self._send(spans, len(spans) - failed, body, clock)
        if len(spans) == 1:
            return self._lose(Verdict(1, "too large", f"{len(body)} bytes, {self._largest} are allowed"))
        del body
        return sum(self._export(half, clock) for half in _halves(spans))

    def _encoded(self, spans: Sequence[ReadableSpan]) -> tuple[bytes, int]:
        try:
            return encode(spans, _breathe)
        except Exception:
            report(_log, "a batch could not be encoded")
            return b"", len(spans)

    def _send(
        self, spans: Sequence[ReadableSpan], count: int, body: bytes, clock: Clock, halve: bool = True
    ) -> int:
        """Sends one body of `count` spans; one that is too large for the collector in halves, once."""
        if not body:
            return 0
        verdict = self._delivered(self._compressed(body), count, clock)
        if verdict.reason != "too large" or not halve or len(spans) == 1:
            return self._concluded(verdict)
        lost = 0
        for half in _halves(spans):
            body, failed = self._encoded(half)  # those that fail were counted the first time
            lost += self._send(half, len(half) - failed, body, clock, halve=False)
        return lost

    def _delivered(self, body: bytes, count: int, clock: Clock) -> Verdict:
        """Sends the body until it is taken or refused, or the time is over."""
        verdict = self._attempt(body, count, clock)
        rounds = 0
        while verdict.again and clock.pause(rounds, verdict.pause):
            rounds += 1
            verdict = self._attempt(body, count, clock)
        return verdict

    def _attempt(self, body: bytes, count: int, clock: Clock) -> Verdict:
        assert self._settings.url
        if why := clock.forbids():
            return Verdict(count, *why)
        try:
            verdict = judge(self._line.post(self._settings.url, self._headers, body, clock), count)
        except Exception as error:
            verdict = judge_error(error, count)
        self.refusing = verdict.reason == "refused"
        return verdict

    def _concluded(self, verdict: Verdict) -> int:
        if verdict.lost:
            return self._lose(verdict)
        self._losses.delivered()
        if verdict.text:
            self._losses.note(verdict.text)
        return 0

    def _lose(self, verdict: Verdict) -> int:
        self._losses.lose(verdict.lost, verdict.reason, verdict.text)
        return verdict.lost

    def _trust(self) -> TLS:
        from ot_bridge.sending.tls import TLS

        settings = self._settings
        return TLS(settings.certificate, settings.client_certificate, settings.client_key)

    def _compressed(self, body: bytes) -> bytes:
        kind = self._settings.compression
        if kind == "none":
            return body
        # Level 1: level 6 takes three times as long for two points more.
        squeeze = zlib.compressobj(1, zlib.DEFLATED, _WBITS[kind])
        return squeeze.compress(body) + squeeze.flush()


def _headers(settings: Settings) -> bytes:
    headers = {"User-Agent": USER_AGENT, "Content-Type": "application/x-protobuf"}
    if settings.compression != "none":
        headers["Content-Encoding"] = settings.compression
    own = {name.lower() for name, _ in settings.headers}
    return lines([*(pair for pair in headers.items() if pair[0].lower() not in own), *settings.headers])


def _halves(spans: Sequence[ReadableSpan]) -> tuple[Sequence[ReadableSpan], Sequence[ReadableSpan]]:
    middle = len(spans) // 2
    return spans[:middle], spans[middle:]


def _breathe() -> None:
    """Lets other threads run: a batch is encoded in slices."""
    time.sleep(50e-6)
