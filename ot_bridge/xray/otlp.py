"""To X-Ray's OTLP endpoint: spans as they are, in protobuf over HTTP, each request signed for AWS."""

from __future__ import annotations

import gzip
import logging
import time
from collections.abc import Iterable

from opentelemetry.sdk.trace import ReadableSpan

from ot_bridge.errors import say_once
from ot_bridge.otlp.encode import encode
from ot_bridge.otlp.wire import partial_success

from .answers import MAY_PASS, aws_code, is_web_page, retry_after, words
from .aws_access import EXPIRED, Access, Session, region_of
from .base import DEFAULT_TIMEOUT, DeliveringExporter, Failure, TooLarge, TryAgain
from .clock import Left
from .transport import Answer, checked, shown

# The endpoint's limit is 5 MB before compression.
_LARGEST_REQUEST = 4_500_000
_HEADERS = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
_logger = logging.getLogger(__name__)


class XRayOTLPExporter(DeliveringExporter[ReadableSpan]):
    """Sends spans to `https://xray.REGION.amazonaws.com/v1/traces`, or another endpoint that takes SigV4.

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
        self.url = checked(endpoint or f"https://xray.{self._region}.{suffix}/v1/traces")
        self.target = shown(self.url)
        self._access: Access | None = None
        super().__init__(timeout)

    def _reset(self) -> None:
        if self._access is not None:
            self._access.close()
        self._access = None

    def _payload(self, span: ReadableSpan) -> ReadableSpan:
        return span

    def _send(self, batch: list[ReadableSpan], left: Left) -> Iterable[ReadableSpan]:
        body, unfit = encode(batch, _let_others_run)
        if unfit < len(batch):
            if len(body) > _LARGEST_REQUEST:
                raise TooLarge(f"{len(body)} bytes are more than {_LARGEST_REQUEST}")
            if self._access is None:
                self._access = Access(self._session, self._region)
            answer = self._access.send("POST", self.url, _HEADERS, gzip.compress(body, 1), left)
            self._judge(answer, len(batch) - unfit)
        if unfit:
            self._lose(unfit, "not encodable", "spans that cannot be encoded")
        return ()

    def _judge(self, answer: Answer, sent: int) -> None:
        """Raises Failure, or one of its kinds, unless the request was taken."""
        if 200 <= answer.status < 300:
            return self._taken(answer, sent)
        reason = f"HTTP {answer.status}: {words(answer)}"
        if aws_code(answer) in EXPIRED and self._access is not None:
            self._access.look_up_anew()
            raise TryAgain("status", reason)
        if answer.status in MAY_PASS:
            raise TryAgain("status", reason, retry_after(answer.header("retry-after")))
        if answer.status == 413:
            raise TooLarge(reason, answered=True)
        raise Failure("status", reason)

    def _taken(self, answer: Answer, sent: int) -> None:
        if is_web_page(answer):
            raise Failure("other", f"HTTP {answer.status} with a web page: that is no collector")
        rejected, message = self._partial(answer)
        if rejected:
            self._lose(rejected if 0 < rejected <= sent else sent, "partial", message)
        elif message:
            say_once(_logger, logging.WARNING, f"{self.target} took all spans and says: {message}")

    def _partial(self, answer: Answer) -> tuple[int, str]:
        if not answer.complete or "json" in (answer.header("content-type") or ""):
            return 0, ""
        try:
            return partial_success(answer.body)
        except ValueError as error:
            say_once(
                _logger,
                logging.WARNING,
                f"{self.target} took the spans, but its answer cannot be read ({error}); is it a collector?",
            )
            return 0, ""


def _let_others_run() -> None:
    time.sleep(50e-6)
