"""The scenarios of OpenTracing's testbed in threads. `test_gevent` runs this file in greenlets, too."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry.trace import SpanKind
from opentracing import Format, Span, tags

from tests.bridge.spans import parents, traces
from tests.conftest import Recorded


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(3) as pool:
        yield pool


def test_active_span_replacement(otel: Recorded, pool: ThreadPoolExecutor) -> None:
    """A task continues with the span it was given, then with its own span, then with the first again."""

    def task(span: Any) -> None:
        with otel.tracer.scope_manager.activate(span, False):
            with otel.tracer.start_active_span("task"):
                otel.tracer.start_active_span("subtask").close()
                with otel.tracer.start_active_span("other trace", ignore_active_span=True):
                    otel.tracer.start_active_span("other subtask").close()
                otel.tracer.start_active_span("subtask again").close()
            assert otel.tracer.active_span is span
        assert otel.tracer.active_span is None

    span = otel.tracer.start_span("initial")
    pool.submit(task, span).result()
    span.finish()
    assert parents(otel) == {
        "initial": None,
        "task": "initial",
        "subtask": "task",
        "other trace": None,
        "other subtask": "other trace",
        "subtask again": "task",
    }
    assert frozenset({"other trace", "other subtask"}) in traces(otel)


def test_client_and_server(otel: Recorded) -> None:
    """A message carries its sender's span to whoever takes it from the queue."""
    messages: queue.Queue[dict[str, str] | None] = queue.Queue()

    def server() -> None:
        while (message := messages.get()) is not None:
            with otel.tracer.start_active_span(
                f"receive {message['number']}",
                child_of=otel.tracer.extract(Format.TEXT_MAP, message),
                tags={tags.SPAN_KIND: tags.SPAN_KIND_RPC_SERVER},
            ):
                pass
            assert otel.tracer.active_span is None

    thread = threading.Thread(target=server)
    thread.start()
    for number in range(3):
        message = {"number": str(number)}
        with otel.tracer.start_active_span(f"send {number}") as scope:
            scope.span.set_tag(tags.SPAN_KIND, tags.SPAN_KIND_RPC_CLIENT)
            otel.tracer.inject(scope.span.context, Format.TEXT_MAP, message)
        messages.put(message)
    messages.put(None)
    thread.join()
    assert parents(otel) == {
        **{f"send {number}": None for number in range(3)},
        **{f"receive {number}": f"send {number}" for number in range(3)},
    }
    assert otel.spans["send 0"].kind is SpanKind.CLIENT
    assert otel.spans["receive 0"].kind is SpanKind.SERVER


class RequestHandler:
    """One for all requests of a client; its two methods are called by whichever thread is free."""

    def __init__(self, otel: Recorded, *, child_of: Any = None) -> None:
        self.tracer = otel.tracer
        self.options: dict[str, Any] = {"ignore_active_span": True}
        if child_of is not None:
            self.options = {"child_of": child_of}

    def before(self, request: dict[str, Any]) -> None:
        request["span"] = self.tracer.start_span(f"send {request['name']}", **self.options)

    def after(self, request: dict[str, Any]) -> None:
        request["span"].finish()


def _send(pool: ThreadPoolExecutor, handler: RequestHandler, name: str) -> Future[None]:
    request: dict[str, Any] = {"name": name}
    pool.submit(handler.before, request).result()
    return pool.submit(handler.after, request)


def test_common_request_handler(otel: Recorded, pool: ThreadPoolExecutor) -> None:
    """Requests of two clients through one handler are two traces, whatever the clients have active."""
    handler = RequestHandler(otel)
    with otel.tracer.start_active_span("one"):
        first = _send(pool, handler, "1")
    with otel.tracer.start_active_span("two"):
        second = _send(pool, handler, "2")
    first.result()
    second.result()
    assert parents(otel) == {"one": None, "two": None, "send 1": None, "send 2": None}


