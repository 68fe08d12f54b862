"""The same random calls on the SDK's tracer and on ours export the same bytes and log the same words."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from opentelemetry import context as context_api
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace import sampling
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from .sides import Side, Sides, without_clock


class Shown:
    def __str__(self) -> str:
        return "shown"


class Unshowable:
    pass


REMOTES = [
    SpanContext(0xA1, 0xB1, True, TraceFlags(1)),
    SpanContext(0xA2, 0xB2, True, TraceFlags(0), TraceState([("v", "1")])),
    SpanContext(0xA3, 0xB3, True, TraceFlags(0xFF), TraceState([("v", "2")])),
    SpanContext(0xA4, 0xB4, False, TraceFlags(1)),
    SpanContext(0, 0xB5, True, TraceFlags(1)),
    SpanContext(0xA6, 0, True, TraceFlags(1), TraceState([("v", "3")])),
]

KEYS = st.sampled_from(["a", "b", "c", "d", "e", ""])
SCALARS = st.one_of(
    st.text(max_size=12), st.integers(-(2**63), 2**63 - 1), st.booleans(), st.floats(allow_nan=False)
)
VALUES = st.one_of(
    SCALARS,
    st.none(),
    st.binary(max_size=4),
    st.lists(st.one_of(st.integers(0, 9), st.text(max_size=8)), max_size=3),
    st.builds(Shown),
    st.builds(Unshowable),
    st.dictionaries(KEYS, st.integers(0, 3), max_size=2),
)
ATTRIBUTES = st.one_of(
    st.none(),
    st.dictionaries(KEYS, SCALARS, max_size=6),
    st.dictionaries(st.one_of(KEYS, st.integers(0, 1)), VALUES, max_size=4),
)
TIMES = st.one_of(st.none(), st.integers(1, 1000))
LIMITS = st.one_of(st.none(), st.integers(0, 4))
PICK = st.integers(0, 30)


class Tagging(sampling.Sampler):
    """Adds an attribute and trace state, keeps the trace's flag, drops names that start with a d."""

    def should_sample(  # type: ignore[no-untyped-def]
        self, parent_context, trace_id, name, kind=None, attributes=None, links=None, trace_state=None
    ):
        decisions = {"d": sampling.Decision.DROP, "r": sampling.Decision.RECORD_ONLY}
        decision = decisions.get(name[:1], sampling.Decision.RECORD_AND_SAMPLE)
        seen = {
            **(attributes or {}),
            "links": len(links or ()),
            "kind": str(kind),
            "ctx": parent_context is None,
        }
        return sampling.SamplingResult(decision, seen, TraceState([("tagged", "yes")]))

    def get_description(self) -> str:
        return "Tagging"


class Mutating(sdk.SpanProcessor):
    def on_start(self, span: sdk.Span, parent_context: Any = None) -> None:
        span.set_attribute("on_start", [1, 2])
        span.add_event("started", {"seen": len(span.attributes or {})}, 5)
        if span.name == "renamed":
            span.update_name("on_start renamed it")

    def _on_ending(self, span: sdk.Span) -> None:
        span.set_attribute("too late", True)


SAMPLERS = {
    "parent based": lambda: sampling.DEFAULT_ON,
    "on": lambda: sampling.ALWAYS_ON,
    "off": lambda: sampling.ALWAYS_OFF,
    "half": lambda: sampling.TraceIdRatioBased(0.5),
    "parent based half": lambda: sampling.ParentBasedTraceIdRatio(0.5),
    "inverted": lambda: sampling.ParentBased(
        sampling.TraceIdRatioBased(0.7),
        sampling.ALWAYS_OFF,
        sampling.ALWAYS_ON,
        sampling.TraceIdRatioBased(0.5),
        Tagging(),
    ),
    "record only": lambda: sampling.StaticSampler(sampling.Decision.RECORD_ONLY),
    "tagging": Tagging,
}


