"""Reads the response to a request with http.client's parser, within the time of the caller's clock.

1. It raises `NoResponse` if the connection is closed before the first byte, `NotHTTP` if the response is not
   HTTP/1, TimeoutError if the time is over, and ConnectionError if the connection is closed within the header
   (http.client itself would accept the incomplete header).
2. Once the header is read, nothing is raised. If a body is cut short, comes too slowly or is longer than
   `MAX_BODY`, the part that was read is returned, and the connection is not used again.
3. Interim responses (1xx) are skipped, unless no other response follows.
4. http.client takes 28 ms to load. It is loaded for the first response, not at the start of a program.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from ot_bridge.sending.late import loading
from ot_bridge.sending.trouble import trouble

MAX_BODY: Final = 4 * 1024 * 1024  # bytes
_PIECE: Final = 64 * 1024

#: Waits for bytes and puts them into the buffer. Returns their number, 0 at the end of the connection.
Receive = Callable[[Any], int]


class NoResponse(ConnectionError):
    """The connection was closed before the first byte of a response."""


class NotHTTP(Exception):
    """The response is not HTTP/1."""


class Response(NamedTuple):
    """A response to a request.

    headers: lower-case name -> the last value. whole: whether the body was read to its end. reusable: whether
    the connection can be used for another request.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool
    reusable: bool


def read_response(receive: Receive, method: str = "POST") -> Response:
    """Reads the response to a request of this method. A 2xx response to CONNECT has no body."""
    with loading:
        import http.client as parser
    source = _Source(receive)
    stream = _Stream(source, _PIECE)
    _check_beginning(stream)
    response = _next_response(parser, stream, source)
    while response.status < 200 and response.status != 101:
        try:
            response = _next_response(parser, stream, source)
        except OSError:
            break
    tunnel = method == "CONNECT" and 200 <= response.status < 300
    body, whole = (b"", True) if tunnel else _body(parser, response)
    source.dry = True
    kept = response.status >= 200 and not response.will_close and not source.ended
    headers = {name.lower(): value.strip() for name, value in response.headers.items()}
    return Response(response.status, headers, body, whole, whole and kept and not stream.peek(1))


class _Source(io.RawIOBase):
    """A connection as a file. ended: whether it was closed. dry: whether reading returns without waiting."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.ended = self.dry = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.dry:
            return None
        count = self._receive(buffer)
        self.ended = not count
        return count


class _Stream(io.BufferedReader):
    """A socket for HTTPResponse, and its file. It stays open, since another response may follow."""

    def makefile(self, *_: object) -> _Stream:
        return self

    def close(self) -> None:
        pass

    def flush(self) -> None:
        """Does nothing. HTTPResponse calls it when it is finalized, maybe after the source was finalized."""


def _check_beginning(stream: _Stream) -> None:
    """Raises NotHTTP for HTTP/2 and others. They send no end of line, for which the parser would wait."""
    try:
        beginning = stream.peek(1)
    except OSError as error:
        if isinstance(error, TimeoutError) or not trouble(error).again:
            raise
        raise NoResponse(str(error)) from error
    if not beginning:
        raise NoResponse("closed without an answer")
    if not b"HTTP/1.".startswith(beginning[:7]):
        raise NotHTTP(f"the response is not HTTP/1: it begins with {beginning[:9]!r}")


def _next_response(parser: Any, stream: _Stream, source: _Source) -> Any:
    """Reads the header of the next response."""
    response = parser.HTTPResponse(stream)
    try:
        response.begin()
    except parser.HTTPException as error:
        if not source.ended:
            raise NotHTTP(f"an answer is not HTTP/1: {error}") from error
    if source.ended:
        raise ConnectionError("the connection was closed within an answer")
    return response


def _body(parser: Any, response: Any) -> tuple[bytes, bool]:
    """The body, and whether it is complete."""
    body = bytearray()
    try:
        while len(body) < MAX_BODY:
            piece = response.read1(min(_PIECE, MAX_BODY - len(body)))
            if not piece:
                return bytes(body), not response.length
            body += piece
    except (OSError, ValueError, parser.HTTPException):
        pass
    return bytes(body), response.length == 0 and len(body) == MAX_BODY
