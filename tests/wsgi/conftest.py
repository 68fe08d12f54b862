"""A tracer on the SDK with an exporter in memory, and environs as a server would make them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from werkzeug.test import EnvironBuilder

from ot_bridge import engine
from ot_bridge.bridge import Tracer, create_tracer
from tests.conftest import resource


class Spans:
    """What was exported so far, oldest first."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()

    def all(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def names(self) -> list[str]:
        return [span.name for span in self.all()]

    def one(self) -> ReadableSpan:
        (span,) = self.all()
        return span

    def tags(self) -> dict[str, Any]:
        return dict(self.one().attributes or {})

    def named(self, name: str) -> ReadableSpan:
        (span,) = (span for span in self.all() if span.name == name)
        return span


@pytest.fixture
def spans() -> Spans:
    return Spans()


@pytest.fixture(params=[TracerProvider, engine.TracerProvider], ids=["sdk", "engine"])
def provider(request: pytest.FixtureRequest, spans: Spans) -> TracerProvider:
    provider: TracerProvider = request.param(resource=resource(), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans.exporter))
    return provider


@pytest.fixture
def tracer(provider: TracerProvider) -> Tracer:
    return create_tracer(provider, propagators="tracecontext,baggage,jaeger")


def failures(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What has failed, of each line that was logged."""
    lines = [message.partition(" (")[0] for message in caplog.messages]
    rest = " failed; the request is served without it"
    assert [line for line in lines if not line.endswith(rest)] == []
    return [line.removesuffix(rest) for line in lines]


def environ(path: str = "/", **changes: Any) -> dict[str, Any]:
    """An environ for GET `path`; a change to None takes the key out."""
    made: dict[str, Any] = EnvironBuilder(path).get_environ()
    for key, value in changes.items():
        name = key.replace("__", ".")
        if value is None:
            del made[name]
        else:
            made[name] = value
    return made


class Server:
    """The least that a server does: keeps what `start_response` was given, iterates, closes."""

    def __init__(self) -> None:
        self.status: list[str] = []
        self.headers: list[tuple[str, str]] = []
        self.written: list[bytes] = []

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[..., Any]:
        self.status.append(status)
        self.headers = headers
        return self.written.append

    def run(self, app: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> bytes:
        result = app(environ, self.start_response)
        try:
            return b"".join(list(result))
        finally:
            if hasattr(result, "close"):
                result.close()


def run(app: Callable[..., Iterable[bytes]], path: str = "/", **changes: Any) -> bytes:
    """The body of one request to `app`."""
    return Server().run(app, environ(path, **changes))


def hello(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def answering(status: str, *headers: tuple[str, str]) -> Callable[..., Iterable[bytes]]:
    """An application that answers with `status`."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response(status, list(headers))
        return [b""]

    return app


class Chunks:
    """A body that notes what is done with it, and what was active then."""

    def __init__(self, tracer: Tracer, *chunks: bytes, error: BaseException | None = None) -> None:
        self.chunks = iter(chunks)
        self.error = error
        self.tracer = tracer
        self.active: list[Any] = []
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        self.active.append(self.tracer.active_span)
        return self

    def __next__(self) -> bytes:
        self.active.append(self.tracer.active_span)
        for chunk in self.chunks:
            return chunk
        if self.error is not None:
            raise self.error
        raise StopIteration

    def close(self) -> None:
        self.active.append(self.tracer.active_span)
        self.closed += 1


class FailsAtClose(Chunks):
    def close(self) -> None:
        raise OSError("disk")


def giving(body: Any) -> Callable[..., Any]:
    """An application whose body is `body`."""

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [])
        return body

    return app
