"""Which of the caller's trace, sampling decision and baggage the middleware takes, and what a start option
changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import SpanKind

from ot_bridge.bridge import Tracer, create_tracer
from ot_bridge.wsgi import StartOptions, TracingMiddleware
from tests.wsgi.conftest import Server, Spans, environ, failures, hello, run

TRACE, SPAN = 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7
SAMPLED = {"HTTP_TRACEPARENT": f"00-{TRACE:032x}-{SPAN:016x}-01", "HTTP_BAGGAGE": "user=ada"}
UNSAMPLED = {"HTTP_TRACEPARENT": f"00-{TRACE:032x}-{SPAN:016x}-00"}


class Seen:
    """An application that notes the baggage and the trace of its span."""

    def __init__(self) -> None:
        self.baggage: list[str | None] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.baggage.append(environ["ot_bridge.span"].get_baggage_item("user"))
        return hello(environ, start_response)


# trust -> continues the trace, takes the baggage, links to the caller, obeys "do not sample"
TRUSTS: dict[str, tuple[dict[str, Any], bool, str | None, bool, bool]] = {
    "by default": ({}, True, "ada", False, True),
    "all": ({"trust": "all"}, True, "ada", False, True),
    "context": ({"trust": "context"}, True, "ada", False, False),
    "link": ({"trust": "link"}, False, None, True, False),
    "none": ({"trust": "none"}, False, None, False, False),
    "a callable": ({"trust": lambda environ: "none"}, False, None, False, False),
    "a callable that raises": ({"trust": lambda environ: environ["no"]}, False, None, False, False),
    "a callable that talks nonsense": ({"trust": lambda environ: "maybe"}, False, None, False, False),
    "public": ({"public_endpoint": True}, False, None, True, False),
    "public, not": ({"public_endpoint": lambda environ: False}, True, "ada", False, True),
    "public, by callable": ({"public_endpoint": lambda environ: True}, False, None, True, False),
    "public or else": (
        {"public_endpoint": lambda environ: False, "trust": lambda environ: "none"},
        False, None, False, False,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("given", "continues", "baggage", "links", "obeys"), TRUSTS.values(), ids=TRUSTS)
def test_trust_option_decides_what_is_used_of_the_caller(
    tracer: Tracer,
    spans: Spans,
    given: dict[str, Any],
    continues: bool,
    baggage: str | None,
    links: bool,
    obeys: bool,
) -> None:
    seen = Seen()
    app = TracingMiddleware(seen, tracer, **given)
    run(app, **SAMPLED)
    span = spans.one()
    assert (span.context.trace_id == TRACE) is continues
    assert ((span.parent.span_id if span.parent else 0) == SPAN) is continues
    assert seen.baggage == [baggage]
    assert [link.context.trace_id for link in span.links] == [TRACE] * links
    spans.exporter.clear()
    run(app, **UNSAMPLED)
    assert len(spans.all()) == (0 if obeys else 1)


def test_span_continues_the_callers_trace_and_is_named_serve_http(tracer: Tracer, spans: Spans) -> None:
    run(TracingMiddleware(hello, tracer), HTTP_UBER_TRACE_ID=f"{TRACE:x}:{SPAN:x}:0:1")
    span = spans.one()
    assert span.parent is not None
    assert (span.name, span.kind, span.parent.span_id) == ("ServeHTTP", SpanKind.SERVER, SPAN)
    assert spans.tags()["component"] == "grpc-gateway"


def test_name_component_and_kind_can_be_set(tracer: Tracer, spans: Spans) -> None:
    run(TracingMiddleware(hello, tracer, operation_name="op", component="shop", span_kind=SpanKind.CONSUMER))
    assert (spans.one().name, spans.one().kind) == ("op", SpanKind.CONSUMER)
    assert spans.tags()["component"] == "shop"


def test_span_is_in_the_environ_and_active_for_the_request(tracer: Tracer, spans: Spans) -> None:
    seen: list[Any] = []

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        seen.extend((tracer.active_span, environ["ot_bridge.span"]))
        tracer.start_active_span("below").close()
        return hello(environ, start_response)

    run(TracingMiddleware(app, tracer))
    assert seen[0] is seen[1]
    parent = spans.named("below").parent
    assert parent is not None
    assert parent.span_id == spans.named("ServeHTTP").context.span_id
    assert tracer.active_span is None


def test_reused_environ_is_a_new_request(tracer: Tracer, spans: Spans) -> None:
    app, made = TracingMiddleware(hello, tracer), environ()
    for _ in range(2):
        Server().run(app, made)
    first, second = spans.all()
    assert first.context.trace_id != second.context.trace_id


# start options

API_ONLY = {"on": ALWAYS_ON, "off": ALWAYS_OFF}
CHOICES: dict[str, tuple[Any, dict[str, Any]]] = {
    "nothing": (None, {}),
    "True": (True, {}),
    "a name": ("other", {"name": "other"}),
    "a kind": (SpanKind.CONSUMER, {"kind": SpanKind.CONSUMER}),
    "all of it": (
        StartOptions(sampler=ALWAYS_ON, kind="producer", name="other"),
        {"kind": SpanKind.PRODUCER, "name": "other"},
    ),
}


@pytest.mark.parametrize(("chosen", "changed"), CHOICES.values(), ids=CHOICES)
def test_start_options_change_the_span_of_one_request(
    tracer: Tracer, spans: Spans, chosen: object, changed: dict[str, Any]
) -> None:
    run(TracingMiddleware(hello, tracer, start_options=lambda environ: chosen))
    span = spans.one()
    assert {"kind": span.kind, "name": span.name} == {"kind": SpanKind.SERVER, "name": "ServeHTTP"} | changed


@pytest.mark.parametrize("shape", [lambda sampler: sampler, lambda sampler: StartOptions(sampler=sampler)])
def test_paths_below_api_are_always_sampled(spans: Spans, shape: Callable[[Any], Any]) -> None:
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans.exporter))
    tracer = create_tracer(provider, propagators="tracecontext")

    def start_options(environ: dict[str, Any]) -> Any:
        return shape(ALWAYS_ON) if environ["PATH_INFO"].startswith("/api") else None

    app = TracingMiddleware(hello, tracer, start_options=start_options)
    for path in ("/api/1", "/other"):
        run(app, path)
        run(app, path, **UNSAMPLED)
    assert [(span.attributes or {})["http.url"] for span in spans.all()] == ["http://localhost/api/1"] * 2


@pytest.mark.parametrize("chosen", [7, "raise"], ids=repr)
def test_invalid_start_options_are_ignored_and_logged(
    tracer: Tracer, spans: Spans, caplog: pytest.LogCaptureFixture, chosen: object
) -> None:
    def start_options(environ: dict[str, Any]) -> object:
        if chosen == "raise":
            raise LookupError
        return chosen

    app = TracingMiddleware(hello, tracer, start_options=start_options)
    assert [run(app), run(app)] == [b"hello", b"hello"]
    assert spans.names() == ["ServeHTTP"] * 2
    assert failures(caplog) == ["start_options"]
