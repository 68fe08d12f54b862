"""A middleware inside another one, or inside OpenTelemetry's own, makes no second span."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased
from opentelemetry.trace import SpanKind

from ot_bridge.bridge import Tracer, create_tracer
from ot_bridge.wsgi import TracingMiddleware
from tests.wsgi.conftest import Server, Spans, environ, hello, run


def test_inner_middleware_adds_its_tags_to_the_outer_span(tracer: Tracer, spans: Spans) -> None:
    hooked: list[Any] = []
    inner = TracingMiddleware(
        hello,
        tracer,
        operation_name="inner",
        component="shop",
        capture_headers=["x-a"],
        request_hook=lambda span, environ: hooked.append(span),
    )
    made = environ("/a", HTTP_X_A="1")
    assert Server().run(TracingMiddleware(inner, tracer), made) == b"hello"
    assert spans.names() == ["ServeHTTP"]
    assert spans.tags()["component"] == "shop"
    assert spans.tags()["http.request.header.x-a"] == "1"
    assert hooked == [made["ot_bridge.span"]]


def test_inner_middleware_leaves_an_excluded_request_untraced(
    tracer: Tracer, spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    inner = TracingMiddleware(hello, tracer, exclude=())
    assert run(TracingMiddleware(inner, tracer), "/healthz") == b"hello"
    assert (spans.names(), caplog.text) == ([], "")


def test_nested_request_has_its_own_span(tracer: Tracer, spans: Spans) -> None:
    inner = TracingMiddleware(hello, tracer, operation_name="inner")

    def app(made: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [Server().run(inner, environ("/inner"))]

    assert run(TracingMiddleware(app, tracer)) == b"hello"
    parent = spans.named("inner").parent
    assert parent is not None
    assert parent.span_id == spans.named("ServeHTTP").context.span_id


SUBREQUESTS: dict[str, dict[str, Any]] = {
    "another path": {"PATH_INFO": "/inner"},
    "another prefix": {"SCRIPT_NAME": "/v1"},
    "another method": {"REQUEST_METHOD": "HEAD"},
    "another input": {"wsgi.input": BytesIO(b"")},
}


@pytest.mark.parametrize("changes", SUBREQUESTS.values(), ids=SUBREQUESTS)
def test_subrequest_with_a_copy_of_the_environ_has_its_own_span(
    tracer: Tracer, spans: Spans, changes: dict[str, Any]
) -> None:
    inner = TracingMiddleware(hello, tracer, operation_name="inner", component="inner")

    def app(made: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response("202 Accepted", [])
        return [Server().run(inner, made | changes)]

    caller = {"HTTP_TRACEPARENT": f"00-{7:032x}-{9:016x}-01"}
    assert run(TracingMiddleware(app, tracer), "/outer", **caller) == b"hello"
    outer, below = spans.named("ServeHTTP"), spans.named("inner")
    assert below.parent is not None
    assert below.parent.span_id == outer.context.span_id
    assert (outer.attributes or {})["component"] == "grpc-gateway"
    assert (outer.attributes or {})["http.status_code"] == 202
    assert (below.attributes or {})["http.status_code"] == 200


@pytest.mark.parametrize(
    "changes",
    [{}, {"extra": "1"}, {"SCRIPT_NAME": "/a", "PATH_INFO": "/b"}],
    ids=["as it is", "with more in it", "mounted"],
)
def test_same_request_with_a_copy_of_the_environ_has_one_span(
    tracer: Tracer, spans: Spans, changes: dict[str, Any]
) -> None:
    inner = TracingMiddleware(hello, tracer, component="inner")
    app = TracingMiddleware(lambda made, start: inner(made | changes, start), tracer)
    run(app, "/a/b")
    assert spans.names() == ["ServeHTTP"]
    assert spans.tags()["component"] == "inner"


def test_copy_of_an_environ_that_outlives_its_request_is_another_request(
    tracer: Tracer, spans: Spans
) -> None:
    copies: list[dict[str, Any]] = []

    def app(made: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        copies.append(made.copy())
        return hello(made, start_response)

    traced = TracingMiddleware(app, tracer)
    run(traced)
    Server().run(traced, copies[0])
    first, second = spans.all()
    assert first.context.trace_id != second.context.trace_id


def test_request_of_the_process_itself_within_another_server_span_is_its_child(
    provider: TracerProvider, tracer: Tracer, spans: Spans
) -> None:
    app = TracingMiddleware(hello, tracer)
    attributes = {"http.method": "POST", "http.target": "/"}
    with provider.get_tracer("app").start_as_current_span(
        "around", kind=SpanKind.SERVER, attributes=attributes
    ) as around:
        run(app)
    parent = spans.named("ServeHTTP").parent
    assert parent is not None
    assert parent.span_id == around.get_span_context().span_id
    assert dict(spans.named("around").attributes or {}) == attributes


@pytest.mark.parametrize(
    "attributes",
    [{"http.method": "GET", "http.target": "/a?b=c"}, {"http.request.method": "GET", "url.path": "/a"}],
    ids=["old names", "new names"],
)
def test_server_span_with_the_attributes_of_this_request_is_reused(
    provider: TracerProvider, tracer: Tracer, spans: Spans, attributes: dict[str, str]
) -> None:
    """OpenTelemetry's middleware makes such a span if a middleware between wraps `start_response`."""
    with provider.get_tracer("app").start_as_current_span(
        "around", kind=SpanKind.SERVER, attributes=attributes
    ):
        run(TracingMiddleware(hello, tracer), "/a")
    assert spans.names() == ["around"]
    assert spans.tags()["component"] == "grpc-gateway"


