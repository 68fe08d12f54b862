"""Behind real servers: scopes that stay open, sockets that are taken over, targets and peers that are odd."""

from __future__ import annotations

import json
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
import simple_websocket

from tests.edge.managers import TRACERS
from tests.wsgi.servers import ODD, ODD_SERVERS, Running, waitress

NO_UWSGI = not (shutil.which("uwsgi") or Path(sys.executable).with_name("uwsgi").exists())


@pytest.fixture(params=ODD_SERVERS, scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    if request.param == "uwsgi" and NO_UWSGI:
        pytest.skip("uWSGI is built with a C compiler: pip install uwsgi")
    log = tmp_path_factory.mktemp("server") / "log"
    with Running(ODD_SERVERS[request.param], log) as running:
        yield running


def fetched_report(server: Running, name: str) -> Any:
    return json.loads(server.get(f"/report/{name}")[1])


def settled(server: Running, name: str, is_done: Callable[[Any], bool]) -> Any:
    """The report, when it is complete or 20 seconds have passed."""
    end = time.monotonic() + 20
    while not is_done(report := fetched_report(server, name)) and time.monotonic() < end:
        time.sleep(0.02)
    return report


REQUEST = [["ServeHTTP", ""], ["inner", "outer"], ["outer", "ServeHTTP"]]
SITES = [name.replace(" ", "-") for name in TRACERS]


@pytest.mark.parametrize("name", SITES)
def test_scopes_that_a_body_leaves_open_end_with_it_and_are_not_active_between_chunks(
    server: Running, name: str
) -> None:
    before = fetched_report(server, name)
    for _ in range(3):
        assert server.get(f"/left/{name}") == (200, b"chunk" * 3)
    report = settled(server, name, lambda report: len(report["spans"]) >= len(before["spans"]) + 9)
    assert report["left"] == 0, server.errors
    assert report["spans"] == sorted(before["spans"] + REQUEST * 3)


@pytest.mark.parametrize("name", SITES)
def test_scopes_end_when_the_client_disconnects_during_the_response(server: Running, name: str) -> None:
    before = fetched_report(server, name)
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(f"GET /left/{name}?1000 HTTP/1.0\r\nHost: h\r\n\r\n".encode())
        assert client.recv(100)
    report = settled(server, name, lambda report: len(report["spans"]) >= len(before["spans"]) + 3)
    assert report["left"] == 0, server.errors
    assert report["spans"] == sorted(before["spans"] + REQUEST)


@pytest.mark.parametrize("form", ["http://{}/tags", "HTTP://{}/tags?a=1;token=s", "/tags"])
def test_url_is_correct_for_both_forms_of_the_request_target(server: Running, form: str) -> None:
    host = f"127.0.0.1:{server.port}"
    target = form.format(host)
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(f"GET {target} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        response = HTTPResponse(client)
        response.begin()
        tags = json.loads(response.read())
    query = "?a=1;token=REDACTED" if "?" in form else ""
    assert tags["http.url"] == f"http://{host}/tags{query}"
    assert tags["peer.ipv4"] == "127.0.0.1"


def test_websocket_is_served_and_its_session_is_not_an_error(server: Running) -> None:
    if "waitress" in server.name or "wsgiref" in server.name or "uwsgi" in server.name:
        pytest.skip("has no sockets for simple-websocket to take over")
    count = len(fetched_report(server, "sockets"))
    for _ in range(2):
        client = simple_websocket.Client(f"ws://127.0.0.1:{server.port}/socket/ann")
        client.send("hello")
        assert client.receive(timeout=10) == "annhello"
        client.close()
    spans = settled(server, "sockets", lambda spans: len(spans) >= count + 2)[count:]
    status = 200 if "werkzeug" in server.name else None  # Flask's own answer, into a socket that is closed
    assert spans == [["GET /socket/<name>", status, "UNSET"]] * 2, server.errors
    assert "Error" not in server.errors


def test_peer_of_a_unix_socket_is_not_tagged(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    command = waitress(ODD, where=f"unix_socket={str(path)!r}")
    with Running(command, tmp_path / "log", unix=str(path)), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"GET /tags HTTP/1.0\r\nHost: h\r\n\r\n")
        response = HTTPResponse(client)
        response.begin()
        tags = json.loads(response.read())
    assert tags["http.url"] == "http://h/tags"
    assert not [name for name in tags if name.startswith("peer.")]
