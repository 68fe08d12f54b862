"""Real servers with `tests.wsgi.site`, each in a process of its own, on a port that nobody else has."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Final

ROOT: Final = Path(__file__).parents[2]
APP: Final = "tests.wsgi.site:app"
Command = Callable[[int, int], list[str]]


def _python(code: str) -> Command:
    return lambda port, fd: [sys.executable, "-c", f"port = {port}; {code}"]


def gunicorn(*options: str, app: str = APP) -> Command:
    """Gunicorn, given the listening socket's file descriptor."""
    fixed = ["--bind", "fd://{}", "--log-level", "warning", *options, app]
    return lambda port, fd: [sys.executable, "-m", "gunicorn", *(each.format(fd) for each in fixed)]


def uwsgi(*options: str) -> Command:
    program = (
        shutil.which("uwsgi", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        or "uwsgi"
    )
    fixed = ["--master", "--die-on-term", "--need-app", "--enable-threads", "--disable-logging"]
    return lambda port, fd: [program, f"--http-socket=127.0.0.1:{port}", f"--wsgi={APP}", *fixed, *options]


SERVERS: Final[Mapping[str, Command]] = {
    "werkzeug": _python(
        "from werkzeug.serving import run_simple; from tests.wsgi.site import app; import logging; "
        "logging.getLogger('werkzeug').setLevel('ERROR'); run_simple('127.0.0.1', port, app, threaded=True)"
    ),
    "waitress": _python(
        "import waitress; from tests.wsgi.site import app; "
        "waitress.serve(app, host='127.0.0.1', port=port, threads=8, _quiet=True)"
    ),
    "gunicorn sync": gunicorn("--workers=2", "--preload", "--max-requests=20", "--max-requests-jitter=10"),
    "gunicorn gthread": gunicorn("--worker-class=gthread", "--workers=1", "--threads=8"),
    "gunicorn gevent": gunicorn("--worker-class=gevent", "--workers=1"),
    "uwsgi": uwsgi("--processes=2", "--threads=4", f"--virtualenv={sys.prefix}"),
}


class Running:
    """A server that runs while it is entered. `errors` is what it has written to its standard error."""

    def __init__(self, command: Command, log: Path, **environment: str) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._log = log
        self._command = command
        fixed = {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", "HOME": str(log.parent)}
        self._environment = {**os.environ, **fixed, **environment}

    def __enter__(self) -> Running:
        listener = (
            socket.create_server(("127.0.0.1", self.port), backlog=128) if self._takes_socket() else None
        )
        fd = listener.fileno() if listener is not None else -1
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command(self.port, fd),
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
                pass_fds=[fd] if listener is not None else [],
                start_new_session=True,
            )
        if listener is not None:
            listener.close()
        self._wait()
        return self

    def _takes_socket(self) -> bool:
        return "fd://7" in " ".join(self._command(0, 7))

    def _wait(self, seconds: float = 30.0) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._process.poll() is None:
            try:
                self.get("/healthz")
            except OSError:
                time.sleep(0.05)
            else:
                return
        self.stop()
        raise RuntimeError(f"the server did not come up:\n{self.errors}")

    def get(
        self, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST" if body is not None else "GET", path, body, dict(headers or {}))
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    @property
    def errors(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        """Ends it as an operator would, and waits."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
