"""How a body is given to the server, and when the span ends."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import StatusCode

from ot_bridge.bridge import Tracer
from ot_bridge.wsgi import TracingMiddleware
from tests.delivery.parts import until
from tests.wsgi.conftest import Chunks, FailsAtClose, Server, Spans, environ, giving, run


@pytest.mark.parametrize("body", [[b"a", b"b"], (b"a",), []], ids=repr)
def test_list_body_is_returned_unchanged_and_the_span_is_finished(
    tracer: Tracer, spans: Spans, body: Any
) -> None:
    result = TracingMiddleware(giving(body), tracer)(environ(), Server().start_response)
    assert result is body
    assert spans.names() == ["ServeHTTP"]


def test_streamed_body_ends_the_span_at_its_last_chunk(tracer: Tracer, spans: Spans) -> None:
    body = Chunks(tracer, b"a", b"b")
    result = TracingMiddleware(giving(body), tracer)(environ(), Server().start_response)
    chunks = iter(result)
    assert [next(chunks), next(chunks)] == [b"a", b"b"]
    assert spans.names() == []
    assert next(chunks, None) is None
    assert spans.names() == ["ServeHTTP"]
    result.close()  # type: ignore[attr-defined]
    assert body.closed == 1
    assert len(spans.all()) == 1


def test_span_is_active_in_every_step_of_the_body_and_never_between(tracer: Tracer, spans: Spans) -> None:
    body = Chunks(tracer, b"a", b"b")
    made = environ()
    result = TracingMiddleware(giving(body), tracer)(made, Server().start_response)
    seen = [tracer.active_span]
    for _ in result:
        seen.append(tracer.active_span)
    result.close()  # type: ignore[attr-defined]
    seen.append(tracer.active_span)
    assert seen == [None] * 4
    assert body.active == [made["ot_bridge.span"]] * 5


class Items:
    """A body without `__iter__`, whose items are read by their numbers."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self.active: list[Any] = []

    def __getitem__(self, at: int) -> bytes:
        self.active.append(self.tracer.active_span)
        return [b"a", b"b"][at]


def test_a_body_of_numbered_items_is_read_within_the_span(tracer: Tracer, spans: Spans) -> None:
    body, made = Items(tracer), environ()
    assert Server().run(TracingMiddleware(giving(body), tracer), made) == b"ab"
    assert body.active == [made["ot_bridge.span"]] * 3
    assert spans.tags()["http.status_code"] == 200


def test_close_without_iterating_closes_the_body_and_ends_the_span(tracer: Tracer, spans: Spans) -> None:
    body = Chunks(tracer, b"a")
    TracingMiddleware(giving(body), tracer)(environ(), Server().start_response).close()  # type: ignore[attr-defined]
    assert body.closed == 1
    assert spans.tags()["http.status_code"] == 200


def test_half_read_body_ends_the_span_at_close(tracer: Tracer, spans: Spans) -> None:
    body = Chunks(tracer, b"a", b"b")
    result = TracingMiddleware(giving(body), tracer)(environ(), Server().start_response)
    next(iter(result))
    result.close()  # type: ignore[attr-defined]
    assert body.closed == 1
    assert "wsgi.abandoned" not in spans.tags()
    assert spans.one().status.status_code is StatusCode.UNSET


def test_dropped_body_ends_the_span_and_is_recorded(tracer: Tracer, spans: Spans) -> None:
    result = TracingMiddleware(giving(Chunks(tracer, b"a", b"b")), tracer)(environ(), Server().start_response)
    next(iter(result))
    del result
    gc.collect()
    until(spans.all)  # the work of finalizers is done in a thread of its own
    assert spans.tags()["wsgi.abandoned"] is True


