"""`OTLPSpanExporter` as delivery and the SDK use it: requests, parts, pauses, counts, words, own traffic."""

from __future__ import annotations

import gzip
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
import requests
from opentelemetry.context import attach, detach, get_current
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as Theirs
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import set_span_in_context

from ot_bridge.exporters import exporter_named
from ot_bridge.otlp import OTLPSpanExporter, outages
from tests.receiver import HANG, Answer, HttpReceiver, free_port

from .conftest import some_spans

SUCCESS, FAILURE = SpanExportResult.SUCCESS, SpanExportResult.FAILURE


@contextmanager
def exporting(receiver: HttpReceiver | str, **options: Any) -> Iterator[OTLPSpanExporter]:
    exporter = OTLPSpanExporter(receiver if isinstance(receiver, str) else receiver.endpoint, **options)
    try:
        yield exporter
    finally:
        exporter.shutdown()


def _lost(exporter: OTLPSpanExporter) -> dict[str, int]:
    return {reason: count for reason, count in exporter.failed.items() if count}


def _names(receiver: HttpReceiver) -> list[str]:
    return [span.name for span in receiver.spans]


# The request


def test_a_request_has_the_headers_of_otlp_and_the_users() -> None:
    with (
        HttpReceiver() as receiver,
        exporting(receiver, headers={"X-Key": "ü", "User-Agent": "mine"}) as exporter,
        exporting(receiver) as plain,
    ):
        assert exporter.export(some_spans()) is plain.export(some_spans()) is SUCCESS
        first, second = receiver.seen
    assert (first.method, first.target) == ("POST", "/v1/traces")
    assert first.headers == {
        "host": f"127.0.0.1:{receiver.port}",
        "content-type": "application/x-protobuf",
        "content-length": str(len(first.body)),
        "x-key": "ü".encode().decode("latin-1"),
        "user-agent": "mine",
    }
    agent = second.headers["user-agent"]
    assert agent.startswith("ot-bridge/")
    assert "OTel-OTLP-Exporter-Python" in agent


def test_the_query_of_an_endpoint_is_sent() -> None:
    with HttpReceiver() as receiver, exporting(f"{receiver.endpoint}?key=a%20b") as exporter:
        assert exporter.export(some_spans()) is SUCCESS
        assert receiver.seen[0].target == "/v1/traces?key=a%20b"


@pytest.mark.parametrize("kind", ["gzip", "deflate"])
def test_a_body_is_compressed_as_its_header_says(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", kind)
    with HttpReceiver() as receiver, exporting(receiver) as exporter:
        assert exporter.export(some_spans(100)) is SUCCESS
        (seen,) = receiver.seen
    assert seen.headers["content-encoding"] == kind
    plain = gzip.decompress(seen.body) if kind == "gzip" else zlib.decompress(seen.body)
    assert len(seen.body) < 0.7 * len(plain)
    assert len(_names(receiver)) == 100


def test_the_variables_are_obeyed_by_an_exporter_without_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    with HttpReceiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.base)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20b")
        exporter = OTLPSpanExporter()
        assert exporter.export(some_spans()) is SUCCESS
        exporter.shutdown()
        assert receiver.seen[0].headers["x-key"] == "a b"
        assert exporter.target == receiver.endpoint


def test_an_endpoint_that_cannot_be_used_loses_and_counts_every_span(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")
    exporter = OTLPSpanExporter()
    assert [exporter.export(some_spans(2)) for _ in range(3)] == [FAILURE] * 3
    exporter.shutdown()
    assert _lost(exporter) == {"other": 6}
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]


def test_it_is_found_by_its_name() -> None:
    assert isinstance(exporter_named("ot_bridge_otlp"), OTLPSpanExporter)


# Parts


def test_a_batch_that_is_too_large_is_sent_in_parts() -> None:
    with HttpReceiver() as receiver, exporting(receiver, max_request_size=4000) as exporter:
        assert exporter.export(some_spans(8, size=1000)) is SUCCESS
        assert _names(receiver) == [f"span {number}" for number in range(8)]
        assert len(receiver.seen) == 4
        assert max(len(seen.body) for seen in receiver.seen) <= 4000


def test_a_span_that_is_too_large_alone_is_lost_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    spans = [*some_spans(3), *some_spans(1, size=9000)]
    with HttpReceiver() as receiver, exporting(receiver, max_request_size=4000) as exporter:
        assert exporter.export(spans) is FAILURE
        assert len(_names(receiver)) == 3
        assert _lost(exporter) == {"too large": 1}
    assert "4000" in caplog.text


