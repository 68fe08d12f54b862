"""An X-Ray server for `ot-bridge demo --xray`: accepts PutTraceSegments on loopback and keeps the documents.

Source: AWS X-Ray's API reference, "PutTraceSegments".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from werkzeug.wrappers import Request, Response

from ot_bridge.cli.serving import serving


class FakeXRay:
    """A WSGI application that keeps the segment documents that it receives. url: its address."""

    def __init__(self) -> None:
        self.documents: list[dict[str, Any]] = []
        self.url = ""

    def take(self) -> list[dict[str, Any]]:
        """The documents that were received since the last call."""
        taken, self.documents = self.documents, []
        return taken

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        signed = "AWS4-HMAC-SHA256" in request.headers.get("Authorization", "")
        if request.method == "POST" and request.path == "/TraceSegments" and signed:
            self.documents += map(json.loads, json.loads(request.get_data())["TraceSegmentDocuments"])
            response = Response('{"UnprocessedTraceSegments":[]}', mimetype="application/json")
        else:
            response = Response('{"message":"not PutTraceSegments"}', 400, mimetype="application/json")
        return response(environ, start_response)


@contextmanager
def fake_xray() -> Iterator[FakeXRay]:
    """Runs the server until the block ends."""
    xray = FakeXRay()
    with serving(xray) as port:
        xray.url = f"http://127.0.0.1:{port}"
        yield xray
