"""One item of baggage stays one item, with its value, from service to service over real HTTP."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from opentracing import Format

from ot_bridge.bridge import Tracer, create_tracer
from ot_bridge.engine import TracerProvider
from ot_bridge.wsgi import TracingMiddleware
from tests.jaeger.sides import REAL

HOPS = 3
ITEMS = {"userId": "1", "order_no": "a,b c", "plain": "é"}


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def _serving(app: Any) -> Iterator[str]:
    """By wsgiref, which reads `_` in a header's name as `-`."""
    server = make_server("127.0.0.1", 0, app, handler_class=_Quiet)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _tracer(propagators: Any) -> Tracer:
    return create_tracer(TracerProvider(shutdown_on_exit=False), propagators=propagators)


def _send(tracer: Any, url: str, span: Any) -> None:
    headers: dict[str, str] = {}
    tracer.inject(span.context, Format.HTTP_HEADERS, headers)
    urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10).close()


def _forwarding(tracer: Tracer, url: str, heard: list[dict[str, str]]) -> Any:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        span: Any = tracer.active_span
        heard.append(dict(span.context.baggage))
        _send(tracer, url, span)
        start_response("204 No Content", [])
        return []

    return TracingMiddleware(app, tracer)


def _of_jaeger_client(tracer: Any, url: str | None, heard: list[dict[str, str]]) -> Any:
    """A service on the real jaeger-client; url: that of the next service."""

    def app(environ: Any, start_response: Any) -> list[bytes]:
        headers = {
            key[5:].replace("_", "-"): text for key, text in environ.items() if key.startswith("HTTP_")
        }
        with tracer.start_span("op", child_of=tracer.extract(Format.HTTP_HEADERS, headers)) as span:
            heard.append(dict(span.context.baggage))
            if url is not None:
                _send(tracer, url, span)
        start_response("204 No Content", [])
        return []

    return app


@pytest.fixture
def real() -> Any:
    return REAL.tracer()[0]


@pytest.mark.parametrize("propagators", ["ot_bridge", "jaeger,baggage", "jaeger,ottrace"])
def test_a_baggage_item_is_the_same_at_every_hop_and_jaeger_client_reads_its_value(
    propagators: Any, real: Any
) -> None:
    ours: list[dict[str, str]] = []
    theirs: list[dict[str, str]] = []
    with ExitStack() as stack:
        url = stack.enter_context(_serving(_of_jaeger_client(real, None, theirs)))
        for _ in range(HOPS):
            url = stack.enter_context(_serving(_forwarding(_tracer(propagators), url, ours)))
        tracer = _tracer(propagators)
        with tracer.start_span("first") as span:
            for key, value in ITEMS.items():
                span.set_baggage_item(key, value)
            _send(tracer, url, span)
    as_names = {key.lower().replace("_", "-"): value for key, value in ITEMS.items()}
    whole = propagators != "jaeger,ottrace"  # which have keys in names alone
    assert ours == [ITEMS if whole else as_names] * HOPS
    assert theirs == [as_names]


def test_a_baggage_item_is_the_same_behind_a_hop_with_jaeger_client(real: Any) -> None:
    heard: list[list[dict[str, str]]] = [[], [], []]
    with ExitStack() as stack:
        url = stack.enter_context(_serving(_of_jaeger_client(real, None, heard[2])))
        url = stack.enter_context(_serving(_forwarding(_tracer("ot_bridge"), url, heard[1])))
        url = stack.enter_context(_serving(_of_jaeger_client(real, url, heard[0])))
        tracer = _tracer("ot_bridge")
        with tracer.start_span("first") as span:
            span.set_baggage_item("userId", "1")
            _send(tracer, url, span)
    assert heard == [[{"userid": "1"}]] * 3


def test_a_caller_that_forbids_sampling_is_obeyed_although_its_ids_are_zero() -> None:
    """What aws-xray-sdk and OpenCensus send for a trace that they do not record."""
    callers = [
        {"X-Amzn-Trace-Id": f"Root=1-{0:08x}-{0:024x};Parent={0:016x};Sampled=0"},
        {"X-B3-TraceId": f"{5:032x}", "X-B3-SpanId": f"{0:016x}", "X-B3-Sampled": "0"},
        {"b3": f"{5:032x}-{0:016x}-0"},
    ]
    seen: list[Any] = []
    tracer = _tracer("tracecontext,xray,b3multi,b3")

    def app(environ: Any, start_response: Any) -> list[bytes]:
        with tracer.start_active_span("inner") as scope:
            outgoing: dict[str, str] = {}
            tracer.inject(scope.span, Format.HTTP_HEADERS, outgoing)
            context: Any = scope.span.context
            seen.append((tracer.active_span, context.sampled, outgoing))
        start_response("204 No Content", [])
        return []

    with _serving(TracingMiddleware(app, tracer)) as url:
        for headers in callers:
            urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10).close()
    assert len(seen) == 3
    for span, sampled, outgoing in seen:
        assert span is not None
        assert sampled is False
        assert int(outgoing["traceparent"][-2:], 16) & 1 == 0
        assert outgoing["X-B3-Sampled"] == "0"
        assert span.context.trace_id not in (0, 5)
