"""The exporter's log lines, and how often they come."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from ot_bridge.sending import losses
from tests.receiver import HttpReceiver, Response, free_port

from .conftest import exporting, lost, some_spans

SUCCESS, FAILURE = SpanExportResult.SUCCESS, SpanExportResult.FAILURE


def _text(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name == "ot_bridge.otlp"]


def test_a_loss_is_logged_once_a_minute_with_count_and_target_and_its_end_is_logged_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with HttpReceiver(*[Response(401)] * 4) as receiver:
        url = receiver.endpoint.replace("//", "//me:secret@") + "?key=secret"
        with exporting(url, headers={"x-key": "secret"}) as exporter:
            for _ in range(3):
                exporter.export(some_spans(2))
            assert len(_text(caplog)) == 1
            monkeypatch.setattr(losses, "PAUSE", 0.0)
            exporter.export(some_spans(2))
            for _ in range(3):
                exporter.export(some_spans())
    first, second, again = _text(caplog)
    assert "2 spans are lost" in first
    assert f"{receiver.endpoint}: HTTP 401" in first
    assert "6 spans are lost" in second
    assert f"spans reach {receiver.endpoint} again" in again
    assert "secret" not in caplog.text
    assert "bWU6" not in caplog.text


def test_spans_lost_since_the_last_line_are_logged_when_exporting_works_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with HttpReceiver(Response(500), Response(500)) as receiver, exporting(receiver) as exporter:
        for count in (1, 4, 1):
            exporter.export(some_spans(count))
    assert "1 span is lost" in _text(caplog)[0]
    assert "4 more" in _text(caplog)[1]


def test_an_unstable_collector_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with HttpReceiver(*[Response(500), Response()] * 20) as receiver, exporting(receiver) as exporter:
        for _ in range(40):
            exporter.export(some_spans())
        assert len(_text(caplog)) == 2
    assert _text(caplog)[2:] == [f"19 spans are lost on the way to {receiver.endpoint}: HTTP 500"]


def test_each_kind_of_loss_is_logged_separately(caplog: pytest.LogCaptureFixture) -> None:
    partial = Response(body=b"\x0a\x02\x08\x01")
    with HttpReceiver(*[Response(500), partial] * 3) as receiver, exporting(receiver) as exporter:
        for _ in range(6):
            exporter.export(some_spans())
        assert lost(exporter) == {"status": 3, "partial": 3}
        assert len(_text(caplog)) == 2
    assert [text[:11] for text in _text(caplog)[2:]] == ["2 spans are"] * 2


def test_a_refusing_collector_is_logged_in_one_line_that_says_what_to_do(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with exporting(f"http://127.0.0.1:{free_port()}/v1/traces", timeout=0.2) as exporter:
        for _ in range(3):
            exporter.export(some_spans())
        (line,) = _text(caplog)
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in line
