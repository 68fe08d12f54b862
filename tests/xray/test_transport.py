"""The connection that both exporters over HTTP use: kept, through proxies, and over TLS."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from ot_bridge.sending import clock, responses
from ot_bridge.xray import XRayExporter, XRayOTLPExporter
from tests.delivery.parts import until
from tests.xray.conftest import FakeXRay, Response, Track, shared_session
from tests.xray.spans import span

DELIVERED, LOST = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
CERTIFICATE = Path(__file__).with_name("localhost.pem")
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
Make = Callable[..., Any]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(params=[XRayExporter, XRayOTLPExporter])
def make(request: pytest.FixtureRequest, closing: Track) -> Make:
    def make(endpoint: str) -> Any:
        exporter = request.param("eu-west-1", endpoint=endpoint, session=shared_session())
        closing(exporter)
        return exporter

    return make


def test_one_connection_serves_all_requests(make: Make, xray: FakeXRay) -> None:
    exporter = make(xray.url)
    for _ in range(3):
        assert exporter.export([span()]) is DELIVERED
    assert xray.connections == 1


def test_a_kept_connection_that_was_closed_is_replaced_without_a_pause(
    make: Make, xray: FakeXRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = make(xray.url)
    assert exporter.export([span()]) is DELIVERED
    monkeypatch.setattr(clock, "FIRST_PAUSE", 500.0)
    monkeypatch.setattr(clock, "LONGEST_PAUSE", 500.0)
    xray.responses = [Response(hang_up=True)]  # the request comes on a kept connection that breaks
    assert exporter.export([span()]) is DELIVERED
    assert xray.connections == 2
    assert not exporter.failed


def test_a_shutdown_closes_the_connection(make: Make, xray: FakeXRay) -> None:
    exporter = make(xray.url)
    exporter.export([span()])
    assert xray.closed == 0
    exporter.shutdown()
    until(lambda: xray.closed == 1)


def test_only_a_part_of_a_long_response_is_read(
    make: Make, xray: FakeXRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responses, "MAX_BODY", 100_000)
    xray.responses = [Response(400, b"no " * 1_000_000)]
    exporter = make(xray.url)
    exporter.give_up_at(time.monotonic() + 1)
    assert exporter.export([span()]) is LOST
    until(lambda: xray.closed == 1)  # the connection cannot be used for the next


@pytest.fixture
def over_tls(xray: FakeXRay) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    xray.socket = context.wrap_socket(xray.socket, server_side=True, do_handshake_on_connect=False)
    return xray.url.replace("http://", "https://")


def test_over_tls_the_certificate_is_checked(
    make: Make,
    xray: FakeXRay,
    over_tls: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(CERTIFICATE))
    exporter = make(over_tls)
    assert exporter.export([span()]) is DELIVERED
    assert exporter.export([span()]) is DELIVERED
    assert xray.connections == 1
    monkeypatch.delenv("AWS_CA_BUNDLE")
    stranger = make(over_tls)
    assert stranger.export([span()]) is LOST  # at once: no certificate gets better
    assert stranger.failed == {"other": 1}
    assert "CERTIFICATE_VERIFY_FAILED" in caplog.text
    assert len(xray.requests) == 2


class Proxy:
    """CONNECT, and bytes in both directions. heads: the heads of requests."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += client.recv(1)
            self.heads.append(head.decode())
            host, _, port = head.split()[1].decode().rpartition(":")
            server = socket.create_connection((host, int(port)))
            client.sendall(b"HTTP/1.1 200 OK\r\nX-Proxy: yes\r\n\r\n")
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    @staticmethod
    def _pass_on(one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            pass
        finally:
            one.close()
            other.close()

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    proxy = Proxy()
    yield proxy
    proxy.close()


JSON = {"Content-Type": "application/json"}
BASIC = "Basic " + base64.b64encode(b"me:s3@cret").decode()


def test_https_goes_through_a_proxys_tunnel(
    make: Make, xray: FakeXRay, over_tls: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(CERTIFICATE))
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:s3%40cret@{proxy.address}")
    assert make(over_tls).export([span()]) is DELIVERED
    (head,) = proxy.heads
    assert head.startswith(f"CONNECT 127.0.0.1:{xray.server_port} ")
    assert f"Proxy-Authorization: {BASIC}" in head
    assert "Proxy-Authorization" not in xray.requests[0].headers


def test_http_requests_are_sent_to_the_proxy(
    make: Make, xray: FakeXRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://me:s3%40cret@127.0.0.1:{xray.server_port}")
    exporter = make("http://collector.example:4318/v1/traces")
    xray.responses = [lambda request: Response(200, b"" if "gzip" in str(request.headers) else b"{}", JSON)]
    assert exporter.export([span()]) is DELIVERED
    (request,) = xray.requests
    assert request.path.startswith("http://collector.example:4318/v1/traces")
    assert request.headers["Host"] == "collector.example:4318"
    assert request.headers["Proxy-Authorization"] == BASIC


def test_hosts_in_no_proxy_are_reached_without_the_proxy(
    make: Make, xray: FakeXRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert make(xray.url).export([span()]) is DELIVERED


@pytest.mark.parametrize("text", ["https://me:s3cret@h:3128", "socks5://me:s3cret@h:1080"])
def test_an_unusable_proxy_is_logged_and_not_bypassed(
    text: str, make: Make, xray: FakeXRay, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HTTP_PROXY", text)
    exporter = make(xray.url)
    assert exporter.export([span()]) is LOST
    assert (exporter.failed, xray.requests) == ({"other": 1}, [])
    assert "proxy" in caplog.text
    assert "s3cret" not in caplog.text
