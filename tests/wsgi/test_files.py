"""Files: what `wsgi.file_wrapper` made reaches the server as it is."""

from __future__ import annotations

import gc
import io
import os
from collections.abc import Callable
from typing import Any
from wsgiref.util import FileWrapper

import pytest
from opentelemetry.trace import StatusCode

from ot_bridge.bridge import Tracer
from ot_bridge.wsgi import TracingMiddleware
from tests.wsgi.conftest import Chunks, FailsAtClose, Server, Spans, environ, giving


class Opaque:
    """What a server written in C may make of a file: an object without room for more."""

    __slots__ = ("filelike",)

    def __init__(self, filelike: Any, size: int = 8192) -> None:
        self.filelike = filelike


def opaque(filelike: Any, size: int = 8192) -> Opaque:
    return Opaque(filelike, size)


def sending(file: Any) -> Callable[..., Any]:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](file, 4)

    return app


def test_file_wrapper_reaches_the_server_as_it_is_and_ends_the_span_at_close(
    tracer: Tracer, spans: Spans
) -> None:
    file = io.BytesIO(b"content")
    made = environ(wsgi__file_wrapper=FileWrapper)
    result: Any = TracingMiddleware(sending(file), tracer)(made, Server().start_response)
    assert type(result) is FileWrapper
    assert b"".join(result) == b"content"
    assert spans.names() == []
    result.close()
    assert file.closed
    assert spans.tags()["http.status_code"] == 200


def test_file_that_nobody_closes_ends_the_span_and_says_so(tracer: Tracer, spans: Spans) -> None:
    made = environ(wsgi__file_wrapper=FileWrapper)
    result: Any = TracingMiddleware(sending(io.BytesIO()), tracer)(made, Server().start_response)
    del result
    gc.collect()
    assert spans.tags()["wsgi.abandoned"] is True


def test_file_that_cannot_be_closed_ends_the_span_with_the_error(tracer: Tracer, spans: Spans) -> None:
    made = environ(wsgi__file_wrapper=FileWrapper)
    result: Any = TracingMiddleware(sending(FailsAtClose(tracer)), tracer)(made, Server().start_response)
    with pytest.raises(OSError, match="disk"):
        result.close()
    assert spans.one().status.status_code is StatusCode.ERROR


def test_file_of_a_server_in_c_reaches_it_as_it_is(tracer: Tracer, spans: Spans) -> None:
    made = environ(wsgi__file_wrapper=opaque)
    result: Any = TracingMiddleware(sending(io.BytesIO()), tracer)(made, Server().start_response)
    assert type(result) is Opaque
    assert spans.tags()["http.status_code"] == 200


def test_file_itself_for_a_wrapper_reaches_the_server_as_it_is(tracer: Tracer, spans: Spans) -> None:
    made = environ(wsgi__file_wrapper=lambda file, size: file)
    with open(os.devnull, "rb") as file:
        result: Any = TracingMiddleware(sending(file), tracer)(made, Server().start_response)
        assert result is file
        assert spans.names() == []
    assert spans.tags()["http.status_code"] == 200


def test_other_bodies_are_wrapped_though_the_server_has_a_file_wrapper(tracer: Tracer, spans: Spans) -> None:
    made = environ(wsgi__file_wrapper=FileWrapper)
    assert Server().run(TracingMiddleware(giving(Chunks(tracer, b"a")), tracer), made) == b"a"
    assert spans.names() == ["ServeHTTP"]
