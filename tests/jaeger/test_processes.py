"""Row "fork", and where else jaeger-client lost spans: preloading servers, greenlets, processes, exits.

Each program is written as jaeger-client's users write them, and runs by `ot-bridge run`.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli import programs
from tests.jaeger.servers import Agent, Collector, running

SETUP = """
import os, sys
from jaeger_client import Config

config = Config({"sampler": {"type": "const", "param": 1}, "reporter_flush_interval": 0.05,
                 "local_agent": {"reporting_host": "127.0.0.1"}}, service_name="forking")
tracer = config.initialize_tracer()

def work(name):
    with tracer.start_active_span(name) as scope:
        scope.span.set_tag("pid", os.getpid())
"""

WSGI = (
    SETUP
    + """
work("before the fork")
tracer.flush(10)  # so that there is a connection that a child could take over by mistake

def application(environ, start_response):
    work("request")
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""
)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with running(Collector()) as server:
        yield server


@pytest.fixture
def variables(collector: Collector) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}


def _pids(collector: Collector, name: str) -> list[int]:
    return [
        attribute.value.int_value
        for span in collector.spans
        if span.name == name
        for attribute in span.attributes
        if attribute.key == "pid"
    ]


def _run(text: str, directory: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    (directory / "program.py").write_text(SETUP + text)
    done = programs.run("run", "--quiet", "--", "program.py", cwd=directory, **variables)
    assert done.returncode == 0, done.stderr
    return done


class _Server:
    """A server process in a session of its own, and the port that it says it listens on."""

    def __init__(
        self, command: list[str], says: str, directory: Path, variables: dict[str, str], app: str = WSGI
    ) -> None:
        (directory / "app.py").write_text(app)
        words = [sys.executable, "-m", "ot_bridge.cli", "run", "--quiet", "--", *command]
        environment = programs.environment(**variables, PYTHONUNBUFFERED="1")
        self.process = subprocess.Popen(
            words,
            cwd=directory,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.output: list[str] = []
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line)
            if found := re.search(says, line):
                self.port = int(found[1])
                return
        pytest.fail("".join(self.output))

    def ask(self) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=20) as answer:
            return int(answer.read())

    def stop(self, how: int) -> None:
        os.killpg(self.process.pid, how) if how == signal.SIGKILL else self.process.send_signal(how)
        self.process.communicate(timeout=30)


SERVERS: dict[str, Any] = {
    "gunicorn --preload": (
        "gunicorn --preload --workers 2 --graceful-timeout 10 --bind 127.0.0.1:0 app",
        r"Listening at: http://127\.0\.0\.1:(\d+)",
        signal.SIGTERM,
    ),
    "uwsgi without lazy-apps": (
        "uwsgi --master --processes 2 --enable-threads --http-socket 127.0.0.1:0 --wsgi-file app.py",
        r"bound to TCP address 127\.0\.0\.1:(\d+)",
        signal.SIGINT,
    ),
}