def test_common_request_handler_with_its_own_parent(otel: Recorded, pool: ThreadPoolExecutor) -> None:
    with otel.tracer.start_active_span("parent") as scope:
        handler = RequestHandler(otel, child_of=scope.span)
        for name in "12":
            _send(pool, handler, name).result()
    assert parents(otel) == {"parent": None, "send 1": "parent", "send 2": "parent"}


def test_late_span_finish(otel: Recorded, pool: ThreadPoolExecutor) -> None:
    """A span that is finished after the threads of its children is still their parent."""

    def task(name: str, parent: Any) -> None:
        with (
            otel.tracer.scope_manager.activate(parent, False),
            otel.tracer.start_active_span(name),
        ):
            pass

    parent = otel.tracer.start_span("parent")
    for future in [pool.submit(task, name, parent) for name in ("one", "two")]:
        future.result()
    assert set(parents(otel).values()) == {"?"}
    parent.finish()
    assert parents(otel) == {"parent": None, "one": "parent", "two": "parent"}


def test_listener_per_request(otel: Recorded, pool: ThreadPoolExecutor) -> None:
    """The listener of a request finishes its span, in whichever thread the response comes."""

    def respond(message: str, listener: Callable[[str], None]) -> None:
        listener(f"{message}: done")

    def send(message: str) -> Future[None]:
        span = otel.tracer.start_span(message, tags={tags.SPAN_KIND: tags.SPAN_KIND_RPC_CLIENT})

        def listener(response: str) -> None:
            span.set_tag("response", response).finish()

        return pool.submit(respond, message, listener)

    for future in map(send, ("one", "two")):
        future.result()
    assert parents(otel) == {"one": None, "two": None}
    assert dict(otel.spans["two"].attributes or {}) == {"response": "two: done"}
    assert otel.spans["two"].kind is SpanKind.CLIENT


def test_multiple_callbacks(otel: Recorded, pool: ThreadPoolExecutor) -> None:
    """The last of several callbacks ends the span that all are children of."""
    left = threading.Semaphore(2)

    def callback(name: str, parent: Any) -> None:
        with otel.tracer.scope_manager.activate(parent, False):
            otel.tracer.start_active_span(name).close()
        if not left.acquire(blocking=False):
            parent.finish()

    with otel.tracer.start_active_span("parent", finish_on_close=False) as scope:
        futures = [pool.submit(callback, name, scope.span) for name in ("one", "two", "three")]
    for future in futures:
        future.result()
    assert parents(otel) == {"parent": None, "one": "parent", "two": "parent", "three": "parent"}


def test_nested_callbacks(otel: Recorded, pool: ThreadPoolExecutor) -> None:
    """Each callback passes the span to the next; the last one ends it."""
    done = threading.Event()

    def callback(number: int, span: Any) -> None:
        with otel.tracer.scope_manager.activate(span, number == 3):
            assert otel.tracer.active_span == span
            span.set_tag(f"key{number}", number)
            if number < 3:
                pool.submit(callback, number + 1, span)
        assert otel.tracer.active_span is None
        if number == 3:
            done.set()

    pool.submit(callback, 1, otel.tracer.start_span("one")).result()
    assert done.wait(10)
    assert parents(otel) == {"one": None}
    assert dict(otel.spans["one"].attributes or {}) == {"key1": 1, "key2": 2, "key3": 3}


def test_subtask_propagation(otel: Recorded, pool: ThreadPoolExecutor) -> None:
    """A subtask that is given nothing has no parent in a thread; given the span, it has."""

    def subtask(name: str, span: Span | None) -> None:
        if span is None:
            otel.tracer.start_active_span(name).close()
            return
        with otel.tracer.scope_manager.activate(span, False):
            otel.tracer.start_active_span(name).close()

    with otel.tracer.start_active_span("parent") as scope:
        pool.submit(subtask, "given", scope.span).result()
        pool.submit(subtask, "not given", None).result()
    assert parents(otel) == {"parent": None, "given": "parent", "not given": None}
