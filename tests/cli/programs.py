"""Programs for the command line's tests: written to a directory, run as their users run them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

#: A program that uses jaeger-client, prints which package it imported, and sends one span.
PROGRAM = """
import jaeger_client, opentracing
from jaeger_client import Config
from jaeger_client.reporter import InMemoryReporter

config = Config({"sampler": {"type": "const", "param": 1}, "local_agent": {"reporting_host": "127.0.0.1"}},
                service_name="program", validate=True)
tracer = config.initialize_tracer()
with tracer.start_active_span("op") as scope:
    scope.span.set_tag("n", 1)
print(jaeger_client.Config.__module__)
"""


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without what would set tracing up, and with these."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("OTEL_", "JAEGER_"))}
    kept.pop("PYTHONPATH", None)
    return {**kept, **variables}


def run(*command: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m ot_bridge.cli COMMAND`, in a process of its own."""
    return python("-m", "ot_bridge.cli", *command, cwd=cwd, **variables)


def python(*arguments: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs this Python with these arguments, in a process of its own."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
