"""Sends segment documents to X-Ray by PutTraceSegments, with botocore."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import botocore
import botocore.config
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from opentelemetry.sdk.trace import ReadableSpan

from ot_bridge.otlp.verdict import retry_after
from ot_bridge.sending.clock import Clock
from ot_bridge.sending.url import parse
from ot_bridge.xray.aws_access import EXPIRED, Access, Session, checked, region_of
from ot_bridge.xray.base import DEFAULT_TIMEOUT, DeliveringExporter, Failure, TryAgain
from ot_bridge.xray.document import trimmed
from ot_bridge.xray.segment import Annotate, segment

_THROTTLED = {"ThrottledException", "ThrottlingException", "Throttling", "TooManyRequestsException"}
_UNSIGNED = botocore.config.Config(
    # This module signs, sends and tries again, because botocore knows neither single documents nor deadlines.
    signature_version=botocore.UNSIGNED,
    retries={"total_max_attempts": 1},
)


class Sent(NamedTuple):
    id: str
    document: str


class XRayExporter(DeliveringExporter[Sent]):
    """Sends spans to AWS X-Ray, at most 50 a call. Documents that X-Ray leaves unprocessed are sent again.

    region: if None, AWS_REGION, AWS_DEFAULT_REGION, or the region that the session is configured with.
    service_version, annotate: see `segment`. endpoint: a URL in place of the region's. session: a botocore
    session, for credentials that the usual chain does not find. timeout: seconds for one export with all its
    attempts. Raises ConfigurationError.
    """

    def __init__(
        self,
        region: str | None = None,
        *,
        service_version: str | None = None,
        annotate: Annotate = (),
        endpoint: str | None = None,
        session: Session | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        self._session = session
        self._region = region_of(region, session)
        self._endpoint = endpoint or None
        self._options: dict[str, Any] = {"annotate": annotate, "service_version": service_version}
        self.target = str(checked(endpoint)) if endpoint else f"X-Ray in {self._region}"
        self._access: Access | None = None
        self._client: Any = None
        super().__init__(timeout)

    def _reset(self) -> None:
        if self._access is not None:
            self._access.close()
        self._access = self._client = None

    def _connect(self) -> Any:
        """Makes botocore's client, which contains X-Ray's API and its address."""
        self._access = access = Access(self._session, self._region)
        self._client = access.session.create_client(
            "xray", region_name=self._region, endpoint_url=self._endpoint, config=_UNSIGNED
        )
        self._client.meta.events.register("before-send.xray", self._carry)
        self.target = self._losses.target = str(parse(self._client.meta.endpoint_url))
        return self._client

    def _carry(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        """Sends a request of botocore's client."""
        headers = {name: _text(value) for name, value in request.headers.items()}
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        assert self._access is not None
        assert self._clock is not None
        response = self._access.post(parse(request.url), headers, body, self._clock)
        if not response.whole and response.status < 300:
            raise TryAgain("other", "the answer was cut short")
        return AWSResponse(request.url, response.status, response.headers, _Raw(response.body))

    def _payload(self, span: ReadableSpan) -> Sent:
        document = segment(span, **self._options)
        return Sent(document["id"], trimmed(document).decode())

    def _send(self, batch: list[Sent], clock: Clock) -> Iterable[Sent]:
        try:
            client = self._client or self._connect()
            response = client.put_trace_segments(TraceSegmentDocuments=[sent.document for sent in batch])
        except ClientError as error:
            raise self._refusal(error) from error
        except ResponseParserError as error:
            raise TryAgain("other", error) from error
        kind = response["ResponseMetadata"]["HTTPHeaders"].get("content-type", "")
        if "UnprocessedTraceSegments" not in response and "json" not in kind:
            # A proxy may send a web page with status 200, which botocore reads as an empty response.
            raise TryAgain("other", f"an answer that is not X-Ray's: {kind or 'of no type'}")
        return self._to_send_again(batch, response.get("UnprocessedTraceSegments") or [])

    def _refusal(self, error: ClientError) -> Failure:
        metadata = error.response.get("ResponseMetadata", {})
        status, code = metadata.get("HTTPStatusCode", 0), error.response.get("Error", {}).get("Code")
        if code in EXPIRED and self._access is not None:
            self._access.look_up_anew()
        elif not (status == 429 or status >= 500 or code in _THROTTLED):
            return Failure("status", error)
        return TryAgain("status", error, retry_after(metadata.get("HTTPHeaders", {}).get("retry-after")))

    def _to_send_again(self, batch: list[Sent], unprocessed: list[dict[str, Any]]) -> list[Sent]:
        refused = {segment.get("Id") for segment in unprocessed}
        again = [sent for sent in batch if sent.id in refused]
        nameless = len(unprocessed) - len(again)
        if nameless > 0:
            # X-Ray could not even read their ids.
            self._lose(nameless, "partial", json.dumps(unprocessed, default=str))
        return again


class _Raw(io.BytesIO):
    """A body as botocore reads it."""

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        yield self.read()


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
