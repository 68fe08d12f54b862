"""The connection: kept, replaced, never shared with a child; one clock over all of it."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from ot_bridge.otlp import OTLPSpanExporter
from ot_bridge.sending import line
from tests.authority import Authority
from tests.receiver import CLOSE, HANG, GrpcReceiver, HttpReceiver, Response, free_port

from .conftest import exporting, lost, some_spans

SUCCESS, FAILURE = SpanExportResult.SUCCESS, SpanExportResult.FAILURE


def test_one_connection_carries_all_requests() -> None:
    with HttpReceiver() as receiver, exporting(receiver) as exporter:
        assert [exporter.export(some_spans()) for _ in range(5)] == [SUCCESS] * 5
        assert [len(receiver.seen), receiver.connections] == [5, 1]


@pytest.mark.parametrize(
    "response", [Response(end=True), Response(headers={"Connection": "close"}, end=True)]
)
def test_a_connection_that_the_collector_closes_is_replaced_at_once(response: Response) -> None:
    with HttpReceiver(response, always=response) as receiver, exporting(receiver, timeout=0.9) as exporter:
        for _ in range(3):
            assert exporter.export(some_spans()) is SUCCESS  # a pause would be longer than the time there is
        assert receiver.connections == 3


def test_a_kept_connection_that_is_closed_in_the_same_moment_is_replaced_at_once() -> None:
    with HttpReceiver(Response(), CLOSE) as receiver, exporting(receiver, timeout=0.7) as exporter:
        assert exporter.export(some_spans()) is SUCCESS
        assert exporter.export(some_spans()) is SUCCESS
        assert [len(receiver.seen), receiver.connections] == [3, 2]


def test_a_new_connection_that_is_closed_is_not_replaced_without_a_pause() -> None:
    with HttpReceiver(always=CLOSE) as receiver, exporting(receiver, timeout=0.7) as exporter:
        assert exporter.export(some_spans()) is FAILURE
        assert len(receiver.seen) == 1


def test_a_connection_that_was_idle_for_long_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "IDLE", 0.0)
    with HttpReceiver() as receiver, exporting(receiver) as exporter:
        assert [exporter.export(some_spans()) for _ in range(2)] == [SUCCESS] * 2
        assert receiver.connections == 2


def test_a_foreign_exception_during_a_request_closes_the_connection() -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with HttpReceiver(Response(), HANG) as receiver, exporting(receiver) as exporter:
            exporter.export(some_spans())
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(KeyboardInterrupt):
                exporter.export(some_spans())
            assert exporter.export(some_spans()) is SUCCESS
            assert receiver.connections == 2
    finally:
        signal.signal(signal.SIGALRM, before)


def test_unexpected_bytes_are_not_read_as_the_response_to_the_next_request() -> None:
    late = Response(raw=Response().bytes() + Response(400).bytes())
    with HttpReceiver(late) as receiver, exporting(receiver) as exporter:
        assert exporter.export(some_spans()) is SUCCESS
        assert exporter.export(some_spans()) is SUCCESS
        assert receiver.connections == 2


def test_a_collector_that_was_restarted_is_found_again() -> None:
    with HttpReceiver() as receiver:
        exporter = OTLPSpanExporter(receiver.endpoint)
        assert exporter.export(some_spans()) is SUCCESS
        port = receiver.port
    with HttpReceiver(port=port) as receiver:
        assert exporter.export(some_spans()) is SUCCESS
        exporter.shutdown()


def _in_child(work: Any) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if work() else 1)
        except BaseException:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_a_forked_child_makes_its_own_connection_and_does_not_use_its_parents(
    secure: bool, authority: Authority
) -> None:
    tls = authority.context() if secure else None
    options = {"certificate_file": str(authority.certificate)} if secure else {}
    with HttpReceiver(tls=tls) as receiver, exporting(receiver, **options) as exporter:
        assert exporter.export(some_spans()) is SUCCESS
        for _ in range(2):
            assert _in_child(lambda: exporter.export(some_spans()) is SUCCESS) == 0
            assert exporter.export(some_spans()) is SUCCESS
        assert [len(receiver.seen), receiver.connections] == [5, 3]


def test_a_forked_child_counts_from_zero_and_does_not_inherit_give_up_at() -> None:
    with HttpReceiver(Response(400)) as receiver, exporting(receiver) as exporter:
        exporter.export(some_spans())
        exporter.give_up_at(0.0)
        assert _in_child(lambda: not lost(exporter) and exporter.export(some_spans()) is SUCCESS) == 0
        assert exporter.export(some_spans()) is FAILURE
        assert lost(exporter) == {"status": 1, "timeout": 1}


HOLDS = {
    "that answers nothing": HANG,
    "that sends its header byte by byte": Response(drip=0.1),
    "that sends an interim answer, and then nothing": Response(raw=b"HTTP/1.1 10", drip=0.1, wait=0.1),
}


@pytest.mark.parametrize("response", HOLDS.values(), ids=HOLDS)
def test_a_collector_cannot_delay_an_export_beyond_its_timeout(response: Response) -> None:
    with HttpReceiver(always=response) as receiver, exporting(receiver, timeout=0.3) as exporter:
        began = time.monotonic()
        assert exporter.export(some_spans()) is FAILURE
        assert 0.2 < time.monotonic() - began < 5
        assert sum(lost(exporter).values()) == 1


def test_a_response_body_that_comes_too_slowly_is_not_read_and_the_spans_count_as_delivered() -> None:
    slow = Response(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
    with HttpReceiver(slow) as receiver, exporting(receiver, timeout=0.5) as exporter:
        began = time.monotonic()
        assert exporter.export(some_spans()) is SUCCESS
        assert time.monotonic() - began < 5
        assert exporter.export(some_spans()) is SUCCESS
        assert receiver.connections == 2


def test_a_server_that_accepts_no_connection_or_no_bytes_delays_an_export_only_to_its_timeout() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(1)  # the system accepts the connections, and nothing reads from them
        with exporting(f"http://127.0.0.1:{full.getsockname()[1]}/", timeout=0.25) as exporter:
            for size in (1, 8_000_000, 1, 1):  # the last ones find the queue full
                began = time.monotonic()
                assert exporter.export(some_spans(1, size)) is FAILURE
                assert time.monotonic() - began < 5
            assert lost(exporter) == {"timeout": 4}


def test_a_server_that_does_not_answer_the_tls_handshake_delays_an_export_only_to_its_timeout(
    authority: Authority,
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(5)
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        with exporting(url, timeout=0.5, certificate_file=str(authority.certificate)) as exporter:
            assert exporter.export(some_spans()) is FAILURE
            assert lost(exporter) == {"timeout": 1}


def test_refusing_is_true_until_the_endpoint_accepts_connections() -> None:
    port = free_port()
    exporter = OTLPSpanExporter(f"http://localhost:{port}/v1/traces", timeout=0.3)
    assert not exporter.refusing
    assert exporter.export(some_spans(2)) is FAILURE
    assert [exporter.refusing, lost(exporter)] == [True, {"refused": 2}]
    with HttpReceiver(port=port):
        assert exporter.export(some_spans()) is SUCCESS
        assert not exporter.refusing
        exporter.shutdown()


def test_an_unknown_host_counts_as_refusing() -> None:
    with exporting("http://nobody.invalid:4318/v1/traces", timeout=0.3) as exporter:
        exporter.export(some_spans())
        assert exporter.refusing


def test_an_ipv6_address_is_dialled_and_named_in_brackets() -> None:
    heads: list[bytes] = []
    with socket.socket(socket.AF_INET6) as server:
        try:
            server.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
        server.listen(1)
        port = server.getsockname()[1]

        def serve() -> None:
            sock, _ = server.accept()
            with sock:
                heads.append(sock.recv(65536))
                sock.sendall(Response().bytes())

        thread = threading.Thread(target=serve)
        thread.start()
        with exporting(f"http://[::1]:{port}/v1/traces") as exporter:
            assert exporter.export(some_spans()) is SUCCESS
        thread.join()
    assert f"Host: [::1]:{port}\r\n".encode() in heads[0]


def test_the_port_of_a_grpc_server_is_detected_quickly(caplog: pytest.LogCaptureFixture) -> None:
    with GrpcReceiver() as receiver, exporting(f"http://{receiver.endpoint}/v1/traces") as exporter:
        began = time.monotonic()
        assert exporter.export(some_spans()) is FAILURE
        assert time.monotonic() - began < 8
    assert "HTTP" in caplog.text
