"""R23 to R25 and R38: span contexts, and the baggage in them."""

from __future__ import annotations

import copy
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import opentracing
import pytest
from opentelemetry import baggage, propagate, trace
from opentelemetry.context import attach, detach
from opentracing import Format

from ot_bridge.bridge import Span, SpanContext, Tracer
from ot_bridge.wire import Remote
from tests.conftest import Recorded
from tests.interrupts import PACKAGE, handled


def test_R23_a_context_is_opentracings_and_opentelemetrys(otel: Recorded) -> None:
    span = otel.tracer.start_span("a")
    context = span.context
    assert isinstance(context, opentracing.SpanContext)
    assert isinstance(context, trace.SpanContext)
    assert context.unwrap() == span.unwrap().get_span_context()
    assert (context.is_valid, context.is_remote, context.sampled) == (True, False, True)


CHANGES: list[Callable[[Any], object]] = [
    lambda context: setattr(context, "trace_id", 1),
    lambda context: setattr(context, "origin", Remote()),
    lambda context: setattr(context, "anything", 1),
    lambda context: delattr(context, "_baggage"),
    lambda context: context.baggage.__setitem__("user", "bob"),
    lambda context: context.baggage.__delitem__("user"),
    lambda context: context.baggage.pop("user"),
    lambda context: context.baggage.popitem(),
    lambda context: context.baggage.setdefault("other", "bob"),
    lambda context: context.baggage.update(user="bob"),
    lambda context: context.baggage.clear(),
    lambda context: context.baggage.__ior__({"user": "bob"}),
]


