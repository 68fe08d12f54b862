"""Servers that fork their workers and replace them: no span of a worker is lost (rows D1, D7)."""

from __future__ import annotations

import http.client
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
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.parts import environment, until
from tests.generated import load
from tests.receiver import HttpReceiver, free_port

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
        "gunicorn --preload -w 1 --max-requests 3 --graceful-timeout 10 --bind 127.0.0.1:0 app",
        LISTENS,
        7,
    ),
    "gunicorn gevent --preload": ("gunicorn --preload -w 1 -k gevent --bind 127.0.0.1:0 app", LISTENS, 5),
    "uwsgi --max-requests": (UWSGI, BOUND, 7),
}


@contextmanager
def _server(
    command: str, says: str, directory: Path, endpoint: str, **variables: str
) -> Iterator[tuple[Any, int]]:
    words = command.split()
    program = shutil.which(words[0], path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        pytest.skip(f"{words[0]} is not installed")
    (directory / "app.py").write_text(APP)
    process = subprocess.Popen(
        [program, *words[1:]],
        cwd=directory,
        env=environment(
            **{
                "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint.removesuffix("/v1/traces"),
                "OTEL_BSP_SCHEDULE_DELAY": "60000",
                "PYTHONWARNINGS": "ignore",
                **variables,
            }
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
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as response:
                return int(response.read())
        except OSError:  # the worker is being replaced
            if attempt == 49:
                raise
            time.sleep(0.1)
    raise AssertionError


@pytest.mark.parametrize("server", SERVERS)
def test_every_span_of_a_worker_is_exported_before_it_stops(server: str, tmp_path: Path) -> None:
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


@pytest.mark.parametrize(
    ("command", "says", "end"),
    [
        pytest.param(
            "gunicorn --preload -k gthread --threads 2 -w 1 --bind 127.0.0.1:0 app",
            LISTENS,
            signal.SIGTERM,
            id="gunicorn gthread --preload",
        ),
        pytest.param(
            UWSGI.replace("--max-requests 3", "--threads 2").replace(":0", ":PORT"),
            BOUND,
            signal.SIGINT,
            id="uwsgi",
        ),
    ],
)
def test_a_reload_loses_no_span(command: str, says: str, end: int, tmp_path: Path) -> None:
    command = command.replace("PORT", f"{free_port()}")  # uWSGI would bind another one when it reloads
    with HttpReceiver() as receiver, _server(command, says, tmp_path, receiver.endpoint) as (process, port):
        before = {_ask(port) for _ in range(3)}
        time.sleep(0.5)  # uWSGI skips the exit hooks of a worker that is still busy with a request
        process.send_signal(signal.SIGHUP)
        until(lambda: sum(span.name == "request" for span in receiver.spans) == 3, 40)
        after = {_ask(port) for _ in range(4)}
        time.sleep(0.5)
        process.send_signal(end)
        process.communicate(timeout=40)
        names = Counter(span.name for span in receiver.spans)
    assert not before & after
    assert names["request"] == 7


def _load(port: int, requests: int) -> int:
    """How many of so many requests on one connection were answered."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    answered = 0
    for _ in range(requests):
        connection.request("GET", "/")
        answered += connection.getresponse().read().isdigit()
    connection.close()
    return answered


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["gthread --threads 4", "gevent"])
def test_no_span_of_many_requests_is_lost_if_the_server_exported_before_the_fork(
    kind: str, tmp_path: Path
) -> None:
    clients, each = 4, load(25_000)
    command = f"gunicorn --preload -w2 -k{kind} --graceful-timeout 10 --keep-alive 60 --bind 127.0.0.1:0 app"
    with (
        HttpReceiver() as receiver,
        _server(command, LISTENS, tmp_path, receiver.endpoint, OTEL_BSP_SCHEDULE_DELAY="1000") as served,
        ThreadPoolExecutor(clients) as pool,
    ):
        process, port = served
        assert sum(pool.map(_load, [port] * clients, [each] * clients)) == clients * each
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        names = Counter(span.name for span in receiver.spans)
    assert names == {"loaded": 1, "request": clients * each}


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
def test_no_span_is_lost_if_celery_replaces_its_workers_after_each_task(start: str, tmp_path: Path) -> None:
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
