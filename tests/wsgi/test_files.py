"""Files: the result of `wsgi.file_wrapper` is returned to the server unchanged."""

from __future__ import annotations

import gc
import io
import os
from collections.abc import Callable
from io import BytesIO
from typing import Any
from wsgiref.util import FileWrapper

import pytest
from opentelemetry.trace import StatusCode

from ot_bridge.bridge import Tracer
from ot_bridge.wsgi import TracingMiddleware
from tests.delivery.parts import until
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


def test_file_wrapper_is_returned_unchanged_and_ends_the_span_at_close(tracer: Tracer, spans: Spans) -> None:
    file = io.BytesIO(b"content")
    made = environ(wsgi__file_wrapper=FileWrapper)
    result: Any = TracingMiddleware(sending(file), tracer)(made, Server().start_response)
    assert type(result) is FileWrapper
    assert b"".join(result) == b"content"
    assert spans.names() == []
    result.close()
    assert file.closed
    assert spans.tags()["http.status_code"] == 200


def test_file_that_is_never_closed_ends_the_span_and_is_recorded(tracer: Tracer, spans: Spans) -> None:
    made = environ(wsgi__file_wrapper=FileWrapper)
    result: Any = TracingMiddleware(sending(io.BytesIO()), tracer)(made, Server().start_response)
    del result
    gc.collect()
    until(spans.all)  # the work of finalizers is done in a thread of its own
    assert spans.tags()["wsgi.abandoned"] is True


def test_file_that_cannot_be_closed_ends_the_span_with_the_error(tracer: Tracer, spans: Spans) -> None:
    made = environ(wsgi__file_wrapper=FileWrapper)
    result: Any = TracingMiddleware(sending(FailsAtClose(tracer)), tracer)(made, Server().start_response)
    with pytest.raises(OSError, match="disk"):
        result.close()
    assert spans.one().status.status_code is StatusCode.ERROR


def test_file_object_of_a_server_written_in_c_is_returned_unchanged(tracer: Tracer, spans: Spans) -> None:
    made = environ(wsgi__file_wrapper=opaque)
    result: Any = TracingMiddleware(sending(io.BytesIO()), tracer)(made, Server().start_response)
    assert type(result) is Opaque
    assert spans.tags()["http.status_code"] == 200


def test_file_returned_by_a_wrapper_function_is_returned_unchanged(tracer: Tracer, spans: Spans) -> None:
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


class ReadsAsFile(Chunks):
    """A body of the application's own that has what a file has."""

    def read(self, size: int = -1) -> bytes:
        return b""


def _wrapped(file: Any, size: int = 8192) -> FileWrapper:
    return FileWrapper(file, size)


def test_body_with_a_read_method_is_not_a_file_if_the_wrapper_is_a_function(
    tracer: Tracer, spans: Spans
) -> None:
    body = ReadsAsFile(tracer, b"a")
    made = environ(wsgi__file_wrapper=_wrapped)
    assert Server().run(TracingMiddleware(giving(body), tracer), made) == b"a"
    assert body.active == [made["ot_bridge.span"]] * 4


def test_span_is_active_while_the_result_of_a_wrapper_function_is_read(tracer: Tracer, spans: Spans) -> None:
    seen: list[Any] = []

    class File(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            seen.append(tracer.active_span)
            return super().read(size)

    made = environ(wsgi__file_wrapper=_wrapped)
    assert Server().run(TracingMiddleware(sending(File(b"abc")), tracer), made) == b"abc"
    assert set(seen) == {made["ot_bridge.span"]}
    assert spans.names() == ["ServeHTTP"]


@pytest.mark.parametrize("wrapper", [FileWrapper, _wrapped], ids=["class", "function"])
def test_body_shared_by_all_requests_is_not_wrapped_repeatedly(
    tracer: Tracer, spans: Spans, wrapper: Any
) -> None:
    closed: list[int] = []

    class Empty(BytesIO):
        def close(self) -> None:
            closed.append(1)

    body = FileWrapper(Empty())
    app = TracingMiddleware(giving(body), tracer)
    for _ in range(1500):
        Server().run(app, environ(wsgi__file_wrapper=wrapper))
    assert len(closed) == len(spans.all()) == 1500
