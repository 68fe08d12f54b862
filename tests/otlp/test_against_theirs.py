"""Generated spans of every origin: our request is OpenTelemetry's, field by field.

The comparison leaves out what only ours contains: the low bits of flags and links' trace states (`alike`).
Values that theirs loses are not generated: lone surrogates and integers beyond 64 bits.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, SpanLimits
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
from opentracing import follows_from

from tests.generated import at_length, short
from tests.otlp.sides import alike, on_engine, on_sdk, readable, sent, theirs

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
KEYS = st.one_of(st.sampled_from(["a", "b", "c"]), TEXT.filter(bool))
SCALARS = st.one_of(TEXT, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats())
ARRAYS = st.one_of(*(st.lists(kind, max_size=3) for kind in (TEXT, st.booleans(), st.integers(0, 9))))
VALUES = st.one_of(SCALARS, ARRAYS)
ATTRIBUTES = st.dictionaries(KEYS, VALUES, max_size=4)
TIMES = st.one_of(st.integers(0, 2**64 - 1), st.sampled_from([0, 1, 2**63]))
STATES = st.dictionaries(st.sampled_from(["v", "w@x", "a_b"]), st.sampled_from(["1", "a=b"]), max_size=2).map(
    lambda entries: TraceState([*entries.items()])
)
CONTEXTS = st.builds(
    SpanContext,
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.booleans(),
    st.integers(0, 3).map(TraceFlags),
    STATES,
)
STATUSES = st.sampled_from([Status(), Status(StatusCode.OK), Status(StatusCode.ERROR, "broken")])
SCOPES = st.one_of(st.none(), st.builds(InstrumentationScope, TEXT, st.one_of(st.none(), TEXT), TEXT))
RESOURCES = st.builds(Resource, st.dictionaries(st.sampled_from("ab"), st.text("xy"), max_size=2), TEXT)
READABLE = st.builds(
    readable,
    name=TEXT,
    context=CONTEXTS,
    parent=st.one_of(st.none(), CONTEXTS),
    kind=st.sampled_from(SpanKind),
    start_time=TIMES,
    end_time=st.one_of(st.none(), TIMES),
    attributes=st.one_of(st.none(), ATTRIBUTES),
    events=st.lists(st.builds(Event, TEXT, ATTRIBUTES, TIMES), max_size=2),
    links=st.lists(st.builds(Link, CONTEXTS, ATTRIBUTES), max_size=2),
    status=STATUSES,
    resource=RESOURCES,
    instrumentation_scope=SCOPES,
)


def agree(spans: list[Any]) -> None:
    ours = alike(sent(spans))  # first, while the engine's spans still have their notes
    due = theirs(spans)
    # As bytes, since NaN is not equal to itself.
    assert ours.SerializeToString() == due.SerializeToString(), f"{ours}\n\nis not\n\n{due}"


@short
@given(st.lists(READABLE, max_size=5))
def test_spans_made_by_hand_are_encoded_as_by_opentelemetry(spans: list[Any]) -> None:
    agree(spans)


test_spans_made_by_hand_are_encoded_as_by_opentelemetry_at_length = at_length(
    test_spans_made_by_hand_are_encoded_as_by_opentelemetry
)


OTEL_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set_attribute"), KEYS, VALUES),
        st.tuples(st.just("set_attributes"), ATTRIBUTES),
        st.tuples(st.just("add_event"), TEXT, ATTRIBUTES, TIMES),
        st.tuples(st.just("update_name"), TEXT),
        st.tuples(st.just("set_status"), STATUSES),
        st.tuples(st.just("record_exception"), st.just(ValueError("broken"))),
    ),
    max_size=6,
)
SIDES = st.builds(
    lambda make, **limits: make(span_limits=SpanLimits(**limits)),
    st.sampled_from([on_engine, on_sdk]),
    max_span_attributes=st.sampled_from([None, 2]),
    max_events=st.sampled_from([None, 1]),
    max_links=st.sampled_from([None, 1]),
    max_attribute_length=st.sampled_from([None, 3]),
)


@short
@given(SIDES, TEXT, st.sampled_from(SpanKind), ATTRIBUTES, st.lists(CONTEXTS, max_size=2), TIMES, OTEL_STEPS)
def test_spans_of_opentelemetrys_api_are_encoded_as_by_opentelemetry(
    side: Any, name: str, kind: SpanKind, attributes: Any, linked: Any, start: int, steps: Any
) -> None:
    links = [Link(context, attributes) for context in linked]
    span = side.tracer.start_span(name, None, kind, attributes, links, start)
    for step, *arguments in steps:
        getattr(span, step)(*arguments)
    with side.tracer.start_as_current_span(name):
        side.tracer.start_span("inner").end()
    span.end()
    agree(side.spans)


test_spans_of_opentelemetrys_api_are_encoded_as_by_opentelemetry_at_length = at_length(
    test_spans_of_opentelemetrys_api_are_encoded_as_by_opentelemetry
)


TAGS = st.dictionaries(st.one_of(KEYS, st.sampled_from(["error", "span.kind"])), VALUES, max_size=4)
OPENTRACING_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set_tag"), KEYS, VALUES),
        st.tuples(st.just("log_kv"), TAGS),
        st.tuples(st.just("log_kv"), TAGS.map(lambda fields: {"event": "error", **fields}), st.just(7.5)),
        st.tuples(st.just("set_operation_name"), TEXT),
        st.tuples(st.just("set_baggage_item"), KEYS, TEXT),
    ),
    max_size=6,
)


@short
@given(SIDES, TEXT, TAGS, OPENTRACING_STEPS)
def test_spans_of_opentracings_api_are_encoded_as_by_opentelemetry(
    side: Any, name: str, tags: Any, steps: Any
) -> None:
    with side.bridge.start_active_span(name, tags=tags) as scope:
        for step, *arguments in steps:
            getattr(scope.span, step)(*arguments)
        with side.bridge.start_active_span("inner", tags=tags):
            pass
        side.bridge.start_span("linked", references=follows_from(scope.span.context)).finish()
    agree(side.spans)


test_spans_of_opentracings_api_are_encoded_as_by_opentelemetry_at_length = at_length(
    test_spans_of_opentracings_api_are_encoded_as_by_opentelemetry
)


@short
@given(st.lists(st.sampled_from([on_engine, on_sdk]), min_size=2, max_size=4))
def test_batches_of_several_providers_are_encoded_as_by_opentelemetry(makers: Any) -> None:
    spans: list[Any] = []
    for number, make in enumerate(makers * 2):
        side = make(resource=Resource({"service.name": f"s{number % 3}"}))
        with side.bridge.start_active_span("outer"), side.tracer.start_as_current_span("inner"):
            pass
        spans += side.spans
    agree(spans)


test_batches_of_several_providers_are_encoded_as_by_opentelemetry_at_length = at_length(
    test_batches_of_several_providers_are_encoded_as_by_opentelemetry
)
