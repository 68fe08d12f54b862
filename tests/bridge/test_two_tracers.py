"""Two tracers in one process: which of them sees which active spans."""

from __future__ import annotations

from typing import Any

import pytest
from jaeger_client.reporter import InMemoryReporter
from jaeger_client.sampler import ConstSampler
from jaeger_client.tracer import Tracer as JaegerTracer
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentracing import Format
from opentracing.mocktracer import MockTracer
from opentracing.scope_managers import ThreadLocalScopeManager

from ot_bridge.bridge import create_tracer
from tests.bridge.spans import parents
from tests.conftest import Recorded, recorded

# jaeger-client looks up the address of this host and leaves the socket open.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


def _active(otel: Recorded) -> Any:
    return otel.tracer.active_span


@pytest.fixture
def jaeger() -> Any:
    return JaegerTracer("old", reporter=InMemoryReporter(), sampler=ConstSampler(True))


def test_the_active_span_of_jaeger_client_is_not_active_for_our_tracer(otel: Recorded, jaeger: Any) -> None:
    with jaeger.start_active_span("jaeger") as theirs:
        assert otel.tracer.active_span is None
        with otel.tracer.start_active_span("ours") as ours:
            assert (jaeger.active_span, _active(otel)) == (theirs.span, ours.span)
            jaeger.start_active_span("jaeger child").close()
        otel.tracer.start_active_span("ours too").close()
    assert parents(otel) == {"ours": None, "ours too": None}
    child, root = jaeger.reporter.get_spans()
    assert (child.parent_id, child.trace_id) == (root.span_id, root.trace_id)
    assert root.parent_id is None


def test_a_jaeger_client_span_given_as_parent_is_ignored(otel: Recorded, jaeger: Any) -> None:
    theirs = jaeger.start_span("jaeger")
    otel.tracer.start_span("ours", child_of=theirs).finish()
    otel.tracer.start_span("ours too", child_of=theirs.context).finish()
    assert parents(otel) == {"ours": None, "ours too": None}


def test_a_trace_goes_from_one_to_the_other_and_back_by_carrier(otel: Recorded, jaeger: Any) -> None:
    root = jaeger.start_span("root").set_baggage_item("user", "ann")
    carrier: dict[str, str] = {}
    jaeger.inject(root.context, Format.HTTP_HEADERS, carrier)
    with otel.tracer.start_active_span(
        "ours", child_of=otel.tracer.extract(Format.HTTP_HEADERS, carrier)
    ) as scope:
        back: dict[str, str] = {}
        otel.tracer.inject(scope.span.context, Format.HTTP_HEADERS, back)
    last = jaeger.start_span("last", child_of=jaeger.extract(Format.HTTP_HEADERS, back))
    ours: Any = scope.span.context
    assert ours.trace_id == root.trace_id == last.trace_id
    assert (ours.parent_id, last.parent_id) == (root.span_id, ours.span_id)
    assert last.get_baggage_item("user") == "ann"


def test_a_scope_manager_for_both_has_one_active_span(jaeger: Any) -> None:
    """Both tracers share one scope manager; the spans of each are foreign to the other."""
    otel = recorded(scope_manager=jaeger.scope_manager)
    with jaeger.start_active_span("jaeger") as theirs:
        assert otel.tracer.active_span is theirs.span
        with otel.tracer.start_active_span("ours") as ours:
            assert jaeger.active_span is ours.span
        assert otel.tracer.active_span is theirs.span
    assert parents(otel) == {"ours": None}


def test_the_active_span_of_a_mock_tracer_is_not_active_for_our_tracer(otel: Recorded) -> None:
    mock = MockTracer()
    with otel.tracer.start_active_span("ours"):
        assert mock.active_span is None
        with mock.start_active_span("mock"):
            otel.tracer.start_active_span("child").close()
    assert parents(otel) == {"ours": None, "child": "ours"}
    assert [span.parent_id for span in mock.finished_spans()] == [None]


def _named(service: str, provider_class: type[TracerProvider], **options: Any) -> Recorded:
    exporter = InMemorySpanExporter()
    provider = provider_class(resource=Resource({"service.name": service}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Recorded(create_tracer(provider, **options), provider, exporter)


def test_two_of_our_tracers_share_opentelemetrys_current_span(provider_class: type[TracerProvider]) -> None:
    one, two = _named("one", provider_class), _named("two", provider_class)
    with one.tracer.start_active_span("a") as outer:
        outer.span.set_baggage_item("user", "ann")
        active = _active(two)
        assert _active(two) is active
        assert (active.tracer, active.unwrap()) == (two.tracer, trace.get_current_span())
        assert active.get_baggage_item("user") == "ann"
        with two.tracer.start_active_span("b") as inner:
            wrapper: Any = one.tracer.active_span
            assert (wrapper.tracer, wrapper.unwrap()) == (one.tracer, inner.span.unwrap())  # type: ignore[attr-defined]
            one.tracer.start_span("c").finish()
        assert one.tracer.active_span is outer.span
    b, c = two.spans["b"], one.spans["c"]
    assert b.parent is not None
    assert b.parent.span_id == one.spans["a"].context.span_id
    assert c.parent is not None
    assert c.parent.span_id == b.context.span_id
    assert [span.resource.attributes["service.name"] for span in (b, c)] == ["two", "one"]


def test_scopes_of_two_of_our_tracers_can_be_closed_in_any_order(
    provider_class: type[TracerProvider],
) -> None:
    one, two = _named("one", provider_class), _named("two", provider_class)
    outer = one.tracer.start_active_span("a")
    inner = two.tracer.start_active_span("b")
    outer.close()
    assert one.spans == {}
    inner.close()
    assert (list(one.spans), list(two.spans)) == (["a"], ["b"])
    assert one.tracer.active_span is two.tracer.active_span is None


def test_two_of_our_tracers_with_separate_scope_managers_do_not_see_each_others_spans(
    provider_class: type[TracerProvider],
) -> None:
    one = _named("one", provider_class, scope_manager=ThreadLocalScopeManager())
    two = _named("two", provider_class, scope_manager=ThreadLocalScopeManager())
    with one.tracer.start_active_span("a") as outer, two.tracer.start_active_span("b") as inner:
        assert one.tracer.active_span is outer.span
        assert two.tracer.active_span is inner.span
        one.tracer.start_span("c").finish()
    c = one.spans["c"].parent
    assert c is not None
    assert c.span_id == outer.span.context.span_id  # type: ignore[attr-defined]
