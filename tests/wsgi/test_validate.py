"""PEP 3333, as `wsgiref.validate` checks it: from the server's side, and from the application's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest

from ot_bridge.bridge import Tracer
from ot_bridge.wsgi import TracingMiddleware
from tests.wsgi.conftest import Server, Spans, environ

PLAIN = [("Content-Type", "text/plain")]


def listed(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", PLAIN)
    return [b"a", b"b"]


def streamed(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
    start_response("200 OK", PLAIN)
    yield b"a"
    yield b"b"


def written(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    write = start_response("200 OK", PLAIN)
    write(b"a")
    return [b"b"]


def restarted(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", PLAIN)
    try:
        raise ValueError
    except ValueError as error:
        start_response("500 Oops", PLAIN, (type(error), error, error.__traceback__))
    return [b"sorry"]


def read(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", PLAIN)
    return [environ["wsgi.input"].read(3)]


@pytest.mark.parametrize("app", [listed, streamed, written, restarted, read])
@pytest.mark.parametrize("path", ["/", "/healthz"])
@pytest.mark.parametrize(
    "options", [{}, {"response_header": "traceparent", "capture_headers": ["content-type"]}]
)
def test_middleware_keeps_to_pep_3333_on_both_sides(
    tracer: Tracer, app: Any, path: str, options: dict[str, Any]
) -> None:
    checked = validator(TracingMiddleware(validator(app), tracer, **options))
    plain = Server()
    body = plain.run(checked, environ(path, wsgi__file_wrapper=FileWrapper))
    alone = Server()
    assert alone.run(app, environ(path)) == body
    assert alone.status == plain.status


def test_validator_sees_one_span(tracer: Tracer, spans: Spans) -> None:
    Server().run(validator(TracingMiddleware(validator(streamed), tracer)), environ())
    assert spans.names() == ["ServeHTTP"]
