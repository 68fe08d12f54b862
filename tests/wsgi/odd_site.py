"""What goes wrong on real servers, behind each of them: scopes left open, sockets taken over, odd requests.

`/left/TRACER` opens scopes and yields inside them, on a tracer of `tests.edge.managers`; `/report/TRACER`
tells what has become of them, and `/tags` the tags of its own request.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import flask
from flask_sock import Sock
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ot_bridge import TracingMiddleware
from ot_bridge.bridge import create_tracer
from tests.edge.managers import TRACERS, Traced

CHUNK = b"x" * 65536
exporter = InMemorySpanExporter()
_provider = TracerProvider(shutdown_on_exit=False)
_provider.add_span_processor(SimpleSpanProcessor(exporter))
tracer = create_tracer(_provider, propagators="tracecontext")


class Left:
    """An application on one tracer. left: how often something of it was active at the server."""

    def __init__(self, make: Callable[[], Traced]) -> None:
        self.traced = make()
        self.left = 0
        self.app = TracingMiddleware(self._work, self.traced.tracer)

    def _work(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        with self.traced.tracer.start_active_span("outer"), self.traced.tracer.start_active_span("inner"):
            for _ in range(int(environ["QUERY_STRING"] or 3)):
                yield CHUNK if environ["QUERY_STRING"] else b"chunk"

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self._look()
        return _Looking(self.app(environ, start_response), self._look)

    def _look(self) -> None:
        self.left += self.traced.tracer.scope_manager.active is not None

    def report(self) -> dict[str, Any]:
        spans = self.traced.finished()
        names = {span.span_id: span.name for span in spans}
        return {
            "left": self.left,
            "spans": sorted([span.name, names.get(span.parent_id, "")] for span in spans),
        }


class _Looking:
    """A body that looks at what is active between its chunks, as a server might."""

    def __init__(self, body: Iterable[bytes], look: Callable[[], None]) -> None:
        self._body, self._look = body, look
        self._chunks = iter(body)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        self._look()
        try:
            return next(self._chunks)
        finally:
            self._look()

    def close(self) -> None:
        getattr(self._body, "close", lambda: None)()
        self._look()


sites = {name.replace(" ", "-"): Left(make) for name, make in TRACERS.items()}
sockets = flask.Flask(__name__)


@Sock(sockets).route("/socket/<name>")  # type: ignore[untyped-decorator]
def echo(socket: Any, name: str) -> None:
    socket.send(name + socket.receive())
    socket.receive(timeout=10)


traced_sockets = TracingMiddleware(sockets, tracer, operation_name="{method} {route}")


def _tags(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "application/json")])
    tags = dict(environ["ot_bridge.span"].unwrap().attributes)
    return [json.dumps(tags).encode()]


traced_tags = TracingMiddleware(_tags, tracer, capture_query=True)


def _sockets_report() -> list[Any]:
    return [
        [span.name, (span.attributes or {}).get("http.status_code"), span.status.status_code.name]
        for span in exporter.get_finished_spans()
        if span.name.startswith("GET")
    ]


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    path: str = environ["PATH_INFO"]
    kind, _, name = path.strip("/").partition("/")
    if kind == "left":
        return sites[name](environ, start_response)
    if kind == "socket":
        return traced_sockets(environ, start_response)
    if kind == "report":
        report = sites[name].report() if name in sites else _sockets_report()
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(report).encode()]
    if kind == "healthz":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]
    return traced_tags(environ, start_response)