def test_what_a_collector_finds_too_large_is_sent_in_halves_once() -> None:
    with HttpReceiver(Answer(413)) as receiver, exporting(receiver) as exporter:
        assert exporter.export(some_spans(5)) is SUCCESS
        assert _names(receiver) == [f"span {number}" for number in range(5)]
    with HttpReceiver(Answer(413), Answer(413)) as receiver, exporting(receiver) as exporter:
        assert exporter.export(some_spans(5)) is FAILURE
        assert _names(receiver) == ["span 2", "span 3", "span 4"]
        assert _lost(exporter) == {"too large": 2}
    with HttpReceiver(Answer(413)) as receiver, exporting(receiver) as exporter:
        assert exporter.export(some_spans(1)) is FAILURE
        assert len(receiver.seen) == 1


def test_spans_that_cannot_be_encoded_are_counted_and_the_others_are_sent() -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("broken")

    with HttpReceiver(Answer(413)) as receiver, exporting(receiver) as exporter:
        assert exporter.export([*some_spans(3), Broken()]) is FAILURE  # type: ignore[list-item]
        assert len(_names(receiver)) == 3
        assert _lost(exporter) == {"not encodable": 1}
        assert exporter.export([Broken()]) is FAILURE  # type: ignore[list-item]
        assert len(receiver.seen) == 3


def test_no_spans_are_no_request() -> None:
    with HttpReceiver() as receiver, exporting(receiver) as exporter:
        assert exporter.export([]) is SUCCESS
        assert not receiver.seen


# Time


def test_pauses_grow_and_end_with_the_time_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ot_bridge.otlp.exporter.FIRST_PAUSE", 0.1)
    with HttpReceiver(always=Answer(503)) as receiver, exporting(receiver, timeout=1.1) as exporter:
        assert exporter.export(some_spans()) is FAILURE
        times = [seen.at for seen in receiver.seen]
    pauses = [after - before for before, after in pairwise(times)]
    assert 2 <= len(pauses) <= 3
    assert all(pause > 0.1 * 2**n * 0.79 for n, pause in enumerate(pauses))


def test_the_programs_random_numbers_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ot_bridge.otlp.exporter.FIRST_PAUSE", 0.01)
    with HttpReceiver(Answer(503)) as receiver, exporting(receiver) as exporter:
        spans, before = some_spans(), random.getstate()
        assert exporter.export(spans) is SUCCESS
        assert random.getstate() == before


def test_giving_up_ends_a_pause_that_would_go_on_beyond_it() -> None:
    with exporting(f"http://127.0.0.1:{free_port()}/v1/traces", timeout=60) as exporter:
        with ThreadPoolExecutor(1) as pool:
            result = pool.submit(exporter.export, some_spans())
            time.sleep(0.3)
            exporter.give_up_at(time.monotonic() + 0.1)
            assert result.result(timeout=20) is FAILURE
        exporter.give_up_at(time.monotonic() - 1)
        began = time.monotonic()
        assert exporter.export(some_spans()) is FAILURE
        assert time.monotonic() - began < 5
        assert exporter.refusing
        assert _lost(exporter) == {"refused": 1, "timeout": 1}


def test_giving_up_later_than_the_timeout_changes_nothing_and_none_takes_it_back() -> None:
    with HttpReceiver() as receiver, exporting(receiver) as exporter:
        exporter.give_up_at(time.monotonic() + 1000)
        assert exporter.export(some_spans()) is SUCCESS
        exporter.give_up_at(0.0)
        assert exporter.export(some_spans()) is FAILURE
        exporter.give_up_at(None)
        assert exporter.export(some_spans()) is SUCCESS


def test_an_export_against_a_hanging_collector_ends_when_it_is_to_give_up() -> None:
    with HttpReceiver(always=HANG) as receiver, exporting(receiver, timeout=60) as exporter:
        exporter.give_up_at(time.monotonic() + 0.3)
        began = time.monotonic()
        assert exporter.export(some_spans()) is FAILURE
        assert time.monotonic() - began < 10


def test_a_shutdown_ends_a_pause_at_once_and_later_spans_are_counted() -> None:
    exporter = OTLPSpanExporter(f"http://127.0.0.1:{free_port()}/v1/traces", timeout=60)
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(exporter.export, some_spans())
        time.sleep(0.3)
        began = time.monotonic()
        exporter.shutdown()
        exporter.shutdown()
        assert result.result(timeout=20) is FAILURE
        assert time.monotonic() - began < 10
    assert exporter.export(some_spans(3)) is FAILURE
    assert _lost(exporter) == {"refused": 1, "shut down": 3}


def test_a_shutdown_lets_an_attempt_under_way_end() -> None:
    with HttpReceiver(Answer(wait=0.5)) as receiver:
        exporter = OTLPSpanExporter(receiver.endpoint)
        with ThreadPoolExecutor(1) as pool:
            result = pool.submit(exporter.export, some_spans())
            receiver.wait(1)
            exporter.shutdown()
            assert result.result(timeout=20) is SUCCESS
        assert not receiver.wait(2, timeout=0.0)[1:]


