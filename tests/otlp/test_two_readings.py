"""An engine span is encoded to the same bytes from its notes and from its public properties."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
from opentracing import follows_from

from ot_bridge.bridge.convert import MAX_TEXT
from ot_bridge.otlp.encode import LONGEST, as_offered, encode
from tests.generated import at_length, short
from tests.otlp.sides import CONTEXT, Side, on_engine, one, values


class ByProperties:
    """A span without `for_export`."""

    def __init__(self, span: Any) -> None:
        self._span = span

    def __getattr__(self, name: str) -> Any:
        if name == "for_export":
            raise AttributeError(name)
        return getattr(self._span, name)


def agree(spans: Sequence[Any]) -> None:
    first = encode(
        spans
    )  # first: reading the properties uses up the notes, and then `for_export` returns None
    assert first.failed == 0
    hidden: Any = [ByProperties(span) for span in spans]
    assert encode(hidden) == first


def offered(span: Any) -> bool:
    return as_offered(span) is not None


# Which spans the fast encoding takes

PLAIN: dict[str, Callable[[Side], Any]] = {
    "nothing but a name": lambda side: side.tracer.start_span("made").end(),
    "attributes at the start": lambda side: side.tracer.start_span("made", attributes={"a": 1}).end(),
    "tags and logs": lambda side: _span_with(side, {"a": "b", "n": 1, "x": 0.5, "t": True}),
    "a text beyond ASCII": lambda side: _span_with(side, {"a": "Grüße 😀"}),
    "a number beyond 64 bits": lambda side: _span_with(side, {"a": 2**70}),
    "a surrogate in a value": lambda side: _span_with(side, {"a": "\ud800"}),
    "a class": lambda side: _span_with(side, {"a": object}),
    "a child": lambda side: _child(side),
    "a status": lambda side: _failed(side),
    "an exception": lambda side: _raised(side),
    "an empty key": lambda side: _span_with(side, {"": 1}),
    "a surrogate in a key": lambda side: _span_with(side, {"\ud800": 1}),
}
LONG: dict[str, Callable[[Side], Any]] = {
    "a list": lambda side: _span_with(side, {"a": [1, 2]}),
    "a key twice": lambda side: _span_with(side, {"before": 2, "a": 3}),
    "a long text": lambda side: _span_with(side, {"a": "x" * (MAX_TEXT + 1)}),
    "links": lambda side: side.tracer.start_span("made", links=[Link(CONTEXT)]).end(),
}


def _span_with(side: Side, tags: dict[str, Any]) -> None:
    span = side.bridge.start_span("made", tags={"before": 1})
    for key, value in tags.items():
        span.set_tag(key, value)
    span.log_kv({"event": "e", **tags})
    span.finish()


def _child(side: Side) -> None:
    remote = SpanContext(1, 2, True, TraceFlags(1), TraceState([("a", "b")]))
    from ot_bridge.bridge import SpanContext as Ours

    with side.bridge.start_active_span("outer", child_of=Ours(remote)), side.bridge.start_active_span("made"):
        pass


def _failed(side: Side) -> None:
    span = side.bridge.start_span("made")
    span.set_tag("error", True)
    span.finish()


def _raised(side: Side) -> None:
    with pytest.raises(ValueError, match="broken"), side.bridge.start_active_span("made"):
        raise ValueError("broken")


@pytest.mark.parametrize(
    ("program", "short"),
    [*((program, True) for program in PLAIN.values()), *((program, False) for program in LONG.values())],
    ids=[*PLAIN, *LONG],
)
def test_the_fast_and_the_general_encoding_agree(program: Callable[[Side], Any], short: bool) -> None:
    side = on_engine()
    program(side)
    assert offered(side.spans[0]) is short
    agree(side.spans)


LIMITS = {
    "attributes": {"max_span_attributes": 2},
    "no attributes": {"max_span_attributes": 0},
    "events": {"max_events": 1},
    "an event's attributes": {"max_event_attributes": 1},
    "no attributes of an event": {"max_event_attributes": 0},
    "length": {"max_attribute_length": 3},
    "a span's length": {"max_span_attribute_length": 3},
    "none": dict.fromkeys(("max_attributes", "max_events", "max_event_attributes"), SpanLimits.UNSET),
}


@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize(
    "tags", [{}, {"a": "text"}, {"a": "text", "b": 2}, {"a": 1, "b": 2, "c": 3}], ids=len
)
def test_the_fast_and_the_general_encoding_agree_under_any_limits(
    limits: dict[str, int], tags: dict[str, Any]
) -> None:
    side = on_engine(span_limits=SpanLimits(**limits))
    _span_with(side, tags)
    span = side.tracer.start_span("made", attributes=tags)
    span.add_event("first", tags)
    span.add_event("second")
    span.end()
    agree(side.spans)


def test_the_fast_encoding_takes_only_text_below_the_length_limit() -> None:
    assert LONGEST <= MAX_TEXT


@pytest.mark.parametrize("size", [MAX_TEXT - 1, MAX_TEXT, MAX_TEXT + 1])
@pytest.mark.parametrize("where", ["value", "key", "log's value", "log's key", "log's name"])
def test_opentracings_texts_are_cut_at_the_same_length(where: str, size: int) -> None:
    side = on_engine()
    span = side.bridge.start_span("made")
    long = "x" * size
    given: dict[str, dict[str, Any]] = {"value": {"k": long}, "key": {long: 1}}
    tags = given.get(where, {})
    for key, value in tags.items():
        span.set_tag(key, value)
    logs = {"log's value": {"k": long}, "log's key": {long: 1}, "log's name": {"event": long}}
    span.log_kv(logs.get(where, {"event": "e"}))
    span.finish()
    agree(side.spans)
    read = one(side.spans[0])
    texts = [read.events[0].name]
    for owner in (read, *read.events):
        texts += [text for key, value in values(owner).items() for text in (key, value.string_value)]
    assert max(map(len, texts)) == min(size, MAX_TEXT)


def test_calls_recorded_after_the_end_are_not_exported() -> None:
    side = on_engine()
    span: Any = side.tracer.start_span("made", attributes={"in": "time"})
    span.end()
    span.note(("too", "late"))
    assert offered(span)
    agree([span])
    span.note(("still", "later"))  # now without the end before it
    assert not offered(span)
    assert [*values(one(span))] == ["in"]


def test_private_attributes_that_a_processor_has_replaced_are_written() -> None:
    side = on_engine()
    with side.tracer.start_as_current_span("made", attributes={"a": 1}):
        pass
    (span,) = side.spans
    span._attributes = {"b": 2}
    span._name = "other"
    agree([span])
    assert ([*values(one(span))], one(span).name) == (["b"], "other")


def test_for_export_of_a_running_span_returns_none() -> None:
    side = on_engine()
    span: Any = side.tracer.start_span("made")
    assert span.for_export() is None
    span.end()
    assert span.for_export() is not None


# Generated calls

SCALARS = st.one_of(
    st.text(st.characters(), max_size=8),  # lone surrogates among them
    st.booleans(),
    st.integers(-(2**66), 2**66),
    st.floats(),
)
VALUES = st.one_of(SCALARS, st.none(), st.binary(max_size=4), st.lists(SCALARS, max_size=3))
KEYS = st.one_of(st.sampled_from(["a", "b", "error", "span.kind"]), st.text(st.characters(), max_size=3))
TAGS = st.dictionaries(KEYS, VALUES, max_size=4)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set_tag"), KEYS, VALUES),
        st.tuples(st.just("log_kv"), st.one_of(TAGS, TAGS.map(lambda tags: {"event": "e", **tags}))),
        st.tuples(st.just("set_attribute"), KEYS, SCALARS),
        st.tuples(st.just("set_attributes"), st.dictionaries(KEYS, SCALARS, max_size=3)),
        st.tuples(st.just("add_event"), KEYS, st.dictionaries(KEYS, SCALARS, max_size=3)),
        st.tuples(st.just("update_name"), st.text(st.characters(), max_size=4)),
        st.tuples(st.just("set_status"), st.sampled_from([Status(StatusCode.ERROR, "x"), Status()])),
    ),
    max_size=6,
)
SIDES = st.builds(
    lambda **limits: on_engine(span_limits=SpanLimits(**limits)),
    max_span_attributes=st.sampled_from([None, 2]),
    max_events=st.sampled_from([None, 1]),
    max_attribute_length=st.sampled_from([None, None, 3]),
)


@short
@given(SIDES, KEYS, TAGS, STEPS, st.sampled_from([None, "child", "link"]))
def test_the_fast_and_the_general_encoding_agree_for_generated_calls(
    side: Side, name: str, tags: dict[str, Any], steps: list[Any], above: str | None
) -> None:
    with side.bridge.start_active_span("outer") as outer:
        references = follows_from(outer.span.context) if above == "link" else None
        child_of = outer.span if above == "child" else None
        span: Any = side.bridge.start_span(name, child_of, references, tags, ignore_active_span=above is None)
        for step, *arguments in steps:
            getattr(span, step)(*arguments)
        span.finish()
    agree(side.spans)


test_the_fast_and_the_general_encoding_agree_for_generated_calls_at_length = at_length(
    test_the_fast_and_the_general_encoding_agree_for_generated_calls
)


@short
@given(SIDES, KEYS, st.dictionaries(KEYS, SCALARS, max_size=4), st.sampled_from(SpanKind))
def test_the_fast_and_the_general_encoding_agree_for_spans_of_opentelemetrys_api(
    side: Side, name: str, attributes: dict[str, Any], kind: SpanKind
) -> None:
    span = side.tracer.start_span(name, None, kind, attributes)
    span.add_event(name, attributes)
    span.set_attributes(attributes)
    span.end()
    agree(side.spans)


test_the_fast_and_the_general_encoding_agree_for_spans_of_opentelemetrys_api_at_length = at_length(
    test_the_fast_and_the_general_encoding_agree_for_spans_of_opentelemetrys_api
)


def test_spans_of_the_sdk_have_no_for_export() -> None:
    assert not hasattr(sdk.ReadableSpan, "for_export")
