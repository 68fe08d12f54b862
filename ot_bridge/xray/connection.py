"""http.client's connection over a socket that asks the clock before each wait; with proxies and TLS."""

from __future__ import annotations

import base64
import http.client
import io
import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from .clock import Left

Trust = Callable[[], ssl.SSLContext]
CONNECT_SECONDS = 3.0  # for one of a host's addresses
_SLICE = 0.25  # seconds of waiting, after which the clock is asked again
_PIECE = 64 * 1024
_PORTS = {"http": 80, "https": 443}


class Connection(http.client.HTTPConnection):
    """To the host of a URL. heard: whether anything of the present answer has come."""

    def __init__(self, url: SplitResult, trust: Trust) -> None:
        self._origin = (url.scheme, *_address(url))
        self._trust = trust
        self._proxy = _proxy(url)
        self._left: Left = float
        self.heard = False
        super().__init__(*(_address(self._proxy) if self._proxy else _address(url)))
        if self._proxy and url.scheme == "https":
            self.set_tunnel(*self._origin[1:], headers=_authorization(self._proxy))

    def is_for(self, url: SplitResult) -> bool:
        """Whether it is open, and to that host."""
        return self.sock is not None and self._origin == (url.scheme, *_address(url))

    def asked(
        self, method: str, url: SplitResult, headers: Mapping[str, str], body: bytes, left: Left
    ) -> http.client.HTTPResponse:
        """The answer to a request, its body still to be read."""
        self._left, self.heard = left, False
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        plain_proxy = self._proxy if url.scheme == "http" else None
        host = url.hostname or ""
        host = f"[{host}]" if ":" in host else host
        if url.port not in (None, _PORTS[url.scheme]):
            host += f":{url.port}"
        self.putrequest(
            method, f"http://{host}{path}" if plain_proxy else path, skip_host=True, skip_accept_encoding=True
        )
        named = {"Host": host, "Content-Length": str(len(body))}
        fields = {name.lower(): (name, value) for name, value in {**headers, **named}.items()}
        for name, value in [*fields.values(), *_authorization(plain_proxy).items()]:
            self.putheader(name, value)
        with suppress(BrokenPipeError):  # it would not hear it all, but may have said why
            self.endheaders(body)
        return self.getresponse()

    def connect(self) -> None:
        """As http.client calls it before the first request."""
        timed: Any = _Timed(self._opened(), self)
        self.sock = timed
        if self._proxy and self._origin[0] == "https":
            self._tunnel()  # type: ignore[attr-defined]
        if self._origin[0] == "https":
            timed.encrypt(self._trust(), self._origin[1])

    def _opened(self) -> socket.socket:
        failure: OSError = socket.gaierror(f"{self.host} has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(
            self.host, self.port, type=socket.SOCK_STREAM
        ):
            made = socket.socket(family, kind, protocol)
            try:
                made.settimeout(self.ready(CONNECT_SECONDS))
                made.connect(address)
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                made.close()
                failure = error
            else:
                return made
        raise failure

    def ready(self, longest: float = _SLICE) -> float:
        """Seconds that one wait may take. Raises TimeoutError if none are left."""
        if not (left := self._left()):
            raise TimeoutError("no complete answer in the time there was")
        return min(left, longest)


class _Timed:
    """As much of a socket as http.client needs. Closed when both the connection and its reader are."""

    def __init__(self, plain: socket.socket, connection: Connection) -> None:
        self._socket = plain
        self._connection = connection
        self._users = 1

    def encrypt(self, context: ssl.SSLContext, host: str) -> None:
        self._socket = context.wrap_socket(self._socket, server_hostname=host, do_handshake_on_connect=False)
        self._in_time(self._socket.do_handshake)

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._in_time(self._socket.send, view[:_PIECE]) :]

    def receive_into(self, buffer: Any) -> int:
        count: int = self._in_time(self._socket.recv_into, buffer)
        self._connection.heard |= bool(count)
        return count

    def _in_time(self, work: Callable[..., Any], *arguments: Any) -> Any:
        while True:
            self._socket.settimeout(self._connection.ready())
            try:
                return work(*arguments)
            except TimeoutError:
                continue  # until the clock says that it is over

    def makefile(self, *_: object, **__: object) -> io.BufferedReader:
        self._users += 1
        return io.BufferedReader(_Reader(self))

    def close(self) -> None:
        self._users -= 1
        if not self._users:
            self._socket.close()


class _Reader(io.RawIOBase):
    def __init__(self, timed: _Timed) -> None:
        self._timed = timed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._timed.receive_into(buffer)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._timed.close()


def _address(url: SplitResult) -> tuple[str, int]:
    return url.hostname or "", url.port or _PORTS.get(url.scheme, 80)


def _proxy(url: SplitResult) -> SplitResult | None:
    proxies = getproxies()
    found = proxies.get(url.scheme) or proxies.get("all")
    if not found or proxy_bypass(url.netloc.rpartition("@")[2]):
        return None
    return urlsplit(found if "://" in found else f"http://{found}")


def _authorization(proxy: SplitResult | None) -> dict[str, str]:
    if proxy is None or not proxy.username:
        return {}
    told = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(told.encode()).decode()}"}
