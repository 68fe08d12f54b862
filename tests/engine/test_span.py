"""The engine's span has the attributes and behaviour of the SDK's span."""

from __future__ import annotations

import copy
import gc
import logging
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import trace as trace_api
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk import trace as sdk
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from ot_bridge import engine
from ot_bridge.engine.notes import MOST_NOTES

from .sides import Side, Sides
from .test_differential import snapshot

REMOTE = SpanContext(0xA1, 0xB1, True, TraceFlags(1))


@pytest.fixture
def sides() -> Sides:
    return Sides()


@pytest.fixture
def ours(sides: Sides) -> Side:
    return sides.ours


@pytest.fixture
def span(ours: Side) -> Any:
    return ours.tracer.start_span("span")


def test_a_span_is_an_sdk_span_and_readable(span: Any) -> None:
    assert isinstance(span, engine.Span)
    assert isinstance(span, sdk.Span)
    assert isinstance(span, sdk.ReadableSpan)
    assert isinstance(span, trace_api.Span)


def test_the_span_class_cannot_be_instantiated_directly() -> None:
    with pytest.raises(TypeError):
        sdk.Span("span", REMOTE)


CALLS: dict[str, Callable[[Any], Any]] = {
    "set_attribute": lambda span: span.set_attribute("late", 1),
    "set_attributes": lambda span: span.set_attributes({"late": 1}),
    "add_event": lambda span: span.add_event("late"),
    "add_link": lambda span: span.add_link(REMOTE),
    "update_name": lambda span: span.update_name("late"),
    "set_status": lambda span: span.set_status(StatusCode.ERROR),
    "record_exception": lambda span: span.record_exception(ValueError()),
    "end": lambda span: span.end(5),
    "start": lambda span: span.start(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_call_on_an_ended_span_is_logged_and_changes_nothing(
    sides: Sides, call: Callable[[Any], Any]
) -> None:
    def step(side: Side) -> Any:
        span = side.tracer.start_span("span", start_time=1)
        span.end(2)
        before = snapshot(span), span.to_json()
        call(span)
        assert (snapshot(span), span.to_json()) == before
        return side.heard.messages, len(side.exported), span.is_recording()

    messages, exported, recording = sides.agree(step)
    assert sum(messages.values()) == 1
    assert exported == 1
    assert not recording


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_running_span_accepts_every_call(sides: Sides, call: Callable[[Any], Any]) -> None:
    def step(side: Side) -> Any:
        span = side.tracer.start_span("span", start_time=1)
        call(span)
        return snapshot(span), snapshot(span._readable_span())  # which the SDK passes to processors

    assert sides.agree(step)


def test_to_json_returns_exactly_the_same_text_as_the_sdk(sides: Sides) -> None:
    def step(side: Side) -> Any:
        span = side.tracer.start_span(
            "span", None, SpanKind.CLIENT, {"a": [1, 2]}, [Link(REMOTE, {"l": True})], start_time=1
        )
        span.add_event("event", {"b": 1.5}, 2)
        span.set_status(Status(StatusCode.ERROR, "because"))
        span.end(3)
        return span.to_json(), side.exported[0].to_json(indent=None)

    assert "0x" in sides.agree(step)[0]


PRIVATE = [
    "_attributes",
    "_context",
    "_end_time",
    "_events",
    "_instrumentation_info",
    "_instrumentation_scope",
    "_kind",
    "_limits",
    "_links",
    "_lock",
    "_name",
    "_parent",
    "_record_exception",
    "_resource",
    "_sampler",
    "_set_status_on_exception",
    "_span_processor",
    "_start_time",
    "_status",
    "_trace_config",
]


@pytest.mark.parametrize("name", PRIVATE)
@pytest.mark.parametrize("ended", [False, True], ids=["running", "ended"])
def test_the_private_attributes_of_the_sdk_exist(sides: Sides, name: str, ended: bool) -> None:
    def step(side: Side) -> Any:
        span = side.tracer.start_span("span", start_time=1)
        if ended:
            span.end(2)
        value = getattr(span, name)
        assert getattr(span, name) is value
        return None if name in ("_lock", "_resource") else type(value)

    sides.do(step)
    if name != "_span_processor":
        sides.agree(step)


@pytest.mark.parametrize("name", ["_attributes", "_context", "_events", "_links", "_lock", "_resource"])
def test_the_class_shows_how_its_attributes_are_made(name: str) -> None:
    """Tools that look through a class, as `pydoc` does, read its attributes."""
    assert getattr(engine.Span, name).__get__ is not None


@pytest.mark.parametrize(
    "name", ["_attributes", "_context", "_events", "_links", "_name", "_parent", "_resource", "_status"]
)
def test_a_processor_may_replace_private_attributes_of_an_ended_span(ours: Side, name: str) -> None:
    """Programs that scrub spans on their way out do this."""
    span: Any = ours.tracer.start_span("span", attributes={"secret": 1})
    span.end()
    put = {"_attributes": {"scrubbed": 1}, "_events": (), "_links": ()}.get(name, object())
    setattr(span, name, put)
    assert getattr(span, name) is put
    if name == "_attributes":
        assert dict(span.attributes) == {"scrubbed": 1}
        assert span.dropped_attributes == 0


def test_a_list_that_changes_later_is_recorded_as_it_was_when_set(sides: Sides) -> None:
    def step(side: Side) -> Any:
        values: list[int] = [1]
        attributes = {"start": values, "kept": 1}
        span = side.tracer.start_span("span", attributes=attributes)
        span.set_attribute("set", values)
        span.set_attributes({"many": values})
        span.add_event("event", {"event": values})
        span.add_link(REMOTE, {"link": values})
        values.append(2)
        attributes["kept"] = 2
        span.end()
        return snapshot(span)

    assert sides.agree(step)["attributes"] == {"start": (1,), "kept": 1, "set": (1,), "many": (1,)}


def test_a_dict_that_changes_later_is_recorded_as_it_was_when_set(sides: Sides) -> None:
    def step(side: Side) -> Any:
        attributes = {"a": 1}
        span = side.tracer.start_span("span", attributes=attributes)
        attributes["a"] = 2
        span.set_attributes(attributes)
        attributes["a"] = 3
        span.add_event("event", attributes)
        attributes["a"] = 4
        return snapshot(span)

    assert sides.agree(step)["attributes"] == {"a": 2}


def test_the_attributes_object_of_a_running_span_shows_later_changes(sides: Sides) -> None:
    def step(side: Side) -> Any:
        span = side.tracer.start_span("span", attributes={"a": 1})
        held = span.attributes
        span.set_attribute("b", 2)
        return dict(held)

    assert sides.agree(step) == {"a": 1, "b": 2}


def test_attributes_of_an_ended_span_cannot_be_changed(ours: Side) -> None:
    span: Any = ours.tracer.start_span("span", attributes={"a": 1})
    span.end()
    with pytest.raises(TypeError):
        span.attributes["a"] = 2


def test_the_private_attributes_are_immutable_after_the_end_if_they_are_in_the_sdk(sides: Sides) -> None:
    def step(side: Side) -> Any:
        span: Any = side.tracer.start_span("span", attributes={"a": 1})
        held = span._attributes
        span.end()
        span._attributes["b"] = 2
        return held is span._attributes

    sides.agree(step)

    def step_unread(side: Side) -> Any:
        span: Any = side.tracer.start_span("span")
        span.end()
        span._attributes["b"] = 2

    sides.agree(step_unread)


def test_a_span_that_never_ends_does_not_grow(sides: Sides) -> None:
    def step(side: Side) -> Any:
        span = side.tracer.start_span("span")
        for number in range(3 * MOST_NOTES):
            span.set_attribute("a", number)
            span.add_event("event", {"n": number}, 1)
            span.set_attributes({"b": number})
        held = len(getattr(span, "_notes", ()))
        return held <= MOST_NOTES, snapshot(span)

    small, seen = sides.agree(step)
    assert small
    assert seen["dropped"] == (0, 3 * MOST_NOTES - 128, 0)


@pytest.mark.parametrize(("count", "waits"), [(256, True), (257, False)])
def test_256_notes_wait(count: int, waits: bool) -> None:
    tracer = Sides(span_limits=sdk.SpanLimits(max_span_attributes=1000)).ours.tracer
    span = tracer.start_span("span")
    for number in range(count):
        span.set_attribute(f"{number}", number)
    span.end()
    assert (span.for_export() is not None) is waits


class Rude:
    """A value whose `__str__` raises."""

    def __str__(self) -> str:
        raise RuntimeError("no")


def test_a_value_that_cannot_be_printed_affects_no_other_attribute(sides: Sides) -> None:
    def step(side: Side) -> Any:
        span = side.tracer.start_span("span", attributes={"a": 1})
        try:
            span.set_attribute("b", Rude())
            raised = False
        except RuntimeError:
            raised = True
        span.set_attribute("c", 3)
        return raised, dict(span.attributes or {})

    _, attributes = sides.agree(step)
    assert attributes == {"a": 1, "c": 3}


def test_a_value_that_uses_the_span_when_looked_at_does_not_hang(span: Any) -> None:
    class Nosy(list[int]):
        def __iter__(self) -> Iterator[int]:
            span.set_attribute("seen", [1])
            return super().__iter__()

    span.set_attribute("a", Nosy([2]))
    assert span.attributes == {"a": (2,), "seen": (1,)}


def test_a_log_handler_that_writes_to_the_span_does_not_hang(span: Any) -> None:
    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            span.add_event("logged")

    handler = Handler()
    logging.getLogger("opentelemetry").addHandler(handler)
    try:
        span.set_attribute("", [1])
    finally:
        logging.getLogger("opentelemetry").removeHandler(handler)
    assert [event.name for event in span.events] == ["logged"]


def test_copies_are_possible(ours: Side) -> None:
    span = ours.tracer.start_span("span", attributes={"a": [1]})
    span.add_event("event", {"b": 1})
    span.end()
    shallow = copy.copy(span)
    assert snapshot(shallow) == snapshot(span)


@pytest.mark.skipif(
    not hasattr(BoundedAttributes, "__deepcopy__"), reason="this SDK's spans have no deep copy"
)
def test_deep_copies_are_possible(ours: Side) -> None:
    span = ours.tracer.start_span("span", attributes={"a": [1]})
    span.add_event("event", {"b": 1})
    span.end()
    assert snapshot(copy.deepcopy(span)) == snapshot(span)


def test_a_child_does_not_keep_its_ancestors_alive(ours: Side) -> None:
    parent = ours.tracer.start_span("parent")
    child = ours.tracer.start_span("child", trace_api.set_span_in_context(parent))
    dead = weakref.ref(parent)
    del parent
    gc.collect()
    assert dead() is None
    assert isinstance(child, sdk.ReadableSpan)
    assert child.parent is not None


@pytest.fixture
def no_context(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The spans whose context has been made: reading it would make it."""
    made: list[Any] = []
    real = engine.Span._make_context

    def make(span: engine.Span) -> SpanContext:
        made.append(span)
        return real(span)

    monkeypatch.setattr(engine.Span, "_make_context", make)
    return made


def test_a_child_is_started_without_its_parents_context(ours: Side, no_context: list[Any]) -> None:
    parent = ours.tracer.start_span("parent")
    child = ours.tracer.start_span("child", trace_api.set_span_in_context(parent))
    assert no_context == []
    assert isinstance(child, sdk.ReadableSpan)
    assert child.parent == parent.get_span_context()
    assert child.get_span_context() is child.context
    assert no_context == [parent, child]
