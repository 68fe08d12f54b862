"""The ways in which a span is read, and the limits beyond which the cheap ways may not be taken."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk import trace as sdk
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, set_span_in_context

from ot_bridge import engine
from ot_bridge.engine.notes import log_dropped, uncut

from .sides import RESOURCE, Side, Sides
from .test_differential import snapshot

REMOTE = SpanContext(0xA1, 0xB1, True, TraceFlags(1))
LATE = "Setting attribute on ended span."


def started(**limits: Any) -> Any:
    return Sides(span_limits=sdk.SpanLimits(**limits)).ours.tracer.start_span("span", start_time=1)


def filled(span: Any) -> None:
    """2 attributes, 2 events, 2 attributes of the first event."""
    span.set_attributes({"a": 1, "b": "text"})
    span.add_event("one", {"c": 1.5, "d": True}, 2)
    span.add_event("two", None, 3)


#: A span as `filled` makes it, by the limits. Whether one of them cuts it.
CUT: dict[str, tuple[dict[str, int | None], bool]] = {
    "the defaults": ({}, False),
    "as many attributes as there are": ({"max_span_attributes": 2}, False),
    "fewer attributes": ({"max_span_attributes": 1}, True),
    "as many events as there are": ({"max_events": 2}, False),
    "fewer events": ({"max_events": 1}, True),
    "as many attributes of an event": ({"max_event_attributes": 2}, False),
    "fewer attributes of an event": ({"max_event_attributes": 1}, True),
    "a length of texts": ({"max_attribute_length": 10}, True),
    "a length of the span's texts": ({"max_span_attribute_length": 10}, True),
}


@pytest.mark.parametrize(("limits", "cut"), CUT.values(), ids=CUT)
def test_notes_are_handed_out_unchanged_only_if_no_limit_cuts_them(limits: dict[str, Any], cut: bool) -> None:
    sides = Sides(span_limits=sdk.SpanLimits(**limits))

    def step(side: Side) -> Any:
        span = side.tracer.start_span("span", start_time=1)
        filled(span)
        span.end(4)
        if side is sides.ours:
            assert (span.for_export() is None) is cut
        return snapshot(span)

    sides.agree(step)


def test_the_offer_to_an_encoder_has_every_field_of_the_span() -> None:
    side = Sides().ours
    parent = side.tracer.start_span("parent")
    context = set_span_in_context(parent)
    span = side.tracer.start_span("span", context, SpanKind.CLIENT, {"s": 0}, start_time=1)
    filled(span)
    span.set_status(Status(StatusCode.ERROR, "because"))
    assert span.for_export() is None  # it runs
    span.end(4)
    *fields, status, attributes, events, resource, scope = span.for_export()
    assert fields == [span.ids, parent.ids, "span", SpanKind.CLIENT, 1, 4]
    assert (status.status_code, status.description) == (StatusCode.ERROR, "because")
    assert attributes == {"s": 0, "a": 1, "b": "text"}
    assert events == [("one", {"c": 1.5, "d": True}, 2), ("two", None, 3)]
    assert (resource, scope) == (RESOURCE, span.instrumentation_scope)
    assert span.for_export() is not None  # nothing was used up


def test_the_offer_ends_at_the_end_of_the_span() -> None:
    span = started()
    span.end(2)
    span.note(("late", 1))  # of another thread, which found the span running
    assert span.for_export()[7:9] == ({}, [])
    never = started()
    never._end_time = 2  # before its notes have the end: every one of them came too late
    assert never.for_export() is None


#: What is done with a running span, by whether its notes are still offered after its end.
OFFERED: dict[str, tuple[Callable[[Any], Any], bool]] = {
    "nothing": (lambda span: None, True),
    "a status, which needs the lock": (lambda span: span.set_status(StatusCode.OK), True),
    "a key set twice": (lambda span: span.set_attribute("a", 2), False),
    "a list": (lambda span: span.set_attribute("list", [1]), False),
    "a link": (lambda span: span.add_link(REMOTE), False),
    "attributes read": (lambda span: span.attributes, False),
    "events read": (lambda span: span.events, False),
}


@pytest.mark.parametrize(("call", "offered"), OFFERED.values(), ids=OFFERED)
def test_a_span_offers_all_of_its_notes_or_none(call: Callable[[Any], Any], offered: bool) -> None:
    sides = Sides()

    def step(side: Side) -> Any:
        span = side.tracer.start_span("span", start_time=1)
        filled(span)
        call(span)
        span.set_attribute("after", 1)
        span.end(4)
        if side is sides.ours:
            assert (span.for_export() is not None) is offered
        return snapshot(span)

    sides.agree(step)


@pytest.mark.parametrize("kind", ["attributes", "events"])
def test_a_span_of_which_one_kind_of_notes_was_read_offers_none(kind: str) -> None:
    span = started()

    def add(name: str) -> None:
        if kind == "attributes":
            span.set_attribute(name, 1)
        else:
            span.add_event(name)

    add("one")
    assert len(getattr(span, kind)) == 1
    add("two")
    span.end()
    assert span.for_export() is None
    assert len(getattr(span, kind)) == 2


@pytest.mark.parametrize("call", [call for call, _ in OFFERED.values()], ids=OFFERED)
@pytest.mark.parametrize("read", [True, False], ids=["read at the end", "unread"])
def test_a_note_after_the_end_is_ignored_and_logged(call: Callable[[Any], Any], read: bool) -> None:
    """Of a thread that found the span running, and that was overtaken by the end."""
    side = Sides().ours

    def step(side: Side) -> None:
        span = side.tracer.start_span("span", start_time=1)
        filled(span)
        call(span)
        span.end(4)
        before = snapshot(span) if read else {}
        span.note(("late", 1))
        span.note({"late": 2, "later": 3})
        span.note(("late event", None, 5))
        after = snapshot(span)
        assert "late" not in after["attributes"]
        assert [name for name, _, _ in after["events"]] == ["one", "two"]
        assert before in ({}, after)

    assert side.do(step) is None
    late = side.heard.messages[("WARNING", LATE)]
    assert late == 3 if read else late in (0, 3)  # unread, most notes are settled without a look at those


def test_an_ended_span_is_read_without_a_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    span = started()
    filled(span)
    monkeypatch.setattr("ot_bridge.engine.reading.threading", None)  # so that no lock can be made
    span.end(4)
    assert dict(span.attributes) == {"a": 1, "b": "text"}
    assert len(span.events) == 2


@pytest.mark.parametrize(
    "read",
    [
        lambda span: span.attributes,
        lambda span: span.events,
        lambda span: span.dropped_attributes,
        lambda span: span.dropped_events,
        lambda span: span._attributes,
        lambda span: span._events,
    ],
    ids=["attributes", "events", "dropped attributes", "dropped events", "_attributes", "_events"],
)
def test_it_does_not_matter_which_property_is_read_first(read: Callable[[Any], Any]) -> None:
    sides = Sides(span_limits=sdk.SpanLimits(max_span_attributes=3, max_events=2))

    def step(side: Side) -> Any:
        seen = []
        for more in ({}, {"c": 1, "d": 2}):
            span = side.tracer.start_span("span", start_time=1)
            filled(span)
            span.set_attributes(more)
            for _ in more:
                span.add_event("more", None, 3)
            span.end(4)
            read(span)
            seen.append((snapshot(span), len(span._attributes), len(span._events)))
        return seen

    plain, cut = sides.agree(step)
    assert (plain[0]["dropped"], cut[0]["dropped"]) == ((0, 0, 0), (1, 2, 0))


def test_the_numbers_up_to_which_nothing_is_cut_are_those_of_the_limits() -> None:
    limits = sdk.SpanLimits(max_span_attributes=5, max_events=6, max_event_attributes=7)
    assert uncut(limits) == (5, 6, 7)
    none = sdk.SpanLimits.UNSET
    unlimited = sdk.SpanLimits(max_span_attributes=none, max_events=none, max_event_attributes=none)
    found = uncut(unlimited)
    assert found is not None
    assert min(found) > 10**9


SIGNS = frozenset({"sign", "other"})

MENTIONS: dict[str, tuple[Callable[[Any], Any], bool]] = {
    "nothing": (lambda span: None, False),
    "another name": (lambda span: span.set_attribute("a", "sign"), False),
    "a name": (lambda span: span.set_attribute("sign", 0), True),
    "a name among several": (lambda span: span.set_attributes({"a": 1, "other": 2}), True),
    "no name among several": (lambda span: span.set_attributes({"a": 1, "b": 2}), False),
    "the key with the value": (lambda span: span.set_attribute("key", "value"), True),
    "the key with another value": (lambda span: span.set_attribute("key", "another"), False),
    "another key with the value": (lambda span: span.set_attribute("a", "value"), False),
    "the key with the value among several": (lambda span: span.set_attributes({"key": "value"}), True),
    "the key with another value among several": (lambda span: span.set_attributes({"key": 1}), False),
    "an event of that name": (lambda span: span.add_event("sign", {"a": 1}), False),
    "an event with such an attribute": (lambda span: span.add_event("a", {"sign": 1}), False),
}


@pytest.mark.parametrize("read", [True, False], ids=["read", "unread"])
@pytest.mark.parametrize(("call", "mentioned"), MENTIONS.values(), ids=MENTIONS)
def test_a_span_knows_the_names_that_it_mentions(
    call: Callable[[Any], Any], mentioned: bool, read: bool
) -> None:
    span = started()
    call(span)
    span.end()
    if read:
        assert span.attributes is not None
    assert span.mentions(SIGNS, "key", "value") is mentioned


def test_a_span_that_was_read_while_it_ran_knows_the_names_that_it_mentions() -> None:
    span = started()
    assert span.attributes == {}
    span.set_attribute("sign", 1)
    span.end()
    assert span.mentions(SIGNS)
    assert not span.mentions(frozenset({"a"}))


def test_a_copy_of_a_span_has_locks_and_notes_of_its_own() -> None:
    span: engine.Span = started()
    filled(span)
    assert span.attributes is not None  # which makes a lock
    copied: Any = copy.copy(span)
    copied.set_attribute("c", 1)
    assert "_made_guard" not in vars(copied) or vars(copied)["_made_guard"] is not span._guard
    assert copied._notes is not span._notes
    assert copied._lock is not span._lock


def test_dropped_attributes_are_logged_once_a_minute_with_the_number_since_the_last_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [5.0]  # the machine has just started
    monkeypatch.setattr("ot_bridge.engine.notes.time.monotonic", lambda: now[0])
    log_dropped(0, 128, "span")
    for moment, dropped, owner in [(5, 3, "span"), (6, 2, "span"), (7, 9, "event"), (64.9, 4, "span")]:
        now[0] = moment
        log_dropped(dropped, 128, owner)
    now[0] = 65.0
    log_dropped(1, 128, "span")
    log_dropped(0, 128, "event")
    assert [(record.levelno, record.args) for record in caplog.records] == [
        (logging.WARNING, (3, "span", 128, "SPAN")),
        (logging.WARNING, (9, "event", 128, "EVENT")),
        (logging.WARNING, (7, "span", 128, "SPAN")),
    ]
    assert "raise OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT to keep more" in caplog.messages[1]


@pytest.mark.parametrize("read", [True, False], ids=["read while it ran", "unread"])
def test_the_attributes_that_a_span_and_its_events_drop_are_logged(
    read: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    span = started(max_span_attributes=1, max_event_attributes=1)
    filled(span)
    if read:
        assert span.attributes
    span.end()
    assert (len(span.attributes), span.dropped_attributes) == (1, 1)
    assert sorted(record.args for record in caplog.records if record.args) == [  # type: ignore[type-var]
        (1, "event", 1, "EVENT"),
        (1, "span", 1, "SPAN"),
    ]
