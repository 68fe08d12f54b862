"""`Sender`: encodes, compresses and sends an exporter's spans, and sends them again or in halves if needed.

The exporter imports this module at its first export, because it takes 5 ms to load.
"""

from __future__ import annotations

import logging
import time
import zlib
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.trace import ReadableSpan

from ot_bridge._version import __version__
from ot_bridge.errors import log_failure
from ot_bridge.otlp.encode import encode
from ot_bridge.otlp.settings import Settings
from ot_bridge.otlp.verdict import Verdict, judge, judge_error
from ot_bridge.sending.clock import Clock, Patience
from ot_bridge.sending.line import Line, lines
from ot_bridge.sending.losses import Losses

if TYPE_CHECKING:
    from ot_bridge.sending.tls import TLS

_log = logging.getLogger("ot_bridge.otlp")

USER_AGENT: Final = f"ot-bridge/{__version__} OTel-OTLP-Exporter-Python/{__version__}"
_HINTS: Final = {
    "refused": "; is a collector running? OTEL_EXPORTER_OTLP_ENDPOINT says where",
    "timeout": "; OTEL_EXPORTER_OTLP_TIMEOUT says how long an export may take",
    "too large": "; a smaller OTEL_BSP_MAX_EXPORT_BATCH_SIZE makes smaller requests",
}
_WBITS: Final = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


class Sender:
    """Delivers batches, and counts lost spans in `losses`. refusing: see `OTLPSpanExporter`.

    largest: the number of bytes that a request may have before compression.
    """

    def __init__(self, settings: Settings, largest: int, patience: Patience) -> None:
        self._settings = settings
        self._largest = largest
        self._patience = patience
        self._headers = _headers(settings)
        self._line = Line(partial(_tls, settings))  # a method would make a reference cycle
        self.renew()

    def renew(self) -> None:
        """Begins to count from zero: at the start, and in a forked child."""
        self.losses = Losses(_log, self._settings.target, _HINTS)
        self.refusing = False

    def close(self) -> None:
        """Closes the connection. A new one is made if there is more to send."""
        self._line.close()

    def deliver(self, spans: Sequence[ReadableSpan]) -> int:
        """Delivers a batch in as many attempts as the time allows. Returns the number of lost spans."""
        before = self.losses.total
        try:
            return self._export(spans, self._patience.start(self._settings.timeout))
        except Exception as error:  # the process lacks memory, most likely
            counted = self.losses.total - before
            self._lose(Verdict(max(0, len(spans) - counted), "other", f"the exporter failed ({error!r})"))
            return len(spans)

    def _export(self, spans: Sequence[ReadableSpan], clock: Clock) -> int:
        """Encodes and sends a batch, in halves if it is too large. Returns the number of lost spans."""
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
            log_failure(_log, "a batch could not be encoded")
            return b"", len(spans)

    def _send(
        self, spans: Sequence[ReadableSpan], count: int, body: bytes, clock: Clock, halve: bool = True
    ) -> int:
        """Sends a body of `count` spans. If the collector finds it too large, sends it in halves, once."""
        if not body:
            return 0
        verdict = self._delivered(self._compressed(body), count, clock)
        if verdict.reason != "too large" or not halve or len(spans) == 1:
            return self._count_lost(verdict)
        lost = 0
        for half in _halves(spans):
            body, failed = self._encoded(half)  # spans that fail were counted the first time
            lost += self._send(half, len(half) - failed, body, clock, halve=False)
        return lost

    def _delivered(self, body: bytes, count: int, clock: Clock) -> Verdict:
        """Sends the body, again if needed, until it is accepted or refused, or the time is over."""
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

    def _count_lost(self, verdict: Verdict) -> int:
        if verdict.lost:
            return self._lose(verdict)
        self.losses.delivered()
        if verdict.text:
            self.losses.note(verdict.text)
        return 0

    def _lose(self, verdict: Verdict) -> int:
        self.losses.lose(verdict.lost, verdict.reason, verdict.text)
        return verdict.lost

    def _compressed(self, body: bytes) -> bytes:
        kind = self._settings.compression
        if kind == "none":
            return body
        # Level 6 takes three times as long as level 1, and saves two percentage points more.
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
    """Lets other threads run between the slices of a batch."""
    time.sleep(50e-6)


def _tls(settings: Settings) -> TLS:
    from ot_bridge.sending.tls import TLS

    return TLS(settings.certificate, settings.client_certificate, settings.client_key)
