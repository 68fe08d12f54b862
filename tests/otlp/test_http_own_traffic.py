"""The exporter's own traffic is not traced, and its modules are loaded only when needed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

import pytest
import requests
from opentelemetry.context import attach, detach, get_current
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as Theirs
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import set_span_in_context

from ot_bridge.otlp import OTLPSpanExporter
from tests.receiver import HttpReceiver, free_port

from .conftest import exporting, some_spans

SUCCESS, FAILURE = SpanExportResult.SUCCESS, SpanExportResult.FAILURE


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


def test_patches_of_http_client_do_not_see_the_exporters_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    import http.client

    called: list[str] = []
    for name in ("request", "putrequest", "getresponse", "connect", "send"):
        monkeypatch.setattr(http.client.HTTPConnection, name, lambda *_, name=name, **__: called.append(name))
    with HttpReceiver() as receiver, exporting(receiver) as exporter:
        assert exporter.export(some_spans()) is SUCCESS
    assert not called


def test_a_patch_of_sockets_sees_that_instrumentation_is_suppressed(monkeypatch: pytest.MonkeyPatch) -> None:
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
