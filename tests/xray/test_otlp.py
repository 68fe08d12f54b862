from __future__ import annotations

import gzip
import logging
import re
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace.export import SpanExportResult

from ot_bridge.errors import ConfigurationError
from ot_bridge.xray import XRayOTLPExporter, otlp
from tests.xray.conftest import FakeXRay, Request, Response, Track, shared_session
from tests.xray.spans import span

DELIVERED, LOST = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
Make = Callable[..., XRayOTLPExporter]
THANKS = Response(200, b"")


@pytest.fixture
def make(xray: FakeXRay, closing: Track) -> Make:
    xray.responses = [THANKS] * 20

    def make(**options: Any) -> XRayOTLPExporter:
        usual = {"region": "eu-west-1", "endpoint": f"{xray.url}/v1/traces", "session": shared_session()}
        exporter = XRayOTLPExporter(**{**usual, **options})
        closing(exporter)
        return exporter

    return make


def names(request: Request) -> list[str]:
    sent = ExportTraceServiceRequest.FromString(gzip.decompress(request.body))
    return [s.name for resource in sent.resource_spans for scope in resource.scope_spans for s in scope.spans]


def signature(header: str) -> str:
    return header.rpartition("Signature=")[2]


class Again(SigV4Auth):  # type: ignore[misc]  # botocore has no types
    """Signs a request that is dated already."""

    def _modify_request_before_signing(self, request: AWSRequest) -> None:
        pass


def signed_again(request: Request, url: str) -> str:
    """The signature that botocore gives this request, with the secret that we know."""
    signed = request.headers["Authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    headers = {name: value for name, value in request.headers.items() if name.lower() in signed}
    again = AWSRequest("POST", url + request.path, headers, request.body)
    again.context["timestamp"] = request.headers["X-Amz-Date"]
    signer = Again(
        Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), "xray", "eu-west-1"
    )
    return str(signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again))


def test_spans_arrive_as_otlp_in_a_signed_request(xray: FakeXRay, make: Make) -> None:
    assert make().export([span("a"), span("b")]) is DELIVERED
    (request,) = xray.requests
    assert names(request) == ["a", "b"]
    assert request.path == "/v1/traces"
    assert request.headers["Content-Type"] == "application/x-protobuf"
    assert "/eu-west-1/xray/aws4_request" in request.headers["Authorization"]
    assert signature(request.headers["Authorization"]) == signed_again(request, xray.url)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_temporary_failure_is_retried(status: int, xray: FakeXRay, make: Make) -> None:
    exporter = make()
    xray.responses = [Response(status), Response(hang_up=True), THANKS]
    assert exporter.export([span("a")]) is DELIVERED
    assert [names(request) for request in xray.requests] == [["a"]] * 3


def after(seconds: float) -> str:
    """An HTTP date."""
    return formatdate(time.time() + seconds, usegmt=True)


@pytest.mark.parametrize(
    "retry_after", ["3600", after(3600), after(1e6), "9" * 5000], ids=["s", "date", "far", "digits"]
)
def test_a_retry_after_beyond_the_timeout_ends_the_export_immediately(
    retry_after: str, xray: FakeXRay, make: Make
) -> None:
    exporter = make(timeout=50)  # more than this test may take
    xray.responses = [Response(503, b"", {"Retry-After": retry_after}), THANKS]
    assert exporter.export([span("a")]) is LOST
    assert exporter.failed == {"status": 1}
    assert len(xray.requests) == 1


NO_TIMES = ["soon", "-1", "nan", "inf", "1e3", "", "0", "Mon, 99 Foo"]


@pytest.mark.parametrize("retry_after", [*NO_TIMES, after(-3600)], ids=[*NO_TIMES, "past"])
def test_an_invalid_or_past_retry_after_is_ignored(retry_after: str, xray: FakeXRay, make: Make) -> None:
    exporter = make()
    xray.responses = [Response(503, b"", {"Retry-After": retry_after}), THANKS]
    assert exporter.export([span("a")]) is DELIVERED


