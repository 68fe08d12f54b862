"""Sends segment documents to the X-Ray daemon, or to a collector like it, each in one UDP datagram."""

from __future__ import annotations

import errno
import os
import socket
import weakref
from collections.abc import Iterable

from opentelemetry.sdk.trace import ReadableSpan

from ot_bridge.errors import ConfigurationError
from ot_bridge.sending.addresses import addresses
from ot_bridge.sending.clock import Clock
from ot_bridge.sending.trouble import trouble
from ot_bridge.xray.base import DEFAULT_TIMEOUT, DeliveringExporter, Failure
from ot_bridge.xray.document import trimmed
from ot_bridge.xray.segment import Annotate, segment

DEFAULT_ADDRESS = "127.0.0.1:2000"
_HEADER = b'{"format":"json","version":1}\n'


class XRayDaemonExporter(DeliveringExporter[bytes]):
    """Sends spans to the X-Ray daemon.

    address: `host:port`; if None, AWS_XRAY_DAEMON_ADDRESS (also `tcp:host:port udp:host:port`), else
    127.0.0.1:2000. service_version, annotate: see `segment`. Datagrams are not acknowledged: a span counts as
    lost only if the system refuses its datagram or reports that nothing listens. Raises ConfigurationError.
    """

    name = "xray_daemon"

    def __init__(
        self, address: str | None = None, *, service_version: str | None = None, annotate: Annotate = ()
    ) -> None:
        self._address = _parsed(address or os.environ.get("AWS_XRAY_DAEMON_ADDRESS") or DEFAULT_ADDRESS)
        self._service_version = service_version
        self._annotate = annotate
        self._socket: socket.socket | None = None
        self.target = "udp://{}:{}".format(*self._address)
        super().__init__(DEFAULT_TIMEOUT)

    def _payload(self, span: ReadableSpan) -> bytes:
        document = segment(span, annotate=self._annotate, service_version=self._service_version)
        return _HEADER + trimmed(document)

    def _send(self, batch: list[bytes], clock: Clock) -> Iterable[bytes]:
        failures = [failure for datagram in batch if (failure := self._send_datagram(datagram, clock))]
        if len(failures) == len(batch) and len({failure.kind for failure in failures}) == 1:
            raise failures[-1]
        for failure in failures:
            self._lose(1, failure.kind, failure)
        return ()

    def _send_datagram(self, datagram: bytes, clock: Clock) -> Failure | None:
        try:
            sending = self._connected()
            sending.settimeout(clock.left())
            # Another host's report that nothing listens comes late, so it is about an earlier datagram.
            if failure := _refusal(sending):
                self._lose(1, failure.kind, failure)
            sending.send(datagram)
            return _refusal(sending)
        except OSError as error:
            self._reset()
            return _failure(error)

    def _connected(self) -> socket.socket:
        """A connected socket: only for such a socket, the system reports that nothing listens.

        After a failure a new one is made, and the address is looked up again.
        """
        if self._socket is None:
            host, port = self._address
            family, kind, protocol, _, address = addresses(host, port, socket.SOCK_DGRAM)[0]
            self._socket = socket.socket(family, kind, protocol)
            # Closes the socket also if the exporter is dropped without a shutdown.
            self._close = weakref.finalize(self, self._socket.close)
            self._close.atexit = False
            self._socket.connect(address)
        return self._socket

    def _reset(self) -> None:
        if self._socket is not None:
            self._close()
            self._socket = None


def _refusal(sending: socket.socket) -> Failure | None:
    code = sending.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return _failure(OSError(code, os.strerror(code))) if code else None


def _failure(error: OSError) -> Failure:
    reason, text, _ = trouble(error)
    return Failure("too large" if error.errno == errno.EMSGSIZE else reason, text)


def _parsed(address: str) -> tuple[str, int]:
    parts = address.split()
    # If there are two addresses, the one for UDP. At the other the daemon gives out sampling rules.
    chosen = next((part for part in parts if part.startswith("udp:")), parts[0] if parts else "")
    host, colon, port = chosen.removeprefix("udp:").rpartition(":")
    if not (colon and host and port.isdecimal() and 0 < int(port) < 65536) or host == "tcp":
        raise ConfigurationError("address", address, "expected host:port, or tcp:host:port udp:host:port")
    return host.strip("[]"), int(port)
