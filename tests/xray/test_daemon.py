from __future__ import annotations

import gc
import json
import socket
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from ot_bridge.errors import ConfigurationError
from ot_bridge.xray import XRayDaemonExporter
from tests.xray.conftest import Track
from tests.xray.spans import CASES, span

DELIVERED, LOST = SpanExportResult.SUCCESS, SpanExportResult.FAILURE


@pytest.fixture
def daemon() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(5)
        yield listening


def address(listening: socket.socket) -> str:
    return f"127.0.0.1:{listening.getsockname()[1]}"


def received(listening: socket.socket) -> Any:
    header, document = listening.recv(70_000).split(b"\n", 1)
    assert json.loads(header) == {"format": "json", "version": 1}
    return json.loads(document)


def test_each_span_is_a_datagram_with_the_daemons_header(daemon: socket.socket, closing: Track) -> None:
    exporter = XRayDaemonExporter(address(daemon), service_version="7", annotate="all")
    closing(exporter)
    assert exporter.export([span(span_id=1), span(span_id=2)]) is DELIVERED
    first, second = received(daemon), received(daemon)
    assert (first["id"], second["id"]) == ("0000000000000001", "0000000000000002")
    assert first["service"] == {"version": "7"}
    assert first["annotations"]
    assert exporter.force_flush()


def test_the_largest_document_fits_into_a_datagram(daemon: socket.socket, closing: Track) -> None:
    exporter = XRayDaemonExporter(address(daemon))
    closing(exporter)
    assert exporter.export([CASES["over_64_kb"]]) is DELIVERED
    assert received(daemon)["metadata"]["default"]["ot_bridge.trimmed"]


def test_if_nothing_listens_lost_spans_are_counted_and_logged_once_and_exporting_continues(
    daemon: socket.socket, closing: Track, caplog: pytest.LogCaptureFixture
) -> None:
    port = daemon.getsockname()[1]
    daemon.close()
    exporter = XRayDaemonExporter(f"127.0.0.1:{port}")
    closing(exporter)
    assert exporter.export([span(), span(), span()]) is LOST
    assert exporter.failed == {"refused": 3}
    assert len(caplog.records) == 1
    assert not exporter.force_flush()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as back:
        back.bind(("127.0.0.1", port))
        back.settimeout(5)
        assert exporter.export([span()]) is DELIVERED
        assert received(back)["name"] == "operation"


def test_datagrams_that_the_system_refuses_to_send_are_counted(
    daemon: socket.socket, closing: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ot_bridge.xray.daemon._HEADER", b" " * 70_000)
    exporter = XRayDaemonExporter(address(daemon))
    closing(exporter)
    assert exporter.export([span()]) is LOST
    assert exporter.failed == {"too large": 1}
    monkeypatch.undo()
    assert exporter.export([span()]) is DELIVERED


def test_a_refused_datagram_does_not_affect_the_others(
    daemon: socket.socket, closing: Track, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def payload(document: dict[str, Any]) -> bytes:
        return json.dumps(document).encode() + b" " * (70_000 if document["name"] == "large" else 0)

    monkeypatch.setattr("ot_bridge.xray.daemon.trimmed", payload)
    exporter = XRayDaemonExporter(address(daemon))
    closing(exporter)
    assert exporter.export([span(), span("large"), span()]) is LOST
    assert exporter.failed == {"too large": 1}
    assert [received(daemon)["name"] for _ in range(2)] == ["operation", "operation"]
    assert exporter.export([span("large"), span()]) is LOST
    assert len(caplog.messages) == 1  # the second loss is logged a minute later, or at the end
    exporter.log_rest()
    assert len(caplog.messages) == 2
    exporter.log_rest()
    assert len(caplog.messages) == 2
    assert exporter.export([span("large"), span()]) is LOST
    exporter.shutdown()
    assert len(caplog.messages) == 3


def test_a_host_that_cannot_be_resolved_is_looked_up_again(
    daemon: socket.socket, closing: Track, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = XRayDaemonExporter(f"xray:{daemon.getsockname()[1]}")
    closing(exporter)
    there = socket.getaddrinfo("127.0.0.1", daemon.getsockname()[1], type=socket.SOCK_DGRAM)
    found: list[Any] = [socket.gaierror("no such host"), there]

    def look_up(host: str, *_: Any, **__: Any) -> Any:
        assert host == "xray"
        outcome = found.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert exporter.export([span()]) is LOST
    assert exporter.export([span()]) is DELIVERED


@pytest.mark.parametrize(
    ("given", "environ", "wanted"),
    [
        ("daemon:3000", "other:1", "udp://daemon:3000"),
        (None, "other:3001", "udp://other:3001"),
        (None, "tcp:a:2000 udp:b:2001", "udp://b:2001"),
        (None, "udp:b:2001 tcp:a:2000", "udp://b:2001"),
        (None, "", "udp://127.0.0.1:2000"),
        ("[::1]:2000", "", "udp://::1:2000"),
        ("daemon:1", "", "udp://daemon:1"),
        ("daemon:65535", "", "udp://daemon:65535"),
    ],
)
def test_the_address_is_the_argument_the_environment_variable_or_the_default(
    given: str | None, environ: str, wanted: str, monkeypatch: pytest.MonkeyPatch, closing: Track
) -> None:
    monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", environ)
    exporter = XRayDaemonExporter(given)
    closing(exporter)
    assert exporter.target == wanted


@pytest.mark.parametrize(
    "given", ["daemon", ":2000", "daemon:", "daemon:x", "daemon:0", "daemon:65536", " ", "tcp:2000"]
)
def test_an_invalid_address_is_refused(given: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        XRayDaemonExporter(given)
    assert raised.value.reason == "expected host:port, or tcp:host:port udp:host:port"


def test_after_a_shutdown_nothing_is_sent(daemon: socket.socket) -> None:
    exporter = XRayDaemonExporter(address(daemon))
    exporter.export([span()])
    exporter.shutdown()
    assert exporter.export([span()]) is LOST
    exporter.shutdown()


def test_an_exporter_that_is_dropped_closes_its_socket_without_a_warning(daemon: socket.socket) -> None:
    exporter: Any = XRayDaemonExporter(address(daemon))
    assert exporter.export([span()]) is DELIVERED
    exporter.itself = exporter  # a reference cycle
    del exporter
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gc.collect()
    assert [str(warning.message) for warning in caught] == []
