"""Reads the answer to a request from a socket, each byte against the caller's clock.

Why not http.client: it loads 28 ms of modules (email, ssl) and takes 70 µs for an answer that this reads in
less than 10; and its clock begins anew with every byte that comes. Rules (RFC 9112):

1. Not a byte of an answer: `NoAnswer`. What is not HTTP/1: `NotHTTP`. The time is over: TimeoutError.
2. After a whole header nothing raises: a body that is cut short, comes too slowly or is longer than
   `MAX_BODY` is given as far as it was read, and the connection is not used again.
3. Interim answers (1xx) are skipped; one after which nothing comes is the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

MAX_BODY: Final = 4 * 1024 * 1024  # bytes
_MAX_HEADER: Final = 64 * 1024
_STATUS: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9][0-9])(?: |\r?\n|$)")

#: Seconds that are left, above 0. Raises TimeoutError if there are none.
Left = Callable[[], float]


class NoAnswer(ConnectionError):
    """The connection was closed before a byte of an answer came."""


class NotHTTP(Exception):
    """What came is no answer of HTTP/1."""


class CannotConnect(Exception):
    """The configuration allows no connection; another attempt would not change that."""


class Answer(NamedTuple):
    """headers: by lower-case name, the last of each. reusable: the connection may carry another request."""

    status: int
    headers: dict[str, str]
    body: bytes
    reusable: bool


class _Stream:
    """What comes from a socket, in lines or by length."""

    def __init__(self, sock: Any, left: Left) -> None:
        self._sock = sock
        self._left = left
        self._waiting = b""

    def more(self) -> bool:
        """Waits for some bytes; False at the end."""
        self._sock.settimeout(self._left())
        got = self._sock.recv(65536)
        self._waiting += got
        return bool(got)

    def up_to(self, end: bytes, limit: int) -> bytes:
        """Everything up to and with `end`. Raises ConnectionError, or NotHTTP if that is too much."""
        start = 0
        while (found := self._waiting.find(end, start)) < 0:
            start = max(0, len(self._waiting) - len(end) + 1)
            if start > limit:
                raise NotHTTP(f"an answer has more than {limit} bytes of header")
            if not self.more():
                raise ConnectionError("the connection was closed within an answer")
        return self._take(found + len(end))

    def exactly(self, count: int, into: bytearray) -> None:
        """Appends `count` bytes, or what comes of them before an error."""
        while count > 0:
            if not self._waiting and not self.more():
                raise ConnectionError("the connection was closed within an answer")
            part = self._take(count)
            into += part
            count -= len(part)

    def _take(self, count: int) -> bytes:
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return taken

    def check_version(self) -> None:
        """Raises NotHTTP if an answer of HTTP/1 cannot begin with what has come so far."""
        if not b"HTTP/1.".startswith(self._waiting[:7]):
            raise NotHTTP(f"what answers does not speak HTTP/1: it begins with {self._waiting[:9]!r}")

    @property
    def empty(self) -> bool:
        return not self._waiting


def read_answer(sock: Any, left: Left, bodiless: bool = False) -> Answer:
    """The answer to the request that was sent last on `sock`. bodiless: a 2xx to it has no body (CONNECT)."""
    stream = _Stream(sock, left)
    try:
        if not stream.more():
            raise NoAnswer("closed without an answer")
    except ConnectionError as error:
        raise NoAnswer(str(error)) from error
    stream.check_version()
    minor, status, headers = _header(stream)
    while 100 <= status < 200 and status != 101:
        try:
            minor, status, headers = _header(stream)
        except OSError:
            return Answer(status, headers, b"", False)
    body = bytearray()
    whole = (bodiless and 200 <= status < 300) or _body(stream, status, headers, body)
    kept = minor == b"1" and headers.get("connection", "").lower() != "close"
    return Answer(status, headers, bytes(body), whole and kept and stream.empty)


def _header(stream: _Stream) -> tuple[bytes, int, dict[str, str]]:
    first = stream.up_to(b"\n", _MAX_HEADER)
    found = _STATUS.match(first)
    if not found:
        raise NotHTTP(f"an answer begins with {first[:20]!r}, which is not HTTP/1")
    headers: dict[str, str] = {}
    room = _MAX_HEADER
    while (line := stream.up_to(b"\n", room)) not in (b"\r\n", b"\n"):
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
        room -= len(line)
    return found[1], int(found[2]), headers


def _body(stream: _Stream, status: int, headers: dict[str, str], body: bytearray) -> bool:
    """Appends the body to `body`; whether it was read to its end, and its end was told."""
    if status < 200 or status in (204, 304):
        return status >= 200
    try:
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return _chunks(stream, body)
        length = headers.get("content-length", "")
        if length.isascii() and length.isdecimal() and len(length) < 20:
            stream.exactly(min(int(length), MAX_BODY), body)
            return int(length) <= MAX_BODY
        stream.exactly(MAX_BODY, body)
    except (OSError, ValueError, NotHTTP):
        pass
    return False


def _chunks(stream: _Stream, body: bytearray) -> bool:
    while True:
        size = int(stream.up_to(b"\n", 1024).partition(b";")[0], 16)
        if not 0 <= size <= MAX_BODY - len(body):
            return False
        if size == 0:
            break
        stream.exactly(size, body)
        stream.up_to(b"\n", 2)
    room = _MAX_HEADER
    while (line := stream.up_to(b"\n", room)) not in (b"\r\n", b"\n"):
        room -= len(line)
    return True
