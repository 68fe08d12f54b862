"""XRayExporter, botocore and all, against a fake X-Ray on loopback."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, get_value
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

from ot_bridge.errors import ConfigurationError
from ot_bridge.sending import clock
from ot_bridge.xray import XRayExporter, aws_access, base
from tests.xray.conftest import FakeXRay, Request, Response, Track, error, shared_session, unprocessed
from tests.xray.spans import span

Make = Callable[..., XRayExporter]
DELIVERED, LOST = SpanExportResult.SUCCESS, SpanExportResult.FAILURE


def spans(count: int) -> list[ReadableSpan]:
    return [span(span_id=number) for number in range(1, count + 1)]


def ids(count: int) -> list[str]:
    return [f"{number:016x}" for number in range(1, count + 1)]


def flat(batches: list[list[str]]) -> list[str]:
    return [id_ for batch in batches for id_ in batch]


@pytest.fixture
def make(xray: FakeXRay, closing: Track) -> Make:
    def make(**options: Any) -> XRayExporter:
        usual = {"region": "eu-west-1", "endpoint": xray.url, "session": shared_session()}
        exporter = XRayExporter(**{**usual, **options})
        closing(exporter)
        return exporter

    return make


def test_spans_arrive_as_signed_segment_documents(xray: FakeXRay, make: Make) -> None:
    exporter = make(service_version="7", annotate=("a",))
    assert exporter.export([span(attributes={"a": 1})]) is DELIVERED
    (request,) = xray.requests
    assert request.path == "/TraceSegments"
    assert "/eu-west-1/xray/aws4_request" in request.headers["Authorization"]
    (document,) = request.documents
    assert document["annotations"] == {"a": 1}
    assert document["service"] == {"version": "7"}
    assert exporter.force_flush()
    assert exporter.failed == {}


def test_no_call_sends_more_than_fifty_segments(xray: FakeXRay, make: Make) -> None:
    assert make().export(spans(120)) is DELIVERED
    assert [len(batch) for batch in xray.batches] == [50, 50, 20]
    assert sorted(flat(xray.batches)) == ids(120)


def test_an_empty_batch_makes_no_call(xray: FakeXRay, make: Make) -> None:
    assert make().export([]) is DELIVERED
    assert not xray.requests


def test_unprocessed_segments_are_sent_again_until_they_are_delivered(
    xray: FakeXRay, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    two, three = f"{2:016x}", f"{3:016x}"
    xray.responses = [unprocessed(two, three), unprocessed(three), unprocessed(three), unprocessed()]
    exporter = make()
    assert exporter.export(spans(4)) is DELIVERED
    assert xray.batches == [ids(4), [two, three], [three], [three]]
    assert exporter.force_flush()
    assert not caplog.records


def test_segments_that_stay_unprocessed_are_counted_and_logged_once(
    xray: FakeXRay, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(request: Request) -> Response:
        xray.responses.append(refuse)
        return unprocessed(f"{2:016x}")

    xray.responses = [refuse]
    exporter = make()
    assert exporter.export(spans(3)) is LOST
    assert exporter.export(spans(3)) is LOST
    assert exporter.failed == {"partial": 2}
    assert len(xray.batches) == 2 * (base.MOST_IDLE_ROUNDS + 1)
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        f"1 span is lost on the way to {xray.url}: left unprocessed"
    ]
    assert not exporter.force_flush()
    assert exporter.force_flush()


def test_an_unprocessed_segment_without_an_id_is_counted(
    xray: FakeXRay, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    xray.responses = [unprocessed(None, f"{1:016x}"), unprocessed()]
    exporter = make()
    assert exporter.export(spans(2)) is LOST
    assert exporter.failed == {"partial": 1}
    assert xray.batches == [ids(2), ids(1)]
    assert "ThrottledException" in caplog.text


TEMPORARY = {
    "429": error(429, "ThrottledException"),
    "throttled with 400": error(400, "ThrottlingException"),
    "500": error(500, "InternalFailure"),
    "503 of a proxy": Response(503, b"<html>busy</html>", {"Content-Type": "text/html"}),
    "garbage": Response(200, b"<html>hello</html>"),
    "hung up": Response(hang_up=True),
}


@pytest.mark.parametrize("response", TEMPORARY.values(), ids=TEMPORARY)
def test_a_temporary_failure_is_retried(
    response: Response, xray: FakeXRay, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    xray.responses = [response, response, response]
    exporter = make()
    assert exporter.export(spans(60)) is DELIVERED
    assert xray.batches == [ids(60)[:50]] * 4 + [ids(60)[50:]]
    assert exporter.failed == {}
    assert not [record for record in caplog.records if record.name.startswith("ot_bridge")]


ODD = {
    "an answer that is not X-Ray's: text/html": Response(200, b"<html>", {"Content-Type": "text/html"}),
    "an answer that is not X-Ray's: of no type": Response(200, b"{}"),
    "the answer was cut short": Response(200, b"{}", {"Content-Length": "9"}, hang_up=True),
}


@pytest.mark.parametrize(("why", "response"), ODD.items(), ids=ODD)
def test_an_answer_that_x_ray_does_not_give_is_logged_with_the_reason(
    why: str, response: Response, xray: FakeXRay, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = make()

    def last(request: Request) -> Response:
        exporter.shutdown(timeout_millis=0)  # so that no other attempt follows
        return response

    xray.responses = [last]
    assert exporter.export(spans(1)) is LOST
    assert caplog.messages == [f"1 span is lost on the way to {exporter.target}: {why}"]
    assert exporter.failed == {"shut down": 1}


def test_after_a_partial_failure_delivered_segments_are_not_sent_again(xray: FakeXRay, make: Make) -> None:
    xray.responses = [unprocessed(f"{7:016x}"), error(500, "InternalFailure")]
    assert make().export(spans(120)) is DELIVERED
    assert sorted(flat(xray.batches[2:])) == sorted([f"{7:016x}", *ids(120)[50:]])


PERMANENT = {
    "403": error(403, "AccessDeniedException"),
    "400": error(400, "InvalidRequestException"),
    "unknown key": error(403, "UnrecognizedClientException"),
}


@pytest.mark.parametrize("response", PERMANENT.values(), ids=PERMANENT)
def test_a_permanent_refusal_is_not_retried(
    response: Response, xray: FakeXRay, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    xray.responses = [response]
    exporter = make()
    assert exporter.export(spans(3)) is LOST
    assert exporter.failed == {"status": 3}
    assert len(xray.requests) == 1
    assert response.headers["x-amzn-errortype"] in caplog.text


def test_a_refused_batch_does_not_affect_the_others(xray: FakeXRay, make: Make) -> None:
    xray.responses = [error(400, "InvalidRequestException")]
    exporter = make()
    assert exporter.export(spans(120)) is LOST
    assert exporter.failed == {"status": 50}
    assert flat(xray.batches[1:]) == ids(120)[50:]


def test_a_loss_is_logged_once_a_minute_and_its_end_once(
    xray: FakeXRay, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    refusal = error(403, "AccessDeniedException")
    xray.responses = [refusal, refusal, Response(), refusal]
    exporter = make()
    for _ in range(4):
        exporter.export(spans(1))
    first, second = [record.getMessage() for record in caplog.records if record.name == "ot_bridge.xray"]
    assert first.startswith(f"1 span is lost on the way to {xray.url}: ")
    assert second == f"spans reach {xray.url} again; 1 more were lost since the last line about it"


def test_a_slow_response_is_awaited_and_after_a_timeout_the_request_is_repeated(
    xray: FakeXRay, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(seconds: float) -> Callable[[Request], Response]:
        def response(_: Request) -> Response:
            time.sleep(seconds)
            return Response()

        return response

    xray.responses = [slow(0.2)]
    assert make().export(spans(1)) is DELIVERED
    assert len(xray.requests) == 1
    monkeypatch.setattr(aws_access, "ATTEMPT_SECONDS", 0.2)
    xray.responses = [slow(0.4)]
    assert make().export(spans(1)) is DELIVERED
    assert len(xray.requests) >= 3


def test_an_unreachable_endpoint_is_tried_until_the_timeout_and_then_logged(
    make: Make, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        exporter = make(endpoint=f"http://127.0.0.1:{unheard.getsockname()[1]}", timeout=1)
        assert exporter.export(spans(3)) is LOST
    assert exporter.failed == {"refused": 3}
    assert exporter.refusing
    assert "nothing listens there" in caplog.text


def test_only_the_span_that_cannot_be_translated_is_lost(
    xray: FakeXRay, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = make()
    broken: Any = object()
    assert exporter.export([*spans(2), broken]) is LOST
    assert exporter.failed == {"not encodable": 1}
    assert xray.batches == [ids(2)]
    (message,) = caplog.messages
    lost = f"1 span is lost on the way to {exporter.target}"
    assert message.startswith(f"{lost}: a span that cannot be translated: ")


def test_the_calls_of_the_exporter_are_not_traced(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def send(*_: object) -> tuple[()]:
        seen.append(get_value(_SUPPRESS_INSTRUMENTATION_KEY))
        return ()

    exporter = make()
    monkeypatch.setattr(exporter, "_send", send)
    exporter.export(spans(1))
    assert seen == [True]
    assert get_value(_SUPPRESS_INSTRUMENTATION_KEY) is None


def test_an_empty_response_of_x_ray_is_a_success(xray: FakeXRay, make: Make) -> None:
    xray.responses = [Response(200, b"{}", {"Content-Type": "application/json"})]
    assert make().export(spans(2)) is DELIVERED
    assert xray.batches == [ids(2)]


def test_each_pause_is_that_of_its_round(xray: FakeXRay, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[int] = []

    def pause(self: clock.Clock, number: int, delay: float | None = None) -> bool:
        rounds.append(number)
        return True

    monkeypatch.setattr(clock.Clock, "pause", pause)
    xray.responses = [error(429, "ThrottledException") for _ in range(3)]
    assert make().export(spans(1)) is DELIVERED
    assert rounds == [0, 1, 2]


def test_a_shutdown_ends_a_pause_and_counts_the_lost_spans(xray: FakeXRay, make: Make) -> None:
    base_pause = 60.0
    exporter = make(timeout=2 * base_pause)
    tried = threading.Event()

    def throttle(_: Request) -> Response:
        tried.set()
        return error(429, "ThrottledException")

    xray.responses = [throttle]
    results: list[SpanExportResult] = []
    thread = threading.Thread(target=lambda: results.append(exporter.export(spans(2))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "FIRST_PAUSE", base_pause)
        patch.setattr(clock, "LONGEST_PAUSE", base_pause)
        thread.start()
        assert tried.wait(10)
        assert not exporter.force_flush(timeout_millis=20)
        exporter.shutdown()
        thread.join(10)
    assert results == [LOST]
    assert exporter.failed == {"shut down": 2}
    assert exporter.export(spans(3)) is LOST
    assert exporter.failed == {"shut down": 5}
    assert not exporter.force_flush()


def test_shutting_down_the_provider_exports_its_full_queue(xray: FakeXRay, make: Make) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    processor = BatchSpanProcessor(
        make(), max_queue_size=300, max_export_batch_size=300, schedule_delay_millis=60_000
    )
    provider.add_span_processor(processor)
    xray.responses = [error(429, "ThrottledException"), unprocessed()]
    tracer = provider.get_tracer("t")
    for _ in range(299):
        tracer.start_span("s").end()
    assert not xray.requests
    provider.shutdown()
    assert len(set(flat(xray.batches))) == 299


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_has_its_own_client_and_counts(xray: FakeXRay, make: Make) -> None:
    exporter = make()
    xray.responses = [error(403, "AccessDeniedException")]
    exporter.export(spans(1))
    client = exporter._client
    with exporter._exporting:  # as if another thread were exporting at this moment
        pid = os.fork()
        if not pid:
            fine = exporter.export(spans(2)) is DELIVERED and exporter.force_flush()
            fine = fine and exporter.failed == {} and exporter._client is not client
            exporter.shutdown()
            os._exit(0 if fine else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert xray.batches == [ids(1), ids(2)]
    assert exporter.failed == {"status": 1}
    exporter.shutdown()
    pid = os.fork()
    if not pid:
        closed = not exporter.force_flush(20) or exporter.export(spans(1)) is LOST
        os._exit(0 if closed else 1)
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.parametrize(
    ("given", "environ", "configured", "wanted"),
    [
        ("us-east-1", {"AWS_REGION": "eu-west-1"}, "eu-west-3", "us-east-1"),
        (None, {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-3", "eu-west-1"),
        (None, {"AWS_DEFAULT_REGION": "eu-west-2"}, "eu-west-3", "eu-west-2"),
        (None, {}, "eu-west-3", "eu-west-3"),
    ],
)
def test_the_region_is_read_from_its_sources_in_order(
    given: str | None,
    environ: dict[str, str],
    configured: str,
    wanted: str,
    xray: FakeXRay,
    make: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "config").write_text(f"[default]\nregion = {configured}\n")
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    make(region=given, session=None).export(spans(1))
    assert f"/{wanted}/xray/" in xray.requests[0].headers["Authorization"]


def test_without_a_region_the_constructor_raises_and_says_how_to_set_one() -> None:
    with pytest.raises(ConfigurationError) as raised:
        XRayExporter()
    assert raised.value.reason == "expected a name such as eu-west-1; pass one or set AWS_REGION"


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_an_invalid_timeout_is_refused(make: Make, timeout: float) -> None:
    with pytest.raises(ConfigurationError) as raised:
        make(timeout=timeout)
    assert (raised.value.option, raised.value.reason) == ("timeout", "expected a number of seconds above 0")


def test_a_session_brings_its_own_credentials_and_region(xray: FakeXRay, make: Make) -> None:
    session = botocore.session.Session()
    session.set_credentials("AKIDOTHER", "secret")
    session.set_config_variable("region", "ap-south-1")
    make(region=None, session=session).export(spans(1))
    assert "AKIDOTHER" in xray.requests[0].headers["Authorization"]
    assert "/ap-south-1/" in xray.requests[0].headers["Authorization"]


def test_without_credentials_the_lost_spans_are_counted_and_the_reason_is_logged(
    xray: FakeXRay, make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    exporter = make(timeout=0.1, session=None)
    assert exporter.export(spans(2)) is LOST
    assert exporter.failed == {"other": 2}
    assert "Unable to locate credentials" in caplog.text
