"""Sends spans to X-Ray's OTLP endpoint, in protobuf over HTTP. Each request is signed for AWS."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterable

from opentelemetry.sdk.trace import ReadableSpan

from ot_bridge.otlp.encode import encode
from ot_bridge.otlp.verdict import judge
from ot_bridge.sending.clock import Clock
from ot_bridge.sending.responses import Response
from ot_bridge.xray.aws_access import EXPIRED, Access, Session, checked, error_code, region_of
from ot_bridge.xray.base import DEFAULT_TIMEOUT, DeliveringExporter, Failure, TooLarge, TryAgain

# The endpoint's limit is 5 MB before compression.
_LARGEST_REQUEST = 4_500_000
_HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}


class XRayOTLPExporter(DeliveringExporter[ReadableSpan]):
    """Sends spans to `https://xray.REGION.amazonaws.com/v1/traces`, or another endpoint with SigV4.

    region, session, timeout: as for `XRayExporter`. Raises ConfigurationError.
    """

    name = "xray_otlp"
    batch_size = 512

    def __init__(
        self,
        region: str | None = None,
        *,
        endpoint: str | None = None,
        session: Session | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        self._session = session
        self._region = region_of(region, session)
        suffix = "amazonaws.com.cn" if self._region.startswith("cn-") else "amazonaws.com"
        self._url = checked(endpoint or f"https://xray.{self._region}.{suffix}/v1/traces")
        self.url, self.target = self._url.text, str(self._url)
        self._access: Access | None = None
        super().__init__(timeout)

    def _reset(self) -> None:
        if self._access is not None:
            self._access.close()
        self._access = None

    def _payload(self, span: ReadableSpan) -> ReadableSpan:
        return span

    def _send(self, batch: list[ReadableSpan], clock: Clock) -> Iterable[ReadableSpan]:
        body, unfit = encode(batch, _let_others_run)
        if unfit < len(batch):
            if len(body) > _LARGEST_REQUEST:
                raise TooLarge(f"{len(body)} bytes are more than {_LARGEST_REQUEST}")
            if self._access is None:
                self._access = Access(self._session, self._region)
            response = self._access.post(self._url, _HEADERS, gzip.compress(body, 1), clock)
            self._judge(response, len(batch) - unfit)
        if unfit:
            self._lose(unfit, "not encodable", "spans that cannot be encoded")
        return ()

    def _judge(self, response: Response, sent: int) -> None:
        """Raises Failure, TryAgain or TooLarge unless the request was accepted."""
        verdict = judge(response, sent)
        if response.status >= 400 and error_code(response) in EXPIRED and self._access is not None:
            self._access.look_up_anew()
            raise TryAgain("status", verdict.text)
        if verdict.again:
            raise TryAgain(verdict.reason, verdict.text, verdict.pause)
        if verdict.reason == "too large":
            raise TooLarge(verdict.text, refused=True)
        if verdict.reason == "partial":
            self._lose(verdict.lost, verdict.reason, verdict.text)
        elif verdict.lost:
            raise Failure(verdict.reason, verdict.text)
        elif verdict.text:
            self._losses.note(verdict.text)


def _let_others_run() -> None:
    time.sleep(50e-6)