class Machine(RuleBasedStateMachine):
    sides: Sides

    @initialize(
        sampler=st.sampled_from(sorted(SAMPLERS)),
        limits=st.tuples(*[LIMITS] * 6),
        mutating=st.booleans(),
    )
    def begin(self, sampler: str, limits: tuple[int | None, ...], mutating: bool) -> None:
        names: tuple[str, ...] = ("max_span_attributes", "max_events", "max_links", "max_event_attributes")
        names += ("max_link_attributes", "max_attribute_length")
        self.sides = Sides(
            sampler=SAMPLERS[sampler](),
            span_limits=sdk.SpanLimits(**dict(zip(names, limits, strict=True))),
            processors=[Mutating] if mutating else [],
        )
        self.token = context_api.attach(context_api.Context())
        self.contexts = {side: context_api.get_current() for side in (self.sides.theirs, self.sides.ours)}
        self.lists: list[list[Any]] = []

    def each(self, step: Any) -> None:
        """`step` on both sides, each in a current context of its own."""

        def in_context(side: Side) -> Any:
            token = context_api.attach(self.contexts[side])
            try:
                return step(side)
            finally:
                self.contexts[side] = context_api.get_current()
                context_api.detach(token)

        self.sides.agree(in_context)

    def span(self, side: Side, pick: int) -> Any:
        return side.spans[pick % len(side.spans)]

    @rule(
        name=st.sampled_from(["span", "dropped", "recorded", "renamed"]),
        parent=st.one_of(st.none(), st.just("root"), PICK, st.sampled_from(REMOTES)),
        kind=st.sampled_from(SpanKind),
        attributes=ATTRIBUTES,
        links=st.lists(st.tuples(st.sampled_from(REMOTES), ATTRIBUTES), max_size=3),
        start_time=TIMES,
        entered=st.booleans(),
        record=st.booleans(),
        status=st.booleans(),
    )
    def start(self, name, parent, kind, attributes, links, start_time, entered, record, status) -> None:  # type: ignore[no-untyped-def]
        def step(side: Side) -> Any:
            context = None
            if parent == "root":
                context = context_api.Context()
            elif isinstance(parent, SpanContext):
                context = set_span_in_context(NonRecordingSpan(parent))
            elif parent is not None and side.spans:
                context = set_span_in_context(self.span(side, parent))
            made = [Link(*each) for each in links]
            given = (name, context, kind, attributes, made, start_time, record, status)
            if entered:
                manager = side.tracer.start_as_current_span(*given)
                span = manager.__enter__()
                side.managers.append(manager)
            else:
                span = side.tracer.start_span(*given)
            side.spans.append(span)
            return span.get_span_context(), span.is_recording()

        self.each(step)
        self.remember(attributes)

    def remember(self, attributes: Any) -> None:
        self.lists += [value for value in (attributes or {}).values() if isinstance(value, list)]

    @precondition(lambda self: self.lists)
    @rule(pick=PICK)
    def change_a_list_that_was_given(self, pick: int) -> None:
        self.lists[pick % len(self.lists)].append(7)

    @precondition(lambda self: self.sides.ours.managers)
    @rule(error=st.sampled_from([None, ValueError("no"), KeyboardInterrupt("stop")]))
    def leave(self, error: BaseException | None) -> None:
        self.leave_one(error)

    def leave_one(self, error: BaseException | None) -> None:
        def step(side: Side) -> Any:
            manager = side.managers.pop()
            return bool(manager.__exit__(error and type(error), error, None))

        self.each(step)

    @precondition(lambda self: self.sides.ours.spans)
    @rule(pick=PICK, key=st.one_of(KEYS, st.integers(0, 1)), value=VALUES)
    def set_attribute(self, pick: int, key: Any, value: Any) -> None:
        self.each(lambda side: self.span(side, pick).set_attribute(key, value))
        self.remember({key: value})

    @precondition(lambda self: self.sides.ours.spans)
    @rule(pick=PICK, attributes=ATTRIBUTES.filter(lambda value: value is not None))
    def set_attributes(self, pick: int, attributes: Any) -> None:
        self.each(lambda side: self.span(side, pick).set_attributes(attributes))
        self.remember(attributes)

    @precondition(lambda self: self.sides.ours.spans)
    @rule(pick=PICK, attributes=ATTRIBUTES, timestamp=TIMES)
    def add_event(self, pick: int, attributes: Any, timestamp: int | None) -> None:
        self.each(lambda side: self.span(side, pick).add_event("event", attributes, timestamp))
        self.remember(attributes)

    @precondition(lambda self: self.sides.ours.spans)
    @rule(pick=PICK, attributes=ATTRIBUTES, context=st.sampled_from(REMOTES))
    def add_link(self, pick: int, attributes: Any, context: SpanContext) -> None:
        self.each(lambda side: self.span(side, pick).add_link(context, attributes))
        self.remember(attributes)

    @precondition(lambda self: self.sides.ours.spans)
    @rule(
        pick=PICK,
        status=st.one_of(st.sampled_from(StatusCode), st.builds(Status, st.sampled_from(StatusCode))),
        description=st.one_of(st.none(), st.text(max_size=3)),
    )
    def set_status(self, pick: int, status: Any, description: str | None) -> None:
        self.each(lambda side: self.span(side, pick).set_status(status, description))

    @precondition(lambda self: self.sides.ours.spans)
    @rule(pick=PICK, name=st.text(max_size=3))
    def update_name(self, pick: int, name: str) -> None:
        self.each(lambda side: self.span(side, pick).update_name(name))

    @precondition(lambda self: self.sides.ours.spans)
    @rule(pick=PICK, attributes=ATTRIBUTES, escaped=st.booleans())
    def record_exception(self, pick: int, attributes: Any, escaped: bool) -> None:
        error = ValueError("bad")
        self.each(lambda side: self.span(side, pick).record_exception(error, attributes, 7, escaped))

    @precondition(lambda self: self.sides.ours.spans)
    @rule(pick=PICK, end_time=TIMES)
    def end(self, pick: int, end_time: int | None) -> None:
        self.each(lambda side: self.span(side, pick).end(end_time))

    @precondition(lambda self: self.sides.ours.spans)
    @rule(pick=PICK, error=st.sampled_from([None, ValueError("no")]))
    def use_as_a_context_manager(self, pick: int, error: BaseException | None) -> None:
        def step(side: Side) -> Any:
            span = self.span(side, pick)
            assert span.__enter__() is span
            return span.__exit__(error and type(error), error, None)

        self.each(step)

    @precondition(lambda self: self.sides.ours.spans)
    @rule(pick=PICK)
    def read(self, pick: int) -> None:
        def step(side: Side) -> Any:
            span = self.span(side, pick)
            return [span.is_recording(), span.get_span_context(), snapshot(span)]

        self.each(step)

    @invariant()
    def as_many_are_exported(self) -> None:
        if hasattr(self, "sides"):
            assert len(self.sides.ours.exported) == len(self.sides.theirs.exported)

    def teardown(self) -> None:
        if not hasattr(self, "sides"):
            return
        while self.sides.ours.managers:  # the SDK's would end their spans whenever collected as garbage
            self.leave_one(None)
        context_api.detach(self.token)
        self.sides.agree(lambda side: [snapshot(span) for span in side.exported])
        self.sides.agree(lambda side: without_clock(side.exported))
        self.sides.agree(lambda side: [snapshot(span) for span in side.spans])
        theirs, ours = self.sides.theirs.heard.messages, self.sides.ours.heard.messages
        assert (ours - theirs, theirs - ours) == (Counter(), Counter())


