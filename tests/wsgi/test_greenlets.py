"""Requests in greenlets: each has its own active span, and one that is killed ends its span."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import gevent
from gevent.event import Event
from opentelemetry.trace import StatusCode

from ot_bridge.bridge import Tracer
from ot_bridge.wsgi import TracingMiddleware
from tests.wsgi.conftest import Spans, run


def test_interleaved_greenlets_each_have_their_own_span(tracer: Tracer, spans: Spans) -> None:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        for _ in range(3):
            gevent.sleep(0)
            assert tracer.active_span is environ["ot_bridge.span"]
            yield b"x"

    traced = TracingMiddleware(app, tracer)
    greenlets = [gevent.spawn(run, traced) for _ in range(5)]
    gevent.joinall(greenlets, raise_error=True)
    assert [greenlet.value for greenlet in greenlets] == [b"xxx"] * 5
    assert len({span.context.trace_id for span in spans.all()}) == 5
    assert tracer.active_span is None


def test_greenlet_that_is_killed_in_the_application_ends_its_span(tracer: Tracer, spans: Spans) -> None:
    reached = Event()

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        reached.set()
        gevent.sleep(60)
        return [b"never"]

    _kill(tracer, spans, app, reached)


def test_greenlet_that_is_killed_in_the_body_ends_its_span(tracer: Tracer, spans: Spans) -> None:
    reached = Event()

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        yield b"x"
        reached.set()
        gevent.sleep(60)

    _kill(tracer, spans, app, reached)


def _kill(tracer: Tracer, spans: Spans, app: Callable[..., Any], reached: Event) -> None:
    greenlet = gevent.spawn(run, TracingMiddleware(app, tracer))
    assert reached.wait(10)
    greenlet.kill()
    span = spans.one()
    assert span.status.status_code is StatusCode.ERROR
    assert "GreenletExit" in str((span.events[0].attributes or {})["exception.type"])
    assert tracer.active_span is None
