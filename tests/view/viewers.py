"""A viewer in this process, on ports of its own."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from ot_bridge.view.app import NAMES, Viewer
from ot_bridge.view.serving import Server, bound
from ot_bridge.view.store import Store

PROTOBUF = "application/x-protobuf"
JSON = "application/json"


class Response(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class Running(NamedTuple):
    """messages: the messages that the viewer printed."""

    store: Store
    port: int
    messages: list[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def send(self, method: str, path: str, body: bytes = b"", host: str = "", **headers: str) -> Response:
        """headers: with `_` for `-`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        connection.request(method, path, body, {"Host": host or f"127.0.0.1:{self.port}", **sent})
        response = connection.getresponse()
        found = Response(response.status, dict(response.getheaders()), response.read())
        connection.close()
        return found

    def post(self, body: bytes, kind: str = PROTOBUF, **headers: str) -> Response:
        return self.send("POST", "/v1/traces", body, Content_Type=kind, **headers)

    def list(self, after: int = 0) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.send("GET", f"/api/traces?after={after}").body)[
            "traces"
        ]
        return found


@contextmanager
def viewer(store: Store | None = None, names: frozenset[str] = NAMES) -> Iterator[Running]:
    messages: list[str] = []
    held = store or Store()
    (listening,) = bound(["127.0.0.1"], 0)
    server = Server(Viewer(held, names, messages.append), listening, messages.append)
    try:
        yield Running(held, server.port, messages)
    finally:
        server.stop()
