"""Serves the viewer over HTTP, and receives jaeger-client's packets."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from ot_bridge.view.packets import records
from ot_bridge.view.receive import Sink, is_known_by

Say = Callable[[str], object]

GRPC_INSTEAD: Final = (
    "a program speaks gRPC to the port for HTTP; the port for gRPC is 4317: "
    "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317"
)
_WAITING: Final = 4 << 20  # bytes of packets that the system buffers
_SLOWEST: Final = 30.0  # seconds that a client may be silent
_NOT_HERE: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


def bound(hosts: Sequence[str], port: int) -> list[socket.socket]:
    """Listening sockets on one port (0: any) of all hosts. An address that this machine lacks is left out.

    Raises OSError if the port is taken on one of them, or if no address is left.
    """
    made: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for host in hosts:
            try:
                made.append(_listening(host, port or (made[0].getsockname()[1] if made else 0)))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                missing = error
        if not made:
            raise missing or OSError("no address to listen on")
    except OSError:
        for each in made:
            each.close()
        raise
    return made


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((host, port))
        made.listen(128)
    except (OSError, OverflowError):  # the latter for a port above 65535
        made.close()
        raise
    return made


class _Handler(WSGIRequestHandler):
    timeout = _SLOWEST

    def parse_request(self) -> bool:
        if self.raw_requestline.startswith(b"PRI * HTTP/2"):
            self.server.say_once(GRPC_INSTEAD)  # type: ignore[attr-defined]
            self.close_connection = True
            return False
        return super().parse_request()

    def log(self, type: str, message: str, *args: Any) -> None:
        """Logs nothing."""


class Server(ThreadedWSGIServer):
    """Serves an application on a bound socket, in a thread of its own, until `stop()`."""

    daemon_threads = True

    def __init__(self, app: Any, listening: socket.socket, say: Say) -> None:
        host, port = listening.getsockname()[:2]
        super().__init__(host, port, app, handler=_Handler, fd=listening.fileno())
        listening.close()  # the server has its own
        self.port: int = self.socket.getsockname()[1]
        self._say, self._was_said = say, False
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def say_once(self, text: str) -> None:
        if not self._was_said:
            self._was_said = True
            self._say(text)

    def stop(self) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores an error: the client has gone away or does not speak HTTP."""

    def log(self, type: str, message: str, *args: Any) -> None:
        """Logs nothing."""


class Packets:
    """Receives jaeger-client's packets until `stop()`. Raises OSError if the port is taken."""

    def __init__(self, sink: Sink, host: str = "127.0.0.1", port: int = 6831) -> None:
        self._sink = sink
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WAITING)
        try:
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise
        self.port: int = self._socket.getsockname()[1]
        self._socket.settimeout(0.2)
        self._over = False
        self._mark, self._marked = os.urandom(16), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over:
            try:
                packet = self._socket.recv(1 << 16)
                if packet == self._mark:
                    self._marked.set()
                    continue
                self._sink.add(filter(is_known_by, records(packet)))
            except Exception:  # no packet yet, or no Jaeger packet: UDP has no response to report that
                continue

    def drain(self, seconds: float = 5.0) -> bool:
        """Waits until every packet that has arrived is read. False if that takes too long."""
        self._marked.clear()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(self._mark, ("127.0.0.1", self.port))
        return self._marked.wait(seconds)

    def stop(self) -> None:
        """Stops taking packets and frees the port."""
        self._over = True
        self._thread.join(2)
        self._socket.close()