def test_our_tags_are_set_on_the_span_of_opentelemetrys_middleware(
    provider: TracerProvider, tracer: Tracer, spans: Spans
) -> None:
    hooked: list[Any] = []
    app = TracingMiddleware(hello, tracer, request_hook=lambda span, environ: hooked.append(span))
    assert run(OpenTelemetryMiddleware(app, tracer_provider=provider)) == b"hello"
    assert spans.one().kind is SpanKind.SERVER
    assert spans.tags()["component"] == "grpc-gateway"
    assert len(hooked) == 1


def test_no_span_is_made_below_an_unsampled_span_of_opentelemetrys_middleware(spans: Spans) -> None:
    off = TracerProvider(sampler=ParentBased(ALWAYS_OFF), shutdown_on_exit=False)
    on = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)
    on.add_span_processor(SimpleSpanProcessor(spans.exporter))
    app = TracingMiddleware(hello, create_tracer(on))
    assert run(OpenTelemetryMiddleware(app, tracer_provider=off)) == b"hello"
    assert spans.names() == []


@pytest.mark.parametrize("kind", [SpanKind.INTERNAL, SpanKind.CLIENT], ids=lambda kind: kind.name)
@pytest.mark.parametrize("attributes", [{}, {"http.request.method": "GET", "url.path": "/"}])
def test_child_span_is_made_below_any_other_span(
    provider: TracerProvider, tracer: Tracer, spans: Spans, kind: SpanKind, attributes: dict[str, str]
) -> None:
    app = provider.get_tracer("app")
    with app.start_as_current_span("around", kind=kind, attributes=attributes) as around:
        run(TracingMiddleware(hello, tracer))
    parent = spans.named("ServeHTTP").parent
    assert parent is not None
    assert parent.span_id == around.get_span_context().span_id


def test_unsampled_child_is_made_below_an_unsampled_span_of_another_kind(spans: Spans) -> None:
    off = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    on = TracerProvider(shutdown_on_exit=False)
    on.add_span_processor(SimpleSpanProcessor(spans.exporter))
    seen: list[Any] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        seen.append(environ["ot_bridge.span"].context.trace_id)
        return hello(environ, start_response)

    with off.get_tracer("app").start_as_current_span("around") as around:
        run(TracingMiddleware(app, create_tracer(on)))
    assert seen == [around.get_span_context().trace_id]
    assert spans.names() == []


def test_server_span_is_made_below_a_context_that_other_code_extracted(tracer: Tracer, spans: Spans) -> None:
    remote = trace.SpanContext(7, 7, is_remote=True, trace_flags=trace.TraceFlags(1))
    with trace.use_span(trace.NonRecordingSpan(remote)):
        run(TracingMiddleware(hello, tracer))
    assert spans.one().kind is SpanKind.SERVER
    assert spans.one().context.trace_id == 7
