"""What the exporter's tests share: no variables of the machine, spans to send, a certificate authority."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from ot_bridge.otlp import OTLPSpanExporter
from tests.authority import Authority
from tests.receiver import HttpReceiver


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable that an exporter reads is set."""
    for name in list(os.environ):
        if name.startswith("OTEL_") or name.lower().endswith("_proxy") or name == "REQUESTS_CA_BUNDLE":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def some_spans(count: int = 1, size: int = 0) -> Sequence[ReadableSpan]:
    """Finished spans, named by their number. size: characters of an attribute of each."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    made = []
    for number in range(count):
        span = tracer.start_span(f"span {number}", attributes={"text": "x" * size})
        span.end()
        assert isinstance(span, ReadableSpan)
        made.append(span)
    return made


@contextmanager
def exporting(receiver: HttpReceiver | str, **options: Any) -> Iterator[OTLPSpanExporter]:
    """An exporter to this receiver or URL, shut down at the end."""
    exporter = OTLPSpanExporter(receiver if isinstance(receiver, str) else receiver.endpoint, **options)
    try:
        yield exporter
    finally:
        exporter.shutdown()


def lost(exporter: OTLPSpanExporter) -> dict[str, int]:
    """What an exporter counts as lost, without the zeros."""
    return {reason: count for reason, count in exporter.failed.items() if count}


def names(receiver: HttpReceiver) -> list[str]:
    """The names of the spans that arrived."""
    return [span.name for span in receiver.spans]
