"""How each response of a collector is handled, over real connections."""

from __future__ import annotations

import gzip
import time
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as Theirs
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace.export import SpanExportResult

from ot_bridge.otlp import OTLPSpanExporter
from ot_bridge.otlp.verdict import retry_after
from ot_bridge.sending.responses import MAX_BODY
from tests.receiver import CLOSE, HttpReceiver, Response

from .conftest import lost, some_spans

HTML = {"Content-Type": "text/html; charset=utf-8"}
JSON = {"Content-Type": "application/json"}
TEXT = {"Content-Type": "text/plain"}


def _partial(rejected: int, message: str = "") -> bytes:
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = rejected
    response.partial_success.error_message = message
    return response.SerializeToString()


def _status(message: str) -> bytes:
    """google.rpc.Status with this message."""
    return b"\x08\x03\x12" + bytes([len(message)]) + message.encode()


def _chunked(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"%x;ext=1\r\n%b\r\n0\r\nTrailer: x\r\n\r\n" % (len(body), body)


#: name -> (the response, the loss of three spans by reason, words that are logged; "" if nothing is)
RESPONSES: dict[str, tuple[Response, dict[str, int], str]] = {
    "200, empty": (Response(), {}, ""),
    "200, protobuf without partial success": (Response(body=b"\x0a\x00"), {}, ""),
    "200, JSON": (Response(body=b'{"partialSuccess":{}}', headers=JSON), {}, ""),
    "202": (Response(202), {}, ""),
    "204": (Response(raw=b"HTTP/1.1 204 No Content\r\n\r\n"), {}, ""),
    "200 in chunks": (Response(raw=_chunked(_partial(1, "in chunks"))), {"partial": 1}, "in chunks"),
    "200 up to the end of the connection": (
        Response(raw=b"HTTP/1.1 200 OK\r\n\r\n" + _partial(2, "old"), end=True), {"partial": 2}, "old"),
    "200 of HTTP/1.0": (Response(raw=b"HTTP/1.0 200 OK\r\n\r\n", end=True), {}, ""),
    "200 after interim answers": (
        Response(raw=b"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 103 Hi\r\nA: b\r\n\r\n" + Response().bytes()),
        {},
        "",
    ),
    "200, its body cut short": (Response(body=b"x" * 1000, cut=500), {}, "cannot be read"),
    "200, invalid protobuf": (Response(body=b"\xff\xff\xff"), {}, "cannot be read"),
    "200, a web page": (Response(body=b"<html>", headers=HTML), {"status": 3}, "web page"),
    "200, an empty web page": (Response(headers=HTML), {"status": 3}, "web page"),
    "one span rejected": (Response(body=_partial(1, "no room")), {"partial": 1}, "no room"),
    "more rejected than sent": (Response(body=_partial(7)), {"partial": 3}, "rejected"),
    "fewer than none rejected": (Response(body=_partial(-1, "odd")), {}, "odd"),
    "a warning": (Response(body=_partial(0, "use another port")), {}, "use another port"),
    "rejected, compressed unasked": (
        Response(body=gzip.compress(_partial(1, "pressed")), headers={"Content-Encoding": "gzip"}),
        {"partial": 1}, "pressed"),
    "301": (Response(301, headers={"Location": "/elsewhere"}), {"status": 3}, "HTTP 301"),
    "302": (Response(302, headers={"Location": "/elsewhere"}), {"status": 3}, "HTTP 302"),
    "307": (Response(307, headers={"Location": "/elsewhere"}), {"status": 3}, "HTTP 307"),
    "101": (Response(raw=b"HTTP/1.1 101 Switching\r\n\r\n"), {"status": 3}, "HTTP 101"),
    "103 and nothing more": (
        Response(raw=b"HTTP/1.1 103 Early\r\n\r\n", end=True),
        {"status": 3},
        "HTTP 103",
    ),
    "400 with a status": (Response(400, _status("bad span")), {"status": 3}, "HTTP 400: bad span"),
    "401 with text": (Response(401, b"who\r\n\x00are you", TEXT), {"status": 3}, "HTTP 401: who are you"),
    "404": (Response(404, b"x" * 999, TEXT), {"status": 3}, "HTTP 404: " + "x" * 200),
    "408": (Response(408), {"status": 3}, "HTTP 408"),
    "413, one attempt at halves": (Response(413), {"too large": 3}, "HTTP 413"),
    "500": (Response(500), {"status": 3}, "HTTP 500"),
    "501": (Response(501), {"status": 3}, "HTTP 501"),
    "HTTP/2": (Response(raw=b"\x00\x00\x12\x04\x00\x00\x00\x00\x00", end=True), {"other": 3}, "HTTP/1"),
    "another protocol": (Response(raw=b"220 mail\r\n", end=True), {"other": 3}, "HTTP/1"),
    "a status that is none": (Response(raw=b"HTTP/1.1 OK\r\n\r\n", end=True), {"other": 3}, "HTTP/1"),
    "a header without end": (Response(raw=b"HTTP/1.1 200 OK\r\n" + b"x" * 99_000), {"other": 3}, "header"),
}  # fmt: skip


@pytest.mark.parametrize(("response", "loss", "words"), RESPONSES.values(), ids=RESPONSES)
def test_a_final_response_is_not_retried(
    response: Response, loss: dict[str, int], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    with HttpReceiver(always=response) as receiver:
        exporter = OTLPSpanExporter(receiver.endpoint)
        result = exporter.export(some_spans(3))
        lines = [*caplog.records]
        exporter.shutdown()
    assert lost(exporter) == loss
    assert result is (SpanExportResult.FAILURE if loss else SpanExportResult.SUCCESS)
    # The same request is never repeated; only after 413 it is sent again, in halves.
    assert len(receiver.seen) == (3 if response.status == 413 else 1)
    assert words in caplog.text
    assert len(lines) == bool(words)
    assert "\x00" not in caplog.text


AGAIN = {
    "429": Response(429),
    "502": Response(502),
    "503": Response(503),
    "504": Response(504),
    "503 with a time that cannot be read": Response(503, headers={"Retry-After": "soon"}),
    "closed without an answer": CLOSE,
    "closed within the status line": Response(cut=5),
    "closed within the header": Response(cut=30),
}


@pytest.mark.parametrize("response", AGAIN.values(), ids=AGAIN)
def test_a_temporary_failure_is_retried_after_a_pause(
    response: Response, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ot_bridge.sending.clock.FIRST_PAUSE", 0.1)
    with HttpReceiver(response) as receiver:
        exporter = OTLPSpanExporter(receiver.endpoint)
        assert exporter.export(some_spans()) is SpanExportResult.SUCCESS
        exporter.shutdown()
    first, second = receiver.seen
    assert first.body == second.body
    assert second.at - first.at > 0.08
    assert not lost(exporter)
    assert not caplog.records


RETRY_AFTER = {
    "seconds": ("120", 120.0),
    "none": ("0", 0.0),
    "an HTTP date": ("Sat, 28 Nov 2026 16:00:10 GMT", 10.0),
    "the date of RFC 850": ("Saturday, 28-Nov-26 16:00:10 GMT", 10.0),
    "a date of the past": ("Sat, 28 Nov 2026 15:00:00 GMT", 0.0),
    "negative": ("-1", None),
    "a fraction": ("1.5", None),
    "not a number": ("NaN", None),
    "infinite": ("inf", None),
    "infinity": ("Infinity", None),
    "other digits": ("١٢", None),
    "words": ("tomorrow", None),
    "half a date": ("Sat, 28 Nov", None),
    "a date that cannot be": ("Sat, 99 Nov 2026 16:00:10 GMT", None),
    "empty": ("", None),
    "absent": (None, None),
}


@pytest.mark.parametrize(("text", "seconds"), RETRY_AFTER.values(), ids=RETRY_AFTER)
def test_retry_after_is_whole_seconds_or_a_date(text: str | None, seconds: float | None) -> None:
    assert retry_after(text, now=1795881600.0) == seconds


def test_a_pause_is_as_long_as_retry_after_says() -> None:
    with HttpReceiver(Response(503, headers={"Retry-After": "1"})) as receiver:
        exporter = OTLPSpanExporter(receiver.endpoint)
        assert exporter.export(some_spans()) is SpanExportResult.SUCCESS
        exporter.shutdown()
    first, second = receiver.seen
    assert second.at - first.at > 0.9


def test_retry_after_0_is_retried_immediately_only_once() -> None:
    with HttpReceiver(always=Response(503, headers={"Retry-After": "0"})) as receiver:
        exporter = OTLPSpanExporter(receiver.endpoint, timeout=0.7)
        exporter.export(some_spans())
        exporter.shutdown()
    assert [len(receiver.seen), lost(exporter)] == [2, {"status": 1}]


def test_a_pause_that_would_exceed_the_timeout_is_not_begun() -> None:
    with HttpReceiver(always=Response(503, headers={"Retry-After": "600"})) as receiver:
        exporter = OTLPSpanExporter(receiver.endpoint, timeout=30)
        began = time.monotonic()
        assert exporter.export(some_spans()) is SpanExportResult.FAILURE
        assert time.monotonic() - began < 10
        exporter.shutdown()
    assert lost(exporter) == {"status": 1}


@pytest.mark.parametrize("pressed", [False, True], ids=["plain", "compressed"])
def test_only_the_beginning_of_a_very_long_response_is_read(pressed: bool) -> None:
    page = b" " * (8 * MAX_BODY)
    body = gzip.compress(page) if pressed else page
    response = Response(400, body, TEXT | ({"Content-Encoding": "gzip"} if pressed else {}))
    with HttpReceiver(response) as receiver:
        exporter = OTLPSpanExporter(receiver.endpoint)
        exporter.export(some_spans())
        assert exporter.export(some_spans()) is SpanExportResult.SUCCESS
        assert receiver.connections == (1 if pressed else 2)
        exporter.shutdown()


DIFFERENT = {
    "a redirect": Response(302),
    "rejected spans": Response(body=_partial(1)),
    "a web page": Response(headers=HTML),
}


@pytest.mark.parametrize("response", DIFFERENT.values(), ids=DIFFERENT)
def test_some_responses_that_opentelemetrys_exporter_takes_for_success_count_as_lost(
    response: Response,
) -> None:
    with HttpReceiver(always=response) as receiver:
        results: list[Any] = []
        for kind in (Theirs, OTLPSpanExporter):
            exporter = kind(endpoint=receiver.endpoint)
            results.append(exporter.export(some_spans()))
            exporter.shutdown()
    assert results == [SpanExportResult.SUCCESS, SpanExportResult.FAILURE]
