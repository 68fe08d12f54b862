"""The bridge with and without OpenTelemetry's own OpenTracing shim installed."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from opentracing import Format, follows_from

from ot_bridge import bridge, jaeger_client, testing
from tests import needs
from tests.conftest import Recorded

CLASSES = [
    pytest.param(ours, f"{base}Shim", id=f"{ours.__module__}.{ours.__name__}")
    for base, *classes in (
        ("Scope", bridge.Scope),
        ("ScopeManager", bridge.ScopeManager),
        ("Span", bridge.Span, jaeger_client.Span, testing.RecordedSpan),
        ("SpanContext", bridge.SpanContext),
        ("Tracer", bridge.Tracer, jaeger_client.Tracer, testing.RecordingTracer),
    )
    for ours in classes
]


@needs.shim
@pytest.mark.parametrize(("ours", "theirs"), CLASSES)
def test_S1_our_classes_are_subclasses_of_the_shims(ours: type, theirs: str) -> None:
    from opentelemetry.shim import opentracing_shim

    assert issubclass(ours, getattr(opentracing_shim, theirs))


@needs.shim
def test_S10_spans_of_the_upstream_shim_are_accepted_as_parents(otel: Recorded) -> None:
    from opentelemetry.shim.opentracing_shim import create_tracer

    shim = create_tracer(otel.provider)
    theirs: Any = shim.start_span("theirs")
    expected = theirs.unwrap().get_span_context()
    carrier: dict[str, str] = {}
    otel.tracer.inject(theirs.context, Format.HTTP_HEADERS, carrier)
    assert f"{expected.span_id:016x}" in carrier["traceparent"]
    otel.tracer.start_span("a", child_of=theirs).finish()
    otel.tracer.start_span("b", references=[follows_from(theirs.context)]).finish()
    with otel.tracer.scope_manager.activate(theirs, False):
        assert otel.tracer.active_span is theirs
        otel.tracer.start_span("c").finish()
    for name in "abc":
        parent = otel.spans[name].parent
        assert parent is not None
        assert parent.span_id == expected.span_id


def test_unwrap_returns_the_opentelemetry_objects(otel: Recorded) -> None:
    with otel.tracer.start_active_span("a") as scope:
        span: Any = scope.span
        assert span.context.unwrap() == span.unwrap().get_span_context()
        otel.tracer.unwrap().start_span("below").end()
    assert otel.spans["below"].parent == otel.spans["a"].get_span_context()


WITHOUT = """
import sys
sys.modules["opentelemetry.shim"] = None
import opentracing, ot_bridge
from ot_bridge import jaeger_client
from ot_bridge.jaeger_client.reporter import InMemoryReporter
from ot_bridge.testing import RecordingTracer
for name in "Scope", "ScopeManager", "Span", "SpanContext", "Tracer":
    ours = getattr(ot_bridge, name)
    assert issubclass(ours, getattr(opentracing, name))
    assert not [base for base in ours.__mro__ if "shim" in base.__module__], ours.__mro__
for tracer in RecordingTracer(), ot_bridge.install(exporters=[]), jaeger_client.Tracer(
    "service", InMemoryReporter(), jaeger_client.ConstSampler(True)
):
    with tracer.start_active_span("above") as above:
        carrier = {}
        tracer.inject(above.span, "http_headers", carrier)
        below = tracer.start_span("below", child_of=tracer.extract("http_headers", carrier))
    print(below.context.trace_id == above.span.context.trace_id, below.unwrap() is not None)
"""


def test_without_the_shim_our_classes_are_subclasses_of_opentracings() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == (["True"] * 6, "")