def test_a_dropped_generator_closes_its_scopes_within_its_spans(tracer: Tracer, spans: Spans) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        with tracer.start_active_span("inner"):
            try:
                yield b"a"
            finally:
                tracer.start_span("cleaning up").finish()

    body = TracingMiddleware(app, tracer)(environ(), Server().start_response)
    assert next(iter(body)) == b"a"
    del body
    gc.collect()
    until(lambda: len(spans.all()) == 3)
    parent = spans.named("cleaning up").parent
    assert parent is not None
    assert parent.span_id == spans.named("inner").context.span_id
    assert not trace.get_current_span().get_span_context().is_valid


def test_generator_body_runs_only_when_the_server_iterates_it(tracer: Tracer, spans: Spans) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("201 Created", [])
        yield b"late"

    server = Server()
    result = TracingMiddleware(app, tracer)(environ(), server.start_response)
    assert server.status == []
    assert list(result) == [b"late"]
    assert server.status == ["201 Created"]
    assert spans.tags()["http.status_code"] == 201


def test_body_can_be_read_by_next_alone(tracer: Tracer, spans: Spans) -> None:
    result: Any = TracingMiddleware(giving(Chunks(tracer, b"a")), tracer)(environ(), Server().start_response)
    assert next(result) == b"a"
    assert next(result, None) is None
    assert next(result, None) is None
    assert len(spans.all()) == 1