def snapshot(span: Any) -> Any:
    """The properties of a `ReadableSpan` without its times; None for a span that records nothing."""
    if not isinstance(span, sdk.ReadableSpan):
        return None
    return {
        "name": span.name,
        "kind": span.kind,
        "parent": span.parent,
        "status": (span.status.status_code, span.status.description),
        "attributes": dict(span.attributes or {}),
        "order": list(span.attributes or {}),
        "events": [
            (event.name, dict(event.attributes or {}), event.dropped_attributes) for event in plain(span)
        ],
        "links": [
            (link.context, dict(link.attributes or {}), link.dropped_attributes) for link in span.links
        ],
        "dropped": (span.dropped_attributes, span.dropped_events, span.dropped_links),
        "scope": span.instrumentation_scope,
        "resource": span.resource,
        "context": (span.context, span.get_span_context()),
    }


def plain(span: sdk.ReadableSpan) -> list[sdk.Event]:
    return [event for event in span.events if event.name != "exception"]


class LongMachine(Machine):
    pass


TestDifferential = Machine.TestCase
TestDifferentialAtLength = pytest.mark.fuzz(pytest.mark.timeout(600)(LongMachine.TestCase))


def _for(examples: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


TestDifferential.settings = _for(20)
TestDifferentialAtLength.settings = _for(5000)
