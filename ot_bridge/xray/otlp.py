"""To X-Ray's OTLP endpoint: spans as they are, in protobuf over HTTP, each request signed for AWS."""

from __future__ import annotations

import gzip
from collections.abc import Iterable

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ConnectionError, HTTPClientError, NoCredentialsError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import ReadableSpan

from .api import CONNECT_SECONDS, READ_SECONDS, region_of
from .base import DEFAULT_TIMEOUT, DeliveringExporter, TryAgain

# The endpoint's limit is 5 MB before compression.
_LARGEST_REQUEST = 4_500_000
_MAY_PASS = {429, 500, 502, 503, 504}


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
        session: botocore.session.Session | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        self._session = session
        self._region = region_of(region, session)
        suffix = "amazonaws.com.cn" if self._region.startswith("cn-") else "amazonaws.com"
        self.url = endpoint or f"https://xray.{self._region}.{suffix}/v1/traces"
        super().__init__(timeout)

    def _connect(self) -> None:
        self._http = URLLib3Session(
            proxies=get_environ_proxies(self.url), timeout=(CONNECT_SECONDS, READ_SECONDS)
        )
        session = self._session or botocore.session.get_session()
        self._credentials = session.get_credentials()

    def _payload(self, span: ReadableSpan) -> ReadableSpan:
        return span

    def _send(self, batch: list[ReadableSpan]) -> Iterable[ReadableSpan]:
        body = encode_spans(batch).SerializeToString()
        if len(body) > _LARGEST_REQUEST and len(batch) > 1:
            middle = len(batch) // 2
            return [*self._send_part(batch[:middle]), *self._send_part(batch[middle:])]
        try:
            answer = self._http.send(self._signed(gzip.compress(body, 1)).prepare())
        except (HTTPClientError, ConnectionError) as error:
            raise TryAgain(error) from error
        if answer.status_code in _MAY_PASS:
            raise TryAgain(f"HTTP {answer.status_code}", _seconds(answer.headers.get("Retry-After")))
        if answer.status_code >= 300:
            raise ValueError(f"HTTP {answer.status_code}: {answer.text[:500]}")
        partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
        if partial.rejected_spans:
            self._lose(partial.rejected_spans, partial.error_message)
        return ()

    def _send_part(self, part: list[ReadableSpan]) -> Iterable[ReadableSpan]:
        # What happens to one part must not be taken for the fate of the other.
        try:
            return self._send(part)
        except TryAgain:
            return part
        except Exception as error:
            self._lose(len(part), error)
            return ()

    def _signed(self, body: bytes) -> AWSRequest:
        if self._credentials is None:
            raise NoCredentialsError()
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
        request = AWSRequest("POST", self.url, headers, body)
        SigV4Auth(self._credentials.get_frozen_credentials(), "xray", self._region).add_auth(request)
        return request


def _seconds(header: str | None) -> float | None:
    return float(header) if header and header.isdecimal() else None
