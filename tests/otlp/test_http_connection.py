"""The connection: kept, replaced, never shared with a child; proxies; TLS; one clock over all of it."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from ot_bridge.otlp import OTLPSpanExporter, connection
from tests.authority import Authority
from tests.proxy import Proxy
from tests.receiver import CLOSE, HANG, Answer, GrpcReceiver, HttpReceiver, free_port

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


def test_one_connection_carries_all_requests() -> None:
    with HttpReceiver() as receiver, exporting(receiver) as exporter:
        assert [exporter.export(some_spans()) for _ in range(5)] == [SUCCESS] * 5
        assert [len(receiver.seen), receiver.connections] == [5, 1]


@pytest.mark.parametrize("answer", [Answer(end=True), Answer(headers={"Connection": "close"}, end=True)])
def test_a_connection_that_the_collector_closes_is_replaced_at_once(answer: Answer) -> None:
    with HttpReceiver(answer, always=answer) as receiver, exporting(receiver, timeout=0.9) as exporter:
        for _ in range(3):
            assert exporter.export(some_spans()) is SUCCESS  # a pause would be longer than the time there is
        assert receiver.connections == 3


def test_a_kept_connection_that_is_closed_in_the_same_moment_is_replaced_at_once() -> None:
    with HttpReceiver(Answer(), CLOSE) as receiver, exporting(receiver, timeout=0.7) as exporter:
        assert exporter.export(some_spans()) is SUCCESS
        assert exporter.export(some_spans()) is SUCCESS
        assert [len(receiver.seen), receiver.connections] == [3, 2]


def test_a_new_connection_that_is_closed_is_not_replaced_without_a_pause() -> None:
    with HttpReceiver(always=CLOSE) as receiver, exporting(receiver, timeout=0.7) as exporter:
        assert exporter.export(some_spans()) is FAILURE
        assert len(receiver.seen) == 1


def test_a_connection_that_was_long_unused_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "IDLE", 0.0)
    with HttpReceiver() as receiver, exporting(receiver) as exporter:
        assert [exporter.export(some_spans()) for _ in range(2)] == [SUCCESS] * 2
        assert receiver.connections == 2


def test_an_exception_from_outside_within_a_request_costs_the_connection() -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with HttpReceiver(Answer(), HANG) as receiver, exporting(receiver) as exporter:
            exporter.export(some_spans())
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(KeyboardInterrupt):
                exporter.export(some_spans())
            assert exporter.export(some_spans()) is SUCCESS
            assert receiver.connections == 2
    finally:
        signal.signal(signal.SIGALRM, before)


def test_bytes_that_nobody_asked_for_are_not_the_answer_to_the_next_request() -> None:
    late = Answer(raw=Answer().bytes() + Answer(400).bytes())
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
def test_a_child_makes_a_connection_of_its_own_and_leaves_its_parents_alone(
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


def test_a_child_counts_from_zero_and_does_not_give_up_with_its_parent() -> None:
    with HttpReceiver(Answer(400)) as receiver, exporting(receiver) as exporter:
        exporter.export(some_spans())
        exporter.give_up_at(0.0)
        assert _in_child(lambda: not _lost(exporter) and exporter.export(some_spans()) is SUCCESS) == 0
        assert exporter.export(some_spans()) is FAILURE
        assert _lost(exporter) == {"status": 1, "timeout": 1}


HOLDS = {
    "that answers nothing": HANG,
    "that sends its header byte by byte": Answer(drip=0.1),
    "that sends an interim answer, and then nothing": Answer(raw=b"HTTP/1.1 10", drip=0.1, wait=0.1),
}


@pytest.mark.parametrize("answer", HOLDS.values(), ids=HOLDS)
def test_a_collector_holds_an_export_no_longer_than_its_time(answer: Answer) -> None:
    with HttpReceiver(always=answer) as receiver, exporting(receiver, timeout=0.5) as exporter:
        began = time.monotonic()
        assert exporter.export(some_spans()) is FAILURE
        assert 0.4 < time.monotonic() - began < 5
        assert sum(_lost(exporter).values()) == 1


def test_a_body_that_comes_too_slowly_is_left_and_the_spans_count_as_delivered() -> None:
    slow = Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
    with HttpReceiver(slow) as receiver, exporting(receiver, timeout=0.5) as exporter:
        began = time.monotonic()
        assert exporter.export(some_spans()) is SUCCESS
        assert time.monotonic() - began < 5
        assert exporter.export(some_spans()) is SUCCESS
        assert receiver.connections == 2


def test_who_takes_no_connection_and_who_takes_no_bytes_holds_nobody_longer() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(1)  # connections are made by the system, and nobody reads
        with exporting(f"http://127.0.0.1:{full.getsockname()[1]}/", timeout=0.5) as exporter:
            for size in (1, 8_000_000, 1, 1):  # the last ones find the queue full
                began = time.monotonic()
                assert exporter.export(some_spans(1, size)) is FAILURE
                assert time.monotonic() - began < 5
            assert _lost(exporter) == {"timeout": 4}


def test_who_takes_a_connection_and_no_tls_holds_nobody_longer(authority: Authority) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(5)
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        with exporting(url, timeout=0.5, certificate_file=str(authority.certificate)) as exporter:
            assert exporter.export(some_spans()) is FAILURE
            assert _lost(exporter) == {"timeout": 1}


def test_refusing_is_known_until_somebody_listens() -> None:
    port = free_port()
    exporter = OTLPSpanExporter(f"http://localhost:{port}/v1/traces", timeout=0.3)
    assert not exporter.refusing
    assert exporter.export(some_spans(2)) is FAILURE
    assert [exporter.refusing, _lost(exporter)] == [True, {"refused": 2}]
    with HttpReceiver(port=port):
        assert exporter.export(some_spans()) is SUCCESS
        assert not exporter.refusing
        exporter.shutdown()


def test_a_name_that_nobody_knows_refuses() -> None:
    with exporting("http://nobody.invalid:4318/v1/traces", timeout=0.3) as exporter:
        exporter.export(some_spans())
        assert exporter.refusing


def test_grpcs_port_is_told_at_once(caplog: pytest.LogCaptureFixture) -> None:
    with GrpcReceiver() as receiver, exporting(f"http://{receiver.endpoint}/v1/traces") as exporter:
        began = time.monotonic()
        assert exporter.export(some_spans()) is FAILURE
        assert time.monotonic() - began < 8
    assert "HTTP" in caplog.text


# Proxies


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"])
def test_a_proxy_is_asked_in_absolute_form_with_its_password(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HttpReceiver() as receiver, Proxy() as proxy, exporting(receiver) as exporter:
        monkeypatch.setenv(name, f"http://me:p%40ss@{proxy.authority}")
        assert exporter.export(some_spans()) is SUCCESS
        ((method, target, headers),) = proxy.seen
        assert (method, target) == ("POST", receiver.endpoint)
        assert headers["proxy-authorization"] == "Basic bWU6cEBzcw=="
        assert headers["host"] == f"127.0.0.1:{receiver.port}"


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "ALL_PROXY"])
def test_https_goes_through_a_tunnel(
    name: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        HttpReceiver(tls=authority.context()) as receiver,
        Proxy() as proxy,
        exporting(receiver, certificate_file=str(authority.certificate)) as exporter,
    ):
        monkeypatch.setenv(
            name, f"me:secret@{proxy.authority}"
        )  # http:// is what a proxy without scheme speaks
        assert exporter.export(some_spans()) is SUCCESS
        assert exporter.export(some_spans()) is SUCCESS
        ((method, target, headers),) = proxy.seen
        assert (method, target) == ("CONNECT", f"127.0.0.1:{receiver.port}")
        assert headers["proxy-authorization"].startswith("Basic ")
        assert "proxy-authorization" not in receiver.seen[0].headers
        assert receiver.seen[0].target == "/v1/traces"


NO_PROXY = {"everything": "*", "the host": "other,127.0.0.1", "host and port": "127.0.0.1:{port}"}


@pytest.mark.parametrize("text", NO_PROXY.values(), ids=NO_PROXY)
@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_no_proxy_is_asked_for_what_is_excepted(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HttpReceiver() as receiver, Proxy() as proxy, exporting(receiver) as exporter:
        monkeypatch.setenv("http_proxy", f"http://{proxy.authority}")
        monkeypatch.setenv(name, text.format(port=receiver.port))
        assert exporter.export(some_spans()) is SUCCESS
        assert not proxy.seen


@pytest.mark.parametrize("status", [407, 503])
def test_a_proxy_that_makes_no_tunnel_is_told(
    status: int, authority: Authority, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        Proxy(status) as proxy,
        exporting(
            "https://127.0.0.1:9/", timeout=0.5, certificate_file=str(authority.certificate)
        ) as exporter,
    ):
        monkeypatch.setenv("https_proxy", proxy.authority)
        assert exporter.export(some_spans()) is FAILURE
    assert f"HTTP {status}" in caplog.text


@pytest.mark.parametrize("text", ["socks5://me:secret@h:1080", "https://me:secret@h:3128", "http://"])
def test_a_proxy_that_cannot_be_used_is_told_and_not_gone_around(
    text: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with HttpReceiver() as receiver, exporting(receiver) as exporter:
        monkeypatch.setenv("http_proxy", text)
        assert exporter.export(some_spans()) is FAILURE
        assert [len(receiver.seen), _lost(exporter)] == [0, {"other": 1}]
    assert "proxy" in caplog.text
    assert "secret" not in caplog.text


# TLS


def test_the_variables_certificate_is_used_and_wins_over_others(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = Authority(tmp_path)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(authority.certificate))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other.certificate))
    monkeypatch.setenv("SSL_CERT_FILE", str(other.certificate))
    with HttpReceiver(tls=authority.context()) as receiver, exporting(receiver) as exporter:
        assert exporter.export(some_spans()) is SUCCESS
        assert exporter.export(some_spans()) is SUCCESS
        assert receiver.connections == 1


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_else_the_certificates_of_the_program_and_of_the_system_are_used(
    variable: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(authority.certificate))
    with HttpReceiver(tls=authority.context()) as receiver, exporting(receiver) as exporter:
        assert exporter.export(some_spans()) is SUCCESS


@pytest.mark.parametrize("missing", [False, True], ids=["unknown authority", "missing file"])
def test_a_certificate_that_cannot_be_verified_ends_the_export_at_once(
    missing: bool, authority: Authority, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if missing:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem")
    with HttpReceiver(tls=authority.context()) as receiver, exporting(receiver) as exporter:
        began = time.monotonic()
        assert exporter.export(some_spans()) is FAILURE
        assert time.monotonic() - began < 8
        assert [len(receiver.seen), _lost(exporter)] == [0, {"other": 1}]
    assert "TLS" in caplog.text


def test_a_certificate_for_another_host_ends_the_export_at_once(authority: Authority) -> None:
    context = authority.context()
    context.load_cert_chain(authority.client, authority.client_key)
    with (
        HttpReceiver(tls=context) as receiver,
        exporting(receiver, certificate_file=str(authority.certificate)) as exporter,
    ):
        assert exporter.export(some_spans()) is FAILURE
        assert _lost(exporter) == {"other": 1}


@pytest.mark.parametrize("form", ["none", "two files", "one file"])
def test_a_client_shows_its_certificate(form: str, authority: Authority, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_text(authority.client.read_text() + authority.client_key.read_text())
    files: dict[str, dict[str, str]] = {
        "none": {},
        "two files": {
            "client_certificate_file": str(authority.client),
            "client_key_file": str(authority.client_key),
        },
        "one file": {"client_certificate_file": str(both)},
    }
    with (
        HttpReceiver(tls=authority.context(client=True)) as receiver,
        exporting(receiver, certificate_file=str(authority.certificate), **files[form]) as exporter,
    ):
        began = time.monotonic()
        assert exporter.export(some_spans()) is (FAILURE if form == "none" else SUCCESS)
        assert time.monotonic() - began < 8


def test_http_ignores_files_for_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem")
    with HttpReceiver() as receiver, exporting(receiver) as exporter:
        assert exporter.export(some_spans()) is SUCCESS


def test_certificates_that_change_are_read_again(authority: Authority, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    (tmp_path / "other").mkdir()
    file.write_text(Authority(tmp_path / "other").certificate.read_text())
    with (
        HttpReceiver(tls=authority.context()) as receiver,
        exporting(receiver, certificate_file=str(file)) as exporter,
    ):
        assert exporter.export(some_spans()) is FAILURE
        file.write_text(authority.certificate.read_text())
        os.utime(file, (1, 1))
        assert exporter.export(some_spans()) is SUCCESS
