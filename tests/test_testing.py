"""`ot_bridge.testing` and its pytest fixture: the assertions that users' test suites make, on the real
tracer.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Any

import opentracing
import pytest
from opentelemetry import baggage, trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentracing import Format, ReferenceType, child_of, follows_from, tags
from opentracing.mocktracer import MockTracer
from opentracing.scope_managers import ThreadLocalScopeManager

from ot_bridge.testing import LogData, RecordedSpan, RecordingTracer

BOTH = [RecordingTracer, MockTracer]


def _checkout(tracer: Any) -> list[Any]:
    """Code under test, and typical assertions about it."""
    with tracer.start_active_span("checkout", tags={"http.method": "GET"}) as scope:
        scope.span.set_tag(tags.SPAN_KIND, tags.SPAN_KIND_RPC_SERVER).set_baggage_item("user", "ann")
        with tracer.start_active_span("query", tags={"db.type": "sql"}) as inner:
            inner.span.log_kv({"event": "rows", "count": 3}, 12.5)
            inner.span.set_tag(tags.ERROR, True).set_tag("value", [1, {"a": None}])
    finished: list[Any] = tracer.finished_spans()
    return finished


@pytest.mark.parametrize("make", BOTH)
def test_assertions_for_mock_tracer_also_hold_for_recording_tracer(make: Any) -> None:
    query, checkout = _checkout(make())
    assert [span.operation_name for span in (query, checkout)] == ["query", "checkout"]
    assert checkout.tags == {"http.method": "GET", "span.kind": "server"}
    assert query.tags == {"db.type": "sql", "error": True, "value": [1, {"a": None}]}
    assert query.logs[0].key_values == {"event": "rows", "count": 3}
    assert query.logs[0].timestamp == 12.5
    assert (len(query.logs), checkout.logs) == (1, [])
    assert query.parent_id == checkout.context.span_id
    assert checkout.parent_id is None
    assert query.context.trace_id == checkout.context.trace_id
    assert query.context.baggage == {"user": "ann"}
    assert query.finished
    assert query.start_time <= query.finish_time <= time.time()


def test_tags_that_were_prepared_for_several_starts_are_recorded() -> None:
    tracer = RecordingTracer()
    span = tracer.start_span("a", tags=tracer.prepared({"a": 1, "b": "2", "span.kind": "server"}))
    assert span.tags == {"a": 1, "b": "2", "span.kind": "server"}


def test_a_tracer_that_is_not_used_any_more_is_not_kept_until_the_exit() -> None:
    gone = weakref.ref(RecordingTracer().provider)
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("make", BOTH)
def test_a_span_can_be_inspected_before_it_is_finished(make: Any) -> None:
    tracer = make()
    span = tracer.start_span("a", tags={"one": 1}, start_time=10.25)
    assert (span.operation_name, span.tags, span.logs) == ("a", {"one": 1}, [])
    assert (span.start_time, span.finish_time, span.finished) == (10.25, -1, False)
    assert tracer.finished_spans() == []
    span.set_operation_name("b").log_kv({})
    span.finish(11.5)
    assert (span.operation_name, span.finish_time, span.finished) == ("b", 11.5, True)
    assert [log.key_values for log in span.logs] == [{}]
    assert tracer.finished_spans() == [span]
    assert tracer.finished_spans()[0] is span


@pytest.mark.parametrize("make", BOTH)
def test_reset_removes_only_finished_spans(make: Any) -> None:
    tracer = make()
    running = tracer.start_span("running", tags={"one": object()})
    tracer.start_span("finished").finish()
    before = tracer.finished_spans()
    tracer.reset()
    assert (len(before), tracer.finished_spans()) == (1, [])
    running.finish()
    assert tracer.finished_spans() == [running]


@pytest.mark.parametrize("make", BOTH)
def test_an_exception_that_leaves_a_scope_is_a_tag_and_a_log(make: Any) -> None:
    tracer = make()
    error = ValueError("no")
    with pytest.raises(ValueError, match="no"), tracer.start_active_span("a"):
        raise error
    (span,) = tracer.finished_spans()
    assert span.tags == {"error": True}
    (log,) = span.logs
    assert {name: log.key_values[name] for name in ("event", "message", "error.object", "error.kind")} == {
        "event": "error",
        "message": "no",
        "error.object": error,
        "error.kind": ValueError,
    }
    assert log.key_values["stack"] is error.__traceback__


@pytest.mark.parametrize("make", BOTH)
def test_carriers_of_every_format_come_back(make: Any) -> None:
    tracer = make()
    span = tracer.start_span("a").set_baggage_item("user", "ann")
    for format in Format.TEXT_MAP, Format.HTTP_HEADERS:
        carrier: dict[str, str] = {}
        tracer.inject(span.context, format, carrier)
        child = tracer.start_span("b", child_of=tracer.extract(format, carrier))
        assert child.parent_id == span.context.span_id
        assert child.get_baggage_item("user") == "ann"


@pytest.mark.parametrize("make", BOTH)
def test_a_scope_manager_can_be_given_as_the_first_argument(make: Any) -> None:
    manager = ThreadLocalScopeManager()
    tracer = make(manager)
    assert tracer.scope_manager is manager
    with tracer.start_active_span("a") as outer:
        assert tracer.start_span("b").parent_id == outer.span.context.span_id


def test_ids_count_up_from_one_in_each_tracer() -> None:
    for _ in range(2):
        tracer = RecordingTracer()
        a, b, c = (
            tracer.start_span("a"),
            tracer.start_span("b"),
            tracer.start_span("c", tags={"sampling.priority": 1}),
        )
        assert [span.context.trace_id for span in (a, b, c)] == [1, 2, 3]
        assert [span.context.span_id for span in (a, b, c)] == [1, 2, 3]


def test_unwrap_returns_the_opentelemetry_span() -> None:
    query, checkout = _checkout(RecordingTracer())
    assert checkout.unwrap().kind is trace.SpanKind.SERVER
    assert query.unwrap().status.status_code is trace.StatusCode.ERROR
    assert dict(query.unwrap().attributes) == {"db.type": "sql", "value": "[1, {'a': None}]"}
    assert dict(query.unwrap().events[0].attributes) == {"event": "rows", "count": 3}
    assert query.unwrap().events[0].timestamp == 12_500_000_000


def test_references_are_the_given_ones_or_the_parent() -> None:
    tracer = RecordingTracer()
    a, b = tracer.start_span("a"), tracer.start_span("b")
    root = tracer.start_span("c", references=[follows_from(a.context), child_of(b.context)])
    found = [(reference.type, reference.referenced_context) for reference in root.references]
    assert found == [(ReferenceType.FOLLOWS_FROM, a.context), (ReferenceType.CHILD_OF, b.context)]
    (reference,) = tracer.start_span("d", child_of=a).references
    assert (reference.type, reference.referenced_context) == (ReferenceType.CHILD_OF, a.context)
    assert a.references == []


def test_spans_of_opentelemetry_code_are_shown_as_opentracings() -> None:
    tracer = RecordingTracer()
    native = tracer.provider.get_tracer("native")  # type: ignore[union-attr]
    with tracer.start_active_span("ours"):
        link = trace.Link(trace.SpanContext(7, 8, False))
        with native.start_as_current_span("native", kind=trace.SpanKind.CLIENT, links=[link]) as span:
            span.set_attribute("one", 1)
            span.add_event("cache miss", {"key": "k"}, 9_500_000_000)
            span.record_exception(ValueError("no"), {"attempt": 1})
            span.set_status(trace.StatusCode.ERROR)
            active: Any = tracer.active_span
            active.set_tag("two", 2)
    recorded, ours = tracer.finished_spans()
    assert isinstance(recorded, RecordedSpan)
    assert recorded is active
    assert (recorded.operation_name, recorded.finished) == ("native", True)
    assert recorded.tags == {"one": 1, "two": 2, "span.kind": "client", "error": True}
    assert recorded.logs[0] == LogData({"event": "cache miss", "key": "k"}, 9.5)
    assert recorded.logs[1].key_values["event"] == "error"
    assert recorded.logs[1].key_values["error.kind"] == "ValueError"
    assert recorded.logs[1].key_values["message"] == "no"
    assert recorded.parent_id == ours.context.span_id
    assert [reference.type for reference in recorded.references] == ["child_of", "follows_from"]
    assert recorded.references[1].referenced_context[:2] == (7, 8)


def test_attributes_and_events_that_opentelemetry_code_adds_appear_as_tags_and_logs() -> None:
    tracer = RecordingTracer()
    with tracer.start_active_span("a", tags={7: "seven"}) as scope:
        scope.span.log_kv({"event": "first"})
        trace.get_current_span().add_event("second")
        trace.get_current_span().set_attribute("one", 1)
        scope.span.log_kv({"event": "third"}).log_kv("no mapping")  # type: ignore[arg-type]
    (span,) = tracer.finished_spans()
    assert span.tags == {7: "seven", "one": 1}
    assert [log.key_values.get("event", log.key_values.get("payload")) for log in span.logs] == [
        "first",
        "second",
        "third",
        "log",
    ]


def test_an_event_after_a_failure_or_a_log_is_shown_with_its_own_fields() -> None:
    span = RecordingTracer().start_span("a")
    span.fail(ValueError("no"))
    span.unwrap().add_event("one", {"key": 1}, 1_500_000_000)
    span.log_kv({"event": "log"})
    span.unwrap().add_event("two", {"key": 2}, 2_500_000_000)
    assert [log.key_values["event"] for log in span.logs] == ["error", "one", "log", "two"]
    assert span.logs[1] == LogData({"event": "one", "key": 1}, 1.5)
    assert span.logs[3] == LogData({"event": "two", "key": 2}, 2.5)


def test_an_exception_that_opentelemetry_code_records_has_the_fields_of_opentracing() -> None:
    span = RecordingTracer().start_span("a")
    try:
        raise ValueError("no")
    except ValueError as error:
        span.unwrap().record_exception(error)
    fields = dict(span.logs[0].key_values)
    assert "ValueError: no" in fields.pop("stack")
    assert fields.pop("exception.escaped") == "False"
    assert fields == {"event": "error", "error.kind": "ValueError", "message": "no"}


@pytest.mark.parametrize("kind", trace.SpanKind)
def test_each_kind_of_opentelemetry_is_the_tag_of_opentracing(kind: trace.SpanKind) -> None:
    tracer = RecordingTracer()
    provider: Any = tracer.provider
    provider.get_tracer("native").start_span("a", kind=kind).end()
    wanted = {"CLIENT": "client", "SERVER": "server", "PRODUCER": "producer", "CONSUMER": "consumer"}
    named = {"span.kind": wanted[kind.name]} if kind.name in wanted else {}
    assert tracer.finished_spans()[0].tags == named


@pytest.mark.parametrize(
    ("status", "tags"),
    [(trace.StatusCode.ERROR, {"error": True}), (trace.StatusCode.OK, {"error": False})],
)
def test_a_status_of_opentelemetry_is_the_tag_error(status: trace.StatusCode, tags: dict[str, bool]) -> None:
    span = RecordingTracer().start_span("a")
    span.unwrap().set_status(status)
    assert span.tags == tags


def test_a_key_that_cannot_be_hashed_is_kept_by_its_name() -> None:
    span: Any = RecordingTracer().start_span("a")
    span.set_tag(["a"], 1)
    assert span.tags == {"['a']": 1}


def test_the_ids_of_opentelemetry_code_are_of_the_same_row_and_not_random() -> None:
    tracer = RecordingTracer()
    provider: Any = tracer.provider
    context = provider.get_tracer("native").start_span("a").get_span_context()
    assert (context.trace_id, context.span_id, int(context.trace_flags)) == (1, 1, 1)
    assert tracer.start_span("b").context.trace_id == 2


def test_a_span_is_on_the_empty_resource() -> None:
    tracer = RecordingTracer()
    tracer.start_span("a").finish()
    assert dict(tracer.finished_spans()[0].unwrap().resource.attributes) == {}  # type: ignore[attr-defined]


def test_a_span_that_is_ended_by_opentelemetry_code_is_finished() -> None:
    tracer = RecordingTracer()
    with tracer.start_active_span("a", finish_on_close=False) as scope:
        trace.get_current_span().end()
    assert tracer.finished_spans() == [scope.span]
    scope.span.set_tag("late", 1).log_kv({"event": "late"})
    assert (tracer.finished_spans()[0].tags, tracer.finished_spans()[0].logs) == ({}, [])


def test_spans_that_are_not_sampled_are_not_kept() -> None:
    tracer = RecordingTracer()
    span = tracer.start_span("a", tags={"sampling.priority": 0}).set_tag("a", 1).log_kv({"a": 1})
    span.finish()
    assert (span.operation_name, span.tags, span.logs) == ("", {"sampling.priority": 0}, [])
    assert (span.start_time, span.finish_time, span.references) == (0, -1, [])
    RecordingTracer(sampler=ALWAYS_OFF).start_span("b").finish()
    assert tracer.finished_spans() == []


def test_recording_tracer_has_no_limits_of_tags_and_logs() -> None:
    tracer = RecordingTracer()
    span = tracer.start_span("a", tags={str(number): number for number in range(1000)})
    for number in range(1000):
        span.log_kv({"number": number})
    span.finish()
    assert (len(span.tags), len(span.logs)) == (1000, 1000)


def test_recording_tracer_records_even_if_the_sdk_is_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1")
    tracer = RecordingTracer()
    tracer.start_span("a", tags={"one": 1, "two": 2}).finish()
    assert tracer.finished_spans()[0].tags == {"one": 1, "two": 2}


def test_propagators_and_kinds_can_be_chosen() -> None:
    tracer = RecordingTracer(propagators="b3", maps_kind=False)
    span = tracer.start_span("a", tags={"span.kind": "client"})
    carrier: dict[str, str] = {}
    tracer.inject(span.context, Format.HTTP_HEADERS, carrier)
    assert list(carrier) == ["b3"]
    assert span.unwrap().kind is trace.SpanKind.INTERNAL  # type: ignore[attr-defined]
    assert span.tags == {"span.kind": "client"}


def test_the_fixture_is_the_global_tracer(ot_tracer: RecordingTracer) -> None:
    assert opentracing.global_tracer() is opentracing.tracer is ot_tracer
    assert opentracing.is_global_tracer_registered()
    assert (ot_tracer.active_span, dict(baggage.get_all())) == (None, {})


def test_the_fixture_removes_the_global_tracer_after_the_test() -> None:
    assert not isinstance(opentracing.global_tracer(), RecordingTracer)
    assert not opentracing.is_global_tracer_registered()


SUITE = """
import sys

