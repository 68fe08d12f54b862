"""When an exporter stops retrying, and how it reports the loss, for all three X-Ray exporters."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from ot_bridge.errors import ConfigurationError
from ot_bridge.sending import clock
from ot_bridge.xray import XRayDaemonExporter, XRayExporter, XRayOTLPExporter
from tests.xray.conftest import FakeXRay, Request, Response, Track, shared_session
from tests.xray.spans import span

DELIVERED, LOST = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
Exporter = XRayExporter | XRayOTLPExporter | XRayDaemonExporter
Make = Callable[..., Any]
OVER_HTTP = [XRayExporter, XRayOTLPExporter]
ALL = [*OVER_HTTP, XRayDaemonExporter]
GENEROUS = 20.0  # seconds that a slow machine may need for something that takes no time


def made(kind: type[Exporter], port: int, **options: Any) -> Exporter:
    if kind is XRayDaemonExporter:
        return XRayDaemonExporter(f"127.0.0.1:{port}", **options)
    options["session"] = shared_session()
    return kind("eu-west-1", endpoint=f"http://127.0.0.1:{port}", **options)  # type: ignore[call-arg]


@pytest.fixture(params=OVER_HTTP)
def exporter(request: pytest.FixtureRequest, xray: FakeXRay, closing: Track) -> Exporter:
    exporter = made(request.param, xray.server_port, timeout=1000)
    closing(exporter)
    return exporter


@pytest.fixture
def _long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "FIRST_PAUSE", 500.0)
    monkeypatch.setattr(clock, "LONGEST_PAUSE", 500.0)


class InThread:
    """An export in a thread of its own, in a pause when it returns from `begin`."""

    def __init__(self, exporter: Exporter, xray: FakeXRay) -> None:
        self.results: list[SpanExportResult] = []
        tried = threading.Event()

        def ill(_: Request) -> Response:
            tried.set()
            return Response(503)

        xray.responses = [ill]
        work = lambda: self.results.append(exporter.export([span(), span()]))  # noqa: E731
        self.thread = threading.Thread(target=work)
        self.thread.start()
        assert tried.wait(GENEROUS)

    def ended(self) -> bool:
        self.thread.join(GENEROUS)
        return not self.thread.is_alive()


@pytest.mark.usefixtures("_long_pauses")
def test_give_up_at_from_another_thread_ends_a_pause_that_would_last_longer(
    exporter: Exporter, xray: FakeXRay
) -> None:
    export = InThread(exporter, xray)
    exporter.give_up_at(time.monotonic() + 0.05)
    assert export.ended()
    assert export.results == [LOST]
    assert exporter.failed == {"status": 2}
    exporter.give_up_at(None)
    assert exporter.export([span()]) is DELIVERED


@pytest.mark.usefixtures("_long_pauses")
def test_shutdown_ends_a_pause_at_once(exporter: Exporter, xray: FakeXRay) -> None:
    export = InThread(exporter, xray)
    exporter.shutdown()
    assert export.ended()
    assert exporter.failed == {"shut down": 2}
    assert exporter.export([span()]) is LOST
    assert exporter.failed == {"shut down": 3}


def test_a_late_give_up_at_does_not_end_a_pause(exporter: Exporter, xray: FakeXRay) -> None:
    export = InThread(exporter, xray)
    for _ in range(20):
        exporter.give_up_at(time.monotonic() + 1000)
    assert export.ended()
    assert export.results == [DELIVERED]


@pytest.mark.usefixtures("_long_pauses")
@pytest.mark.parametrize("ending", ["give_up_at", "shutdown"])
def test_a_signal_handler_can_end_the_pause_of_the_thread_that_it_interrupts(
    ending: str, exporter: Exporter, xray: FakeXRay
) -> None:
    def handle(*_: object) -> None:
        exporter.failed, exporter.refusing  # noqa: B018
        if ending == "shutdown":
            exporter.shutdown()
        else:
            exporter.give_up_at(time.monotonic())
            exporter.force_flush(1000)

    before = signal.signal(signal.SIGALRM, handle)
    try:
        xray.responses = [Response(503)]
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        assert exporter.export([span()]) is LOST
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("kind", ALL)
def test_after_give_up_at_no_attempt_is_made(kind: type[Exporter], xray: FakeXRay, closing: Track) -> None:
    exporter = made(kind, xray.server_port)
    closing(exporter)
    exporter.give_up_at(time.monotonic() - 1)
    assert exporter.export([span()]) is LOST
    assert exporter.failed == {"timeout": 1}
    assert not exporter.refusing
    assert not xray.requests


@pytest.mark.usefixtures("_long_pauses")
@pytest.mark.parametrize("kind", ALL)
def test_refusing_is_true_while_nothing_listens_at_the_address(kind: type[Exporter], closing: Track) -> None:
    kept = socket.socket(
        socket.AF_INET, socket.SOCK_DGRAM if kind is XRayDaemonExporter else socket.SOCK_STREAM
    )
    with kept:
        kept.bind(("127.0.0.1", 0))
        port = kept.getsockname()[1]
        if kind is XRayDaemonExporter:
            kept.close()
        exporter = made(kind, port)
        closing(exporter)
        assert not exporter.refusing
        exporter.give_up_at(time.monotonic() + GENEROUS)
        assert exporter.export([span(), span()]) is LOST
    assert exporter.refusing
    assert exporter.failed == {"refused": 2}
    assert f"127.0.0.1:{port}" in exporter.target
    exporter.give_up_at(None)
    if kind is XRayDaemonExporter:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as back:
            back.bind(("127.0.0.1", port))
            assert exporter.export([span()]) is DELIVERED
    else:
        with HTTPServer(("127.0.0.1", port), Busy) as server:
            threading.Thread(target=server.handle_request, daemon=True).start()
            assert exporter.export([span()]) is LOST
    assert not exporter.refusing


class Busy(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(400)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Silent:
    """A server that takes connections, and then says `word` a byte at a time, or nothing at all."""

    def __init__(self, word: bytes) -> None:
        self._word = word
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.over = threading.Event()
        self._taken: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self.over.is_set():
            try:
                taken, _ = self._listening.accept()
            except OSError:
                return
            self._taken.append(taken)
            threading.Thread(target=self._say, args=(taken,), daemon=True).start()

    def _say(self, taken: socket.socket) -> None:
        try:
            for byte in self._word:
                if self.over.wait(0.05):
                    return
                taken.sendall(bytes([byte]))
        except OSError:
            pass

    def close(self) -> None:
        self.over.set()
        self._listening.close()
        for taken in self._taken:
            taken.close()


SILENT = {
    "nothing": b"",
    "a status that never ends": b"HTTP/1.1 2" + b"0" * 10_000,
    "headers without end": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000,
}


@pytest.fixture(params=list(SILENT.values()), ids=list(SILENT))
def silent(request: pytest.FixtureRequest) -> Iterator[Silent]:
    server = Silent(request.param)
    yield server
    server.close()


@pytest.mark.parametrize("kind", OVER_HTTP)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_attempt_ends_at_give_up_at_even_if_the_server_is_silent(
    kind: Any, scheme: str, silent: Silent, closing: Track
) -> None:
    exporter = kind(
        "eu-west-1", endpoint=f"{scheme}://127.0.0.1:{silent.port}", timeout=1000, session=shared_session()
    )
    closing(exporter)
    exporter.give_up_at(time.monotonic() + 0.2)
    begin = time.monotonic()
    assert exporter.export([span()]) is LOST
    assert time.monotonic() - begin < 8  # an attempt alone may take ten seconds
    assert sum(exporter.failed.values()) == 1


def test_give_up_at_during_an_attempt_ends_it(silent: Silent, closing: Track) -> None:
    exporter = made(XRayOTLPExporter, silent.port, timeout=1000)
    closing(exporter)
    begin = time.monotonic()
    timer = threading.Timer(0.4, lambda: exporter.give_up_at(time.monotonic()))
    timer.start()
    assert exporter.export([span()]) is LOST
    assert time.monotonic() - begin < 8
    timer.join()


AT_EXIT = """
import atexit, sys, threading, time
from ot_bridge.xray import XRayExporter, XRayOTLPExporter
from tests.xray.spans import span
exporters = [kind("eu-west-1", endpoint=sys.argv[1]) for kind in (XRayExporter, XRayOTLPExporter)]