def test_body_iterated_in_other_threads_leaks_nothing_and_logs_nothing(
    tracer: Tracer, spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        with tracer.start_active_span("stream"):
            for number in range(3):
                with tracer.start_active_span(f"chunk {number}"):
                    yield b"x"

    result = iter(TracingMiddleware(app, tracer)(environ(), Server().start_response))
    left: list[object] = []

    def read_one() -> None:
        next(result, None)
        left.append((tracer.active_span, trace.get_current_span()))

    for _ in range(4):
        thread = threading.Thread(target=read_one)
        thread.start()
        thread.join()
    assert left == [(None, trace.INVALID_SPAN)] * 4
    stream, server = spans.named("stream"), spans.named("ServeHTTP")
    assert stream.parent is not None
    assert stream.parent.span_id == server.context.span_id
    for number in range(3):
        parent = spans.named(f"chunk {number}").parent
        assert parent is not None
        assert parent.span_id == stream.context.span_id
    assert caplog.record_tuples == []


def test_generator_finds_its_own_span_active_again_in_the_next_chunk(tracer: Tracer, spans: Spans) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        with tracer.start_active_span("inner") as scope:
            yield b"a"
            assert tracer.active_span is scope.span
            yield b"b"
        assert tracer.active_span is environ["ot_bridge.span"]

    result = TracingMiddleware(app, tracer)(environ(), Server().start_response)
    assert [tracer.active_span for _ in result] == [None, None]
    assert spans.names() == ["inner", "ServeHTTP"]


@pytest.mark.parametrize("streams", [False, True], ids=["list", "stream"])
def test_unclosed_scope_of_the_application_is_not_active_in_the_next_request(
    tracer: Tracer, spans: Spans, streams: bool
) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        tracer.start_active_span("forgotten")
        return Chunks(tracer, b"a") if streams else [b"a"]

    traced = TracingMiddleware(app, tracer)
    for _ in range(2):
        run(traced)
        assert tracer.active_span is None
        assert trace.get_current_span() is trace.INVALID_SPAN
    first, second = spans.all()
    assert first.context.trace_id != second.context.trace_id


class Greenlet(BaseException):
    """As `GreenletExit` is: no `Exception`."""


ENDS = [ValueError("no"), SystemExit(1), KeyboardInterrupt(), GeneratorExit(), Greenlet()]


@pytest.mark.parametrize("error", ENDS, ids=repr)
def test_any_exception_of_the_application_ends_the_span_and_is_raised(
    tracer: Tracer, spans: Spans, error: BaseException
) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        raise error

    with pytest.raises(type(error)) as raised:
        run(TracingMiddleware(app, tracer))
    assert raised.value is error
    _is_failed(spans, error, 500 if isinstance(error, Exception) else None)
    assert tracer.active_span is None


@pytest.mark.parametrize("error", ENDS, ids=repr)
def test_any_exception_of_a_body_ends_the_span_and_is_raised(
    tracer: Tracer, spans: Spans, error: BaseException
) -> None:
    with pytest.raises(type(error)) as raised:
        run(TracingMiddleware(giving(Chunks(tracer, b"sent", error=error)), tracer))
    assert raised.value is error
    _is_failed(spans, error, 200)
    assert tracer.active_span is None


def test_body_that_fails_before_its_first_chunk_is_a_500(tracer: Tracer, spans: Spans) -> None:
    error = ValueError("no")
    with pytest.raises(ValueError, match="no"):
        run(TracingMiddleware(giving(Chunks(tracer, error=error)), tracer))
    _is_failed(spans, error, 500)


def _is_failed(spans: Spans, error: BaseException, status: int | None) -> None:
    span = spans.one()
    assert span.status.status_code is StatusCode.ERROR
    assert spans.tags().get("http.status_code") == status
    (event,) = span.events
    assert event.name == "exception"
    assert str((event.attributes or {})["exception.type"]).endswith(type(error).__name__)


def test_body_that_cannot_be_closed_ends_the_span_with_the_error(tracer: Tracer, spans: Spans) -> None:
    result: Any = TracingMiddleware(giving(FailsAtClose(tracer, b"a")), tracer)(
        environ(), Server().start_response
    )
    with pytest.raises(OSError, match="disk"):
        result.close()
    assert spans.one().status.status_code is StatusCode.ERROR


class Unready:
    def __iter__(self) -> Iterator[bytes]:
        raise LookupError("iter")


def test_body_that_cannot_be_iterated_ends_the_span_with_the_error(tracer: Tracer, spans: Spans) -> None:
    with pytest.raises(LookupError):
        run(TracingMiddleware(giving(Unready()), tracer))
    assert spans.one().status.status_code is StatusCode.ERROR


def test_application_that_returns_nothing_fails_as_it_would_untraced(tracer: Tracer, spans: Spans) -> None:
    with pytest.raises(TypeError, match="not iterable"):
        run(TracingMiddleware(giving(None), tracer))
    assert spans.one().status.status_code is StatusCode.ERROR


class Sized(Chunks):
    def __len__(self) -> int:
        return 1


def test_wrapped_body_keeps_its_length_if_it_has_one(tracer: Tracer) -> None:
    def wrapped(body: Chunks) -> Any:
        return TracingMiddleware(giving(body), tracer)(environ(), Server().start_response)

    sized = wrapped(Sized(tracer, b"a"))
    assert len(sized) == 1
    assert list(sized) == [b"a"]
    streamed = wrapped(Chunks(tracer, b"a"))
    assert not hasattr(streamed, "__len__")
    streamed.close()


def test_write_passes_through_and_is_counted(tracer: Tracer, spans: Spans) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        write = start_response("200 OK", [])
        write(b"hello ")
        write(b"world")
        return []

    server = Server()
    server.run(TracingMiddleware(app, tracer), environ())
    assert server.written == [b"hello ", b"world"]
    assert spans.tags()["wsgi.written"] == 11


def test_error_after_write_keeps_the_status_that_was_sent(tracer: Tracer, spans: Spans) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])(b"sent")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run(TracingMiddleware(app, tracer))
    _is_failed(spans, ValueError(), 200)


def test_close_while_another_thread_is_reading_does_not_wait(tracer: Tracer, spans: Spans) -> None:
    reading, closed = threading.Event(), threading.Event()

    class Slow(Chunks):
        def __next__(self) -> bytes:
            reading.set()
            assert closed.wait(10)
            return super().__next__()

    result: Any = TracingMiddleware(giving(Slow(tracer, b"a")), tracer)(environ(), Server().start_response)
    thread = threading.Thread(target=next, args=(iter(result), None))
    thread.start()
    assert reading.wait(10)
    result.close()
    closed.set()
    thread.join()
    assert len(spans.all()) == 1