def test_nothing_is_imported_that_is_not_asked_for():
    assert not {name for name in sys.modules if name.startswith(("opentelemetry", "opentracing"))}

def test_the_fixture_is_there(ot_tracer):
    import opentracing
    scope = opentracing.tracer.start_active_span("left open")
    scope.span.finish()
    assert [span.operation_name for span in ot_tracer.finished_spans()] == ["left open"]

def test_the_next_test_starts_anew(ot_tracer):
    assert ot_tracer.active_span is None
    assert ot_tracer.finished_spans() == []
"""


def test_the_plugin_is_found_by_its_entry_point_and_imports_nothing_before_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        str(tmp_path),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert "3 passed" in ran.stdout, ran.stdout + ran.stderr


def test_many_logs_on_one_span_take_time_in_proportion_to_their_number() -> None:
    span = RecordingTracer().start_span("a")
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += 1

    def cost(logs: int) -> int:
        nonlocal calls
        calls = 0
        sys.setprofile(count)
        try:
            for number in range(logs):
                span.log_kv({"event": str(number)})
        finally:
            sys.setprofile(None)
        return calls

    first = cost(500)
    cost(3000)
    assert cost(500) < 1.5 * first
    assert [log.key_values["event"] for log in span.logs[:2]] == ["0", "1"]
    assert len(span.logs) == 4000