@pytest.mark.parametrize("server", SERVERS)
def test_a_tracer_made_before_the_fork_reports_from_the_children(
    server: str, tmp_path: Path, variables: dict[str, str], collector: Collector
) -> None:
    line, says, how = SERVERS[server]
    command = line.split()
    program = shutil.which(command[0], path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        pytest.skip(f"{command[0]} is not installed")
    started = _Server([program, *command[1:]], says, tmp_path, variables)
    try:
        asked = [started.ask() for _ in range(8)]
        collector.wait_for(lambda: len(_pids(collector, "request")) == 8)
    finally:
        started.stop(how)
    assert sorted(_pids(collector, "request")) == sorted(asked)
    (before,) = _pids(collector, "before the fork")
    assert before not in asked


REMOTE = """
import os, sys
from jaeger_client import Config

agent = {"reporting_host": "127.0.0.1", "sampling_port": int(os.environ["SAMPLING_PORT"])}
tracer = Config({"sampler": {"type": "remote"}, "local_agent": agent}, service_name="a").initialize_tracer()
threads = len(sys._current_frames())

def application(environ, start_response):
    sampled = tracer.start_span("request").context.trace_flags
    body = b"%d%d" % (threads, sampled)
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


def test_a_uwsgi_worker_gets_sampling_strategies_and_its_master_has_no_thread_that_could_stop_it(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    line, says, how = SERVERS["uwsgi without lazy-apps"]
    command = line.replace("--processes 2", "--processes 1").split()
    program = shutil.which(command[0], path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        pytest.skip("uwsgi is not installed")
    with running(Agent()) as agent:
        agent.strategy = {"strategyType": "PROBABILISTIC", "probabilisticSampling": {"samplingRate": 1.0}}
        environment = {**variables, "SAMPLING_PORT": str(agent.port)}
        started = _Server([program, *command[1:]], says, tmp_path, environment, REMOTE)
        try:
            assert started.ask() in (10, 11)
            agent.wait_for(lambda: agent.requests)
            end = time.monotonic() + 10
            while (found := started.ask()) != 11 and time.monotonic() < end:
                time.sleep(0.05)
        finally:
            started.stop(how)
    assert found == 11


CELERY = (
    SETUP
    + """
from celery import Celery

app = Celery("app", broker="filesystem://", backend="cache+memory://")
app.conf.broker_transport_options = {"data_folder_in": "queue", "data_folder_out": "queue"}

@app.task
def task():
    work("task")
"""
)


def test_celery_workers_report(tmp_path: Path, variables: dict[str, str], collector: Collector) -> None:
    pytest.importorskip("celery")
    (tmp_path / "app.py").write_text(CELERY)
    (tmp_path / "queue").mkdir()
    environ = programs.environment(**variables, PYTHONWARNINGS="ignore")
    send = [sys.executable, "-c", "import app; app.task.delay()"]
    subprocess.run(send, cwd=tmp_path, env=environ, check=True, timeout=50)
    command = f"-m ot_bridge.cli run -- {sys.executable} -m celery -A app worker --pool prefork -c 1".split()
    worker = subprocess.Popen(
        [sys.executable, *command],
        cwd=tmp_path,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        collector.wait_for(lambda: _pids(collector, "task"))
        (pid,) = _pids(collector, "task")
        assert pid != worker.pid
    finally:
        os.killpg(worker.pid, signal.SIGKILL)  # asked to stop, it takes seconds
        worker.communicate(timeout=30)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_of_multiprocessing_exports_all_its_spans(
    method: str, tmp_path: Path, variables: dict[str, str], collector: Collector
) -> None:
    _run(
        f"""
import multiprocessing
if __name__ == "__main__":
    work("parent")
    context = multiprocessing.get_context({method!r})
    process = context.Process(target=work, args=("child",))
    process.start(); process.join(); sys.exit(process.exitcode)
""",
        tmp_path,
        {**variables, "OTEL_BSP_SCHEDULE_DELAY": "60000"},
    )
    assert sorted(collector.names) == ["child", "parent"]
    assert _pids(collector, "child") != _pids(collector, "parent")


def test_a_pool_of_processes_exports_all_its_spans(
    tmp_path: Path, variables: dict[str, str], collector: Collector
) -> None:
    _run(
        """
from concurrent.futures import ProcessPoolExecutor
if __name__ == "__main__":
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(work, ["child"] * 6))
""",
        tmp_path,
        {**variables, "OTEL_BSP_SCHEDULE_DELAY": "60000"},
    )
    assert collector.names == ["child"] * 6


def test_a_forked_child_reports_by_itself(
    tmp_path: Path, variables: dict[str, str], collector: Collector
) -> None:
    _run(
        """
work("parent")
pid = os.fork()
if pid == 0:
    work("child")
    os._exit(0 if tracer.close().result(10) else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
""",
        tmp_path,
        variables,
    )
    assert sorted(collector.names) == ["child", "parent"]


@pytest.mark.parametrize(
    "ending", ["", "sys.exit(0)", "tracer.close()", "import atexit; atexit.register(tracer.close)"]
)
def test_the_end_of_a_program_loses_no_span(
    ending: str, tmp_path: Path, variables: dict[str, str], collector: Collector
) -> None:
    _run(f"work('last words')\n{ending}\n", tmp_path, {**variables, "OTEL_BSP_SCHEDULE_DELAY": "60000"})
    assert collector.names == ["last words"]


def test_a_program_that_fails_exports_its_spans_too(
    tmp_path: Path, variables: dict[str, str], collector: Collector
) -> None:
    (tmp_path / "program.py").write_text(SETUP + "work('before it broke')\nraise RuntimeError('broken')\n")
    done = programs.run("run", "--quiet", "--", "program.py", cwd=tmp_path, **variables)
    assert (done.returncode, "RuntimeError: broken" in done.stderr) == (1, True)
    assert collector.names == ["before it broke"]


def test_gevent_programs_report(tmp_path: Path, variables: dict[str, str], collector: Collector) -> None:
    (tmp_path / "program.py").write_text(
        "from gevent import monkey; monkey.patch_all()\n"
        + SETUP
        + """
import gevent

def task(number):
    with tracer.start_active_span(f"outer {number}") as scope:
        gevent.sleep(0.01)
        assert tracer.active_span is scope.span
        with tracer.start_active_span(f"inner {number}") as inner:
            gevent.sleep(0.01)
            assert inner.span.parent_id == scope.span.span_id

gevent.joinall([gevent.spawn(task, number) for number in range(5)], raise_error=True)
assert tracer.close().result(10)
"""
    )
    done = programs.run("run", "--quiet", "--", "program.py", cwd=tmp_path, **variables)
    assert done.returncode == 0, done.stderr
    assert len(collector.spans) == 10


def test_no_collector_holds_a_program_up_for_long(tmp_path: Path) -> None:
    with running(Collector()) as gone:
        url = gone.url
    done = _run("work('to nobody')\n", tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": url})
    assert "1 span is lost on the way to" in done.stderr
