"""The parts of sending a request: the clock, headers, and responses of every kind read from a pipe."""

from __future__ import annotations

import io
import os
import re
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ot_bridge.sending import clock
from ot_bridge.sending.clock import Patience
from ot_bridge.sending.late import loading
from ot_bridge.sending.line import Connection, Line, lines
from ot_bridge.sending.responses import MAX_BODY, NoResponse, NotHTTP, Response, read_response
from ot_bridge.sending.tls import TLS
from ot_bridge.sending.trouble import CannotConnect
from ot_bridge.sending.url import parse


def pieces(data: bytes, size: int) -> Any:
    """A connection on which `data` comes in pieces of this size, and then its end."""
    stream = io.BytesIO(data)
    return lambda buffer: stream.readinto(memoryview(buffer)[:size])


@pytest.mark.parametrize("received", [None, b"", b"HTTP/1.1 408 Request Timeout"])
def test_only_a_connection_that_has_received_nothing_is_used_again(received: bytes | None) -> None:
    here, there = socket.socketpair()
    with here, there:
        connection = Connection(here, parse("http://collector/"))
        if received is not None:
            there.sendall(received)
            there.close()
        assert connection.is_usable() is (received is None)


@pytest.mark.parametrize("size", [3, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1])
def test_a_body_of_any_size_is_sent_once(size: int) -> None:
    here, there = socket.socketpair()
    received = bytearray()

    def serve() -> None:
        while piece := there.recv(1 << 20):
            received.extend(piece)
            if received.endswith(b"end"):
                there.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    body = bytes(size - 3) + b"end"
    thread = threading.Thread(target=serve)
    with there:
        thread.start()
        with here:
            connection = Connection(here, parse("http://collector/"))
            assert connection.exchange("/path", b"", body, Patience().start(10)).status == 200
        thread.join()
    assert received.count(b"end") == 1
    assert received == (
        f"POST /path HTTP/1.1\r\nHost: collector\r\nContent-Length: {size}\r\n\r\n".encode() + body
    )


def test_head_and_body_are_handed_to_the_socket_at_once() -> None:
    here, there = socket.socketpair(type=socket.SOCK_SEQPACKET)  # each `send` is one message
    with here, there:
        there.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        Connection(here, parse("http://c/")).exchange("/", b"", bytes(100_000), Patience().start(10))
        head, _, body = there.recv(1 << 20).partition(b"\r\n\r\n")
        assert (head[:4], len(body)) == (b"POST", 100_000)


def test_a_line_that_is_closed_during_a_request_keeps_no_connection() -> None:
    received: list[bytes] = []
    opened = Line(lambda: TLS(None))

    def serve() -> None:
        peer, _ = server.accept()
        with peer:
            peer.settimeout(5)
            received.append(peer.recv(4096)[:4])
            opened.close()
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            received.append(peer.recv(1))  # the end, if the connection is closed

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        url = parse(f"http://127.0.0.1:{server.getsockname()[1]}/")
        assert opened.post(url, b"", b"", Patience().start(10)).status == 200
        thread.join()
    assert received == [b"POST", b""]


OK = b"HTTP/1.1 200 OK\r\nA: 1\r\na:  2 \r\n"
WHOLE = {
    "length": (OK + b"Content-Length: 3\r\n\r\nabc", b"abc", True, True),
    "length, cut": (OK + b"Content-Length: 4\r\n\r\nabc", b"abc", False, False),
    "a length that is none": (OK + b"Content-Length: x\r\n\r\nabc", b"abc", True, False),
    "chunks": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\nB: c\r\n\r\n",
        b"abc", True, True),
    "chunks, cut": (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n9\r\nc", b"abc", False, False),
    "chunks, cut between": (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", b"ab", False, False),
    "a chunk of no size": (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\nzz\r\n", b"ab", False, False),
    "to the end": (OK + b"\r\nabc", b"abc", True, False),
    "to be closed": (OK + b"Connection: close\r\nContent-Length: 3\r\n\r\nabc", b"abc", True, False),
    "interim answers before": (
        b"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 103 Hi\r\nX: y\r\n\r\n" + OK + b"Content-Length: 3\r\n\r\nabc",
        b"abc", True, True),
}  # fmt: skip


@pytest.mark.parametrize("size", [1, 7, 60_000])
@pytest.mark.parametrize(("data", "body", "whole", "reusable"), WHOLE.values(), ids=WHOLE)
def test_a_response_is_read_in_pieces_of_any_size(
    data: bytes, body: bytes, whole: bool, reusable: bool, size: int
) -> None:
    response = read_response(pieces(data, size))
    assert response.headers["a"] == "2"
    assert (response.status, response.body, response.whole, response.reusable) == (200, body, whole, reusable)


def test_a_connection_with_bytes_after_the_response_is_not_used_again() -> None:
    data = OK + b"Content-Length: 2\r\n\r\nabc"
    assert read_response(pieces(data, 60_000))[2:] == (b"ab", True, False)


NONE = {
    "nothing": (b"", NoResponse),
    "half a word": (b"HT", ConnectionError),
    "half a status line": (b"HTTP/1.1 20", ConnectionError),
    "half a header": (OK, ConnectionError),
    "half a header's name": (OK + b"Conte", ConnectionError),
    "mail": (b"220 mail\r\n", NotHTTP),
    "HTTP/2": (b"HTTP/2 200\r\n\r\n", NotHTTP),
    "a status of four digits": (b"HTTP/1.1 2000 OK\r\n\r\n", NotHTTP),
    "too many headers": (OK + b"X: y\r\n" * 200 + b"\r\n", NotHTTP),
}


@pytest.mark.parametrize(("data", "error"), NONE.values(), ids=NONE)
@pytest.mark.parametrize("size", [1, 60_000])
def test_an_invalid_response_is_an_error(data: bytes, error: type[Exception], size: int) -> None:
    with pytest.raises(error):
        read_response(pieces(data, size))


def test_the_beginning_of_a_response_that_is_not_http_is_shown() -> None:
    with pytest.raises(NotHTTP) as raised:
        read_response(pieces(b"220-mail.example.com\r\n", 60_000))
    assert str(raised.value) == "the response is not HTTP/1: it begins with b'220-mail.'"


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        (ConnectionResetError("reset"), NoResponse),
        (ssl.SSLEOFError("cut"), NoResponse),
        (ssl.SSLError("a wrong certificate"), ssl.SSLError),
        (TimeoutError("late"), TimeoutError),
    ],
    ids=lambda value: getattr(value, "__name__", None) or type(value).__name__,
)
def test_a_connection_that_breaks_before_a_response_may_be_tried_again_unless_tls_failed(
    broken: Exception, error: type[Exception]
) -> None:
    def receive(buffer: Any) -> int:
        raise broken

    with pytest.raises(error) as raised:
        read_response(receive)
    assert type(raised.value) is error


