"""`trusted` takes from a caller's context only what the trust level allows."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision, Sampler, SamplingResult
from opentelemetry.trace import TraceState
from opentracing import Format

from ot_bridge.bridge import create_tracer, trusted
from ot_bridge.errors import ConfigurationError
from tests.conftest import Recorded

HEADERS = {"uber-trace-id": "a:b:0:3", "uberctx-user": "ann"}


def _server_span(otel: Recorded, trust: Any) -> Any:
    parent = trusted(otel.tracer.extract(Format.HTTP_HEADERS, HEADERS), trust)
    span = otel.tracer.start_span("server", child_of=parent)
    span.finish()
    return span


@pytest.mark.parametrize(
    ("trust", "same_trace", "debug", "user", "linked"),
    [
        ("all", True, True, "ann", False),
        ("context", True, False, "ann", False),
        ("link", False, False, None, True),
        ("none", False, False, None, False),
    ],
)
def test_trust_decides_what_is_used_of_the_callers_context(
    otel: Recorded, trust: str, same_trace: bool, debug: bool, user: str | None, linked: bool
) -> None:
    span = _server_span(otel, trust)
    assert (span.context.trace_id == 0xA) is same_trace
    assert span.context.debug is debug
    assert span.get_baggage_item("user") == user
    assert [link.context.trace_id for link in otel.spans["server"].links] == ([0xA] if linked else [])


def test_an_unknown_trust_value_is_a_configuration_error() -> None:
    for wrong in "some", None, ["all"]:
        with pytest.raises(ConfigurationError):
            trusted(None, wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("trust", "taken"), [("all", True), ("context", True), ("link", False), ("none", False)]
)
def test_the_context_of_another_tracer_is_used_completely_or_not_at_all(trust: Any, taken: bool) -> None:
    foreign = object()
    assert (trusted(foreign, trust) is foreign) is taken
    assert trusted(None, trust) is None


STATES = {
    "others": ("a=1,b@c=2", "a=1,b@c=2"),
    "threshold alone": ("ot=th:c,a=1", "a=1"),
    "threshold and randomness": ("a=1,ot=rv:0123456789abcd;th:c;p:8", "a=1,ot=rv:0123456789abcd;p:8"),
    "no threshold": ("ot=rv:0123456789abcd,a=1", "ot=rv:0123456789abcd,a=1"),
    "none": ("", ""),
}


@pytest.mark.parametrize(("came", "goes"), STATES.values(), ids=STATES)
@pytest.mark.parametrize("sampled", ["00", "01"])
def test_a_continued_trace_forwards_its_tracestate_without_a_sampling_decision_that_is_not_trusted(
    otel: Recorded, came: str, goes: str, sampled: str
) -> None:
    headers = {"traceparent": f"00-{0xA:032x}-{0xB:016x}-{sampled}", "tracestate": came}
    for trust, wanted in [("all", came), ("context", goes), ("link", ""), ("none", "")]:
        parent: Any = trusted(otel.tracer.extract(Format.HTTP_HEADERS, headers), trust)  # type: ignore[arg-type]
        with otel.tracer.start_active_span("server", child_of=parent) as scope:
            inner = otel.tracer.start_span("inner")
            for span in (scope.span, inner):
                sent: dict[str, str] = {}
                otel.tracer.inject(span.context, Format.HTTP_HEADERS, sent)
                assert sent.get("tracestate", "") == wanted
        if trust == "context":
            context: Any = scope.span.context
            assert context.sampled is True


DECIDERS: dict[str, Any] = {
    "the provider's sampler": {},
    "a priority": {"tags": {"sampling.priority": 1}},
    "a priority of 0": {"tags": {"sampling.priority": 0}},
    "a sampler for the span": {"sampler": ALWAYS_ON},
}


@pytest.mark.parametrize("options", DECIDERS.values(), ids=DECIDERS)
def test_the_callers_sampling_threshold_is_not_forwarded_if_another_part_decides(
    otel: Recorded, options: dict[str, Any]
) -> None:
    headers = {"traceparent": f"00-{0xA:032x}-{0xB:016x}-00", "tracestate": "a=1,ot=rv:0123456789abcd;th:c"}
    parent = trusted(otel.tracer.extract(Format.HTTP_HEADERS, headers), "context")
    span = otel.tracer.start_span("server", child_of=parent, **options)
    assert span.context.trace_id == 0xA
    assert span.context.tracestate == "a=1,ot=rv:0123456789abcd"


def test_tracestate_entries_of_the_sampler_precede_those_of_the_caller() -> None:
    class Marking(Sampler):
        def should_sample(self, *args: Any, **kwargs: Any) -> SamplingResult:
            return SamplingResult(Decision.RECORD_AND_SAMPLE, {}, TraceState([("ot", "th:0")]))

        def get_description(self) -> str:
            return "Marking"

    tracer = create_tracer(TracerProvider(Marking(), shutdown_on_exit=False), propagators="tracecontext")
    headers = {"traceparent": f"00-{0xA:032x}-{0xB:016x}-00", "tracestate": "a=1,ot=th:c;rv:0"}
    span = tracer.start_span("op", child_of=trusted(tracer.extract(Format.HTTP_HEADERS, headers), "context"))
    assert span.context.tracestate == "ot=th:0,a=1"
