"""`install()` beside other code that has set up a provider: what is taken, said and taken back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import opentracing
import pytest
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import ot_bridge
from ot_bridge.errors import ConfigurationError
from ot_bridge.grpc import client_interceptor, server_interceptor, trace_channel
from ot_bridge.instrumentor import OpenTracingInstrumentor
from ot_bridge.propagation import Propagator
from ot_bridge.wsgi import TracingMiddleware, trace_wsgi
from tests.ids import shown


@pytest.fixture(autouse=True)
def _globals() -> Iterator[None]:
    """Gives this process's globals back as they were."""
    guard: Any = trace
    before = guard._TRACER_PROVIDER, guard._TRACER_PROVIDER_SET_ONCE
    others = opentracing.tracer, opentracing.is_tracer_registered, propagate.get_global_textmap()
    guard._TRACER_PROVIDER, guard._TRACER_PROVIDER_SET_ONCE = None, type(before[1])()
    yield
    ot_bridge.uninstall()
    guard._TRACER_PROVIDER, guard._TRACER_PROVIDER_SET_ONCE = before
    opentracing.tracer, opentracing.is_tracer_registered = others[:2]
    propagate.set_global_textmap(others[2])


class Wrapping(trace.TracerProvider):
    """A provider that is not the SDK's but has one inside, as logfire's."""

    def __init__(self) -> None:
        self.spans = InMemorySpanExporter()
        self.inner = SdkTracerProvider(shutdown_on_exit=False)
        self.inner.add_span_processor(SimpleSpanProcessor(self.spans))
        self.stopped = 0

    def get_tracer(self, *arguments: Any, **named: Any) -> trace.Tracer:
        return self.inner.get_tracer(*arguments, **named)

    def add_span_processor(self, processor: Any) -> None:
        self.inner.add_span_processor(processor)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self.inner.force_flush(timeout_millis)

    def shutdown(self) -> None:
        self.stopped += 1
        self.inner.shutdown()


def test_a_provider_of_any_kind_is_taken_and_stays(caplog: pytest.LogCaptureFixture) -> None:
    provider, added = Wrapping(), InMemorySpanExporter()
    trace.set_tracer_provider(provider)
    tracer = ot_bridge.install(exporters=[added])
    tracer.start_span("ours").finish()
    assert tracer.provider is provider is trace.get_tracer_provider()
    assert tracer.flush()
    ot_bridge.uninstall()
    assert provider.stopped == 0
    assert trace.get_tracer_provider() is provider
    trace.get_tracer("theirs").start_span("later").end()
    assert [span.name for span in provider.spans.get_finished_spans()] == ["ours", "later"]
    assert [span.name for span in added.get_finished_spans()] == ["ours"]
    trace.set_tracer_provider(SdkTracerProvider(shutdown_on_exit=False))
    assert trace.get_tracer_provider() is provider  # its guard is still closed
    assert "Overriding" in caplog.text


@pytest.mark.parametrize("empty", [None, trace.NoOpTracerProvider(), trace.ProxyTracerProvider()], ids=shown)
def test_only_opentelemetrys_empty_providers_are_replaced(
    empty: Any, caplog: pytest.LogCaptureFixture
) -> None:
    if empty is not None:
        trace.set_tracer_provider(empty)
    tracer = ot_bridge.install(exporters=[])
    assert trace.get_tracer_provider() is tracer.provider is not empty
    ot_bridge.uninstall()
    assert trace.get_tracer_provider() is not tracer.provider
    assert not caplog.records


def test_arguments_that_another_provider_makes_useless_are_named_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    trace.set_tracer_provider(Wrapping())
    ot_bridge.install("shop", sampler="always_on", trace_id_bits=64)
    (record,) = caplog.records
    said = record.getMessage()
    assert "service_name=..., sampler=..., trace_id_bits=..." in said
    assert "tests.install.test_others.Wrapping" in said
    assert "call install() first" in said


def test_a_provider_that_takes_no_processors_makes_exporters_useless(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Plain(trace.TracerProvider):
        def get_tracer(self, *arguments: Any, **named: Any) -> trace.Tracer:
            return trace.NoOpTracer()

    trace.set_tracer_provider(Plain())
    ot_bridge.install(exporters=["console"])
    assert "install(exporters=...) is ignored" in caplog.text


def test_nothing_is_said_where_nothing_is_ignored(caplog: pytest.LogCaptureFixture) -> None:
    ot_bridge.install(tracer_provider=Wrapping(), propagators="b3", exporters=[])
    assert not caplog.records


def test_what_other_code_has_set_since_stays() -> None:
    ot_bridge.install(exporters=[])
    tracer, textmap = opentracing.Tracer(), Propagator(["b3"])
    opentracing.set_global_tracer(tracer)
    propagate.set_global_textmap(textmap)
    ot_bridge.uninstall()
    assert opentracing.global_tracer() is tracer
    assert propagate.get_global_textmap() is textmap


def test_the_instrumentor_takes_back_the_tracer_that_it_has_set_and_no_other() -> None:
    OpenTracingInstrumentor().instrument()
    assert opentracing.is_global_tracer_registered()
    OpenTracingInstrumentor().uninstrument()
    assert not opentracing.is_global_tracer_registered()

    tracer = opentracing.Tracer()
    opentracing.set_global_tracer(tracer)
    OpenTracingInstrumentor().instrument()
    OpenTracingInstrumentor().uninstrument()
    assert opentracing.global_tracer() is tracer

    OpenTracingInstrumentor().uninstrument()
    assert opentracing.global_tracer() is tracer


def test_a_processor_of_the_programs_is_not_shut_down_with_us() -> None:
    class Kept(SimpleSpanProcessor):
        stopped = False

        def shutdown(self) -> None:
            self.stopped = True

    processor = Kept(InMemorySpanExporter())
    ot_bridge.install(tracer_provider=Wrapping(), exporters=[processor])
    ot_bridge.uninstall()
    assert not processor.stopped


@pytest.mark.parametrize(
    "make",
    [
        lambda: TracingMiddleware(lambda *_: [], 3),  # type: ignore[arg-type]
        lambda: trace_wsgi(lambda *_: [], tracer=3),
        lambda: client_interceptor(3),  # type: ignore[arg-type]
        lambda: server_interceptor(3),  # type: ignore[arg-type]
        lambda: trace_channel(None, 3),  # type: ignore[call-overload]
        lambda: ot_bridge.create_tracer(3),  # type: ignore[arg-type]
        lambda: ot_bridge.create_tracer(Wrapping(), scope_manager=3),  # type: ignore[arg-type]
        lambda: ot_bridge.create_tracer(Wrapping(), propagators=3),
    ],
)
def test_what_is_no_tracer_provider_or_scope_manager_is_refused_at_once(make: Any) -> None:
    with pytest.raises(ConfigurationError):
        make()
