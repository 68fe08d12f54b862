"""Rows for the start of a program: the lines that set up tracing, in a fresh process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.delivered import in_turn
from benchmarks.measure import Timing
from benchmarks.peers import JAEGER, SDK
from benchmarks.rows import OURS, Goal, other_row

ROUNDS = 31
_COMPILED = str(Path(tempfile.gettempdir()) / "ot-bridge-benchmarks")  # bytecode, the same for all peers

_AROUND = """
import json, logging, os, time
logging.disable()
def resident():
    with open("/proc/self/statm") as pages:
        return int(pages.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
memory, begun = resident(), time.process_time()
{lines}
print(json.dumps([(time.process_time() - begun) * 1000, resident() - memory]), flush=True)
os._exit(0)
"""

_LINES: Mapping[str, str] = {
    OURS: """
import ot_bridge
tracer = ot_bridge.install("bench")
app = ot_bridge.TracingMiddleware(lambda environ, start_response: [])
""",
    JAEGER: """
from jaeger_client import Config
config = Config({"sampler": {"type": "const", "param": 1}}, service_name="bench")
tracer = config.initialize_tracer()
""",
    SDK: """
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
app = OpenTelemetryMiddleware(lambda environ, start_response: [])
""",
}


def _once(lines: str) -> tuple[float, float]:
    """Returns processor time in milliseconds and memory in megabytes."""
    program = _AROUND.format(lines=lines)
    environment = {
        **os.environ,
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "PYTHONDONTWRITEBYTECODE": "",  # what was compiled is kept, as where programs are deployed
        "PYTHONPYCACHEPREFIX": _COMPILED,
    }
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        raise ImportError(done.stderr.strip().rpartition("\n")[2])
    taken, held = json.loads(done.stdout.splitlines()[-1])
    return taken, held


_started: dict[str, list[tuple[float, float]]] = {}


def _starts(part: int, unit: str) -> Timing:
    if not _started:
        for lines in _LINES.values():
            _once(lines)  # compiles what it imports
        for name in in_turn(_LINES, ROUNDS):
            _started.setdefault(name, []).append(_once(_LINES[name]))
    return Timing({name: [each[part] for each in taken] for name, taken in _started.items()}, unit=unit)


@other_row("start", "setting tracing up, imports included", Goal(JAEGER, 1.0))
def _start() -> Timing:
    return _starts(0, "ms")


@other_row("start-memory", "memory that this takes", Goal(JAEGER, 1.1))
def _memory() -> Timing:
    return _starts(1, "MB")
