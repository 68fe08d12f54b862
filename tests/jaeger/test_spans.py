"""Rows "spans" and "tags and logs as read back": what a program and a reporter can read from a span."""

from __future__ import annotations

import copy
import gc
import pickle
import sys
import traceback
import weakref
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import Any

import opentracing
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import Status, StatusCode
from opentracing.ext import tags as ext

from ot_bridge import jaeger_client as ours
from ot_bridge.jaeger_client.recorded import as_otel
from tests import needs
from tests.cli import programs
from tests.jaeger.sides import OURS, REAL, Side, both, logs_of, tags_of

NOON = 1_700_000_000.25


def test_a_span_has_every_attribute_that_jaeger_client_gave_it() -> None:
    def program(side: Side) -> Any:
        tracer, reporter = side.tracer()
        with tracer.start_span("above", start_time=NOON) as above:
            span = tracer.start_span("op", child_of=above, start_time=NOON)
            span.finish(NOON + 2)
        (first, second) = reporter.get_spans()
        assert (first, second) == (span, above)
        assert (span.trace_id, span.parent_id) == (above.trace_id, above.span_id)
        assert str(span) == repr(span)
        assert str(span) == f"{span.trace_id:x}:{span.span_id:x}:{above.span_id:x}:1 service.op"
        return (
            (span.start_time, span.end_time),
            span.operation_name,
            span.flags,
            span.is_sampled(),
            span.is_debug(),
            span.is_rpc(),
            span.is_rpc_client(),
            span.finished,
            span.references,
            above.parent_id,
            span.tracer is tracer,
        )

    both(program)


@pytest.mark.parametrize("sampled", [True, False])
@pytest.mark.parametrize("moment", [None, NOON + 2])
def test_a_span_is_finished_from_its_finish_on(moment: float | None, sampled: bool) -> None:
    tracer, _ = OURS.tracer(ours.ConstSampler(sampled))
    span = tracer.start_span("op")
    assert span.finished is False
    span.finish(moment)
    assert span.finished is True


@pytest.mark.parametrize("kind", ["client", "server", "producer", "consumer", "other"])
@pytest.mark.parametrize("later", [False, True], ids=["at the start", "later"])
def test_is_rpc_follows_the_span_kind(kind: str, later: bool) -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer()
        span = tracer.start_span("op", tags=None if later else {ext.SPAN_KIND: kind})
        if later:
            span.set_tag(ext.SPAN_KIND, kind)
        return span.is_rpc(), span.is_rpc_client(), tags_of(span)["span.kind"]

    both(program)


class Number(IntEnum):
    SEVEN = 7


class _Unprintable:
    def __str__(self) -> str:
        raise RuntimeError


class Share(float):
    """A float's subclass."""


VALUES = {
    "a float's subclass": Share(0.5),
    "text beyond ASCII": "ü",
    "text": "text",
    "long text": "x" * 5000,
    "true": True,
    "false": False,
    "integer": 42,
    "an integer's subclass": Number.SEVEN,
    "negative": -1,
    "float": 1.5,
    "none": None,
    "list": [1, 2],
    "mixed list": [1, "a"],
    "dict": {"a": 1},
    "bytes": b"bytes",
    "exception": ValueError("no"),
}


