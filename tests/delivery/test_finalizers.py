"""Spans that end in a finalizer: their processors run in another thread (row D28)."""

from __future__ import annotations

import _thread
import gc
import itertools
import os
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.sdk import trace as sdk

from ot_bridge.bridge import create_tracer
from ot_bridge.delivery import finalizers
from ot_bridge.engine import TracerProvider
from ot_bridge.grpc import client_interceptor, trace_channel
from ot_bridge.grpc.messages import Responses
from ot_bridge.wsgi import TracingMiddleware
from tests.delivery.parts import run, until
from tests.receiver import HttpReceiver


class Locking(sdk.SpanProcessor):
    """Takes a plain lock at the end of a span, as `ConcurrentMultiSpanProcessor` and many others do."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.threads: list[threading.Thread] = []

    def on_end(self, span: Any) -> None:
        with self.lock:
            self.threads.append(threading.current_thread())


def _abandon(app: Any) -> None:
    """One request whose body is half read and then left in a reference cycle for the garbage collector."""
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.url_scheme": "http", "SERVER_NAME": "x"}
    body = app(environ, lambda status, headers, exc_info=None: None)
    assert next(iter(body)) == b"a"
    cycle: list[Any] = [body]
    cycle.append(cycle)


def _app(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])
    yield b"a"
    yield b"b"


@pytest.mark.parametrize("lean", [True, False], ids=["engine", "sdk"])
def test_an_abandoned_body_ends_its_span_even_if_its_thread_holds_the_processors_lock(lean: bool) -> None:
    processor = Locking()
    provider = (TracerProvider if lean else sdk.TracerProvider)(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    app = TracingMiddleware(_app, create_tracer(provider, propagators="tracecontext"))
    gc.collect()
    for _ in range(3):
        _abandon(app)
    with processor.lock:
        gc.collect()  # the finalizers run here, in the thread that has the lock
    until(lambda: len(processor.threads) == 3)
    assert threading.main_thread() not in processor.threads


def test_a_body_that_is_read_to_its_end_ends_its_span_at_once() -> None:
    processor = Locking()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    app = TracingMiddleware(_app, create_tracer(provider, propagators="tracecontext"))
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.url_scheme": "http", "SERVER_NAME": "x"}
    start: Any = lambda *_: None  # noqa: E731
    assert b"".join(app(environ, start)) == b"ab"
    assert processor.threads == [threading.main_thread()]


@pytest.mark.parametrize("ends", [True, False])
def test_a_grpc_stream_that_is_garbage_collected_fails_its_rpc_in_another_thread(ends: bool) -> None:
    failed: list[Any] = []

    class Rpc:
        step = staticmethod(lambda function, *args: function(*args))

        def fail(self, error: BaseException) -> None:
            failed.append((threading.current_thread(), error))

    rpc: Any = Rpc()
    stream = Responses(rpc, iter(()), ends)
    del stream
    last = threading.Event()
    finalizers.later(last.set)
    assert last.wait(20)
    assert len(failed) == ends
    for thread, error in failed:
        assert thread is not threading.main_thread()
        assert isinstance(error, GeneratorExit)


class _Endless(grpc.GenericRpcHandler):
    def service(self, details: Any) -> Any:
        return grpc.unary_stream_rpc_method_handler(lambda request, context: itertools.repeat(b"a"))


@pytest.mark.parametrize("lean", [True, False], ids=["engine", "sdk"])
@pytest.mark.parametrize("how", ["interceptor", "channel"])
def test_an_abandoned_grpc_call_ends_its_span_even_if_its_thread_holds_the_processors_lock(
    how: str, lean: bool
) -> None:
    processor = Locking()
    provider = (TracerProvider if lean else sdk.TracerProvider)(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer = create_tracer(provider, propagators="tracecontext")
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool, handlers=[_Endless()])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as plain:
            traced = grpc.intercept_channel(plain, client_interceptor(tracer))
            channel: Any = traced if how == "interceptor" else trace_channel(plain, tracer)
            for _ in range(3):
                cycle: list[Any] = [channel.unary_stream("/a/b")(b"request")]
                cycle.append(cycle)
                assert next(cycle[0]) == b"a"
            del cycle
            with processor.lock:
                gc.collect()
            until(lambda: len(processor.threads) == 3)
        server.stop(None).wait()
    assert threading.main_thread() not in processor.threads


def test_a_finalizer_starts_no_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[int] = []
    asked: list[Any] = []
    start = _thread.start_new_thread

    def refuse(*args: Any) -> None:
        asked.append(args)
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr("_thread.start_new_thread", refuse)
    monkeypatch.setattr(finalizers, "_background", None)
    finalizers.later(done.append, 0)  # `prepare` was not called: no object that needs it exists
    finalizers.drain()
    assert not asked
    finalizers.prepare()
    finalizers.later(done.append, 1)
    finalizers.later(done.append, 2)
    assert len(asked) == 1
    assert done == []
    finalizers.drain()
    assert done == [1, 2]
    monkeypatch.setattr("_thread.start_new_thread", start)
    finalizers.prepare()  # tries again
    finalizers.later(done.append, 3)
    until(lambda: done == [1, 2, 3])


def test_the_exit_runs_the_calls_that_wait(tmp_path: Path) -> None:
    program = """
    import threading, time, ot_bridge
    from ot_bridge.delivery import finalizers

    tracer = ot_bridge.install("shop")
    began = threading.Event()
    finalizers.prepare()
    finalizers.later(lambda: (began.set(), time.sleep(60)))
    began.wait()
    finalizers.later(tracer.start_span("left").finish)
    """
    with HttpReceiver() as receiver:
        endpoint = receiver.endpoint.removesuffix("/v1/traces")
        done = run(textwrap.dedent(program), tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
        assert (done.status, done.err) == (0, "")
        assert [span.name for span in receiver.spans] == ["left"]


def test_an_error_in_the_finalizer_thread_is_logged_and_the_thread_continues(
    caplog: pytest.LogCaptureFixture,
) -> None:
    finalizers.prepare()
    done = threading.Event()
    finalizers.later(lambda: 1 / 0)
    finalizers.later(done.set)
    assert done.wait(20)
    assert "the work of a finalizer failed" in caplog.text


def test_a_forked_child_starts_its_own_finalizer_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    go_on = threading.Event()
    finalizers.prepare()
    finalizers.later(go_on.wait, 20)
    finalizers.later(done.append, "the parent's")
    monkeypatch.setattr(os, "getpid", lambda: -1)
    finalizers.drain()
    finalizers.prepare()
    finalizers.later(done.append, "the child's")
    until(lambda: done)
    go_on.set()
    until(lambda: len(done) == 2)
    assert done == ["the child's", "the parent's"]