_CHUNK = f"Transfer-Encoding: chunked\r\n\r\n{MAX_BODY:x}\r\n"
LARGE = {
    "below the limit": (f"Content-Length: {MAX_BODY - 1}\r\n\r\n", MAX_BODY - 1, True),
    "at the limit": (f"Content-Length: {MAX_BODY}\r\n\r\n", MAX_BODY, True),
    "above the limit": (f"Content-Length: {MAX_BODY + 1}\r\n\r\n", MAX_BODY + 1, False),
    "a chunk at the limit, which may not be the last": (_CHUNK, MAX_BODY, False),
    "to the end": ("\r\n", MAX_BODY + 1, False),
}


@pytest.mark.parametrize("case", LARGE)
def test_a_body_is_read_up_to_the_limit(case: str) -> None:
    head, length, whole = LARGE[case]
    response = read_response(pieces(OK + head.encode() + bytes(length), 60_000))
    assert (len(response.body), response.whole) == (min(length, MAX_BODY), whole)
    assert response.reusable is whole


def test_a_socket_gets_tls_before_its_handshake() -> None:
    here, there = socket.socketpair()
    with here, there:
        here.settimeout(0.01)  # nobody answers a handshake
        with TLS(None).wrapped(here, "localhost") as wrapped:
            assert wrapped.version() is None


def test_authorities_are_read_from_a_directory_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    here, there = socket.socketpair()
    with here, there:
        with pytest.raises(CannotConnect, match=re.escape(f"up with {tmp_path / 'file'}: ")):
            TLS(str(tmp_path / "file")).wrapped(here, "localhost")
        TLS(str(tmp_path)).wrapped(here, "localhost").close()


@pytest.mark.parametrize(
    ("status", "body"), [(200, b""), (299, b""), (300, b"123456789"), (407, b"123456789")]
)
def test_a_successful_response_to_connect_has_no_body(status: int, body: bytes) -> None:
    data = f"HTTP/1.1 {status} A\r\nContent-Length: 9\r\n\r\n".encode() + body
    response = read_response(pieces(data, 60_000), "CONNECT")
    assert response == Response(status, {"content-length": "9"}, body, True, True)


@pytest.mark.parametrize("pair", [("a", "b\nc: d"), ("a\r", "b"), ("a", "b\r\nc: d")])
def test_a_header_with_a_line_break_is_not_sent(pair: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="line break"):
        lines([pair])


def test_pauses_stay_short_after_any_number_of_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "LONGEST_PAUSE", 0.001)
    assert Patience().start(60).pause(100_000)


def test_a_partial_timeout_never_exceeds_the_whole_timeout() -> None:
    whole = Patience().start(60)
    assert whole.within(1).left() <= 1
    assert 59 < whole.within(1000).left() <= 60
    assert whole.within(0).over


def test_a_wake_up_without_a_new_deadline_does_not_end_a_pause() -> None:
    patience = Patience()
    timer = threading.Timer(0.05, lambda: patience.give_up_at(None))
    timer.start()
    began = time.monotonic()
    assert patience.start(60).pause(0, 0.2)
    assert time.monotonic() - began >= 0.2
    timer.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_signal_handler_may_fork_while_its_thread_loads() -> None:
    ended: list[int] = []

    def load() -> None:
        with loading:
            pid = os.fork()
            if not pid:
                os._exit(0)
            ended.append(os.waitpid(pid, 0)[1])

    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    thread.join(10)
    assert ended == [0]