@atexit.register
def last():
    def refuse(self):
        raise RuntimeError("can't create new thread at interpreter shutdown")
    threading.Thread.start = refuse  # as Python 3.12 has it
    for exporter in exporters:
        exporter.give_up_at(time.monotonic() + 0.2)
        exporter.export([span()])
        exporter.shutdown()
        print(sum(exporter.failed.values()))
"""


def test_at_the_exit_of_a_program_the_export_needs_no_thread_and_ends_in_time() -> None:
    server = Silent(b"")
    done = subprocess.run(
        [sys.executable, "-c", AT_EXIT, f"http://127.0.0.1:{server.port}"],
        capture_output=True,
        text=True,
        timeout=50,
    )
    server.close()
    assert done.stdout.split() == ["1", "1"], done.stderr


@contextmanager
def exporting(exporter: Exporter) -> Iterator[None]:
    """While another thread holds the lock that it holds throughout an export."""
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with exporter._exporting:
            held.set()
            over.wait(GENEROUS)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(GENEROUS)
    yield
    over.set()
    thread.join()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("kind", ALL)
def test_a_fork_during_an_export_gives_the_child_its_own_locks_and_counts(
    kind: type[Exporter], xray: FakeXRay, closing: Track
) -> None:
    exporter = made(kind, xray.server_port)
    closing(exporter)
    exporter.give_up_at(time.monotonic() - 1)
    exporter.export([span()])
    exporter.give_up_at(None)
    with exporting(exporter):
        pid = os.fork()
        if not pid:
            signal.alarm(30)
            fine = not exporter.failed and not exporter.refusing
            if kind is not XRayDaemonExporter:  # nothing receives those here
                fine = fine and exporter.export([span()]) is DELIVERED and exporter.force_flush(1000)
            exporter.shutdown()
            os._exit(0 if fine else 1)
        assert os.waitpid(pid, 0)[1] == 0
    assert exporter.failed == {"timeout": 1}


def test_an_export_waits_for_another_one_only_until_give_up_at(
    exporter: Exporter, xray: FakeXRay, caplog: pytest.LogCaptureFixture
) -> None:
    with exporting(exporter):
        exporter.give_up_at(time.monotonic() + 0.1)
        assert exporter.export([span()]) is LOST
        assert exporter.failed == {"timeout": 1}
        assert caplog.messages == [
            f"1 span is lost on the way to {exporter.target}: another export did not end in time"
        ]
        assert not exporter.force_flush()
        exporter.shutdown()


def test_a_span_that_ends_inside_an_export_is_counted_and_does_not_deadlock(
    exporter: Exporter, xray: FakeXRay, caplog: pytest.LogCaptureFixture
) -> None:
    inner: list[SpanExportResult] = []

    class Ending(ReadableSpan):
        @property
        def attributes(self) -> Any:
            if not inner:
                inner.append(exporter.export([span()]))
            return {}

    exporter.export([Ending("a", span().context)])
    assert inner == [LOST]
    assert exporter.failed == {"other": 1}
    (message,) = caplog.messages
    assert message.endswith(": they ended inside an export; use a batch processor")
    assert len(xray.requests) == 1


@pytest.mark.parametrize("kind", OVER_HTTP)
@pytest.mark.parametrize("endpoint", ["xray:443", "ftp://h", "http://", "h", "http://h:99999", "http://[::1"])
def test_an_invalid_endpoint_is_refused_immediately(kind: Any, endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match=r"; expected a URL with http:// or https://$"):
        kind("eu-west-1", endpoint=endpoint)


@pytest.mark.parametrize("kind", OVER_HTTP)
@pytest.mark.parametrize("region", ["eu west 1", "-eu", "123", "a/b"])
def test_an_invalid_region_is_refused_immediately(kind: Any, region: str) -> None:
    with pytest.raises(ConfigurationError, match="region"):
        kind(region)


@pytest.mark.parametrize("kind", OVER_HTTP)
def test_the_target_contains_no_secret(kind: Any) -> None:
    assert kind("eu-west-1", endpoint="https://me:s3cret@h:1/v1?token=s3cret").target == "https://h:1/v1"
