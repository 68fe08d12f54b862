"""The connection to the collector: kept between requests, through a proxy if there is one, with TLS.

1. Everything waits for the socket no longer than the caller's clock says (`Left`): connecting, the proxy,
   TLS, sending and reading. Only the C library's name look-up has a time of its own.
2. A request takes the kept connection out of its place, and puts it back after a whole answer. A request that
   comes meanwhile (another thread, a signal handler) makes one of its own: nothing waits, no lock is held.
3. A connection belongs to the process that made it. After a fork the child closes its copy, unused.
4. A kept connection that turns out to be closed is replaced at once; a new one that fails is not.
5. HTTP is written here by hand, on sockets: patches of HTTP clients, which make spans, have nothing to see.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from typing import Any, Final

from .reading import Answer, CannotConnect, Left, NoAnswer, read_answer
from .settings import Settings
from .url import Url, parse, without_secrets

#: Seconds for which an unused connection is kept. What stands between may forget a connection without a word,
#: and a request on it would wait for an answer until its time is over. Servers close theirs after 60 or more.
IDLE: Final = 50.0
_SLICE: Final = 256 * 1024  # bytes that are handed to a socket at once


class _Declined(Exception):
    """A proxy did not make the tunnel."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer


class Line:
    """The way to one collector. `user_agent` and the settings' headers go with every request."""

    def __init__(self, settings: Settings, user_agent: str) -> None:
        assert settings.url is not None
        self._url = settings.url
        self._tls = _tls(settings) if settings.url.scheme == "https" else None
        self._kept: list[Connection] = []
        self._closed = False
        headers = {"User-Agent": user_agent, "Content-Type": "application/x-protobuf"}
        if settings.compression != "none":
            headers["Content-Encoding"] = settings.compression
        own = {name.lower() for name, _ in settings.headers}
        pairs = [pair for pair in headers.items() if pair[0].lower() not in own]
        self._headers = _lines([*pairs, *settings.headers])
        if _proxies_are_set():
            import urllib.request  # noqa: F401 - 40 ms, better at the start than in the first export

    def post(self, body: bytes, left: Left) -> Answer:
        """Sends `body`, which is compressed as the settings say. Raises OSError, NotHTTP, CannotConnect."""
        connection = self._take()
        if connection is not None:
            try:
                return self._ask(connection, body, left)
            except NoAnswer:
                pass  # closed in the same moment
        try:
            connection = self._open(left)
        except _Declined as declined:
            return declined.answer
        return self._ask(connection, body, left)

    def close(self) -> None:
        """Closes the kept connection, and keeps none any more."""
        self._closed = True
        while self._kept:
            self._kept.pop().close()

    def _take(self) -> Connection | None:
        try:
            connection = self._kept.pop()
        except IndexError:
            return None
        if connection.pid == os.getpid() and time.monotonic() < connection.fresh_until and connection.quiet():
            return connection
        connection.close()
        return None

    def _ask(self, connection: Connection, body: bytes, left: Left) -> Answer:
        reusable = False
        try:
            answer = connection.ask(self._headers, body, left)
            reusable = answer.reusable and not self._kept
            return answer
        finally:
            if reusable:
                connection.fresh_until = time.monotonic() + IDLE
                self._kept.append(connection)
                if self._closed:
                    self.close()
            else:
                connection.close()

    def _open(self, left: Left) -> Connection:
        url, proxy = self._url, _proxy_for(self._url)
        sock: Any = _dial(proxy or url, left)
        try:
            target, extra = url.path + url.query, [("Host", url.netloc)]
            if proxy and self._tls:
                _tunnel(sock, url, proxy, left)
            elif proxy:
                target = f"http://{url.netloc}{target}"
                extra += _proxy_headers(proxy)
            if self._tls:
                sock = self._tls.wrap(sock, url.host, left)
        except BaseException:
            sock.close()
            raise
        return Connection(sock, f"POST {target} HTTP/1.1\r\n".encode() + _lines(extra))


class Connection:
    """One socket, on which requests follow each other. `head`: what each of them begins with."""

    def __init__(self, sock: Any, head: bytes) -> None:
        self.pid = os.getpid()
        self.fresh_until = 0.0  # time.monotonic()
        self._sock = sock
        self._head = head

    def quiet(self) -> bool:
        """Whether nothing came since the last answer: neither the end nor bytes that nobody asked for."""
        try:
            self._sock.settimeout(0)
            self._sock.recv(1)
        except BlockingIOError:
            return True
        except OSError as error:
            return type(error).__name__ == "SSLWantReadError"
        return False

    def ask(self, headers: bytes, body: bytes, left: Left) -> Answer:
        head = b"%b%bContent-Length: %d\r\n\r\n" % (self._head, headers, len(body))
        try:
            if len(body) <= _SLICE:
                _send(self._sock, head + body, left)
            else:
                _send(self._sock, head, left)
                _send(self._sock, body, left)
        except TimeoutError:
            raise
        except OSError as error:
            # Who refuses a body may answer before it is read to its end, and close.
            try:
                return read_answer(self._sock, left)._replace(reusable=False)
            except ConnectionError:
                raise NoAnswer(str(error)) from error
        return read_answer(self._sock, left)

    def close(self) -> None:
        self._sock.close()


def _lines(headers: list[tuple[str, str]]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode()


def _send(sock: Any, data: bytes, left: Left) -> None:
    view = memoryview(data)
    while view:
        sock.settimeout(left())
        view = view[sock.send(view[:_SLICE]) :]


def _dial(url: Url, left: Left) -> socket.socket:
    """A connection to the first of the host's addresses that takes one; each has its share of the time."""
    left()
    found = socket.getaddrinfo(url.host.encode(), url.port, 0, socket.SOCK_STREAM)
    failure: OSError = socket.gaierror(f"{url.host} has no address")
    for index, (family, kind, number, _, address) in enumerate(found):
        sock = None
        try:
            sock = socket.socket(family, kind, number)
            sock.settimeout(left() / (len(found) - index))
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


def _tls(settings: Settings) -> Any:
    from .tls import TLS  # ssl is 10 ms, and most collectors are next door, without it

    return TLS(settings)


def _tunnel(sock: socket.socket, url: Url, proxy: Url, left: Left) -> None:
    headers = _lines([("Host", url.authority), *_proxy_headers(proxy)])
    _send(sock, f"CONNECT {url.authority} HTTP/1.1\r\n".encode() + headers + b"\r\n", left)
    answer = read_answer(sock, left, bodiless=True)
    if not 200 <= answer.status < 300:
        raise _Declined(answer)


def _proxy_headers(proxy: Url) -> list[tuple[str, str]]:
    return [("Proxy-Authorization", proxy.authorization)] if proxy.authorization else []


def _proxies_are_set() -> bool:
    """Whether urllib may find a proxy: in a variable, or where the system has a register of them."""
    return sys.platform in ("darwin", "win32") or any(name.lower().endswith("_proxy") for name in os.environ)


def _proxy_for(url: Url) -> Url | None:
    if not _proxies_are_set():
        return None
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