def test_the_receiver_can_say_how_long_to_wait(xray: FakeXRay, make: Make) -> None:
    exporter = make()
    begin = time.monotonic()
    xray.responses = [Response(429, b"", {"Retry-After": "1"}), THANKS]
    assert exporter.export([span("a")]) is DELIVERED
    assert time.monotonic() - begin > 0.9  # the usual pause is 0.01 here


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 408, 500, 501])
def test_a_refusal_is_counted_and_logged(
    status: int, xray: FakeXRay, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = make()
    xray.responses = [Response(status, b"because")]
    assert exporter.export([span(), span()]) is LOST
    assert exporter.failed == {"status": 2}
    assert (f"HTTP {status}: because" if status >= 400 else "redirect") in caplog.text


def test_spans_rejected_one_by_one_are_counted(
    xray: FakeXRay, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = make()
    xray.responses = [Response(200, partial(2, "too old"))]
    assert exporter.export([span()] * 5) is LOST
    assert exporter.failed == {"partial": 2}
    assert "too old" in caplog.text


def test_a_request_that_is_too_large_is_sent_in_parts_with_separate_results(
    xray: FakeXRay, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp, "_LARGEST_REQUEST", 3000)
    exporter = make()
    xray.responses = [THANKS, Response(503), Response(400), THANKS, THANKS, THANKS]
    large = [span(f"{number}", attributes={"a": "x" * 1000}) for number in range(8)]
    assert exporter.export(large) is LOST
    # After the pause, the remaining six are halved again.
    assert [names(request) for request in xray.requests] == [
        *(["0", "1"], ["2", "3"], ["2"], ["3", "4"], ["5"], ["6", "7"])
    ]
    assert exporter.failed == {"status": 1}


def test_only_the_span_that_is_too_large_is_lost(
    xray: FakeXRay, make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(otlp, "_LARGEST_REQUEST", 3000)
    exporter = make()
    assert exporter.export([span("a"), span("b", attributes={"a": "x" * 3000}), span("c")]) is LOST
    assert [name for request in xray.requests for name in names(request)] == ["a", "c"]
    assert exporter.failed == {"too large": 1}
    (message,) = caplog.messages
    assert re.search(r": 3\d\d\d bytes are more than 3000$", message)


def test_a_batch_that_the_receiver_calls_too_large_is_sent_in_halves_once(xray: FakeXRay, make: Make) -> None:
    exporter = make()
    xray.responses = [Response(413), THANKS, Response(413), THANKS]
    assert exporter.export([span(name) for name in "abcd"]) is LOST
    assert [names(request) for request in xray.requests] == [["a", "b", "c", "d"], ["a", "b"], ["c", "d"]]
    assert exporter.failed == {"too large": 2}


def test_only_the_span_that_cannot_be_encoded_is_lost(
    xray: FakeXRay, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = make()
    broken: Any = object()
    xray.responses = [Response(503), THANKS]
    assert exporter.export([span("a"), broken]) is LOST
    assert [names(request) for request in xray.requests] == [["a"]] * 2
    assert exporter.failed == {"not encodable": 1}
    assert exporter.export([broken]) is LOST
    assert len(xray.requests) == 2
    rest = "lost on the way to"
    assert caplog.messages == [f"1 span is {rest} {exporter.target}: spans that cannot be encoded"]


def partial(rejected: int, message: str) -> bytes:
    partial_success = ExportTracePartialSuccess(rejected_spans=rejected, error_message=message)
    return ExportTraceServiceResponse(partial_success=partial_success).SerializeToString()


@pytest.mark.parametrize("rejected", [3, 1 << 60])
def test_the_number_of_rejected_spans_is_limited_to_those_sent(
    rejected: int, xray: FakeXRay, make: Make
) -> None:
    exporter = make()
    xray.responses = [Response(200, partial(rejected, "no"))]
    assert exporter.export([span(), span()]) is LOST
    assert exporter.failed == {"partial": 2}


def test_a_refusal_in_protobuf_is_logged_with_its_message(
    xray: FakeXRay, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = make()
    status = b"\x08\x03\x12\x0bnot\x00\ntoday\x07"  # google.rpc.Status: code 3, and a message
    xray.responses = [Response(400, status, {"Content-Type": "application/x-protobuf"})]
    assert exporter.export([span()]) is LOST
    assert "HTTP 400: not today" in caplog.text


def test_a_successful_response_that_is_cut_short_is_a_success(xray: FakeXRay, make: Make) -> None:
    exporter = make()
    xray.responses = [Response(200, b"\x0a", {"Content-Length": "100"}, hang_up=True)]
    assert exporter.export([span()]) is DELIVERED
    assert len(xray.requests) == 1


def test_a_message_of_a_receiver_that_took_all_spans_is_logged(
    xray: FakeXRay, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = make()
    xray.responses = [Response(200, partial(0, "be quick"))]
    assert exporter.export([span()]) is DELIVERED
    assert caplog.messages == [f"{exporter.target}: the collector took the spans, and says: be quick"]


PAGE = {"Content-Type": "text/html; charset=utf-8"}


@pytest.mark.parametrize("body", [b"", b"<html>welcome</html>"])
@pytest.mark.parametrize("status", [200, 204])
def test_a_web_page_is_not_a_response_of_a_collector(
    status: int, body: bytes, xray: FakeXRay, make: Make
) -> None:
    exporter = make()
    xray.responses = [Response(status, body if status == 200 else b"", PAGE)]
    assert exporter.export([span(), span()]) is LOST
    assert exporter.failed == {"status": 2}
    assert len(xray.requests) == 1


TAKEN = {
    "empty": THANKS,
    "202": Response(202, b""),
    "json": Response(200, b"{}", {"Content-Type": "application/json"}),
    "a message alone": Response(200, partial(0, "be quick")),
    "fewer than none rejected": Response(200, partial(-1, "odd")),
    "no protobuf": Response(200, b"\xff\xff\xff"),
}


@pytest.mark.parametrize("response", TAKEN.values(), ids=TAKEN)
def test_any_other_response_with_a_success_status_is_a_success(
    response: Response, xray: FakeXRay, make: Make
) -> None:
    exporter = make()
    xray.responses = [response]
    assert exporter.export([span()]) is DELIVERED
    assert len(xray.requests) == 1


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("eu-west-1", "https://xray.eu-west-1.amazonaws.com/v1/traces"),
        ("cn-north-1", "https://xray.cn-north-1.amazonaws.com.cn/v1/traces"),
    ],
)
def test_the_endpoint_is_that_of_the_region(region: str, url: str, make: Make) -> None:
    assert make(region=region, endpoint=None).url == url


def test_without_a_region_the_constructor_raises() -> None:
    with pytest.raises(ConfigurationError, match="AWS_REGION"):
        XRayOTLPExporter()


def test_without_credentials_the_lost_spans_are_counted(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with caplog.at_level(logging.WARNING, "ot_bridge.xray"):
        assert make(timeout=0.1, session=None).export([span()]) is LOST
    assert "Unable to locate credentials" in caplog.text
