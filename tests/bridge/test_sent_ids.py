"""For a span with ids only, `ids_to_send` gives the same headers as `inject`."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import baggage
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import TracerProvider as SdkProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentracing import Format

from ot_bridge import engine
from ot_bridge.bridge import Tracer, create_tracer
from ot_bridge.wire import FORMATS

LISTS = ["jaeger", "tracecontext", "tracecontext,baggage,jaeger", *FORMATS, ",".join(FORMATS)]
CALLERS: dict[str, dict[str, str]] = {
    "none": {},
    "jaeger": {"uber-trace-id": "a:b:c:1"},
    "jaeger, unsampled": {"uber-trace-id": "a:b:0:0"},
    "jaeger, debug": {"uber-trace-id": "a:b:0:3"},
    "jaeger, baggage": {"uber-trace-id": "a:b:0:1", "uberctx-k": "v"},
    "W3C, random": {"traceparent": f"00-{10:032x}-{11:016x}-03"},
    "W3C, tracestate": {"traceparent": f"00-{10:032x}-{11:016x}-01", "tracestate": "k=v"},
    "a debug id": {"jaeger-debug-id": "d"},
    "B3, deferred": {"b3": f"{10:032x}-{11:016x}"},
}


def _injected(tracer: Tracer, span: Any) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    tracer.inject(span.context, Format.HTTP_HEADERS, headers)
    return headers


@pytest.mark.parametrize("kind", [engine.TracerProvider, SdkProvider])
@pytest.mark.parametrize("names", LISTS)
def test_ids_are_sent_as_inject_writes_them(kind: Any, names: str) -> None:
    tracer = create_tracer(kind(shutdown_on_exit=False), propagators=names)
    reader = create_tracer(kind(shutdown_on_exit=False), propagators=",".join(FORMATS))
    short = set()
    for caller, headers in CALLERS.items():
        parent = reader.extract(Format.HTTP_HEADERS, headers)
        for tags in ({}, {"sampling.priority": 1}, {"sampling.priority": 0}):
            for sampler in (None, ALWAYS_OFF):
                outer = tracer.start_span("outer", child_of=parent, tags=tags, sampler=sampler)
                for span in (outer, tracer.start_span("inner", child_of=outer)):
                    ids = tracer.ids_to_send(span)
                    if ids is not None:
                        short.add(caller)
                        assert dict(ids) == _injected(tracer, span)
    assert bool(short) is (set(names.split(",")) <= {"tracecontext", "baggage", "jaeger"})


def test_spans_with_baggage_priority_or_trace_state_use_inject() -> None:
    tracer = create_tracer(engine.TracerProvider(shutdown_on_exit=False), propagators="tracecontext,jaeger")
    span = tracer.start_span("span")
    assert tracer.ids_to_send(span) is not None
    token = attach(baggage.set_baggage("k", "v"))
    assert tracer.ids_to_send(span) is None
    detach(token)
    assert tracer.ids_to_send(span.set_baggage_item("k", "v")) is None
    assert tracer.ids_to_send(tracer.start_span("span").set_tag("sampling.priority", 0)) is None
    for caller in ("W3C, tracestate", "jaeger, debug", "a debug id"):
        parent = tracer.extract(Format.HTTP_HEADERS, CALLERS[caller])
        assert tracer.ids_to_send(tracer.start_span("child", child_of=parent)) is None


class Long(RandomIdGenerator):
    """Makes ids that are too long for a header."""

    def generate_trace_id(self) -> int:
        return 1 << 130


def test_ids_too_long_for_a_header_use_inject() -> None:
    provider = engine.TracerProvider(id_generator=Long(), shutdown_on_exit=False)
    tracer = create_tracer(provider, propagators="tracecontext,jaeger")
    assert tracer.ids_to_send(tracer.start_span("span")) is None
