"""The connection to a receiver: kept between requests, through a proxy if there is one, with TLS.

1. TLS, sending and reading wait no longer than the caller's clock allows, and read the clock again every
   quarter of a second. Connecting to one address takes 3 seconds at most. Only the C library's name look-up
   may take longer than the clock allows.
2. A request takes the kept connection, and puts it back after a complete response. A request that comes
   meanwhile (in another thread or a signal handler) makes its own connection. No lock is held.
3. A connection belongs to the process that made it. After a fork the child closes its copy without using it.
4. A kept connection that turns out to be closed is replaced at once. A new one that fails is not.
5. Requests are written here and not by an HTTP client, so instrumentations of HTTP clients make no spans of
   them.
6. The proxy comes from the environment, which is read when a connection is made.
"""

from __future__ import annotations

import os
import socket
import sys
import time
import weakref
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Final

from ot_bridge.sending.addresses import addresses
from ot_bridge.sending.clock import Clock
from ot_bridge.sending.responses import NoResponse, Response, read_response
from ot_bridge.sending.trouble import CannotConnect
from ot_bridge.sending.url import Url, parse, without_secrets

if TYPE_CHECKING:
    from ot_bridge.sending.tls import TLS

#: Seconds for which an unused connection is kept. Load balancers may forget a connection without closing it,
#: and a request on it would wait until its time is over. Servers close theirs after 60 s or more.
IDLE: Final = 50.0
_CONNECTING: Final = 3.0  # seconds for one of a host's addresses
_SLICE: Final = 0.25  # seconds of waiting, after which the clock is read again
_PIECE: Final = 256 * 1024  # bytes that are handed to a socket at once


class _Declined(Exception):
    """A proxy did not make the tunnel."""

    def __init__(self, response: Response) -> None:
        self.response = response


class Line:
    """Sends requests to one receiver. trust: makes the TLS settings, when an https URL needs them."""

    def __init__(self, trust: Callable[[], TLS]) -> None:
        self._trust = trust
        self._tls: TLS | None = None
        self._kept: list[Connection] = []
        self._closed = False

    def post(self, url: Url, headers: bytes, body: bytes, clock: Clock) -> Response:
        """Sends a request and returns the response. Raises OSError, NotHTTP or CannotConnect.

        headers: made by `lines`, without Host and Content-Length.
        """
        connection = self._take(url)
        if connection is not None:
            try:
                return self._exchange(connection, url, headers, body, clock)
            except NoResponse:
                pass  # the server closed the connection in the same moment
        try:
            connection = self._open(url, clock)
        except _Declined as declined:
            return declined.response
        return self._exchange(connection, url, headers, body, clock)

    def close(self) -> None:
        """Closes the kept connection. From now on none is kept."""
        self._closed = True
        while self._kept:
            self._kept.pop().close()

    def _take(self, url: Url) -> Connection | None:
        try:
            connection = self._kept.pop()
        except IndexError:
            return None
        ours = connection.pid == os.getpid() and connection.origin == url[:3]
        if ours and time.monotonic() < connection.fresh_until and connection.is_usable():
            return connection
        connection.close()
        return None

    def _exchange(
        self, connection: Connection, url: Url, headers: bytes, body: bytes, clock: Clock
    ) -> Response:
        reusable = False
        try:
            response = connection.exchange((url.path or "/") + url.query, headers, body, clock)
            reusable = response.reusable and not self._kept
            return response
        finally:
            if reusable:
                connection.fresh_until = time.monotonic() + IDLE
                self._kept.append(connection)
                if self._closed:
                    self.close()
            else:
                connection.close()

    def _open(self, url: Url, clock: Clock) -> Connection:
        proxy = _proxy_for(url)
        connection = Connection(dial(proxy or url, clock), url)
        try:
            if url.scheme == "https":
                if proxy:
                    connection.tunnel(url, proxy, clock)
                self._tls = self._tls or self._trust()
                connection.encrypt(self._tls, url.host, clock)
            elif proxy:
                connection.before = f"http://{url.netloc}"
                connection.headers += lines(_proxy_headers(proxy))
        except BaseException:
            connection.close()
            raise
        return connection