# Threads, signals, forks, the end


def test_threads_export_side_by_side() -> None:
    with HttpReceiver() as receiver, exporting(receiver) as exporter:
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda _: exporter.export(some_spans()), range(100)))
        assert results == [SUCCESS] * 100
        assert len(receiver.seen) == 100


def test_a_signal_handler_may_export_change_and_end_while_its_thread_exports() -> None:
    done: list[Any] = []

    def handler(*_: object) -> None:
        exporter.give_up_at(time.monotonic() + 30)
        done.append(exporter.export(some_spans()))
        exporter.shutdown()

    before = signal.signal(signal.SIGALRM, handler)
    try:
        with HttpReceiver(Answer(503, headers={"Retry-After": "20"})) as receiver:
            exporter = OTLPSpanExporter(receiver.endpoint, timeout=60)
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            began = time.monotonic()
            assert exporter.export(some_spans()) is FAILURE  # the handler runs in the pause, and ends it
            assert time.monotonic() - began < 15
            assert done == [SUCCESS]
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_fork_in_the_middle_of_an_export_leaves_both_processes_able_to_export() -> None:
    with HttpReceiver(Answer(wait=0.5)) as receiver, exporting(receiver) as exporter:
        with ThreadPoolExecutor(1) as pool:
            result = pool.submit(exporter.export, some_spans())
            receiver.wait(1)
            pid = os.fork()
            if pid == 0:
                os._exit(0 if exporter.export(some_spans()) is SUCCESS else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            assert result.result(timeout=20) is SUCCESS
        assert exporter.export(some_spans()) is SUCCESS
        assert len(receiver.seen) == 3


AT_EXIT = """
import atexit, sys, threading
from ot_bridge.otlp import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("late")
span.end()
exporter = OTLPSpanExporter(sys.argv[1], compression="gzip")
atexit.register(lambda: print(exporter.export([span]).name, threading.active_count()))
"""


def test_it_exports_at_the_interpreters_exit_and_starts_no_thread() -> None:
    with HttpReceiver(Answer(503, headers={"Retry-After": "0"})) as receiver:
        program = [sys.executable, "-c", AT_EXIT, receiver.endpoint]
        done = subprocess.run(program, capture_output=True, text=True, timeout=50, check=True)
        assert done.stdout.split() == ["SUCCESS", "1"]
        assert _names(receiver) == ["late"]


GEVENT = """
from gevent import monkey
import ot_bridge.otlp.exporter  # a program may import it before it patches
monkey.patch_all()
import sys, time, gevent
from opentelemetry.sdk.trace import TracerProvider
span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("green")
span.end()
exporter = ot_bridge.otlp.exporter.OTLPSpanExporter(sys.argv[1], timeout=20)
ticks = []
def tick():
    while True:
        ticks.append(time.monotonic())
        gevent.sleep(0.01)
gevent.spawn(tick)
results = [exporter.export([span]).name for _ in range(2)]
hanging = gevent.spawn(exporter.export, [span])
gevent.sleep(0.3)
hanging.kill()  # within a request
results.append(exporter.export([span]).name)
print(*results, max(after - before for before, after in zip(ticks, ticks[1:])) < 0.8, len(ticks) > 20)
"""


def test_under_gevent_other_greenlets_run_and_one_may_be_killed() -> None:
    pytest.importorskip("gevent")
    busy = Answer(503, headers={"Retry-After": "1"})
    with HttpReceiver(busy, Answer(wait=1.0), Answer(), HANG) as receiver:
        program = [sys.executable, "-c", GEVENT, receiver.endpoint]
        done = subprocess.run(program, capture_output=True, text=True, timeout=50, check=False)
        assert done.stdout.split() == ["SUCCESS"] * 3 + ["True"] * 2, done.stderr
        assert receiver.connections == 2


# What it says


def _text(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name == "ot_bridge.otlp"]


def test_a_loss_is_said_once_a_minute_with_the_count_and_the_target_and_so_is_its_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with HttpReceiver(*[Answer(401)] * 4) as receiver:
        url = receiver.endpoint.replace("//", "//me:secret@") + "?key=secret"
        with exporting(url, headers={"x-key": "secret"}) as exporter:
            for _ in range(3):
                exporter.export(some_spans(2))
            assert len(_text(caplog)) == 1
            monkeypatch.setattr(outages, "PAUSE", 0.0)
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


def test_what_was_lost_since_the_last_line_is_said_when_it_works_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with HttpReceiver(Answer(500), Answer(500)) as receiver, exporting(receiver) as exporter:
        for count in (1, 4, 1):
            exporter.export(some_spans(count))
    assert "1 span is lost" in _text(caplog)[0]
    assert "4 more" in _text(caplog)[1]


def test_a_collector_that_comes_and_goes_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    with HttpReceiver(*[Answer(500), Answer()] * 20) as receiver, exporting(receiver) as exporter:
        for _ in range(40):
            exporter.export(some_spans())
    assert len(_text(caplog)) == 2


def test_kinds_of_loss_are_said_apart(caplog: pytest.LogCaptureFixture) -> None:
    partial = Answer(body=b"\x0a\x02\x08\x01")
    with HttpReceiver(*[Answer(500), partial] * 3) as receiver, exporting(receiver) as exporter:
        for _ in range(6):
            exporter.export(some_spans())
        assert _lost(exporter) == {"status": 3, "partial": 3}
    assert len(_text(caplog)) == 2


def test_a_refusing_collector_is_one_line_that_says_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    with exporting(f"http://127.0.0.1:{free_port()}/v1/traces", timeout=0.2) as exporter:
        for _ in range(3):
            exporter.export(some_spans())
    (line,) = _text(caplog)
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in line


# Own traffic


class _Kept(SpanExporter):
    def __init__(self) -> None:
        self.names: list[str] = []

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        self.names += [span.name for span in spans]
        return SUCCESS


@pytest.mark.parametrize("kind", [OTLPSpanExporter, Theirs])
def test_own_traffic_makes_no_spans_and_carries_no_tracing_headers(kind: Any) -> None:
    kept = _Kept()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    with HttpReceiver() as receiver:
        exporter = kind(endpoint=receiver.endpoint)
        RequestsInstrumentor().instrument(tracer_provider=provider)
        try:
            requests.get(receiver.base + "/", headers={"Content-Length": "0"}, timeout=10)
            assert kept.names == ["GET"]  # the instrumentation is at work
            provider.add_span_processor(SimpleSpanProcessor(exporter))
            span = provider.get_tracer("test").start_span("mine")
            token = attach(set_span_in_context(span))
            span.end()
            detach(token)
        finally:
            RequestsInstrumentor().uninstrument()
            exporter.shutdown()
    assert kept.names == ["GET", "mine"]
    assert "traceparent" not in receiver.seen[-1].headers


def test_patches_of_http_client_see_none_of_its_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    import http.client

    called: list[str] = []
    for name in ("request", "putrequest", "getresponse", "connect", "send"):
        monkeypatch.setattr(http.client.HTTPConnection, name, lambda *_, name=name, **__: called.append(name))
    with HttpReceiver() as receiver, exporting(receiver) as exporter:
        assert exporter.export(some_spans()) is SUCCESS
    assert not called


def test_a_patch_of_sockets_sees_that_it_is_to_look_away(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    from opentelemetry.instrumentation.utils import (
        is_http_instrumentation_enabled,
        is_instrumentation_enabled,
    )
    from opentelemetry.trace import INVALID_SPAN, get_current_span

    seen: list[Any] = []
    connect = socket.socket.connect

    def traced(self: socket.socket, address: Any) -> None:
        seen.append((is_instrumentation_enabled(), is_http_instrumentation_enabled(), get_current_span()))
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", traced)
    provider = TracerProvider(shutdown_on_exit=False)
    before = get_current()
    outer = provider.get_tracer("test").start_as_current_span("outer")
    with HttpReceiver() as receiver, exporting(receiver) as exporter, outer:
        assert exporter.export(some_spans()) is SUCCESS
    assert seen == [(False, False, INVALID_SPAN)]
    assert get_current() == before


# Cost


def test_importing_and_making_it_loads_nothing_that_http_does_not_need() -> None:
    program = (
        "import sys, opentelemetry.sdk.trace.export, opentelemetry.sdk.trace\n"
        "before = set(sys.modules)\n"
        "import ot_bridge.otlp\n"
        "ot_bridge.otlp.OTLPSpanExporter('http://127.0.0.1:1/v1/traces')\n"
        "heavy = {'requests', 'urllib3', 'google', 'importlib.metadata', 'http', 'email', 'ssl', 'gzip',\n"
        "         'urllib.request', 'opentelemetry.proto', 'opentelemetry.exporter', 'asyncio'}\n"
        "print(sorted(heavy & (set(sys.modules) - before)))"
    )
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == "[]"


def test_no_thread_is_left() -> None:
    before = threading.active_count()
    with exporting(f"http://127.0.0.1:{free_port()}/v1/traces", timeout=0.2) as exporter:
        exporter.export(some_spans())
        assert threading.active_count() == before
