"""Servers that fork their workers and replace them: no span of a worker stays behind (rows D1, D7)."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.parts import environment, until
from tests.receiver import HttpReceiver

APP = """
import os
import ot_bridge

tracer = ot_bridge.install("servers")
tracer.start_span("loaded").finish()
assert tracer.flush(10)  # so that there is a connection that a worker could take over by mistake

def application(environ, start_response):
    tracer.start_span("request").finish()
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
LISTENS = r"http://127\.0\.0\.1:(\d+)"
BOUND = r"bound to TCP address 127\.0\.0\.1:(\d+)"

UWSGI = "uwsgi --master --processes 1 --enable-threads --max-requests 3 --min-worker-lifetime 0 "
UWSGI += "--http-socket 127.0.0.1:0 --wsgi-file app.py"

# command line, where it says its port, requests
SERVERS: dict[str, tuple[str, str, int]] = {
    "gunicorn --preload, workers replaced": (
        "gunicorn --preload -w 1 --max-requests 3 --bind 127.0.0.1:0 app",
        LISTENS,
        7,
    ),
    "gunicorn gevent --preload": ("gunicorn --preload -w 1 -k gevent --bind 127.0.0.1:0 app", LISTENS, 5),
    "uwsgi --max-requests": (UWSGI, BOUND, 7),
}


@contextmanager
def _server(command: str, says: str, directory: Path, endpoint: str) -> Iterator[tuple[Any, int]]:
    words = command.split()
    program = shutil.which(words[0], path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        pytest.skip(f"{words[0]} is not installed")
    (directory / "app.py").write_text(APP)
    process = subprocess.Popen(
        [program, *words[1:]],
        cwd=directory,
        env=environment(
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint.removesuffix("/v1/traces"),
            OTEL_BSP_SCHEDULE_DELAY="60000",
            PYTHONWARNINGS="ignore",
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if found := re.search(says, line):
                yield process, int(found[1])
                break
        else:
            pytest.fail("".join(lines))
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=30)


def _ask(port: int) -> int:
    for attempt in range(50):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as answer:
                return int(answer.read())
        except OSError:  # the worker is being replaced
            if attempt == 49:
                raise
            until(lambda: True)
    raise AssertionError


@pytest.mark.parametrize("server", SERVERS)
def test_no_span_of_a_worker_stays_behind(server: str, tmp_path: Path) -> None:
    command, says, requests = SERVERS[server]
    with HttpReceiver() as receiver, _server(command, says, tmp_path, receiver.endpoint) as (process, port):
        workers = {_ask(port) for _ in range(requests)}
        time.sleep(0.5)  # uWSGI skips the exit hooks of a worker that is still busy with a request
        process.send_signal(signal.SIGINT if "uwsgi" in server else signal.SIGTERM)
        process.communicate(timeout=40)
        names = Counter(span.name for span in receiver.spans)
    assert len(workers) > 1 or "gevent" in server
    assert names["request"] == requests
    assert names["loaded"] >= 1


CELERY = """
import os
import ot_bridge
from celery import Celery

tracer = ot_bridge.install("celery")
app = Celery("app", broker="filesystem://", backend="cache+memory://")
app.conf.broker_transport_options = {"data_folder_in": "queue", "data_folder_out": "queue"}

@app.task
def task():
    tracer.start_span("task").finish()
"""


@pytest.mark.parametrize("start", ["fork", pytest.param("spawn", marks=pytest.mark.soak)])
def test_celery_that_replaces_its_workers_after_each_task(start: str, tmp_path: Path) -> None:
    pytest.importorskip("celery")
    (tmp_path / "app.py").write_text(CELERY)
    (tmp_path / "queue").mkdir()
    with HttpReceiver() as receiver:
        variables = environment(
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint.removesuffix("/v1/traces"),
            OTEL_BSP_SCHEDULE_DELAY="60000",
            PYTHONWARNINGS="ignore",
            CELERY_WORKER_POOL_START_METHOD=start,
        )
        send = "import app\nfor _ in range(3): app.task.delay()"
        subprocess.run([sys.executable, "-c", send], cwd=tmp_path, env=variables, check=True, timeout=50)
        command = "-m celery -A app worker --pool prefork -c 1 --max-tasks-per-child=1"
        worker = subprocess.Popen(
            [sys.executable, *command.split()],
            cwd=tmp_path,
            env=variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            assert [span.name for span in receiver.wait(3, timeout=50)] == ["task"] * 3
        finally:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait(timeout=30)
