"""`install()` and AWS X-Ray, from a span's end to what X-Ray, or its daemon, gets."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import opentracing
import pytest

import ot_bridge
from ot_bridge.xray import XRayDaemonExporter, XRayExporter, XRayOTLPExporter
from tests.xray.conftest import FakeXRay, Response, unprocessed

#: Those of the exporter that `install` makes by its name.
DEFAULTS: Any = XRayExporter.__init__.__kwdefaults__
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.fixture
def xray(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeXRay]:
    """A fake X-Ray, and the environment of a program that sends there."""
    for name in ("AWS_PROFILE", "AWS_XRAY_DAEMON_ADDRESS", "OTEL_PROPAGATORS", "OTEL_TRACES_SAMPLER"):
        monkeypatch.delenv(name, raising=False)
    with FakeXRay() as server:
        for name, value in (CREDENTIALS | {"AWS_ENDPOINT_URL_XRAY": server.url}).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_REGION", "eu-west-1")
        yield server
        server.shutdown()
    ot_bridge.uninstall()


def test_segments_arrive_and_flush_returns_true(xray: FakeXRay) -> None:
    tracer = ot_bridge.install("shop", exporters=["xray"])
    with tracer.start_active_span("order", tags={"span.kind": "server"}):
        tracer.start_span("look up").finish()
    assert tracer.flush() is True
    inner, outer = sorted(xray.requests[0].documents, key=lambda document: document.get("type", ""))[::-1]
    assert (outer["name"], inner["name"], inner["parent_id"]) == ("shop", "look up", outer["id"])
    assert outer["trace_id"] == inner["trace_id"]
    assert abs(int(outer["trace_id"][2:10], 16) - time.time()) < 60


def test_unprocessed_segments_are_sent_again_before_flush_returns(xray: FakeXRay) -> None:
    tracer = ot_bridge.install("shop", exporters=["xray"])
    xray.responses = [lambda request: unprocessed(request.documents[1]["id"])]
    for name in ("a", "b"):
        tracer.start_span(name).finish()
    assert tracer.flush() is True
    assert [len(batch) for batch in xray.batches] == [2, 1]
    assert xray.batches[1] == xray.batches[0][1:]


def test_flush_is_false_while_x_ray_is_down_and_true_when_it_is_back(
    xray: FakeXRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DEFAULTS, "timeout", 0.3)
    tracer = ot_bridge.install("shop", exporters=["xray"])
    xray.responses = [Response(hang_up=True)] * 9
    tracer.start_span("lost").finish()
    assert tracer.flush() is False
    xray.responses.clear()
    tracer.start_span("delivered").finish()
    assert tracer.flush() is True
    assert [document["name"] for document in xray.requests[-1].documents] == ["delivered"]


def test_flush_returns_false_if_nothing_listens_at_the_address_of_x_ray(
    xray: FakeXRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL_XRAY", f"http://127.0.0.1:{closed.getsockname()[1]}")
        monkeypatch.setitem(DEFAULTS, "timeout", 0.3)
        tracer = ot_bridge.install("shop", exporters=["xray"])
        tracer.start_span("lost").finish()
        assert tracer.flush() is False


EXPORTERS: dict[str, Callable[[str], object]] = {
    "xray": lambda url: XRayExporter("eu-west-1", endpoint=url),
    "xray_daemon": lambda url: XRayDaemonExporter(),
    "xray_otlp": lambda url: XRayOTLPExporter("eu-west-1", endpoint=url),
}


@pytest.mark.parametrize("name", EXPORTERS)
@pytest.mark.parametrize("by", ["name", "object"])
def test_each_x_ray_exporter_selects_x_ray_ids_and_the_x_ray_header(
    xray: FakeXRay, name: str, by: str
) -> None:
    exporter = name if by == "name" else EXPORTERS[name](xray.url)
    tracer = ot_bridge.install("shop", exporters=[exporter])  # type: ignore[list-item]
    context = tracer.start_span("a").context
    carrier: dict[str, str] = {}
    tracer.inject(context, opentracing.Format.HTTP_HEADERS, carrier)
    assert abs((context.trace_id >> 96) - time.time()) < 60
    assert "X-Amzn-Trace-Id" in carrier


PROGRAM = """
import ot_bridge
tracer = ot_bridge.install("shop")
with tracer.start_active_span("order"):
    tracer.start_span("look up").finish()
"""


@pytest.mark.parametrize("name", ["xray_daemon", "xray"])
def test_a_program_configured_for_the_daemon_delivers_all_spans_at_its_exit(name: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(5)
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL_", "AWS_"))}
        environment = {
            "OTEL_TRACES_EXPORTER": name,
            "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{daemon.getsockname()[1]}",
        }
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=clean | environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        datagrams = [daemon.recv(70_000) for _ in range(2)]
    assert done.stderr == ""
    headers, documents = zip(*(datagram.split(b"\n", 1) for datagram in datagrams), strict=True)
    assert {*headers} == {b'{"format":"json","version":1}'}
    inner, outer = map(json.loads, documents)
    assert inner["parent_id"] == outer["id"]
    assert inner["trace_id"] == outer["trace_id"]
