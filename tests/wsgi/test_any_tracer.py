"""The middleware on tracers that are not ours, and on ours with a scope manager of the program's."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import opentracing
import pytest
from jaeger_client.reporter import InMemoryReporter
from jaeger_client.sampler import ConstSampler
from jaeger_client.tracer import Tracer as JaegerTracer
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentracing.mocktracer import MockTracer
from opentracing.scope_managers import ThreadLocalScopeManager
from opentracing.scope_managers.contextvars import ContextVarsScopeManager

from ot_bridge.bridge import create_tracer
from ot_bridge.wsgi import TracingMiddleware
from tests import needs
from tests.wsgi.conftest import Server, Spans, environ, failures, hello, run


def working(tracer: opentracing.Tracer) -> Callable[..., Iterable[bytes]]:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        start_response("200 OK", [])
        with tracer.start_active_span("below"):
            pass
        yield b"a"
        with tracer.start_active_span("below"):
            pass
        yield b"b"

    return app


def test_mock_tracer_gets_the_same_spans() -> None:
    tracer = MockTracer()
    carrier: dict[str, str] = {}
    caller = tracer.start_span("caller")
    tracer.inject(caller.context, opentracing.Format.HTTP_HEADERS, carrier)
    made = environ("/a", **{f"HTTP_{key.upper().replace('-', '_')}": value for key, value in carrier.items()})
    assert Server().run(TracingMiddleware(working(tracer), tracer), made) == b"ab"
    first, second, server = tracer.finished_spans()
    assert server.operation_name == "ServeHTTP"
    assert server.tags["span.kind"] == "server"
    assert server.tags["http.status_code"] == 200
    assert [first.parent_id, second.parent_id] == [server.context.span_id] * 2
    assert tracer.active_span is None


@pytest.fixture
def jaeger() -> Iterator[tuple[JaegerTracer, InMemoryReporter]]:
    reporter = InMemoryReporter()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)  # its reporters expect one
    tracer = JaegerTracer("service", reporter, ConstSampler(True), tags={"ip": "127.0.0.1"})
    yield tracer, reporter
    tracer.close()
    asyncio.set_event_loop(None)
    loop.close()


def test_jaeger_client_continues_its_callers_trace(jaeger: tuple[JaegerTracer, InMemoryReporter]) -> None:
    tracer, reporter = jaeger
    run(TracingMiddleware(working(tracer), tracer), HTTP_UBER_TRACE_ID="abc:def:0:1")
    below, _, server = reporter.get_spans()
    assert (server.trace_id, server.parent_id) == (0xABC, 0xDEF)
    assert below.parent_id == server.span_id
    assert tracer.active_span is None


def test_broken_header_for_jaeger_client_leaves_the_request_without_a_span(
    jaeger: tuple[JaegerTracer, InMemoryReporter],
) -> None:
    tracer, reporter = jaeger
    app = TracingMiddleware(working(tracer), tracer)
    assert run(app, HTTP_UBER_TRACE_ID="nonsense") == b"ab"
    assert [span.operation_name for span in reporter.get_spans()] == ["below", "below"]
    assert app.corrupt_headers == 1


def test_jaeger_client_reports_nothing_below_an_excluded_request(
    jaeger: tuple[JaegerTracer, InMemoryReporter],
) -> None:
    tracer, reporter = jaeger
    assert run(TracingMiddleware(working(tracer), tracer), "/healthz") == b"ab"
    assert reporter.get_spans() == []
    assert tracer.active_span is None


def test_jaeger_clients_response_header(jaeger: tuple[JaegerTracer, InMemoryReporter]) -> None:
    tracer, reporter = jaeger
    server = Server()
    server.run(TracingMiddleware(hello, tracer, response_header="uber-trace-id"), environ())
    (span,) = reporter.get_spans()
    assert server.headers[1] == ("uber-trace-id", f"{span.trace_id:x}:{span.span_id:x}:0:1")


def test_failure_is_recorded_on_other_tracers_with_opentracings_tags_and_logs(
    jaeger: tuple[JaegerTracer, InMemoryReporter],
) -> None:
    tracer, reporter = jaeger

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        raise LookupError("gone")

    with pytest.raises(LookupError):
        run(TracingMiddleware(app, tracer))
    (span,) = reporter.get_spans()
    tags = {tag.key: tag for tag in span.tags}
    assert tags["error"].vBool is True
    assert tags["http.status_code"].vLong == 500
    (log,) = span.logs
    fields = {field.key: field.vStr for field in log.fields}
    assert (fields["event"], fields["error.kind"], fields["message"]) == ("error", "LookupError", "gone")
    assert "raise LookupError" in fields["stack"]


def test_sampler_of_one_request_is_ignored_by_other_tracers() -> None:
    tracer = MockTracer()
    run(TracingMiddleware(hello, tracer, start_options=lambda environ: ALWAYS_ON))
    assert len(tracer.finished_spans()) == 1


@pytest.mark.parametrize(("trust", "continues"), [("context", True), ("link", False), ("none", False)])
def test_other_tracers_use_the_callers_context_completely_or_not_at_all(
    jaeger: tuple[JaegerTracer, InMemoryReporter], trust: str, continues: bool
) -> None:
    tracer, reporter = jaeger
    run(TracingMiddleware(hello, tracer, trust=trust), HTTP_UBER_TRACE_ID="abc:def:0:1")
    (span,) = reporter.get_spans()
    assert (span.trace_id == 0xABC) is continues


def test_global_tracer_is_looked_up_at_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    app = TracingMiddleware(hello)
    tracers = [MockTracer(), MockTracer()]
    for tracer in tracers:
        monkeypatch.setattr(opentracing, "tracer", tracer)
        monkeypatch.setattr(opentracing, "is_tracer_registered", True, raising=False)
        run(app)
    assert [len(tracer.finished_spans()) for tracer in tracers] == [1, 1]


def test_no_op_tracer_does_not_affect_requests() -> None:
    made = environ()
    assert Server().run(TracingMiddleware(hello, opentracing.Tracer()), made) == b"hello"
    assert isinstance(made["ot_bridge.span"], opentracing.Span)


class Broken(MockTracer):
    """Fails where `wrong` says."""

    def __init__(self, wrong: str) -> None:
        super().__init__()
        self.wrong = wrong

    def start_span(self, *args: Any, **kwargs: Any) -> Any:
        if self.wrong == "start_span":
            raise LookupError(self.wrong)
        span = super().start_span(*args, **kwargs)
        if self.wrong in ("set_tag", "finish"):
            setattr(span, self.wrong, self.fail)
        return span

    @property
    def scope_manager(self) -> Any:
        if self.wrong == "activate":
            return type("Manager", (), {"activate": self.fail, "active": None})()
        if self.wrong == "close":
            scope = type("Scope", (), {"close": self.fail})()
            return type("Manager", (), {"activate": lambda *args: scope, "active": None})()
        return super().scope_manager

    def fail(self, *args: object, **kwargs: object) -> None:
        raise LookupError(self.wrong)


#: the method that raises -> what the log says has failed
WRONG = {
    "start_span": ["inject", "starting a span"],
    "activate": ["scope_manager.activate"],
    "close": ["scope.close"],
    "set_tag": ["a span's last tags"],
    "finish": ["span.finish"],
}


@pytest.mark.parametrize(("wrong", "said"), WRONG.items(), ids=WRONG)
def test_tracer_that_raises_is_logged_once_and_the_request_is_served(
    caplog: pytest.LogCaptureFixture, wrong: str, said: list[str]
) -> None:
    app = TracingMiddleware(hello, Broken(wrong), on_corrupt="root")
    assert run(app) == b"hello"
    logged = caplog.record_tuples
    assert {(name, level) for name, level, _ in logged} == {("ot_bridge.edge", logging.WARNING)}
    assert failures(caplog) == said
    assert run(app) == b"hello"
    assert caplog.record_tuples == logged


def test_request_is_served_if_our_own_scope_manager_fails(
    provider: TracerProvider, spans: Spans, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: object) -> None:
        raise LookupError

    monkeypatch.setattr(sys.modules["ot_bridge.edge.activity"], "opened", broken)
    assert run(TracingMiddleware(hello, create_tracer(provider))) == b"hello"
    assert spans.names() == ["ServeHTTP"]
    assert failures(caplog) == ["activating a span"]


def upstream(spans: Spans, provider: TracerProvider) -> opentracing.Tracer:
    from opentelemetry.shim import opentracing_shim

    return opentracing_shim.create_tracer(provider)


def ours_on(manager: Callable[[], opentracing.ScopeManager]) -> Callable[..., opentracing.Tracer]:
    return lambda spans, provider: create_tracer(provider, scope_manager=manager())


TRACERS = [
    pytest.param(upstream, id="opentelemetry's shim", marks=needs.shim),
    pytest.param(ours_on(ThreadLocalScopeManager), id="ours on threads"),
    pytest.param(ours_on(ContextVarsScopeManager), id="ours on context variables"),
]


@pytest.mark.parametrize("make", TRACERS)
def test_span_is_active_with_other_scope_managers_and_not_afterwards(
    provider: TracerProvider, spans: Spans, caplog: pytest.LogCaptureFixture, make: Any
) -> None:
    tracer = make(spans, provider)
    left: list[Any] = []
    result = iter(TracingMiddleware(working(tracer), tracer)(environ(), Server().start_response))

    def read_one() -> None:
        next(result, None)
        left.append((trace.get_current_span(), tracer.scope_manager.active))

    for _ in range(3):
        thread = threading.Thread(target=read_one)
        thread.start()
        thread.join()
    server = spans.named("ServeHTTP")
    below = [span for span in spans.all() if span.name == "below"]
    assert [span.parent.span_id if span.parent else None for span in below] == [server.context.span_id] * 2
    assert [span for span, _ in left] == [trace.INVALID_SPAN] * 3
    assert [getattr(scope, "span", None) for _, scope in left] == [None] * 3
    assert caplog.record_tuples == []


def test_opentelemetry_code_sees_the_span_with_a_scope_manager_of_the_program(
    provider: TracerProvider, spans: Spans
) -> None:
    tracer = create_tracer(provider, scope_manager=ThreadLocalScopeManager())

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with provider.get_tracer("app").start_as_current_span("native"):
            pass
        return hello(environ, start_response)

    run(TracingMiddleware(app, tracer))
    parent = spans.named("native").parent
    assert parent is not None
    assert parent.span_id == spans.named("ServeHTTP").context.span_id


def test_excluded_request_is_untraced_with_a_scope_manager_of_the_program(
    provider: TracerProvider, spans: Spans
) -> None:
    tracer = create_tracer(provider, scope_manager=ThreadLocalScopeManager())
    assert run(TracingMiddleware(working(tracer), tracer), "/healthz") == b"ab"
    assert spans.names() == []
