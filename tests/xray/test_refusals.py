"""What an answer of AWS means, code by code, and the log lines about spans that were never sent."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from ot_bridge.errors import ConfigurationError
from ot_bridge.sending.responses import Response as Answer
from ot_bridge.xray import XRayDaemonExporter, XRayExporter, XRayOTLPExporter
from ot_bridge.xray.attributes import LONGEST, filled, first, number, text, texts
from ot_bridge.xray.aws_access import error_code, region_of
from tests.xray.conftest import FakeXRay, Track, error, shared_session
from tests.xray.spans import span

DELIVERED, LOST = SpanExportResult.SUCCESS, SpanExportResult.FAILURE


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({"x-amzn-errortype": "ExpiredToken"}, b"", "ExpiredToken"),
        ({"x-amzn-errortype": " a#ExpiredToken :http://b"}, b"", "ExpiredToken"),
        ({"x-amzn-errortype": "A"}, b'{"__type": "B"}', "A"),
        ({}, b'{"__type": "com.amazon#B", "code": "C"}', "B"),
        ({}, b'{"code": "C:more"}', "C"),
        *(({}, body, "") for body in (b"{}", b"", b"[]", b"no", b"\xff", b"[" * 100_000)),
    ],
)
def test_the_code_of_an_error_is_in_a_header_or_in_the_body(
    headers: dict[str, str], body: bytes, code: str
) -> None:
    assert error_code(Answer(400, headers, body, True, True)) == code


@pytest.fixture
def exporter(xray: FakeXRay, closing: Track) -> XRayExporter:
    made = XRayExporter("eu-west-1", endpoint=xray.url, session=shared_session())
    closing(made)
    return made


AGAIN = (
    *("ThrottledException", "ThrottlingException", "Throttling", "TooManyRequestsException"),
    *("ExpiredToken", "ExpiredTokenException"),
)


@pytest.mark.parametrize(
    ("status", "code", "again"),
    [
        *((400, code, True) for code in AGAIN),
        *((429, "Any", True), (500, "Any", True), (599, "Any", True), (499, "Any", False), (400, "", False)),
        *((400, "Throttled", False), (403, "TokenExpired", False)),
    ],
)
def test_only_what_may_pass_is_sent_again(
    status: int, code: str, again: bool, xray: FakeXRay, exporter: XRayExporter
) -> None:
    xray.responses = [error(status, code)]
    assert exporter.export([span()]) is (DELIVERED if again else LOST)
    assert len(xray.requests) == 1 + again
    assert exporter.failed == ({} if again else {"status": 1})


@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException"])
def test_each_code_of_expired_credentials_makes_otlp_be_sent_again(
    code: str, xray: FakeXRay, closing: Track
) -> None:
    made = XRayOTLPExporter("eu-west-1", endpoint=f"{xray.url}/v1/traces", session=shared_session())
    closing(made)
    xray.responses = [error(400, code)]
    assert made.export([span()]) is DELIVERED
    assert len(xray.requests) == 2


def test_spans_after_the_shutdown_are_logged_with_the_reason(
    exporter: XRayExporter, caplog: pytest.LogCaptureFixture
) -> None:
    exporter.shutdown()
    assert exporter.export([span(), span()]) is LOST
    (message,) = caplog.messages
    assert message.startswith("2 spans are lost on the way to ")
    assert message.endswith(": the exporter was shut down before")


@pytest.mark.parametrize("kind", [XRayExporter, XRayOTLPExporter, XRayDaemonExporter])
def test_the_times_that_are_taken_if_none_is_given(kind: Any) -> None:
    flush, shutdown = (inspect.signature(getattr(kind, name)) for name in ("force_flush", "shutdown"))
    assert flush.parameters["timeout_millis"].default == 30_000
    assert shutdown.parameters["timeout_millis"].default == 5000
    made = inspect.signature(kind).parameters.get("timeout")
    assert made is None or made.default == 30.0


def test_a_negative_time_does_not_wait(exporter: XRayExporter) -> None:
    assert exporter.force_flush(-1000) is True


@pytest.mark.parametrize("region", ["a", "eu-west-1", "1a", "a" * 63, "A-1"])
def test_a_region_is_a_label_of_a_host_name(region: str) -> None:
    assert region_of(region, None) == region


@pytest.mark.parametrize("region", ["1", "12", "-a", "a-", "a" * 64, "a.b", "a b", "é", "a\n"])
def test_another_text_is_no_region(region: str) -> None:
    with pytest.raises(ConfigurationError, match="expected a name such as eu-west-1"):
        region_of(region, None)


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("eu-west-1", "https://xray.eu-west-1.amazonaws.com/v1/traces"),
        ("cn-north-1", "https://xray.cn-north-1.amazonaws.com.cn/v1/traces"),
    ],
)
def test_the_address_for_otlp_is_that_of_the_regions_partition(region: str, url: str, closing: Track) -> None:
    closing(made := XRayOTLPExporter(region, session=shared_session()))
    assert made.url == made.target == url


def test_the_names_and_targets_of_the_exporters(closing: Track) -> None:
    made: list[Any] = [
        XRayExporter("eu-west-1", session=shared_session()),
        XRayOTLPExporter("eu-west-1", session=shared_session()),
        XRayDaemonExporter("h:1"),
    ]
    for each in made:
        closing(each)
    assert [(each.name, each.batch_size) for each in made] == [
        *(("xray", 50), ("xray_otlp", 512), ("xray_daemon", 50))
    ]
    assert made[0].target == "X-Ray in eu-west-1"
    assert made[2].target == "udp://h:1"


def test_values_are_converted_as_a_document_needs_them() -> None:
    assert LONGEST == 250
    assert (text(None), text(5), text("x" * 251), text("abc", 2)) == (None, "5", "x" * 250, "ab")
    assert texts(None) == []
    assert (texts("ab"), texts(["a", None, 1]), texts(("x" * 251,))) == (["ab"], ["a", "1"], ["x" * 250])
    assert [number(each) for each in ("5", 5.9, "x", None, float("inf"))] == [5, 5, None, None, None]
    assert filled(a=None, b="", c={}, d=[], e=False, f=0, g=True) == {"f": 0, "g": True}
    assert first({"a": "", "b": None, "c": 0, "d": 1}, "a", "b", "c", "d") == 0
    assert first({}, "a") is None