class Connection:
    """One socket, for one request after another.

    before: the text in front of the path in a request. headers: the headers of every request.
    """

    def __init__(self, sock: Any, url: Url) -> None:
        self.pid = os.getpid()
        self.fresh_until = 0.0  # time.monotonic()
        self.origin = url[:3]
        self.before = ""
        self.headers = lines([("Host", url.netloc)])
        self._sock = sock
        # For exporters that are dropped without a shutdown. In a reference cycle the socket's own finalizer,
        # which warns, may run before a `__del__`, but not before this.
        weakref.finalize(self, sock.close).atexit = False

    def is_usable(self) -> bool:
        """Whether the connection is open and has received nothing since the last response."""
        try:
            self._sock.settimeout(0)
            self._sock.recv(1)
        except BlockingIOError:
            return True
        except OSError as error:
            return type(error).__name__ == "SSLWantReadError"
        return False

    def exchange(self, target: str, headers: bytes, body: bytes, clock: Clock) -> Response:
        first = f"POST {self.before}{target} HTTP/1.1\r\n".encode()
        head = b"%b%b%bContent-Length: %d\r\n\r\n" % (first, self.headers, headers, len(body))
        try:
            self._send(head + body if len(body) <= _PIECE else head, clock)
            if len(body) > _PIECE:
                self._send(body, clock)
        except TimeoutError:
            raise
        except OSError:
            # A server that refuses a body may respond and close before it has read all of it.
            return self._response(clock)._replace(reusable=False)
        return self._response(clock)

    def tunnel(self, url: Url, proxy: Url, clock: Clock) -> None:
        """Makes a tunnel through the proxy. Raises _Declined."""
        headers = lines([("Host", url.authority), *_proxy_headers(proxy)])
        self._send(f"CONNECT {url.authority} HTTP/1.1\r\n".encode() + headers + b"\r\n", clock)
        response = self._response(clock, "CONNECT")
        if not 200 <= response.status < 300:
            raise _Declined(response)

    def encrypt(self, tls: TLS, host: str, clock: Clock) -> None:
        self._sock = tls.wrapped(self._sock, host)
        self._in_time(clock, self._sock.do_handshake)

    def close(self) -> None:
        self._sock.close()

    def _response(self, clock: Clock, method: str = "POST") -> Response:
        return read_response(lambda buffer: self._in_time(clock, self._sock.recv_into, buffer), method)

    def _send(self, data: bytes, clock: Clock) -> None:
        view = memoryview(data)
        while view:
            view = view[self._in_time(clock, self._sock.send, view[:_PIECE]) :]

    def _in_time(self, clock: Clock, work: Callable[..., Any], *arguments: Any) -> Any:
        while True:
            self._sock.settimeout(min(clock.left(), _SLICE))
            try:
                return work(*arguments)
            except TimeoutError:
                continue  # until `clock.left` raises


def lines(headers: Collection[tuple[str, str]]) -> bytes:
    """The lines of these headers in a request. Raises ValueError for a line break in one."""
    text = "".join(f"{name}: {value}\r\n" for name, value in headers)
    if text.count("\n") != len(headers) or text.count("\r") != len(headers):
        raise ValueError("a header has a line break in it")
    return text.encode()


def dial(url: Url, clock: Clock) -> socket.socket:
    """A connection to the first address of the host that accepts one.

    Each address has a share of the time.
    """
    clock.left()
    found = addresses(url.host.encode(), url.port, socket.SOCK_STREAM)
    failure: OSError = socket.gaierror(f"{url.host} has no address")
    for index, (family, kind, number, _, address) in enumerate(found):
        sock = None
        try:
            sock = socket.socket(family, kind, number)
            sock.settimeout(min(clock.left() / (len(found) - index), _CONNECTING))
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except BaseException as error:
            if sock is not None:
                sock.close()
            if not isinstance(error, OSError):
                raise
            failure = error
    raise failure


def _proxy_headers(proxy: Url) -> list[tuple[str, str]]:
    return [("Proxy-Authorization", proxy.authorization)] if proxy.authorization else []


def _proxy_for(url: Url) -> Url | None:
    # Proxies are set by variables, and on some systems in a registry.
    if sys.platform not in ("darwin", "win32") and not any(
        name.lower().endswith("_proxy") for name in os.environ
    ):
        return None  # urllib takes 40 ms to load
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    text = proxies.get(url.scheme) or proxies.get("all")
    if not text or proxy_bypass(url.authority):
        return None
    try:
        proxy = parse(text if "://" in text else f"http://{text}")
    except ValueError as problem:
        raise CannotConnect(f"the proxy {without_secrets(text)} cannot be used: {problem}") from None
    if proxy.scheme != "http":
        raise CannotConnect(f"the proxy {proxy} cannot be used: only http:// can, also for https endpoints")
    return proxy
