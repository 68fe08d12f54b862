"""The differences in docs/jaeger.md, with the real jaeger-client and with ot_bridge."""

from __future__ import annotations

from typing import Any

import opentracing
import pytest
from opentracing import Format

from tests.jaeger.sides import OURS, REAL, Side, logs_of, tags_of, value


def _each(program: Any) -> tuple[Any, Any]:
    return program(REAL), program(OURS)


def test_a_missing_id_is_zero_where_jaeger_client_has_none() -> None:
    def program(side: Side) -> Any:
        context = side.package.SpanContext.with_debug_id("me")
        return context.trace_id, context.span_id, context.parent_id, context.flags

    assert _each(program) == ((None,) * 4, (0, 0, None, None))


def test_a_tag_set_twice_has_its_last_value() -> None:
    def program(side: Side) -> Any:
        span = side.tracer()[0].start_span("op").set_tag("n", 1).set_tag("n", 2)
        return [value(tag) for tag in span.tags if tag.key == "n"]

    assert _each(program) == ([1, 2], [2])


def test_an_exception_is_logged_once() -> None:
    def program(side: Side) -> Any:
        span = side.tracer()[0].start_span("op")
        error = ValueError("no")
        span.log_kv({"event": "error", "error.object": error})
        with pytest.raises(ValueError, match="no"), span:
            raise error
        return len([log for log in logs_of(span) if log["event"] == "error"])

    assert _each(program) == (2, 1)


def test_an_error_after_a_success_stays_a_success() -> None:
    def program(side: Side) -> Any:
        span = side.tracer()[0].start_span("op").set_tag("error", False).set_tag("error", True)
        return tags_of(span)["error"]

    assert _each(program) == (True, False)


def test_an_integer_beyond_64_bits_is_hex() -> None:
    span = OURS.tracer()[0].start_span("op", tags={"start": 1 << 70}).set_tag("later", -(1 << 70))
    assert (tags_of(span)["start"], tags_of(span)["later"]) == (hex(1 << 70), hex(-(1 << 70)))


def test_baggage_without_a_trace_leaves_the_decision_to_the_sampler() -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer()
        caller = tracer.extract(Format.HTTP_HEADERS, {"jaeger-baggage": "k=v"})
        return tracer.start_span("op", child_of=caller).is_sampled()

    assert _each(program) == (False, True)


@pytest.mark.parametrize("decision", [True, False])
def test_a_parent_without_flags_leaves_the_decision_to_the_sampler(decision: bool) -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer(side.package.ConstSampler(decision))
        child = tracer.start_span("op", child_of=side.package.SpanContext(1, 2, 3, None))
        return child.trace_id == 1, child.parent_id, child.is_sampled()

    assert _each(program) == ((False, None, False), (True, 2, decision))


B3 = {"X-B3-TraceId": "1", "X-B3-SpanId": "2"}


@pytest.mark.parametrize("headers", [{**B3, "X-B3-Flags": "1"}, B3], ids=["debug", "undecided"])
def test_debug_and_undecided_b3_headers_are_read_as_b3_specifies(headers: dict[str, str]) -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer(extra_codecs={"b3": side.package.codecs.B3Codec()})
        return tracer.start_span("op", child_of=tracer.extract("b3", headers)).is_sampled()

    assert _each(program) == (False, True)


def test_injecting_a_context_without_a_trace_writes_no_header() -> None:
    def program(side: Side) -> Any:
        tracer, _ = side.tracer()
        carrier: dict[str, str] = {}
        try:
            tracer.inject(side.package.SpanContext.with_debug_id(None), Format.HTTP_HEADERS, carrier)
        except Exception as error:
            return type(error)
        return carrier

    assert _each(program) == (TypeError, {})


def test_injecting_the_span_of_another_tracer_writes_nothing_where_jaeger_client_raises() -> None:
    foreign = opentracing.Tracer().start_span("op").context

    def program(side: Side) -> Any:
        tracer, _ = side.tracer()
        carrier: dict[str, str] = {}
        try:
            tracer.inject(foreign, Format.HTTP_HEADERS, carrier)
        except ValueError as error:
            return type(error)
        return carrier

    assert _each(program) == (ValueError, {})


def test_an_exception_of_the_reporter_does_not_reach_the_request() -> None:
    def program(side: Side) -> Any:
        class Raising(side.package.reporter.NullReporter):  # type: ignore[name-defined, misc]
            def report_span(self, span: Any) -> None:
                raise RuntimeError("a reporter's own")

        tracer = side.package.Tracer("service", Raising(), side.package.ConstSampler(True))
        try:
            tracer.start_span("op").finish()
        except RuntimeError:
            return "raised"
        return "went on"

    assert _each(program) == ("raised", "went on")
