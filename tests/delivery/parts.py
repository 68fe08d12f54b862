"""Exporters that keep, fail, wait or refuse; collectors that hang or refuse; programs run as processes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from ot_bridge.delivery.worker import Worker
from ot_bridge.engine import TracerProvider


class Keeping(SpanExporter):
    """Keeps the spans; `gate`, once cleared, holds every export back."""

    def __init__(self, result: SpanExportResult = SpanExportResult.SUCCESS) -> None:
        self.batches: list[list[str]] = []
        self.result = result
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.shutdowns = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.entered.set()
        self.gate.wait(20)
        self.batches.append([span.name for span in spans])
        return self.result

    def shutdown(self) -> None:
        self.shutdowns += 1
        self.gate.set()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True

    @property
    def names(self) -> list[str]:
        return [name for batch in self.batches for name in batch]


class Raises(Keeping):
    """Raises in every method."""

    def export(self, spans: Any) -> SpanExportResult:
        raise OSError

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        raise OSError

    def shutdown(self, timeout_millis: int = 30000) -> None:
        raise OSError

    def give_up_at(self, moment: float | None) -> None:
        raise OSError


def spans(processor: Any) -> Any:
    """A function that starts and ends a span of this name in a provider with the processor."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("test")

    def end(*names: str) -> None:
        for name in names:
            tracer.start_span(name).end()

    return end


def until(condition: Any, seconds: float = 20.0) -> None:
    """Waits for a condition to come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.005)


def until_its_thread_ends(worker: Worker) -> None:
    """Waits until a worker's export thread has given its turn back, which nothing public shows."""
    until(lambda: worker._turn)


class Util:
    """`multiprocessing.util`, as far as it is used."""

    def __init__(self) -> None:
        self.after: list[Any] = []
        self.finalizers: list[Any] = []

    def register_after_fork(self, owner: Any, work: Any) -> None:
        self.after.append(lambda: work(owner))

    def Finalize(self, owner: None, work: Any, exitpriority: int) -> None:
        self.finalizers.append((work, exitpriority))


class Done(NamedTuple):
    """How a program ended. seconds: from its start, or from the line `START` that it printed."""

    status: int
    out: str
    err: str
    seconds: float


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without what would set tracing up, and with these."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("OTEL_", "JAEGER_"))}
    # From 3.12 on Python warns of a fork in a process that has threads, whoever has them.
    warnings = {"PYTHONWARNINGS": "ignore::DeprecationWarning"}
    return {**kept, **warnings, "PYTHONPATH": str(Path(__file__).parents[2]), **variables}


def start(
    text: str, directory: Path, python: str = sys.executable, **variables: str
) -> subprocess.Popen[str]:
    """Starts a program, which is written into a directory of its own."""
    path = directory / f"program_{uuid.uuid4().hex}.py"
    path.write_text(text)
    return subprocess.Popen(
        [sys.executable, str(path)],
        cwd=directory,
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str], timeout: float = 150) -> Done:
    """Waits for a program. Its time is what it took from printing `END time.monotonic()` on."""
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        process.kill()
    now = time.monotonic()
    began = [float(line.split()[1]) for line in out.splitlines() if line.startswith("END ")]
    return Done(process.returncode, out, err, now - began[-1] if began else 0.0)


def run(text: str, directory: Path, **variables: str) -> Done:
    return ended(start(text, directory, **variables))


@contextmanager
def hanging() -> Iterator[str]:
    """A collector that accepts connections and never answers: its endpoint."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def refusing() -> Iterator[str]:
    """A port on which nothing listens, and which no other program can take."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