@pytest.mark.parametrize("given", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("where", ["at the start", "later", "in a log"])
def test_tags_and_log_fields_come_back_as_jaeger_client_would_have_sent_them(given: Any, where: str) -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer()
        span = tracer.start_span("op", tags={"key": given} if where == "at the start" else None)
        if where == "later":
            span.set_tag("key", given)
        if where == "in a log":
            span.log_kv({"key": given})
            (log,) = logs_of(span)
            return log, isinstance(log["key"], bool)
        tags = tags_of(span)
        return tags, isinstance(tags["key"], bool)

    both(program)


def test_values_are_cut_at_max_tag_value_length() -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer(max_tag_value_length=8)
        span = tracer.start_span("op", tags={"start": "0123456789"})
        span.set_tag("later", "0123456789").log_kv({"field": "0123456789"})
        return tags_of(span), logs_of(span)

    both(program)


def test_tracebacks_are_cut_at_max_traceback_length() -> None:
    trace = _traceback()

    def program(side: Side) -> Any:
        tracer, _ = side.tracer(max_traceback_length=30)
        span = tracer.start_span("op").set_tag("tag", trace)
        span.log_kv({"field": trace})
        return tags_of(span), logs_of(span)

    both(program)


def _traceback() -> TracebackType:
    try:
        raise ValueError("no")
    except ValueError:
        found = sys.exc_info()[2]
        assert found is not None
        return found


def test_a_recorded_exception_has_its_complete_traceback() -> None:
    tracer, _ = OURS.tracer()
    span = tracer.start_span("op")
    try:
        raise ValueError("why")
    except ValueError as error:
        expected = traceback.format_exc()
        span.fail(error)
    (fields,) = logs_of(span)
    assert (fields["stack"], fields["message"]) == (expected, "why")


def test_the_traceback_of_a_recorded_exception_is_cut_too() -> None:
    tracer, _ = OURS.tracer(max_traceback_length=30, max_tag_value_length=10)
    span = tracer.start_span("op")
    try:
        raise ValueError("a long message")
    except ValueError as error:
        span.log_kv({"event": "error", "error.object": error})
    (log,) = logs_of(span)
    assert log["stack"] == "Traceback (most recent call last"[:30]
    assert log["message"] == "a long mes"


def test_a_value_that_cannot_be_printed_does_not_raise() -> None:
    tracer, _ = OURS.tracer()
    span = tracer.start_span("op", tags={"a": _Unprintable()}).set_tag("b", _Unprintable())
    span.log_kv({"c": _Unprintable()})
    assert tags_of(span)["a"] == tags_of(span)["b"] == logs_of(span)[0]["c"] == "<unprintable _Unprintable>"


LOGS: dict[str, Any] = {
    "an event": {"event": "cache miss"},
    "an event and more": {"event": "cache miss", "key": "k", "size": 3, "hit": False},
    "no event": {"key": "value"},
    "an event that is no text": {"event": 7},
    "an error given as text": {"event": "error", "error.kind": "Boom", "message": "no", "stack": "here"},
}


@pytest.mark.parametrize("fields", LOGS.values(), ids=LOGS)
def test_a_log_comes_back_with_its_fields_and_microseconds(fields: dict[str, Any]) -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer()
        span = tracer.start_span("op").log_kv(fields, timestamp=NOON)
        return logs_of(span), [log.timestamp for log in span.logs]

    both(program)


def test_an_exception_that_leaves_the_span_is_a_tag_and_a_log() -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer()
        with pytest.raises(ValueError, match="no"), tracer.start_active_span("op") as scope:
            raise ValueError("no")
        (log,) = logs_of(scope.span)
        return tags_of(scope.span)["error"], log["event"], log["message"], log["error.object"], "stack" in log

    both(program)


@pytest.mark.parametrize("payload", [None, {"a": 1}, "text"], ids=str)
def test_info_and_error_are_logs(payload: Any) -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer()
        span = tracer.start_span("op")
        assert span.info("fine", payload) is span
        assert span.error("broken", payload) is span
        return logs_of(span), tags_of(span)["error"]

    both(program)


def test_the_deprecated_log_methods_make_logs() -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer()
        span = tracer.start_span("op")
        span.log_event("first", payload={"a": 1})
        span.log(event="second", payload=2, timestamp=NOON)
        return logs_of(span)

    both(program)


def test_baggage_is_logged_when_set_and_when_overridden() -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer()
        span = tracer.start_span("op")
        span.set_baggage_item("k", "1").set_baggage_item("k", "2")
        return logs_of(span), dict(span.context.baggage), span.get_baggage_item("k")

    both(program)


def test_the_operation_name_can_be_assigned() -> None:
    def program(side: Side) -> Any:
        names = []
        for sampler in (side.package.ConstSampler(True), side.package.ConstSampler(False)):
            tracer, _ = side.tracer(sampler)
            span = tracer.start_span("before")
            span.operation_name = "between"
            names.append(span.operation_name)
            span.set_operation_name("after")
            names.append(span.operation_name)
        return names

    both(program)


@pytest.mark.parametrize("sampled", [True, False])
@pytest.mark.parametrize(
    ("fields", "timestamp"),
    [
        ({"event": "e"}, None),
        ({"event": "error"}, None),
        ({"ü": 1}, None),
        ({"n": 1}, NOON),
        ("no dict", None),
    ],
    ids=str,
)
def test_a_log_returns_its_span(fields: Any, timestamp: float | None, sampled: bool) -> None:
    tracer, _ = OURS.tracer(ours.ConstSampler(sampled))
    with tracer.start_span("op") as span:
        assert span.log_kv(fields, timestamp) is span


def test_references_come_back_as_given() -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer()
        one, two = tracer.start_span("one"), tracer.start_span("two")
        span = tracer.start_span(
            "op", references=[opentracing.child_of(one.context), opentracing.follows_from(two.context)]
        )
        single = tracer.start_span("op", references=opentracing.follows_from(two.context))
        assert [each.referenced_context for each in span.references] == [one.context, two.context]
        assert single.parent_id == two.span_id
        return [each.type for each in span.references], [each.type for each in single.references]

    both(program)


def test_every_attribute_of_an_unsampled_span_can_be_read() -> None:
    def program(side: Side) -> Any:
        tracer, reporter = side.tracer(side.package.ConstSampler(False))
        above = tracer.start_span("above")
        span = tracer.start_span("op", child_of=above, tags={"a": 1}, start_time=NOON)
        span.set_tag("b", 2).log_kv({"c": 3})
        span.finish()
        span.finish()
        assert span.parent_id == above.span_id
        return (
            span.operation_name,
            span.tags,
            span.logs,
            span.flags,
            span.start_time,
            span.end_time,
            span.is_sampled(),
            span.is_debug(),
            span.is_rpc(),
            span.references,
            reporter.get_spans(),
            span.context.has_trace,
        )

    both(program)


def test_a_second_finish_is_not_reported_and_warns(caplog: pytest.LogCaptureFixture) -> None:
    def program(side: Side) -> Any:
        tracer, reporter = side.tracer()
        span = tracer.start_span("op")
        span.finish()
        span.finish()
        return len(reporter.get_spans())

    assert both(program) == 1
    (theirs, mine) = [record for record in caplog.records if record.name == "jaeger_tracing"]
    assert (
        theirs.getMessage()
        == mine.getMessage()
        == "Span has already been finished; will not be reported again."
    )


def test_a_span_can_be_made_from_a_context() -> None:
    def program(side: Side) -> Any:
        tracer, reporter = side.tracer()
        context = side.package.SpanContext(trace_id=10, span_id=11, parent_id=12, flags=1, baggage={"k": "v"})
        made = {"operation_name": "op", "tags": {"a": 1}, "start_time": NOON}
        references = [opentracing.follows_from(side.package.SpanContext(1, 2, 3, 1))]
        span = side.package.Span(context=context, tracer=tracer, references=references, **made)
        assert span.references == references
        span.finish(NOON + 1)
        assert reporter.get_spans() == [span]
        return (
            str(span),
            span.trace_id,
            span.span_id,
            span.parent_id,
            tags_of(span),
            span.get_baggage_item("k"),
        )

    both(program)


CONTEXTS: dict[str, dict[str, Any]] = {
    "sampled": {"trace_id": 1, "span_id": 2, "parent_id": 3, "flags": 1},
    "debug": {"trace_id": 1, "span_id": 2, "parent_id": None, "flags": 3},
    "unsampled root": {"trace_id": 1 << 100, "span_id": 2, "parent_id": 0, "flags": 0},
    "with other flags": {"trace_id": 1, "span_id": 2, "parent_id": 3, "flags": 9},
    "with baggage": {"trace_id": 1, "span_id": 2, "parent_id": 3, "flags": 1, "baggage": {"k": "v"}},
    "baggage alone": {
        "trace_id": None,
        "span_id": None,
        "parent_id": None,
        "flags": None,
        "baggage": {"k": "v"},
    },
    "debug id": {"trace_id": None, "span_id": None, "parent_id": None, "flags": None, "debug_id": "me"},
}


@pytest.mark.parametrize("fields", CONTEXTS.values(), ids=CONTEXTS)
def test_a_span_context_returns_the_values_that_it_was_created_with(fields: dict[str, Any]) -> None:
    def program(side: Side) -> Any:
        context = side.package.SpanContext(**fields)
        more = context.with_baggage_item("extra", "1")
        less = more.with_baggage_item("extra", None)
        return [
            (
                each.trace_id or None,
                each.span_id or None,
                each.parent_id,
                each.flags,
                dict(each.baggage),
                each.has_trace,
            )
            for each in (context, more, less)
        ] + [(context.debug_id, context.is_debug_id_container_only)]

    both(program)


@pytest.mark.parametrize("trace_id", [1, 0, None])
@pytest.mark.parametrize("span_id", [2, 0, None])
def test_a_context_has_a_trace_if_it_has_both_ids(trace_id: int | None, span_id: int | None) -> None:
    found = both(lambda side: bool(side.package.SpanContext(trace_id, span_id, None, 1).has_trace))
    assert found is bool(trace_id and span_id)


def test_a_debug_id_makes_a_context() -> None:
    def program(side: Side) -> Any:
        context = side.package.SpanContext.with_debug_id("me")
        return context.debug_id, context.is_debug_id_container_only, context.has_trace

    assert both(program) == ("me", True, False)


@pytest.mark.parametrize("fields", CONTEXTS.values(), ids=CONTEXTS)
def test_a_span_context_survives_pickling(fields: dict[str, Any]) -> None:
    context = ours.SpanContext(**fields)
    again = pickle.loads(pickle.dumps(context))
    assert (again, again.flags, again.debug_id, dict(again.baggage)) == (
        context,
        context.flags,
        context.debug_id,
        dict(context.baggage),
    )
    assert type(again) is ours.SpanContext


def test_extracted_baggage_reads_as_a_dict() -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer()
        headers = {"uber-trace-id": "1:2:3:1", "uberctx-Key": "a%20b"}
        context = tracer.extract(opentracing.Format.HTTP_HEADERS, headers)
        return dict(context.baggage), context.baggage["key"], isinstance(context.baggage, dict)

    both(program)


def test_spans_of_opentelemetry_code_reach_the_reporter_as_jaeger_spans() -> None:
    tracer, reporter = OURS.tracer()
    otel = tracer.provider.get_tracer("somebody else")
    with tracer.start_active_span("ours") as scope, otel.start_as_current_span("theirs") as span:
        span.set_attribute("n", 1)
        assert tracer.active_span.operation_name == "theirs"
    theirs, mine = reporter.get_spans()
    assert mine is scope.span
    assert (type(theirs), theirs.parent_id, tags_of(theirs)) == (ours.Span, mine.span_id, {"n": 1})
    assert theirs.tracer is tracer


def test_links_of_opentelemetry_code_are_references() -> None:
    from opentelemetry.trace import Link

    tracer, reporter = OURS.tracer()
    other = tracer.start_span("other")
    otel = tracer.provider.get_tracer("somebody else")
    otel.start_span("op", links=[Link(other.context)]).end()
    (span,) = reporter.get_spans()
    (reference,) = span.references
    assert (reference.type, reference.referenced_context.span_id) == ("follows_from", other.span_id)


def test_events_of_opentelemetry_code_are_logs() -> None:
    tracer, reporter = OURS.tracer()
    with tracer.provider.get_tracer("somebody else").start_as_current_span("op") as span:
        span.add_event("named", {"n": 1})
        span.set_attribute("list", [1, 2])
    (reported,) = reporter.get_spans()
    assert logs_of(reported) == [{"event": "named", "n": 1}]
    tag = reported.tags[-1]
    assert (tag.key, tag.vStr) == ("list", "(1, 2)")


@pytest.mark.parametrize("timestamp", [None, 1000.5])
def test_the_fields_of_a_log_are_cut_and_become_text_as_tags_do(timestamp: float | None) -> None:
    def program(side: Side) -> Any:
        tracer, reporter = side.tracer(max_tag_value_length=9)
        span = tracer.start_span("op")
        span.log_kv({"event": "hit", "long": "0123456789", "list": [1, 2, 3, 4], "none": None}, timestamp)
        span.finish()
        (reported,) = reporter.get_spans()
        return logs_of(reported)

    (log,) = both(program)
    assert log["long"] == "012345678"


def test_a_log_that_is_not_a_mapping_becomes_the_payload_field() -> None:
    tracer, _ = OURS.tracer()
    span = tracer.start_span("op").log_kv("just text")
    assert logs_of(span) == [{"payload": "just text"}]


def test_the_status_ok_of_opentelemetry_is_the_tag_error_with_false() -> None:
    tracer, _ = OURS.tracer()
    span = tracer.start_span("op")
    span.unwrap().set_status(StatusCode.OK)
    assert tags_of(span)["error"] is False


def test_a_tag_without_a_key_is_ignored() -> None:
    tracer, _ = OURS.tracer()
    span = tracer.start_span("op", tags={"": 1, "a": 1}).set_tag("", 2).set_tag("b", 2)
    assert {"", "a", "b"} & {*span.unwrap().attributes} == {"a", "b"}


def test_text_that_cannot_be_encoded_is_replaced() -> None:
    tracer, reporter = OURS.tracer()
    span = tracer.start_span("n\ud800", tags={"start": "a\ud800é", "s\ud800": 1})
    span.set_tag("later", "b\ud800é").set_tag("l\ud800", "é")
    span.log_kv({"event": "c\ud800", "f\ud800": "d\ud800é"})
    span.finish()
    (reported,) = reporter.get_spans()
    tags = tags_of(reported)
    assert reported.operation_name == "n?"
    assert {key: tags[key] for key in ("start", "s?", "later", "l?")} == {
        "start": "a?é",
        "s?": 1,
        "later": "b?é",
        "l?": "é",
    }
    assert logs_of(reported) == [{"event": "c?", "f?": "d?é"}]


def test_our_spans_have_the_same_attribute_names_as_jaeger_clients() -> None:
    def names(side: Side) -> set[str]:
        tracer, _ = side.tracer()
        span = tracer.start_span("op")
        return {name for each in (span, span.context) for name in dir(each) if not name.startswith("_")}

    assert names(REAL) - names(OURS) == {"update_lock", "EMPTY_BAGGAGE"} - names(OURS)


@pytest.mark.parametrize("sampled", [True, False])
def test_a_running_span_shows_the_same_as_jaeger_clients(sampled: bool) -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer(side.package.ConstSampler(sampled))
        span = tracer.start_span("op", start_time=NOON)
        assert span.tracer is tracer
        questions = span.is_sampled(), span.is_debug(), span.is_rpc(), span.is_rpc_client()
        shown = span.operation_name, span.start_time, span.end_time, span.parent_id, span.flags, span.logs
        return questions, shown, span.finished, span.references

    both(program)


SET_AGAIN: dict[str, list[Any]] = {
    "the kind at the start": [("tags", {"a": 1, "span.kind": "server", "b": 2})],
    "the kind and an error later": [("tags", {"a": 1}), ("span.kind", "client"), ("b", 2), ("error", True)],
    "an error first": [("error", True), ("a", 1), ("error", True), ("b", 2)],
    "a tag again": [("tags", {"a": 1, "b": 2}), ("c", 3), ("a", 4), ("d", 5)],
    "the same, read in between": [("tags", {"a": 1}), ("b", 3), ("read", None), ("a", 4), ("c", 5), ("a", 6)],
    "all of it": [("tags", {"x": 1, "span.kind": "server", "error": True}), ("y", 1), ("x", 2), ("z", 3)],
}


@pytest.mark.parametrize("steps", SET_AGAIN.values(), ids=SET_AGAIN)
def test_a_tag_set_again_keeps_its_position_and_has_the_last_value(steps: list[Any]) -> None:
    def program(side: Side) -> Any:
        tracer, reporter = side.tracer()
        tags_at_start = [value for key, value in steps if key == "tags"]
        span = tracer.start_span("op", tags={**tags_at_start[0]} if tags_at_start else None)
        for key, value in steps:
            if key == "read":
                assert span.tags
            elif key != "tags":
                span.set_tag(key, value)
        span.finish()
        (reported,) = reporter.get_spans()
        return list(tags_of(reported).items())

    both(program)


DECLARED = """
from opentracing import child_of
from ot_bridge.jaeger_client import ConstSampler, SpanContext, Tracer
from ot_bridge.jaeger_client.reporter import InMemoryReporter

reporter = InMemoryReporter()
tracer = Tracer("service", reporter, ConstSampler(True))
span = tracer.start_span("op", tags={"span.kind": "server", "a": 1, "b": 2})
for key, value in (("a", 3), ("error", True), ("c", 4), ("b", 5)):
    span.set_tag(key, value)
span.finish()
(reported,) = reporter.get_spans()
print(type(span).__name__, reported is span, [(tag.key, tag.vLong) for tag in reported.tags])
timed = tracer.start_span("timed", start_time=1000.5)
assert timed.end_time is None
timed.finish(1002.5)
assert (timed.start_time, timed.end_time) == (1000.5, 1002.5)
odd = tracer.start_span("odd").set_tag(5, "number").set_tag(5, "again")
assert [(tag.key, tag.vStr) for tag in odd.tags] == [("5", "again")]
odd.context.span_id = 9
assert odd.unwrap().get_span_context().span_id == 9
unsampled = SpanContext(1, 2, None, 0)
for parent in (span, unsampled):
    child = tracer.start_span("child", child_of=parent)
    assert child.parent_id == parent.span_id
    assert child.set_tag("a", 1).log_kv({"b": 2}) is child
    assert child.is_sampled() is (parent is span)
child = tracer.start_span("child", child_of=span).set_tag("sampling.priority", 0)
assert (child.is_sampled(), tracer.start_span("grandchild", child_of=child).is_sampled()) == (False, False)
child.finish()
assert reporter.get_spans() == [reported, timed]
low = tracer.start_span("low", references=[child_of(unsampled)]).set_baggage_item("k", "v")
low.set_tag("sampling.priority", 1)
assert (low.is_debug(), low.get_baggage_item("k"), len(low.references)) == (True, "v", 1)
"""
FILE = """
file_format: "1.0"
tracer_provider:
  processors:
    - batch: {exporter: {otlp_http: {endpoint: "http://127.0.0.1:1/v1/traces"}}}
"""


@needs.configuration
def test_with_a_provider_from_a_configuration_file_the_reporter_gets_the_spans_of_the_program(
    tmp_path: Path,
) -> None:
    (tmp_path / "otel.yaml").write_text(FILE)
    done = programs.python("-c", DECLARED, OTEL_CONFIG_FILE=str(tmp_path / "otel.yaml"))
    tags = [("span.kind", None), ("a", 3), ("b", 5), ("error", None), ("c", 4)]
    assert (done.returncode, done.stdout) == (0, f"Span True {tags}\n"), done.stderr


UNREAD = """
from ot_bridge.jaeger_client import Config

tracer = Config({"sampler": {"type": "const", "param": 1}}, service_name="shop").initialize_tracer()
print(tracer.flush())
tracer.start_span("op").finish()
print(tracer.{ending})
"""


@pytest.mark.parametrize("ending", ["flush()", "close().result(10)"])
def test_with_a_configuration_file_that_cannot_be_read_flush_and_close_say_that_spans_are_lost(
    tmp_path: Path, ending: str
) -> None:
    program = UNREAD.replace("{ending}", ending)
    done = programs.python("-c", program, OTEL_CONFIG_FILE=str(tmp_path / "none.yaml"))
    assert done.stdout == "True\nFalse\n"
    assert "1 span for an exporter that could not be made is lost" in done.stderr
    assert "Traceback" not in done.stderr


class _Seen(SpanProcessor):
    """An OpenTelemetry processor, which reads times as OpenTelemetry has them."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.calls.append((type(span.start_time), span.end_time))
        span.set_attribute("seen", True)

    def on_end(self, span: Any) -> None:
        self.calls.append((type(span.start_time), type(span.end_time), span.name, dict(span.attributes)))

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True


@pytest.mark.parametrize("result", [True, False, OSError], ids=str)
def test_flush_and_close_reach_the_processors_that_the_program_adds(result: Any) -> None:
    class Added(SpanProcessor):
        def force_flush(self, timeout_millis: int = 30000) -> bool:
            if result is OSError:
                raise OSError
            return bool(result)

    tracer, _ = OURS.tracer()
    assert tracer.flush() is True
    tracer.provider.add_span_processor(Added())
    assert tracer.flush() is (result is True)
    assert tracer.close().result(10) is (result is True)


def test_a_processor_of_opentelemetrys_gets_times_in_nanoseconds() -> None:
    tracer, reporter = OURS.tracer()
    processor = _Seen()
    tracer.provider.add_span_processor(processor)
    span = tracer.start_span("op", tags={"a": 1})
    span.set_tag("b", 2).finish()
    started, (*times, name, attributes) = processor.calls
    assert (started, times, name) == ((int, None), [int, int], "op")
    assert attributes.items() >= {"a": 1, "b": 2, "seen": True}.items()
    assert reporter.get_spans() == [span]
    assert type(span.start_time) is type(span.end_time) is float
    assert tags_of(span) == attributes
    assert tracer.provider.force_flush()
    tracer.provider.shutdown()


def test_a_long_span_kind_is_cut_like_any_other_tag() -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer(max_tag_value_length=8)
        span = tracer.start_span("op", tags={"span.kind": "a kind of its own", "error": "a long story"})
        span.set_tag("span.kind", "another kind").log_kv({"event": "a long name", "field": "a long text"})
        return tags_of(span), logs_of(span)

    both(program)


def test_a_span_kept_by_a_processor_outlives_the_programs_reference_and_stays_in_sync() -> None:
    tracer, _ = OURS.tracer()
    kept: list[Any] = []
    for _ in range(2):
        processor = SpanProcessor()
        processor.on_start = lambda span, parent_context=None: kept.append(span)  # type: ignore[method-assign]
        tracer.provider.add_span_processor(processor)
    for number in range(200):
        span = tracer.start_span(f"a{number}")
        kept[-1].update_name(f"b{number}")
        kept[-2].set_status(Status(StatusCode.ERROR, f"no {number}"))
        assert span.operation_name == f"b{number}"
        span.finish()
        del span
    gc.collect()
    assert [each.status.description for each in kept] == [f"no {number // 2}" for number in range(400)]
    assert [each.name for each in kept] == [f"b{number // 2}" for number in range(400)]


def test_a_finished_span_keeps_no_traceback_of_frames_that_refer_to_it() -> None:
    tracer, _ = OURS.tracer()
    tracer.reporter.report_span = lambda span: None

    def failed() -> Any:
        span = tracer.start_span("op")
        try:
            raise ValueError
        except ValueError as error:
            span.log_kv({"event": "error", "error.object": error})
        span.finish()
        return weakref.ref(span)

    gc.collect()
    gc.disable()
    try:
        assert failed()() is None
    finally:
        gc.enable()


def test_the_links_of_a_span_of_opentelemetry_code_are_its_references() -> None:
    tracer, reporter = OURS.tracer()
    above = [trace.SpanContext(1, number, True, trace.TraceFlags(1)) for number in (2, 3, 4)]
    attributes: list[Any] = [{"opentracing.ref_type": "child_of"}, {"a": 1}, None]
    links = [trace.Link(*pair) for pair in zip(above, attributes, strict=True)]
    other = tracer.provider.get_tracer("theirs")
    other.start_span("op", links=links).end()
    other.start_span("op").end()
    with_links, without = reporter.get_spans()
    assert [(each.type, each.referenced_context.span_id) for each in with_links.references] == [
        ("child_of", 2),
        ("follows_from", 3),
        ("follows_from", 4),
    ]
    assert without.references is None


def test_a_copy_of_a_span_shares_nothing_with_it() -> None:
    tracer, _ = OURS.tracer()
    span = tracer.start_span("a")
    otel_span = as_otel(span)
    copied = copy.copy(span)
    span.set_operation_name("b")
    assert (otel_span.name, as_otel(copied).name, copied.operation_name) == ("b", "a", "a")
    as_otel(copied).update_name("c")
    assert (span.operation_name, copied.operation_name) == ("b", "c")
