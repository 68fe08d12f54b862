"""Samplers that offer rules: functions, delegates and keys of contexts; and odd ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.sdk.trace import sampling
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from ot_bridge import engine
from ot_bridge.engine.settings import DROP, FLAGS, ID_BITS, SAMPLE, rules_of

from .sides import Side, Sides

KINDS = engine.Span, engine.DroppedSpan, False


@pytest.fixture
def ours() -> Side:
    return Sides().ours


class Offering(sampling.Sampler):
    """Drops the names that begin with "no"; adds what it is given to the others."""

    def __init__(self, added: Any) -> None:
        self.added = added
        self.asked: list[tuple[int, str]] = []

    def fast_decision(self) -> Any:
        def decide(trace_id: int, name: str) -> tuple[bool, Any]:
            self.asked.append((trace_id, name))
            return not name.startswith("no"), self.added

        return decide

    def should_sample(self, *args: Any, **kwargs: Any) -> sampling.SamplingResult:
        raise NotImplementedError

    def get_description(self) -> str:
        return "Offering"


@pytest.mark.parametrize("added", [None, {"rule": 1}], ids=str)
@pytest.mark.parametrize("given", [None, {}, {"a": [1]}, {"rule": 0}], ids=str)
def test_a_function_decides_by_trace_id_and_name_and_adds_attributes(
    ours: Side, given: dict[str, Any] | None, added: dict[str, Any] | None
) -> None:
    ours.tracer.sampler = sampler = Offering(added)
    span = ours.tracer.start_span("span", attributes=given)
    expected = {name: (1,) if value == [1] else value for name, value in {**(given or {})}.items()}
    assert dict(span.attributes) == {**expected, **(added or {})}
    assert span.context.trace_flags.sampled
    dropped = ours.tracer.start_span("not this one", attributes=given)
    assert type(dropped) is engine.DroppedSpan
    assert not dropped.get_span_context().trace_flags.sampled
    assert sampler.asked == [
        (span.context.trace_id, "span"),
        (dropped.get_span_context().trace_id, "not this one"),
    ]
    assert given in (None, {}, {"a": [1]}, {"rule": 0})  # the caller's own is not changed


def test_the_bound_of_a_ratio_is_compared_with_the_low_half_of_the_trace_id(ours: Side) -> None:
    ours.tracer.sampler = sampling.TraceIdRatioBased(0.5)
    assert ID_BITS == 2**64 - 1
    for low, sampled in [(0, True), (2**63 - 1, True), (2**63, False), (2**64 - 1, False)]:
        for high in (0, 1 << 64, 1 << 127):
            parent = SpanContext(high + low or 1 << 64, 1, True, TraceFlags(0))
            span = ours.tracer.start(KINDS, "span", parent)
            assert span.get_span_context().trace_flags.sampled is sampled


def test_there_is_a_flags_object_for_each_number() -> None:
    assert tuple(range(4)) == FLAGS
    assert {type(flags) for flags in FLAGS} == {TraceFlags}


class Switching(sampling.Sampler):
    """Delegates for each kind of parent; called only in a context with one of the keys."""

    def __init__(self, keys: Sequence[str], *delegates: sampling.Sampler) -> None:
        self.context_keys = keys
        self.delegates = delegates or (sampling.ALWAYS_OFF,) * 5
        self.called = 0

    def fast_delegates(self) -> tuple[sampling.Sampler, ...]:
        return self.delegates

    def should_sample(self, *args: Any, **kwargs: Any) -> sampling.SamplingResult:
        self.called += 1
        return sampling.SamplingResult(SAMPLE)

    def get_description(self) -> str:
        return "Switching"


def _parent(remote: bool, sampled: bool) -> SpanContext:
    return SpanContext(0xA1, 0xB1, remote, TraceFlags(int(sampled)))


KINDS_OF_PARENT = [
    None,
    _parent(True, False),
    _parent(True, True),
    _parent(False, False),
    _parent(False, True),
]


@pytest.mark.parametrize("chosen", range(5))
def test_each_kind_of_parent_has_a_delegate_of_its_own(ours: Side, chosen: int) -> None:
    delegates = [sampling.ALWAYS_ON if number == chosen else sampling.ALWAYS_OFF for number in range(5)]
    ours.tracer.sampler = Switching((), *delegates)
    spans = [ours.tracer.start(KINDS, "span", parent) for parent in KINDS_OF_PARENT]
    assert [span.is_recording() for span in spans] == [number == chosen for number in range(5)]


def test_a_sampler_is_called_only_in_a_context_with_one_of_its_keys(ours: Side) -> None:
    keys: list[str] = []
    ours.tracer.sampler = sampler = Switching(keys)
    within = context_api.Context({"key": 1})

    def ask(context: Any) -> bool:
        before = sampler.called
        recording: bool = ours.tracer.start(KINDS, "span", None, context).is_recording()
        assert recording is (sampler.called > before)
        return recording

    in_context = type("Parent", (), {"in_context": lambda self, context: context})()
    contexts = [
        within,
        (in_context, within),
        context_api.Context(),
        (in_context, context_api.Context()),
        None,
    ]
    assert [ask(context) for context in contexts] == [False] * 5
    keys += ["another", "key"]
    assert [ask(context) for context in contexts] == [True, True, False, False, False]
    token = context_api.attach(within)
    try:
        assert ask(None)
        assert not ask(context_api.Context())
    finally:
        context_api.detach(token)


def test_samplers_with_several_lists_of_keys_are_always_called() -> None:
    keys = ["key"]
    inner = Switching(keys)
    assert rules_of(Switching(keys, *[inner] * 5)) == ((DROP,) * 5, keys)
    assert rules_of(Switching(keys, *[inner] * 5))[1] is keys
    assert rules_of(Switching(["another"], *[inner] * 5)) == ((None,) * 5, ())
    assert rules_of(sampling.ALWAYS_OFF) == ((DROP,) * 5, ())


def test_an_id_of_zero_is_replaced(ours: Side) -> None:
    class Zero:
        fast_ids = (lambda: 0), (lambda: 0)

        def generate_span_id(self) -> int:
            raise NotImplementedError

        generate_trace_id = generate_span_id

        def is_trace_id_random(self) -> bool:
            return False

    ours.tracer.id_generator = Zero()
    context = ours.tracer.start_span("span").get_span_context()
    assert (context.trace_id, context.span_id, context.is_valid) == (1, 1, True)


@pytest.mark.parametrize("remembers", [True, False])
@pytest.mark.parametrize("start_time", [None, 0, 5])
def test_a_dropped_span_keeps_what_it_was_started_with_if_it_is_to(
    ours: Side, remembers: bool, start_time: int | None
) -> None:
    ours.tracer.sampler = sampling.ALWAYS_OFF
    kinds = engine.Span, engine.DroppedSpan, remembers
    parent = _parent(True, True)
    span: Any = ours.tracer.start(kinds, "span", parent, start_time=start_time)
    if remembers:
        assert (span._name, span.parent_ids) == ("span", parent)
        assert span._start_time > 10**18 if start_time is None else span._start_time == start_time
    else:
        assert not hasattr(span, "_name")
    assert trace_api.SpanContext(*span.ids[:5]).trace_id == parent.trace_id
    assert engine.DroppedSpan.remembers is False


def test_a_parent_with_a_context_that_is_not_valid_is_no_parent(ours: Side) -> None:
    for context in (SpanContext(0, 1, True), SpanContext(1, 0, True)):
        for parent in (context, NonRecordingSpan(context)):
            span = ours.tracer.start(KINDS, "span", parent)
            assert span.parent is None
            assert span.get_span_context().trace_id != 1
