"""A fake X-Ray over HTTP that can also fail like the real one."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import botocore.session
import pytest
from opentelemetry.sdk.trace.export import SpanExporter

from ot_bridge.sending import clock

Headers = dict[str, str]


class Response(NamedTuple):
    """hang_up: in place of a response, or after one that announces another length."""

    status: int = 200
    body: bytes = b'{"UnprocessedTraceSegments":[]}'
    headers: Headers = {}
    hang_up: bool = False


class Request(NamedTuple):
    path: str
    headers: Headers
    body: bytes

    @property
    def documents(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in json.loads(self.body)["TraceSegmentDocuments"]]


def unprocessed(*ids: str | None) -> Response:
    entries = [{"Id": id_, "ErrorCode": "ThrottledException", "Message": "later"} for id_ in ids]
    return Response(200, json.dumps({"UnprocessedTraceSegments": entries}).encode())


def error(status: int, code: str) -> Response:
    return Response(status, b'{"message":"no"}', {"x-amzn-errortype": code})


class FakeXRay(ThreadingHTTPServer):
    """Sends the next of `responses` (or what that returns for the request), and 200 when none is left."""

    daemon_threads = True
    request_queue_size = 50

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.responses: list[Response | Callable[[Request], Response]] = []
        self.requests: list[Request] = []
        self.connections = 0
        self.closed = 0
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def batches(self) -> list[list[str]]:
        """The ids of the segments in each call."""
        return [[document["id"] for document in request.documents] for request in self.requests]

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.closed += 1

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeXRay

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = Request(self.path, dict(self.headers.items()), body)
        self.server.requests.append(request)
        usual = (
            Response(200, b"")
            if self.path == "/v1/traces" or self.headers.get("Content-Encoding")
            else Response()
        )
        response = self.server.responses.pop(0) if self.server.responses else usual
        if not isinstance(response, Response):
            response = response(request)
        self.close_connection = self.close_connection or response.hang_up
        if response.hang_up and "Content-Length" not in response.headers:
            return
        self.send_response(response.status)
        for name, value in ({"Content-Length": str(len(response.body))} | response.headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(response.body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def xray() -> Iterator[FakeXRay]:
    with FakeXRay() as server:
        yield server
        server.shutdown()


@functools.cache
def shared_session() -> Any:
    """A botocore session for all tests that are not about sessions: one takes half a second to load."""
    return botocore.session.Session()


@pytest.fixture(autouse=True)
def _aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Credentials from the environment, nothing from this machine, and short pauses."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_XRAY_DAEMON_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    monkeypatch.setattr(clock, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(clock, "LONGEST_PAUSE", 0.02)
    loader = shared_session().get_component("data_loader")  # it caches what it has read
    monkeypatch.setattr(botocore.session, "create_loader", lambda *_: loader)


@pytest.fixture
def session() -> Any:
    return botocore.session.Session()


Track = Callable[[SpanExporter], None]


@pytest.fixture
def closing() -> Iterator[Track]:
    """Shuts down at the end what it is given."""
    exporters: list[SpanExporter] = []
    yield exporters.append
    for exporter in exporters:
        exporter.shutdown()
