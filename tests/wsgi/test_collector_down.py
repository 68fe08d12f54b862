"""If no collector takes the spans, requests are still served, and the log stays short."""

from __future__ import annotations

import logging
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

from ot_bridge.bridge import create_tracer
from ot_bridge.provider import build_provider
from ot_bridge.wsgi import TracingMiddleware
from tests.wsgi.collector import Collector
from tests.wsgi.conftest import hello, run


def down(stack: ExitStack) -> str:
    """A port on which nothing listens, and which no other program can take."""
    taken = stack.enter_context(socket.socket())
    taken.bind(("127.0.0.1", 0))
    return f"http://127.0.0.1:{taken.getsockname()[1]}"


def silent(stack: ExitStack) -> str:
    """Accepts connections, by its backlog, and never reads from them."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def hanging(stack: ExitStack) -> str:
    return stack.enter_context(Collector("hang")).endpoint


def refusing(stack: ExitStack) -> str:
    return stack.enter_context(Collector("refuse")).endpoint


@pytest.mark.parametrize("collector", [down, silent, hanging, refusing])
def test_requests_are_served_and_flush_ends_if_no_collector_is_reachable(
    collector: Callable[[ExitStack], str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "64")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8")
    with ExitStack() as stack, caplog.at_level(logging.WARNING):
        exporter = OTLPSpanExporter(f"{collector(stack)}/v1/traces", timeout=1)
        provider = build_provider("down", exporters=[exporter])
        tracer = create_tracer(provider, propagators="tracecontext")
        app = TracingMiddleware(hello, tracer)
        assert [run(app) for _ in range(300)] == [b"hello"] * 300
        # It would never come back if it waited for a collector that does not answer.
        assert tracer.flush(timeout=0.3) is False
        exporter.shutdown()  # type: ignore[no-untyped-call]
    provider.shutdown()
    assert [text for text, count in Counter(caplog.messages).items() if count > 1] == []
