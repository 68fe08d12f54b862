"""One kept HTTP connection to where spans go.

1. Connecting, TLS, sending, waiting, header and body take `left()` seconds together, in how small pieces the
   other end may send. Only the look-up of a host's name takes as long as the system lets it.
2. The connection is kept between requests. One that the other end has closed meanwhile is replaced at once,
   if not a byte of an answer came.
3. Redirects are not followed. At most 4 MiB of an answer are read. An answer may be cut short: it is then as
   good as its status.
4. A proxy is the environment's (`HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`), read when a connection is made.
"""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from ot_bridge.errors import ConfigurationError

from .base import Failure, TryAgain, kind_of
from .clock import Left
from .connection import Connection, Trust

ATTEMPT_SECONDS = 10.0
LARGEST_ANSWER = 4 * 1024 * 1024  # bytes
_PIECE = 64 * 1024


class Answer(NamedTuple):
    """complete: not cut short by the other end, its length or the time."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    complete: bool

    def header(self, name: str) -> str | None:
        """name: in lower case."""
        return next((value for key, value in self.headers.items() if key.lower() == name), None)


class Transport:
    """For one process, and one thread at a time. trust: makes the TLS context, if it comes to that."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        self._connection: Connection | None = None

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes, left: Left) -> Answer:
        """Raises TryAgain, or Failure if the other end cannot be trusted."""
        end = time.monotonic() + ATTEMPT_SECONDS

        def still() -> float:
            return max(0.0, min(left(), end - time.monotonic()))

        try:
            return self._send(method, urlsplit(url), headers, body, still)
        except ssl.SSLCertVerificationError as error:
            self.close()
            raise Failure("other", error) from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise TryAgain(kind_of(error), f"{type(error).__name__}: {error}") from error
        except BaseException:
            self.close()  # half a request may be on its way
            raise

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send(
        self, method: str, url: SplitResult, headers: Mapping[str, str], body: bytes, left: Left
    ) -> Answer:
        kept = self._connection
        if kept is not None and kept.is_for(url):
            try:
                return self._once(kept, method, url, headers, body, left)
            except (ConnectionError, ssl.SSLEOFError):
                if kept.heard:
                    raise
        self.close()
        self._connection = Connection(url, self._trust)
        return self._once(self._connection, method, url, headers, body, left)

    def _once(
        self,
        connection: Connection,
        method: str,
        url: SplitResult,
        headers: Mapping[str, str],
        body: bytes,
        left: Left,
    ) -> Answer:
        response = connection.asked(method, url, headers, body, left)
        answer = _read(response)
        if not answer.complete:
            self.close()
        return answer


def _read(response: http.client.HTTPResponse) -> Answer:
    pieces: list[bytes] = []
    complete = False
    try:
        while sum(map(len, pieces)) < LARGEST_ANSWER:
            piece = response.read(_PIECE)
            if not piece:
                complete = not response.length
                break
            pieces.append(piece)
    except (OSError, http.client.HTTPException):
        pass
    return Answer(response.status, dict(response.headers.items()), b"".join(pieces), complete)


def checked(endpoint: str) -> str:
    """An endpoint that can be spoken to. Raises ConfigurationError."""
    try:
        parts = urlsplit(endpoint)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except (ValueError, TypeError, AttributeError):
        fine = False
    if not fine:
        raise ConfigurationError("endpoint", endpoint, "pass a URL that begins with http:// or https://")
    return endpoint


def shown(url: str) -> str:
    """A URL for a log: without user, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
