"""What each field of a request holds, as OpenTelemetry's own classes read it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    INVALID_SPAN_CONTEXT,
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from ot_bridge.otlp.encode import SLICE, encode
from tests.otlp.sides import CONTEXT, SCOPE, Side, on_engine, on_sdk, one, readable, sent, spans_of, values

PARENT = SpanContext(CONTEXT.trace_id, 0x2122232425262728, False, TraceFlags(1))
REMOTE = SpanContext(CONTEXT.trace_id, 0x2122232425262728, True, TraceFlags(1))
SIDES = pytest.mark.parametrize("side", [on_engine, on_sdk])


# The request


def test_no_spans_make_no_request() -> None:
    assert encode([]) == (b"", 0)


def test_if_no_span_can_be_encoded_there_is_no_request() -> None:
    assert encode([readable(context=None), readable(context=INVALID_SPAN_CONTEXT)]) == (b"", 2)


@pytest.mark.parametrize(
    "broken",
    [
        readable(context=None),
        readable(context=INVALID_SPAN_CONTEXT),
        readable(context=tuple.__new__(SpanContext, (1 << 128, 1, False, TraceFlags(1), TraceState(), True))),
        readable(kind="server"),
        object(),
        readable(resource="none"),
    ],
    ids=["no context", "zeros", "17 bytes", "no kind", "no span", "no resource"],
)
def test_only_the_span_that_cannot_be_encoded_is_lost_and_counted(broken: Any) -> None:
    body, failed = encode([readable(name="a"), broken, readable(name="b")])
    assert failed == 1
    assert [span.name for span in spans_of(type(sent([])).FromString(body))] == ["a", "b"]


def test_equal_resources_are_merged_in_the_order_of_their_first_span() -> None:
    of = {name: [Resource({"service.name": name, "n": 1}) for _ in range(2)] for name in ("first", "second")}
    spans = [readable(resource=of[name][turn]) for name, turn in (("first", 0), ("second", 0), ("first", 1))]
    groups = sent(spans).resource_spans
    assert [values(each.resource)["service.name"].string_value for each in groups] == ["first", "second"]
    assert [len(each.scope_spans[0].spans) for each in groups] == [2, 1]


def test_resources_that_differ_only_in_the_order_of_attributes_are_merged() -> None:
    spans = [readable(resource=Resource(given)) for given in ({"a": 1, "b": 2}, {"b": 2, "a": 1})]
    assert len(sent(spans).resource_spans) == 1


@pytest.mark.parametrize(
    ("one_resource", "other"),
    [
        (Resource({"a": 1}), Resource({"a": 2})),
        (Resource({"a": 1}), Resource({"a": True})),
        (Resource({"a": 1}), Resource({"a": 1}, "https://schema")),
        (Resource({"a": "b"}), Resource({"a": ["b"]})),
    ],
    ids=["value", "type", "schema", "array"],
)
def test_different_resources_are_kept_apart(one_resource: Resource, other: Resource) -> None:
    request = sent([readable(resource=one_resource), readable(resource=other)])
    assert len(request.resource_spans) == 2


def test_a_resource_and_its_schema_are_written() -> None:
    resource = Resource({"service.name": "shop", "pid": 7}, "https://schema")
    (resource_spans,) = sent([readable(resource=resource)]).resource_spans
    assert resource_spans.schema_url == "https://schema"
    assert {key: str(value) for key, value in values(resource_spans.resource).items()} == {
        "service.name": 'string_value: "shop"\n',
        "pid": "int_value: 7\n",
    }
    assert resource_spans.resource.dropped_attributes_count == 0


def test_a_resource_has_the_count_of_its_dropped_attributes() -> None:
    lossy = Resource({"c": 3})
    attributes: Any = lossy.attributes
    attributes.dropped = 2
    (resource_spans,) = sent([readable(resource=lossy)]).resource_spans
    assert [*values(resource_spans.resource)] == ["c"]
    assert resource_spans.resource.dropped_attributes_count == 2


SCOPES = {
    "name": InstrumentationScope("b", "1"),
    "version": InstrumentationScope("a", "2"),
    "schema": InstrumentationScope("a", "1", "https://schema"),
    "attributes": InstrumentationScope("a", "1", None, {"k": 1}),
    "none": None,
}


@pytest.mark.parametrize("other", SCOPES.values(), ids=SCOPES)
def test_different_scopes_of_one_resource_are_kept_apart(other: InstrumentationScope | None) -> None:
    scopes = [InstrumentationScope("a", "1"), other, InstrumentationScope("a", "1")]
    (resource_spans,) = sent([readable(instrumentation_scope=scope) for scope in scopes]).resource_spans
    assert [len(each.spans) for each in resource_spans.scope_spans] == [2, 1]


def test_all_fields_of_a_scope_are_written() -> None:
    scope = InstrumentationScope("lib", "1.2", "https://schema", {"k": "v"})
    attributes: Any = scope.attributes
    attributes.dropped = 3
    (scope_spans,) = sent([readable(instrumentation_scope=scope)]).resource_spans[0].scope_spans
    assert (scope_spans.scope.name, scope_spans.scope.version, scope_spans.schema_url) == (
        "lib",
        "1.2",
        "https://schema",
    )
    assert values(scope_spans.scope)["k"].string_value == "v"
    assert scope_spans.scope.dropped_attributes_count == 3


def test_a_span_without_a_scope_is_written_with_an_empty_scope() -> None:
    (scope_spans,) = sent([readable(instrumentation_scope=None)]).resource_spans[0].scope_spans
    assert scope_spans.HasField("scope")
    assert scope_spans.scope.ByteSize() == 0


@pytest.mark.parametrize(("spans", "pauses"), [(0, 0), (1, 0), (16, 0), (17, 1), (33, 2), (512, 31)])
def test_the_encoder_yields_to_other_threads_after_every_sixteen_spans(spans: int, pauses: int) -> None:
    calls: list[None] = []
    body, _ = encode([readable()] * spans, lambda: calls.append(None))
    assert len(calls) == pauses
    assert SLICE == 16
    assert body == encode([readable()] * spans).body


# The span


@SIDES
def test_ids_are_written_big_endian(side: Callable[[], Side]) -> None:
    here = side()
    with here.tracer.start_as_current_span("parent"), here.tracer.start_as_current_span("child"):
        pass
    child, parent = (one(span) for span in here.spans)
    own = here.spans[0].get_span_context()
    assert child.trace_id == own.trace_id.to_bytes(16, "big") == parent.trace_id
    assert child.span_id == own.span_id.to_bytes(8, "big")
    assert child.parent_span_id == parent.span_id
    assert parent.parent_span_id == b""


def test_a_parent_with_zero_ids_is_not_written() -> None:
    assert one(readable(parent=INVALID_SPAN_CONTEXT)).parent_span_id == b""


def test_a_context_may_be_any_object_with_its_properties() -> None:
    class Context:
        trace_id, span_id, is_remote, trace_flags, trace_state = 1, 2, False, 1, TraceState([("a", "b")])
        is_valid = True

    read = one(readable(context=Context(), parent=Context()))
    assert read.trace_id == bytes(15) + b"\x01"
    assert (read.parent_span_id, read.trace_state, read.flags) == (bytes(7) + b"\x02", "a=b", 0x101)


def test_a_trace_state_keeps_its_order() -> None:
    state = TraceState([("z", "1"), ("a", "2")])
    context = SpanContext(CONTEXT.trace_id, CONTEXT.span_id, False, TraceFlags(1), state)
    assert one(readable(context=context)).trace_state == "z=1,a=2"
    here = on_engine()
    context = SpanContext(1, 2, True, TraceFlags(1), state)
    with here.bridge.start_active_span("made", child_of=_extracted(context)):
        pass
    assert one(here.spans[0]).trace_state == "z=1,a=2"


def _extracted(context: SpanContext) -> Any:
    from ot_bridge.bridge import SpanContext as Ours

    return Ours(context)


@pytest.mark.parametrize("name", ["", "GET /", "Grüße", "\u2028\uffff\0", "😀"])
@SIDES
def test_a_name_is_written_as_it_is(side: Callable[[], Side], name: str) -> None:
    here = side()
    here.tracer.start_span(name).end()
    assert one(here.spans[0]).name == name
    assert b"*" + bytes([len(name.encode())]) + name.encode() in encode(here.spans).body


class _Raises:
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("name", "read"),
    [(None, ""), (7, "7"), (_Raises(), "<unprintable _Raises>")],
    ids=["None", "number", "raises"],
)
@SIDES
def test_a_name_that_is_not_text_is_converted_to_text(side: Callable[[], Side], name: Any, read: str) -> None:
    here = side()
    here.tracer.start_span(name).end()
    assert one(here.spans[0]).name == read


@pytest.mark.parametrize(("kind", "number"), [(kind, kind.value + 1) for kind in SpanKind])
@SIDES
def test_span_kinds_are_written_as_the_specification_says(
    side: Callable[[], Side], kind: SpanKind, number: int
) -> None:
    here = side()
    here.tracer.start_span("made", kind=kind).end()
    assert one(here.spans[0]).kind == number


TIMES = {
    "zero": (0, 0),
    "now": (1_700_000_000_123_456_789, 1_700_000_000_123_456_789),
    "largest": (2**64 - 1, 2**64 - 1),
    "too large": (2**64, 0),
    "negative": (-1, 0),
    "float": (5.0, 5),
    "none": (None, 0),
    "text": ("soon", 0),
}


@pytest.mark.parametrize(("moment", "read"), TIMES.values(), ids=TIMES)
def test_start_and_end_times_are_written_in_nanoseconds(moment: Any, read: int) -> None:
    event = SimpleNamespace(name="e", attributes=None, dropped_attributes=0, timestamp=moment)
    span = one(readable(start_time=moment, end_time=moment, events=[event]))
    times = span.start_time_unix_nano, span.end_time_unix_nano, span.events[0].time_unix_nano
    assert times == (read, read, read)


@pytest.mark.parametrize("moment", [-1, 2**64, 5])
def test_a_time_outside_the_range_is_written_as_zero_and_the_span_is_kept(moment: int) -> None:
    here = on_engine()
    span = here.tracer.start_span("made", start_time=moment)
    span.add_event("e", timestamp=moment)
    span.end(moment)
    read = one(span)
    due = 5 if moment == 5 else 0
    assert (read.start_time_unix_nano, read.end_time_unix_nano, read.events[0].time_unix_nano) == (due,) * 3


@SIDES
def test_each_key_is_written_once_in_the_order_of_setting(side: Callable[[], Side]) -> None:
    here = side()
    span = here.tracer.start_span("made", attributes={"a": 1, "b": 2})
    span.set_attribute("c", 3)
    span.set_attribute("a", "again")  # the SDK moves it to the end
    span.set_attributes({"b": 4})
    span.end()
    read = values(one(span))
    assert [*read] == [*span.attributes] == ["c", "a", "b"]  # type: ignore[attr-defined]
    assert read["a"].string_value == "again"


LARGEST = 2**32 - 1


@pytest.mark.parametrize(("dropped", "read"), [(0, 0), (7, 7), (2**32, LARGEST), (2**70, LARGEST)])
def test_counts_of_dropped_items_are_written(dropped: int, read: int) -> None:
    attributes = BoundedAttributes()
    kept: Any = BoundedList(1)
    attributes.dropped = kept.dropped = dropped
    span = one(readable(attributes=attributes, events=kept, links=kept))
    assert span.dropped_attributes_count == read
    assert span.dropped_events_count == read
    assert span.dropped_links_count == read
    event = one(readable(events=[sdk.Event("e", attributes, 1)])).events[0]
    link = one(readable(links=[Link(CONTEXT, attributes)])).links[0]
    assert (event.dropped_attributes_count, link.dropped_attributes_count) == (read, read)


LIMITS = {"max_attributes": 2, "max_events": 1, "max_links": 1}


@SIDES
def test_items_over_the_limits_are_dropped_and_counted(side: Callable[..., Side]) -> None:
    here = side(span_limits=sdk.SpanLimits(**LIMITS))
    span = here.tracer.start_span("made", links=[Link(CONTEXT), Link(PARENT)])
    for number in range(5):
        span.set_attribute(f"k{number}", number)
        span.add_event(f"e{number}", {f"k{each}": each for each in range(3)})
    span.end()
    read = one(span)
    assert [*values(read)] == ["k3", "k4"]
    assert read.dropped_attributes_count == 3
    assert [event.name for event in read.events] == ["e4"]
    assert read.dropped_events_count == 4
    assert read.events[0].dropped_attributes_count == 1
    assert len(read.links) == 1
    assert read.dropped_links_count == 1


@SIDES
def test_events_are_written_in_the_order_of_recording(side: Callable[[], Side]) -> None:
    here = side()
    span = here.tracer.start_span("made")
    span.add_event("late", {"a": 1, "b": True}, 20)
    span.add_event("early", None, 10)
    span.end()
    late, early = one(span).events
    assert (late.name, late.time_unix_nano, [*values(late)]) == ("late", 20, ["a", "b"])
    assert (early.name, early.time_unix_nano, [*values(early)]) == ("early", 10, [])


@SIDES
def test_links_are_written_with_their_trace_state_and_flags(side: Callable[[], Side]) -> None:
    here = side()
    target = SpanContext(1, 2, True, TraceFlags(1), TraceState([("v", "1")]))
    here.tracer.start_span("made", links=[Link(target, {"k": "v"}), Link(PARENT)]).end()
    remote, local = one(here.spans[0]).links
    assert (remote.trace_id, remote.span_id) == ((1).to_bytes(16, "big"), (2).to_bytes(8, "big"))
    assert (remote.trace_state, remote.flags) == ("v=1", 0x301)
    assert values(remote)["k"].string_value == "v"
    assert (local.trace_state, local.flags) == ("", 0x101)


STATUSES = {
    "unset": (Status(), 0, ""),
    "ok": (Status(StatusCode.OK), 1, ""),
    "error": (Status(StatusCode.ERROR), 2, ""),
    "text": (Status(StatusCode.ERROR, "it broke"), 2, "it broke"),
}


@pytest.mark.parametrize(("status", "code", "message"), STATUSES.values(), ids=STATUSES)
@SIDES
def test_span_statuses_are_written_as_the_specification_says(
    side: Callable[[], Side], status: Status, code: int, message: str
) -> None:
    here = side()
    span = here.tracer.start_span("made")
    span.set_status(status)
    span.end()
    read = one(span).status
    assert (read.code, read.message) == (code, message)


FLAGS = {
    "root": (1, None, 0x101),
    "random": (3, None, 0x103),
    "unsampled": (0, None, 0x100),
    "all bits": (0xFF, None, 0x1FF),
    "local parent": (1, PARENT, 0x101),
    "remote parent": (1, REMOTE, 0x301),
}


@pytest.mark.parametrize(("flags", "parent", "read"), FLAGS.values(), ids=FLAGS)
def test_span_flags_are_written_as_the_specification_says(
    flags: int, parent: SpanContext | None, read: int
) -> None:
    context = SpanContext(CONTEXT.trace_id, CONTEXT.span_id, True, TraceFlags(flags))
    assert one(readable(context=context, parent=parent)).flags == read


def test_flags_of_the_engines_spans_are_written_as_the_specification_says() -> None:
    here = on_engine()
    with here.bridge.start_active_span("server", child_of=_extracted(REMOTE)):
        here.bridge.start_span("inner").finish()
    inner, server = (one(span) for span in here.spans)
    assert server.flags & ~2 == 0x301
    assert inner.flags & ~2 == 0x101


def test_a_foreign_span_whose_for_export_is_broken_is_read_by_its_properties() -> None:
    class Broken(sdk.ReadableSpan):
        def for_export(self) -> Any:
            raise RuntimeError

    class Odd(sdk.ReadableSpan):
        def for_export(self) -> Any:
            return "nothing of the sort"

    for kind in (Broken, Odd):
        span = kind("kept", CONTEXT, resource=Resource({}), instrumentation_scope=SCOPE)
        assert one(span).name == "kept"
