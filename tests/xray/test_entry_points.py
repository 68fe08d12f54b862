from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from importlib.metadata import entry_points

import pytest
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator

import ot_bridge.xray
from ot_bridge.xray import XRayDaemonExporter, XRayExporter, XRayIdGenerator, XRayOTLPExporter
from tests.xray.conftest import FakeXRay, Response


def ours(group: str) -> dict[str, object]:
    return {
        entry.name: entry.load()
        for entry in entry_points(group=group)
        if entry.value.startswith("ot_bridge.xray")
    }


def test_the_exporters_and_the_ids_are_found_by_name() -> None:
    exporters = {"xray": XRayExporter, "xray_daemon": XRayDaemonExporter, "xray_otlp": XRayOTLPExporter}
    assert ours("opentelemetry_traces_exporter") == exporters
    assert all(issubclass(exporter, SpanExporter) for exporter in exporters.values())
    assert ours("opentelemetry_id_generator") == {"xray": XRayIdGenerator}
    assert issubclass(XRayIdGenerator, IdGenerator)


PROGRAM = """
from opentelemetry import trace
from opentelemetry.sdk._configuration import _OTelSDKConfigurator
_OTelSDKConfigurator().configure()
trace.get_tracer("t").start_span("hello").end()
trace.get_tracer_provider().force_flush()
import sys
print([name for name in ("botocore", "google.protobuf", "grpc") if name in sys.modules])
"""


def test_opentelemetrys_environment_sets_up_the_daemon_exporter_without_botocore() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(5)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
        environ = {
            "OTEL_TRACES_EXPORTER": "xray_daemon",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "OTEL_PYTHON_ID_GENERATOR": "xray",
            "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{daemon.getsockname()[1]}",
        }
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=clean | environ, capture_output=True, text=True, check=True
        )
        document = json.loads(daemon.recv(70_000).split(b"\n", 1)[1])
    assert document["name"] == "hello"
    # Ids from the generator begin with the time.
    assert abs(int(document["trace_id"][2:10], 16) - document["start_time"]) < 60
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_in_the_package_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'XRay'"):
        ot_bridge.xray.XRay  # noqa: B018


WITHOUT_PROTOBUF = """
import sys
for name in ("google.protobuf", "opentelemetry.proto", "opentelemetry.exporter.otlp.proto.common"):
    sys.modules[name] = None  # as if it were not installed
from ot_bridge.xray import XRayOTLPExporter
from tests.xray.spans import span
exporter = XRayOTLPExporter("eu-west-1", endpoint=sys.argv[1])
print(exporter.export([span()]).name)
"""


def test_the_otlp_exporter_needs_no_protobuf(xray: FakeXRay) -> None:
    xray.responses = [Response(200, b"")]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PROTOBUF, xray.url], capture_output=True, text=True, timeout=50
    )
    assert done.stdout.strip() == "SUCCESS", done.stderr
