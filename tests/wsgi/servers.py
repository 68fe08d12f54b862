"""Real servers with `tests.wsgi.site`, each in a process of its own, on a free port."""

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
ODD: Final = "tests.wsgi.odd_site:app"
Command = Callable[[int, int], list[str]]


def _python(code: str, app: str) -> Command:
    """`code`, which serves `app` on `port`."""
    module, _, name = app.partition(":")
    return lambda port, fd: [
        *(sys.executable, "-c"),
        f"port = {port}; from {module} import {name} as app; {code}",
    ]


def werkzeug(app: str = APP) -> Command:
    code = "import logging; logging.getLogger('werkzeug').setLevel('ERROR'); "
    code += "from werkzeug.serving import run_simple; run_simple('127.0.0.1', port, app, threaded=True)"
    return _python(code, app)


def waitress(app: str = APP, where: str = "host='127.0.0.1', port=port", threads: int = 8) -> Command:
    return _python(f"import waitress; waitress.serve(app, {where}, threads={threads}, _quiet=True)", app)


def wsgiref(app: str = APP) -> Command:
    code = "from wsgiref.simple_server import WSGIRequestHandler as H, make_server; "
    code += "H.log_message = lambda *args: None; make_server('127.0.0.1', port, app).serve_forever()"
    return _python(code, app)


def gunicorn(*options: str, app: str = APP) -> Command:
    """Gunicorn, given the listening socket's file descriptor."""
    # A worker that is told to stop while it starts misses the signal, and is killed after this time.
    fixed = ["--bind", "fd://{}", "--log-level", "warning", "--graceful-timeout=10", *options, app]
    return lambda port, fd: [sys.executable, "-m", "gunicorn", *(each.format(fd) for each in fixed)]


def uwsgi(*options: str, app: str = APP) -> Command:
    program = (
        shutil.which("uwsgi", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        or "uwsgi"
    )
    fixed = ["--master", "--die-on-term", "--need-app", "--enable-threads", "--disable-logging"]
    return lambda port, fd: [program, f"--http-socket=127.0.0.1:{port}", f"--wsgi={app}", *fixed, *options]


SERVERS: Final[Mapping[str, Command]] = {
    "werkzeug": werkzeug(),
    "wsgiref": wsgiref(),
    "waitress": waitress(),
    "gunicorn sync": gunicorn("--workers=2", "--preload", "--max-requests=20", "--max-requests-jitter=10"),
    "gunicorn gthread": gunicorn("--worker-class=gthread", "--workers=1", "--threads=8"),
    "gunicorn gevent": gunicorn("--worker-class=gevent", "--workers=1"),
    "uwsgi": uwsgi("--processes=2", "--threads=4", f"--virtualenv={sys.prefix}"),
}

#: The same with `odd_site`, in one process and as few threads as the server can do with.
ODD_SERVERS: Final[Mapping[str, Command]] = {
    "werkzeug": werkzeug(ODD),
    "wsgiref": wsgiref(ODD),
    "waitress": waitress(ODD, threads=1),
    "gunicorn sync": gunicorn("--workers=1", app=ODD),
    "gunicorn gthread": gunicorn("--worker-class=gthread", "--workers=1", "--threads=2", app=ODD),
    "gunicorn gevent": gunicorn("--worker-class=gevent", "--workers=1", app=ODD),
    "uwsgi": uwsgi("--processes=1", "--threads=2", f"--virtualenv={sys.prefix}", app=ODD),
}


class Running:
    """A server that runs while it is entered. `errors` is what it has written to its standard error.

    unix: the path of the socket that it listens on, if that is no port.
    """

    def __init__(self, command: Command, log: Path, **environment: str) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._log = log
        self._unix = environment.pop("unix", None)
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
                if self._unix is None:
                    self.get("/healthz")
                else:
                    with socket.socket(socket.AF_UNIX) as probe:
                        probe.connect(self._unix)
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
    def name(self) -> str:
        """The command, which names the server."""
        return " ".join(self._command(self.port, 0))

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