@pytest.mark.parametrize("change", CHANGES, ids=range(len(CHANGES)))
def test_R23_a_context_cannot_be_changed(
    tracer: Tracer, change: Callable[[Any], object], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    context = tracer.start_span("a").set_baggage_item("user", "ann").context
    before = (*context, dict(context.baggage), context.origin)
    try:
        change(context)
    except (TypeError, AttributeError):
        pass
    else:
        assert "immutable" in caplog.text.lower()  # the message of OpenTelemetry's own class
    assert (*context, dict(context.baggage), context.origin) == before


def test_R24_setting_baggage_replaces_the_context(tracer: Tracer) -> None:
    span = tracer.start_span("a")
    before = span.context
    assert span.context is before
    span.set_baggage_item("user", "ann")
    assert before.baggage == {}
    assert span.context is not before
    assert span.context.baggage == {"user": "ann"}
    assert span.context[:2] == before[:2]


def test_R24_a_child_inherits_what_was_set_before_it_began(tracer: Tracer) -> None:
    parent = tracer.start_span("a").set_baggage_item("one", "1")
    child = tracer.start_span("b", child_of=parent)
    parent.set_baggage_item("two", "2")
    child.set_baggage_item("three", "3")
    assert child.context.baggage == {"one": "1", "three": "3"}
    assert parent.context.baggage == {"one": "1", "two": "2"}


def test_R24_a_baggage_item_can_be_replaced_and_removed(tracer: Tracer) -> None:
    span = tracer.start_span("a").set_baggage_item("one", "1").set_baggage_item("two", "2")
    span.set_baggage_item("one", "I").set_baggage_item("two", None).set_baggage_item("three", None)
    assert span.context.baggage == {"one": "I"}
    assert (span.get_baggage_item("one"), span.get_baggage_item("two")) == ("I", None)


@pytest.mark.parametrize(
    ("key", "value", "kept"),
    [
        (1, 2, {"1": "2"}),
        (b"k", "v", {"b'k'": "v"}),
        ("k", True, {"k": "True"}),
        ("\ud800", "\ud800", {"?": "?"}),
    ],
    ids=repr,
)
def test_R24_baggage_keys_and_values_that_are_not_text_are_converted_to_text(
    tracer: Tracer, key: Any, value: Any, kept: dict[str, str]
) -> None:
    assert tracer.start_span("a").set_baggage_item(key, value).context.baggage == kept


def test_R24_a_finished_span_still_has_its_baggage(tracer: Tracer) -> None:
    span = tracer.start_span("a").set_baggage_item("user", "ann")
    span.finish()
    assert span.get_baggage_item("user") == "ann"
    assert tracer.start_span("b", child_of=span).get_baggage_item("user") == "ann"


def _at_once(*tasks: Callable[[], None]) -> list[BaseException]:
    """Runs each task in its own thread, with frequent switches. Returns the exceptions."""
    raised: list[BaseException] = []
    together = threading.Barrier(len(tasks))

    def guarded(task: Callable[[], None]) -> None:
        try:
            together.wait()
            task()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


@pytest.fixture
def switching() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("switching")
def test_R25_concurrent_updates_of_baggage_lose_no_item(tracer: Tracer) -> None:
    span = tracer.start_span("a")
    count = 500

    def setting(name: str) -> Callable[[], None]:
        def task() -> None:
            for number in range(count):
                span.set_baggage_item(f"{name}{number}", name)
                assert span.context.baggage[f"{name}{number}"] == name

        return task

    assert _at_once(*map(setting, "abcd")) == []
    assert len(span.context.baggage) == 4 * count


@pytest.mark.usefixtures("switching")
def test_R25_baggage_is_read_by_both_apis_while_another_thread_sets_it(tracer: Tracer) -> None:
    span = tracer.start_span("a")
    for number in range(200):
        span.set_baggage_item(str(number), "0")
    done = threading.Event()

    def reading() -> None:
        with tracer.scope_manager.activate(span, False):
            while not done.is_set():
                propagate.inject({})
                tracer.inject(span.context, Format.TEXT_MAP, {})
                tracer.start_span("child")
                baggage.set_baggage("own", 1)

    def setting() -> None:
        try:
            for number in range(2000):
                span.set_baggage_item(str(200 + number % 50), None if number % 3 else "1")
        finally:
            done.set()

    assert _at_once(reading, reading, setting) == []


class Traced:
    """A value whose `__str__` uses the tracer."""

    def __init__(self, span: Span) -> None:
        self.span = span

    def __str__(self) -> str:
        self.span.set_baggage_item("inner", "1")
        return f"outer, {self.span.context.baggage['inner']}"


def test_str_of_a_baggage_value_may_set_baggage_on_the_same_span(tracer: Tracer) -> None:
    span: Any = tracer.start_span("a")
    span.set_baggage_item("outer", Traced(span))
    assert span.context.baggage == {"inner": "1", "outer": "outer, 1"}


@pytest.mark.timeout(20)
def test_a_signal_handler_may_set_baggage_at_any_line_it_interrupts(tracer: Tracer) -> None:
    span = tracer.start_span("a").set_baggage_item("user", "ann")

    def step() -> None:
        span.set_baggage_item("step", "1")
        assert span.context.baggage["step"] == "1"
        tracer.scope_manager.activate(tracer.start_span("child", child_of=span), True).close()

    def handler() -> None:
        span.set_baggage_item("handler", "1")
        assert span.context.baggage["handler"] == "1"

    line = 0
    while handled(step, line := line + 1, PACKAGE, handler):
        assert span.context.baggage == {"user": "ann", "step": "1", "handler": "1"}
    assert line > 20


def test_activating_a_span_loses_no_item_that_another_thread_sets(tracer: Tracer) -> None:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    spans = [tracer.start_span("a") for _ in range(3000)]

    def activating() -> None:
        for span in spans:
            tracer.scope_manager.activate(span, False).close()

    def setting() -> None:
        for span in spans:
            span.set_baggage_item("k", "v")

    try:
        errors = _at_once(activating, setting)
    finally:
        sys.setswitchinterval(before)
    assert errors == []
    assert [span for span in spans if span.context.baggage != {"k": "v"}] == []


def test_R38_baggage_is_a_plain_mapping(tracer: Tracer) -> None:
    span = tracer.start_span("a").set_baggage_item("one", "1").set_baggage_item("two", "2")
    found = span.context.baggage
    assert isinstance(found, dict)
    assert found == {"one": "1", "two": "2"}
    assert (list(found), found.get("one"), "three" in found) == (["one", "two"], "1", False)
    assert {**found, "three": "3"} == {"one": "1", "two": "2", "three": "3"}
    changed = found.copy()
    changed["one"] = "I"
    assert found["one"] == "1"


def test_R38_without_baggage_the_mapping_is_empty(tracer: Tracer) -> None:
    assert tracer.start_span("a").context.baggage == {}


COPIES: list[Callable[[Any], Any]] = [
    copy.copy,
    copy.deepcopy,
    lambda value: pickle.loads(pickle.dumps(value)),
]


@pytest.mark.parametrize("duplicate", COPIES, ids=["copy", "deepcopy", "pickle"])
def test_a_context_survives_being_copied_and_pickled(tracer: Tracer, duplicate: Callable[[Any], Any]) -> None:
    header = {"uber-trace-id": "a:b:0:3", "uberctx-user": "ann"}
    found = tracer.extract(Format.HTTP_HEADERS, header)
    assert found is not None
    same: SpanContext = duplicate(found)
    assert type(same) is SpanContext
    assert same == found
    assert (same.baggage, same.debug, same.origin) == ({"user": "ann"}, True, found.origin)
    with pytest.raises(TypeError):
        same.baggage["user"] = "bob"


@pytest.mark.parametrize("duplicate", COPIES, ids=["copy", "deepcopy", "pickle"])
def test_baggage_survives_being_copied_and_pickled(tracer: Tracer, duplicate: Callable[[Any], Any]) -> None:
    found = tracer.start_span("a").set_baggage_item("user", "ann").context.baggage
    assert duplicate(found) == {"user": "ann"}


def test_a_context_has_the_id_of_its_parent_and_the_tracestate(tracer: Tracer) -> None:
    parent = tracer.start_span("a")
    child = tracer.start_span("b", child_of=parent)
    assert (parent.context.parent_id, child.context.parent_id) == (0, parent.context.span_id)
    assert (child.context.debug_id, child.context.debug, child.context.tracestate) == (None, False, "")


def test_opentelemetry_baggage_that_is_not_text_is_read_as_text(tracer: Tracer) -> None:
    with tracer.start_active_span("a") as scope:
        token = attach(baggage.set_baggage("answer", 42))
        assert scope.span.get_baggage_item("answer") == "42"
        assert tracer.start_span("b").context.baggage == {"answer": "42"}
        detach(token)
