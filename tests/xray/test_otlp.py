from __future__ import annotations

import gzip
import logging
from collections.abc import Callable
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
from tests.xray.conftest import Answer, FakeXRay, Request, Track
from tests.xray.spans import span

DELIVERED, LOST = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
Make = Callable[..., XRayOTLPExporter]
THANKS = Answer(200, b"")


@pytest.fixture
def make(xray: FakeXRay, closing: Track) -> Make:
    xray.answers = [THANKS] * 20

    def make(**options: Any) -> XRayOTLPExporter:
        exporter = XRayOTLPExporter(**{"region": "eu-west-1", "endpoint": f"{xray.url}/v1/traces", **options})
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


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_passing_failure_is_waited_out(status: int, xray: FakeXRay, make: Make) -> None:
    exporter = make()
    xray.answers = [Answer(status), Answer(hang_up=True), THANKS]
    assert exporter.export([span("a")]) is DELIVERED
    assert [names(request) for request in xray.requests] == [["a"]] * 3


def test_the_receiver_can_say_how_long_to_wait(xray: FakeXRay, make: Make) -> None:
    exporter = make(timeout=5)
    xray.answers = [Answer(503, b"", {"Retry-After": "3600"}), THANKS]
    assert exporter.export([span("a")]) is LOST
    xray.answers = [Answer(503, b"", {"Retry-After": "soon"}), THANKS]
    assert exporter.export([span("a")]) is DELIVERED


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413])
def test_a_refusal_is_counted_and_told(
    status: int, xray: FakeXRay, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = make()
    xray.answers = [Answer(status, b"because")]
    assert exporter.export([span(), span()]) is LOST
    assert exporter.lost == 2
    assert f"HTTP {status}: because" in caplog.text


def test_spans_rejected_one_by_one_are_counted(
    xray: FakeXRay, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    partial = ExportTracePartialSuccess(rejected_spans=2, error_message="too old")
    exporter = make()
    xray.answers = [Answer(200, ExportTraceServiceResponse(partial_success=partial).SerializeToString())]
    assert exporter.export([span()] * 5) is LOST
    assert exporter.lost == 2
    assert "too old" in caplog.text


def test_a_request_too_large_goes_in_parts_each_with_its_own_fate(
    xray: FakeXRay, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp, "_LARGEST_REQUEST", 3000)
    exporter = make()
    xray.answers = [THANKS, Answer(503), Answer(400), THANKS, THANKS, THANKS, THANKS]
    large = [span(f"{number}", attributes={"a": "x" * 1000}) for number in range(8)]
    assert exporter.export(large) is LOST
    assert [names(request) for request in xray.requests] == [
        *(["0", "1"], ["2", "3"], ["4", "5"], ["6", "7"], ["2", "3"])
    ]
    assert exporter.lost == 2


def test_a_single_span_too_large_is_left_for_the_receiver_to_judge(
    xray: FakeXRay, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp, "_LARGEST_REQUEST", 10)
    assert make().export([span("a")]) is DELIVERED
    assert names(xray.requests[0]) == ["a"]


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("eu-west-1", "https://xray.eu-west-1.amazonaws.com/v1/traces"),
        ("cn-north-1", "https://xray.cn-north-1.amazonaws.com.cn/v1/traces"),
    ],
)
def test_the_endpoint_is_the_regions(region: str, url: str, make: Make) -> None:
    assert make(region=region, endpoint=None).url == url


def test_without_a_region_it_is_not_built() -> None:
    with pytest.raises(ConfigurationError, match="AWS_REGION"):
        XRayOTLPExporter()


def test_without_credentials_the_spans_are_counted(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with caplog.at_level(logging.WARNING, "ot_bridge.xray.base"):
        assert make().export([span()]) is LOST
    assert "Unable to locate credentials" in caplog.text
