"""To X-Ray itself: segment documents by PutTraceSegments, through botocore."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any, NamedTuple

import botocore.config
import botocore.session
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError
from botocore.parsers import ResponseParserError
from opentelemetry.sdk.trace import ReadableSpan

from ot_bridge.errors import ConfigurationError

from .base import DEFAULT_TIMEOUT, DeliveringExporter, TryAgain
from .document import trimmed
from .segment import Annotate, segment

CONNECT_SECONDS = 5
READ_SECONDS = 10
_THROTTLED = {"ThrottledException", "ThrottlingException", "Throttling", "TooManyRequestsException"}


class Sent(NamedTuple):
    id: str
    document: str


class XRayExporter(DeliveringExporter[Sent]):
    """Sends spans to AWS X-Ray, at most 50 a call; what it leaves unprocessed is sent again, by its id.

    region: else AWS_REGION, AWS_DEFAULT_REGION, or what the session is configured with. service_version,
    annotate: see `segment`. endpoint: another URL than the region's. session: a botocore session, for
    credentials of another kind than the usual chain finds. timeout: seconds for one export, with all
    attempts. Raises ConfigurationError.
    """

    def __init__(
        self,
        region: str | None = None,
        *,
        service_version: str | None = None,
        annotate: Annotate = (),
        endpoint: str | None = None,
        session: botocore.session.Session | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        self._session = session
        self._region = region_of(region, session)
        self._endpoint = endpoint
        self._options: dict[str, Any] = {"annotate": annotate, "service_version": service_version}
        super().__init__(timeout)

    def _connect(self) -> None:
        session = self._session or botocore.session.get_session()
        config = botocore.config.Config(
            # The attempts are ours: botocore's know nothing of single documents.
            retries={"total_max_attempts": 1},
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
        )
        self._client = session.create_client(
            "xray", region_name=self._region, endpoint_url=self._endpoint, config=config
        )

    def _payload(self, span: ReadableSpan) -> Sent:
        document = segment(span, **self._options)
        return Sent(document["id"], trimmed(document).decode())

    def _send(self, batch: list[Sent]) -> Iterable[Sent]:
        try:
            answer = self._client.put_trace_segments(TraceSegmentDocuments=[sent.document for sent in batch])
        except ClientError as error:
            if _may_pass(error):
                raise TryAgain(error) from error
            raise
        except (HTTPClientError, ConnectionError, ResponseParserError) as error:
            raise TryAgain(error) from error
        kind = answer["ResponseMetadata"]["HTTPHeaders"].get("content-type", "")
        if "UnprocessedTraceSegments" not in answer and "json" not in kind:
            # botocore reads a web page with status 200, as proxies send, as an answer without members.
            raise TryAgain(f"an answer that is not X-Ray's: {kind or 'of no type'}")
        return self._again(batch, answer.get("UnprocessedTraceSegments") or [])

    def _again(self, batch: list[Sent], unprocessed: list[dict[str, Any]]) -> list[Sent]:
        refused = {segment.get("Id") for segment in unprocessed}
        again = [sent for sent in batch if sent.id in refused]
        nameless = len(unprocessed) - len(again)
        if nameless > 0:
            # X-Ray could not even read their ids.
            self._lose(nameless, json.dumps(unprocessed, default=str))
        return again


def _may_pass(error: ClientError) -> bool:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status == 429 or status >= 500 or error.response.get("Error", {}).get("Code") in _THROTTLED


def region_of(region: str | None, session: botocore.session.Session | None) -> str:
    """As given, or as the environment or the session says. Raises ConfigurationError."""
    found = (
        region
        or os.environ.get("AWS_REGION")
        or os.environ.get("AWS_DEFAULT_REGION")
        or (session or botocore.session.get_session()).get_config_variable("region")
    )
    if not found:
        raise ConfigurationError("region", region, "pass one, or set AWS_REGION, or configure one for AWS")
    return str(found)
