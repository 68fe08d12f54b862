"""S6: OpenTracing code inside OpenTelemetry code inside OpenTracing code, to any depth: one trace."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, propagate, trace
from opentelemetry.context import attach, detach
from opentelemetry.propagators.composite import CompositePropagator
from opentracing import Format

from ot_bridge.bridge import Tracer
from ot_bridge.propagation import parse_propagators
from tests.conftest import Recorded, recorded
from tests.generated import examples

Level = tuple[str, str, str | None]  # which API starts the span, which one sets an item, its name

LEVELS = st.lists(
    st.tuples(
        st.sampled_from(["opentracing", "opentelemetry", "wrapper"]),
        st.sampled_from(["opentracing", "opentelemetry"]),
        st.sampled_from(["a", "b", "c", None]),
    ),
    min_size=1,
    max_size=12,
)


def _members(headers: dict[str, str]) -> dict[str, set[str]]:
    return {name: set(value.split(",")) for name, value in headers.items()}


class Walk:
    """Nests spans as `levels` say, and checks at each what is current, on the way in and on the way out."""

    def __init__(self, otel: Recorded) -> None:
        self.tracer, self.native = otel.tracer, otel.provider.get_tracer("native")
        self.parents: list[int] = []

    def down(self, levels: list[Level], items: dict[str, str], above: int = 0) -> None:
        if not levels:
            return
        api, setter, name = levels[0]
        number = len(levels)
        if api == "opentracing":
            with self.tracer.start_active_span(str(number)) as scope:
                self._inside(levels, items, above, setter, name)
                assert self.tracer.active_span is scope.span
        elif api == "opentelemetry":
            with self.native.start_as_current_span(str(number)):
                self._inside(levels, items, above, setter, name)
        else:  # a span of the one made current by the other
            span: Any = self.native.start_span(str(number))
            with trace.use_span(span, end_on_exit=True):
                self._inside(levels, items, above, setter, name)

    def _inside(
        self, levels: list[Level], items: dict[str, str], above: int, setter: str, name: str | None
    ) -> None:
        current: Any = trace.get_current_span()
        assert (current.parent.span_id if current.parent is not None else 0) == above
        items = dict(items)
        self._look(items)
        token = None
        if name is not None:
            value = items[name] = f"{setter} {len(levels)}"
            if setter == "opentracing":
                self._active().set_baggage_item(name, value)
            else:
                token = attach(baggage.set_baggage(name, value))
        self._look(items)
        self.down(levels[1:], items, current.get_span_context().span_id)
        self._look(items)
        assert trace.get_current_span() is current
        if token is not None:
            detach(token)

    def _active(self) -> Any:
        return self.tracer.active_span

    def _look(self, items: dict[str, str]) -> None:
        """Both APIs see the same baggage and the same span, and both would send them on."""
        active = self._active()
        assert self._active() is active
        assert trace.get_current_span() is active.unwrap()
        assert dict(baggage.get_all()) == items
        assert {name: active.get_baggage_item(name) for name in items} == items
        by_opentracing: dict[str, str] = {}
        by_opentelemetry: dict[str, str] = {}
        self.tracer.inject(active.context, Format.HTTP_HEADERS, by_opentracing)
        propagate.inject(by_opentelemetry)
        assert _members(by_opentracing) == _members(by_opentelemetry)
        found = self.tracer.extract(Format.HTTP_HEADERS, by_opentracing)
        assert found is not None
        assert found.baggage == items


@pytest.fixture(params=["ours", "opentelemetrys"])
def global_textmap(request: pytest.FixtureRequest) -> Iterator[None]:
    before = propagate.get_global_textmap()
    if request.param == "ours":
        propagate.set_global_textmap(parse_propagators("tracecontext,baggage"))
    else:
        from opentelemetry.baggage.propagation import W3CBaggagePropagator
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        propagate.set_global_textmap(
            CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
        )
    yield
    propagate.set_global_textmap(before)


@pytest.mark.usefixtures("global_textmap")
@examples(25)
@given(levels=LEVELS)
def test_S6_any_nesting_is_one_trace_with_the_right_parents_and_baggage(levels: list[Level]) -> None:
    otel = recorded()
    Walk(otel).down(levels, {})
    spans = otel.exporter.get_finished_spans()
    assert len(spans) == len(levels)
    assert len({span.context.trace_id for span in spans}) == 1
    assert otel.tracer.active_span is None


def test_S6_a_span_made_current_by_opentelemetry_is_the_parent_of_both(otel: Recorded) -> None:
    native = otel.provider.get_tracer("native")
    span = otel.tracer.start_span("ours").set_baggage_item("user", "ann")
    with trace.use_span(span.unwrap(), end_on_exit=True):
        otel.tracer.start_span("opentracing").finish()
        native.start_span("opentelemetry").end()
    for name in "opentracing", "opentelemetry":
        parent = otel.spans[name].parent
        assert parent is not None
        assert parent.span_id == span.context.span_id


def test_S6_both_apis_can_add_to_the_same_span(otel: Recorded) -> None:
    with otel.tracer.start_active_span("a") as scope:
        scope.span.set_tag("one", 1)
        trace.get_current_span().set_attribute("two", 2)
        trace.get_current_span().add_event("native")
        scope.span.log_kv({"event": "ours"})
    assert dict(otel.spans["a"].attributes or {}) == {"one": 1, "two": 2}
    assert [event.name for event in otel.spans["a"].events] == ["native", "ours"]


def test_S6_a_span_that_opentelemetry_code_ended_is_finished_for_opentracing_too(otel: Recorded) -> None:
    with otel.tracer.start_active_span("a") as scope:
        trace.get_current_span().end()
        scope.span.set_tag("late", 1)
    assert dict(otel.spans["a"].attributes or {}) == {}
    assert otel.tracer.active_span is None


def test_S6_a_child_does_not_inherit_baggage_that_opentelemetry_code_has_removed(otel: Recorded) -> None:
    with otel.tracer.start_active_span("a") as scope:
        scope.span.set_baggage_item("user", "ann")
        token = attach(baggage.remove_baggage("user"))
        assert otel.tracer.start_span("child").context.baggage == {}
        detach(token)
        assert otel.tracer.start_span("child").context.baggage == {"user": "ann"}


def _next_process(first: str, headers: dict[str, str]) -> Any:
    command = [sys.executable, "-m", "tests.bridge.programs.downstream", first]
    ran = subprocess.run(command, input=json.dumps(headers), capture_output=True, text=True, check=True)
    return json.loads(ran.stdout)


def _headers(tracer: Tracer, api: str) -> dict[str, str]:
    carrier: dict[str, str] = {}
    if api == "opentracing":
        active: Any = tracer.active_span
        tracer.inject(active.context, Format.HTTP_HEADERS, carrier)
    else:
        propagate.inject(carrier)
    return carrier


@pytest.mark.parametrize("server", ["opentracing", "opentelemetry"])
@pytest.mark.parametrize("client", ["opentracing", "opentelemetry"])
def test_S6_downstream_processes_continue_the_trace_and_the_baggage(client: str, server: str) -> None:
    tracer = recorded("tracecontext,baggage").tracer
    with tracer.start_active_span("client") as scope:
        scope.span.set_baggage_item("user", "änn;x")
        token = attach(baggage.set_baggage("tier", "gold"))
        headers = _headers(tracer, client)
        detach(token)
    came_back = _next_process(server, headers)
    items = {"user": "änn;x", "tier": "gold"}
    outer, inner = came_back["spans"]
    context: Any = scope.span.context
    assert [span["trace"] for span in (outer, inner)] == [context.trace_id] * 2
    assert (outer["parent"], inner["parent"]) == (context.span_id, outer["id"])
    assert outer["opentracing"] == outer["opentelemetry"] == items
    assert inner["opentracing"] == inner["opentelemetry"] == {**items, "server": server}
    further = tracer.extract(Format.HTTP_HEADERS, came_back["sent"])
    assert further is not None
    assert (further.span_id, further.baggage) == (inner["id"], {**items, "server": server})
