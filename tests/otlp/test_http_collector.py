"""Through a real collector, configured as examples/collector has it, to a receiver behind it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from ot_bridge.otlp import OTLPSpanExporter
from tests.receiver import HttpReceiver, attributes, free_port

from .conftest import some_spans

CONFIGURATION = Path(__file__).parents[2] / "examples" / "collector" / "rotel.env"


@contextlib.contextmanager
def _collector(directory: Path, onward: str) -> Iterator[str]:
    """Starts Rotel with the example's file, its addresses replaced. Gives the base URL where it listens."""
    rotel = importlib.util.find_spec("rotel")
    if rotel is None or rotel.origin is None:
        pytest.skip("rotel has no package for this system")
    port = free_port()
    lines = [line for line in CONFIGURATION.read_text().splitlines() if line and not line.startswith("#")]
    variables = dict(line.split("=", 1) for line in lines)
    assert {"ROTEL_OTLP_HTTP_ENDPOINT", "ROTEL_OTLP_GRPC_ENDPOINT", "ROTEL_OTLP_EXPORTER_ENDPOINT"} <= {
        *variables
    }
    variables |= {
        "ROTEL_OTLP_HTTP_ENDPOINT": f"127.0.0.1:{port}",
        "ROTEL_OTLP_GRPC_ENDPOINT": f"127.0.0.1:{free_port()}",
        "ROTEL_OTLP_EXPORTER_ENDPOINT": onward,
        "ROTEL_PID_FILE": str(directory / "pid"),
        "ROTEL_LOG_FILE": str(directory / "log"),
        "LD_LIBRARY_PATH": str(sysconfig.get_config_var("LIBDIR")),
    }
    agent = Path(rotel.origin).with_name("rotel-agent")
    with subprocess.Popen(
        [agent, "start"], env=os.environ | variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            _wait_for(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.communicate(timeout=20)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    pytest.fail("the collector did not start")


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_spans_arrive_through_a_real_collector(
    compression: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HttpReceiver() as receiver, _collector(tmp_path, receiver.base) as base:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", base)
        exporter = OTLPSpanExporter(compression=compression)
        spans = some_spans(20, size=10)
        assert exporter.export(spans) is SpanExportResult.SUCCESS
        assert not any(exporter.failed.values())
        exporter.shutdown()
        arrived = receiver.wait(20)
    assert {span.name for span in arrived} == {f"span {number}" for number in range(20)}
    assert all(attributes(span) == {"text": "x" * 10} for span in arrived)
    sent = {span.context.span_id.to_bytes(8, "big") for span in spans if span.context}
    assert {span.span_id for span in arrived} == sent
