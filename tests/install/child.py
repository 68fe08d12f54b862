"""Programs in processes of their own, with no `OTEL_*` variable but those that are given."""

from __future__ import annotations

import os
import subprocess
import sys


def environment(**variables: str) -> dict[str, str]:
    """This process's environment with these variables for tracing and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "JAEGER_"))}
    return {**kept, **variables}


def run(program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a program to its end; its standard error holds what it logged. Fails if it fails."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=50,
        env=environment(**variables),
    )
    assert done.returncode == 0, done.stderr
    return done
