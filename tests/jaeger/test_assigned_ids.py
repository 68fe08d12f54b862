"""What is assigned to a span's context takes effect, as osprofiler's driver for Jaeger relies on."""

from __future__ import annotations

import gc
from typing import Any

import pytest
from opentracing import Format

from tests.jaeger.sides import OURS, Side, both


def _osprofiler(side: Side) -> Any:
    """A trace as osprofiler reports it: each span's id is the profiler's own, assigned after the start."""
    tracer, reporter = side.tracer()
    for span_id, parent_id in ((0xA, 0xBA5E), (0xB, 0xA)):
        above = side.package.SpanContext(trace_id=0xBA5E, span_id=parent_id, parent_id=None, flags=1)
        span = tracer.start_span("call", child_of=above, tags={"n": span_id}, start_time=1e9)
        span.context.span_id = span_id
        span.finish(finish_time=1e9 + 1)
    return [(span.trace_id, span.span_id, span.parent_id, str(span)) for span in reporter.get_spans()]


def test_spans_of_osprofiler_have_the_right_parents() -> None:
    assert both(_osprofiler)[1][:3] == (0xBA5E, 0xB, 0xA)


@pytest.mark.parametrize("sampled", [True, False])
@pytest.mark.parametrize(
    ("name", "value"), [("trace_id", 7), ("span_id", 8), ("parent_id", 9), ("parent_id", None)]
)
def test_an_assigned_id_goes_to_children_headers_and_reporters(name: str, value: Any, sampled: bool) -> None:
    def program(side: Side) -> Any:
        tracer, reporter = side.tracer(side.package.ConstSampler(sampled))
        span = tracer.start_span("op", child_of=side.package.SpanContext(1, 2, 3, int(sampled)))
        context = span.context
        span.context.span_id = 4
        setattr(span.context, name, value)
        inner = tracer.start_span("inner", child_of=span)
        beside = tracer.start_span("inner", child_of=context)
        carrier: dict[str, str] = {}
        tracer.inject(span.context, Format.TEXT_MAP, carrier)
        span.finish()
        return (
            carrier,
            str(span),
            getattr(context, name),
            [(each.trace_id, each.parent_id) for each in (inner, beside)],
            [str(each) for each in reporter.get_spans()],
        )

    both(program)


@pytest.mark.parametrize("flags", [0, 1, 3])
@pytest.mark.parametrize("sampled", [True, False])
@pytest.mark.parametrize("debug", [True, False])
def test_assigned_flags_apply_to_the_span_and_its_later_children(
    flags: int, sampled: bool, debug: bool
) -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer(side.package.ConstSampler(sampled))
        span = tracer.start_span("op")
        if debug:
            span.set_tag("sampling.priority", 1)
        span.context.flags = flags
        inner = tracer.start_span("inner", child_of=span)
        carrier: dict[str, str] = {}
        tracer.inject(span, Format.TEXT_MAP, carrier)
        written = carrier["uber-trace-id"].rpartition(":")[2]
        return span.flags, span.is_sampled(), span.is_debug(), inner.flags, written

    both(program)


@pytest.mark.parametrize("sampled", [True, False])
def test_opentelemetry_code_sees_the_assigned_ids(sampled: bool) -> None:
    tracer, _ = OURS.tracer(OURS.package.ConstSampler(sampled))
    span = tracer.start_span("op")
    assert span.unwrap().get_span_context().span_id == span.span_id
    span.context.trace_id, span.context.span_id = 7, 8
    seen = span.unwrap().get_span_context()
    assert (seen.trace_id, seen.span_id) == (7, 8)


def test_a_context_without_a_span_can_be_assigned_to() -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer()
        context = side.package.SpanContext(1, 2, 3, 1, {"k": "v"})
        context.span_id, context.flags = 5, 3
        carrier: dict[str, str] = {}
        tracer.inject(context, Format.TEXT_MAP, carrier)
        child = tracer.start_span("op", child_of=context)
        more = context.with_baggage_item("more", "1")
        return carrier, child.parent_id, child.flags, (more.span_id, more.flags), dict(more.baggage)

    both(program)


#: What is assigned -> trace, span and parent id that are sent, and whether the parent is remote.
ASSIGNED: dict[str, tuple[dict[str, Any], int, int, int, bool]] = {
    "span id": ({"span_id": 0xB}, 1, 0xB, 2, True),
    "trace id": ({"trace_id": 7}, 7, 4, 2, True),
    "the same parent": ({"parent_id": 2}, 1, 4, 2, True),
    "another parent": ({"parent_id": 9}, 1, 4, 9, False),
    "no parent": ({"parent_id": None}, 1, 4, 0, False),
    "all": ({"trace_id": 7, "span_id": 8, "parent_id": 9}, 7, 8, 9, False),
}


@pytest.mark.parametrize("case", ASSIGNED)
def test_the_exporter_sends_the_assigned_ids(case: str, collector: Any) -> None:
    from ot_bridge.jaeger_client import ConstSampler, Tracer
    from ot_bridge.jaeger_client.local_agent_net import LocalAgentSender
    from ot_bridge.jaeger_client.reporter import Reporter

    values, trace_id, span_id, parent_id, is_remote = ASSIGNED[case]
    tracer = Tracer("service", Reporter(LocalAgentSender("localhost", 5778, 6831)), ConstSampler(True))
    span: Any = tracer.start_span("op", child_of=OURS.package.SpanContext(1, 2, None, 1))
    span.context.span_id = 4
    for name, value in values.items():
        setattr(span.context, name, value)
    span.finish()
    assert tracer.close().result(10)
    (sent,) = collector.spans
    assert (sent.trace_id, sent.span_id) == (trace_id.to_bytes(16, "big"), span_id.to_bytes(8, "big"))
    assert sent.parent_span_id == (parent_id.to_bytes(8, "big") if parent_id else b"")
    assert sent.flags == (0x301 if is_remote else 0x101)


def test_reading_the_context_of_a_span_creates_no_reference_cycle() -> None:
    tracer, _ = OURS.tracer()
    gc.collect()
    gc.disable()
    try:
        for sampler in (True, False):
            tracer.sampler = OURS.package.ConstSampler(sampler)
            assert tracer.start_span("op").context.span_id
        assert gc.collect() == 0
    finally:
        gc.enable()
