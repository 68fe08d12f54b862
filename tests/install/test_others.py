"""`install()` beside other code that has set up a provider: what it uses, logs and undoes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import opentracing
import pytest
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import ot_bridge
from ot_bridge.errors import ConfigurationError
from ot_bridge.grpc import (
    aio_client_interceptor,
    aio_server_interceptor,
    client_interceptor,
    server_interceptor,
    trace_channel,
)
from ot_bridge.instrumentor import OpenTracingInstrumentor
from ot_bridge.propagation import Propagator
from ot_bridge.semconv.groups import opt_in
from ot_bridge.wsgi import TracingMiddleware, trace_wsgi
from tests.ids import param_id


@pytest.fixture(autouse=True)
def _globals() -> Iterator[None]:
    """Restores the globals of this process."""
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


def test_a_provider_of_any_type_is_used_and_not_replaced(caplog: pytest.LogCaptureFixture) -> None:
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
    assert trace.get_tracer_provider() is provider  # it still cannot be set a second time
    assert "Overriding" in caplog.text


@pytest.mark.parametrize(
    "empty", [None, trace.NoOpTracerProvider(), trace.ProxyTracerProvider()], ids=param_id
)
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


def test_arguments_that_have_no_effect_on_another_provider_are_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    trace.set_tracer_provider(Wrapping())
    ot_bridge.install("shop", sampler="always_on", trace_id_bits=64)
    (record,) = caplog.records
    message = record.getMessage()
    assert "service_name=..., sampler=..., trace_id_bits=..." in message
    assert "tests.install.test_others.Wrapping" in message
    assert "call install() first" in message


def test_exporters_for_a_provider_without_add_span_processor_are_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Plain(trace.TracerProvider):
        def get_tracer(self, *arguments: Any, **named: Any) -> trace.Tracer:
            return trace.NoOpTracer()

    trace.set_tracer_provider(Plain())
    ot_bridge.install(exporters=["console"])
    assert "install() ignores exporters=...: " in caplog.text


def test_nothing_is_logged_if_no_argument_is_ignored(caplog: pytest.LogCaptureFixture) -> None:
    ot_bridge.install(tracer_provider=Wrapping(), propagators="b3", exporters=[])
    assert not caplog.records


def test_uninstall_keeps_globals_that_other_code_has_set_since() -> None:
    ot_bridge.install(exporters=[])
    tracer, textmap = opentracing.Tracer(), Propagator(["b3"])
    opentracing.set_global_tracer(tracer)
    propagate.set_global_textmap(textmap)
    ot_bridge.uninstall()
    assert opentracing.global_tracer() is tracer
    assert propagate.get_global_textmap() is textmap


def test_uninstrument_removes_only_the_tracer_that_the_instrumentor_has_set() -> None:
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


def test_uninstall_does_not_shut_down_a_processor_of_the_program() -> None:
    class Kept(SimpleSpanProcessor):
        stopped = False

        def shutdown(self) -> None:
            self.stopped = True

    processor = Kept(InMemorySpanExporter())
    ot_bridge.install(tracer_provider=Wrapping(), exporters=[processor])
    ot_bridge.uninstall()
    assert not processor.stopped


@pytest.mark.parametrize("own", ["the program's provider", "install's provider", "the SDK's provider"])
@pytest.mark.parametrize("semconv", ["", "http"])
def test_uninstall_leaves_exporters_and_processors_of_the_program_open(own: str, semconv: str) -> None:
    exporter, other = InMemorySpanExporter(), InMemorySpanExporter()
    processor = SimpleSpanProcessor(other)
    for number in range(2):
        provider = Wrapping() if own == "the program's provider" else None
        tracer = ot_bridge.install(
            tracer_provider=provider,
            exporters=iter([exporter, processor]),  # type: ignore[arg-type]
            set_global=False,
            engine=own != "the SDK's provider",
            semconv=semconv,
        )
        tracer.start_span("a").finish()
        ot_bridge.uninstall()
        assert len(exporter.get_finished_spans()) == len(other.get_finished_spans()) == number + 1


def test_uninstall_shuts_down_the_exporters_that_install_has_made(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[str] = []
    monkeypatch.setattr(ConsoleSpanExporter, "shutdown", lambda self: ended.append("console"))
    tracer = ot_bridge.install(exporters=["console"], set_global=False)
    ot_bridge.uninstall()
    assert ended == ["console"]
    tracer.start_span("late").finish()
    assert "spans that end after the shutdown of their tracer are lost" in caplog.messages


#: A call with an argument of another type -> the argument's name.
UNUSABLE: dict[str, tuple[Any, str]] = {
    "the middleware": (lambda bad: TracingMiddleware(lambda *_: [], bad), "tracer"),
    "trace_wsgi": (lambda bad: trace_wsgi(lambda *_: [], tracer=bad), "tracer"),
    "the client interceptor": (client_interceptor, "tracer"),
    "the client interceptor of aio": (aio_client_interceptor, "tracer"),
    "the server interceptor": (server_interceptor, "tracer"),
    "the server interceptor of aio": (aio_server_interceptor, "tracer"),
    "trace_channel": (lambda bad: trace_channel(None, bad), "tracer"),  # type: ignore[call-overload]
    "create_tracer": (ot_bridge.create_tracer, "tracer_provider"),
    "create_tracer's manager": (lambda bad: ot_bridge.create_tracer(scope_manager=bad), "scope_manager"),
    "create_tracer's propagators": (
        lambda bad: ot_bridge.create_tracer(Wrapping(), propagators=bad),
        "propagators",
    ),
    "install's name": (ot_bridge.install, "service_name"),
    "install's provider": (lambda bad: ot_bridge.install(tracer_provider=bad), "tracer_provider"),
    "install's propagators": (lambda bad: ot_bridge.install(propagators=bad), "propagators"),
    "install's sampler": (lambda bad: ot_bridge.install(sampler=bad), "sampler"),
    "install's exporters": (lambda bad: ot_bridge.install(exporters=bad), "exporters"),
    "one of install's exporters": (lambda bad: ot_bridge.install(exporters=["none", bad]), "exporters"),
    "install's manager": (lambda bad: ot_bridge.install(scope_manager=bad), "scope_manager"),
    "install's length of ids": (lambda bad: ot_bridge.install(trace_id_bits=bad), "trace_id_bits"),
    "install's names of tags": (lambda bad: ot_bridge.install(semconv=bad), "semconv"),
}


class Everything:
    """A class: its instances would be valid, the class itself is not."""

    start_span = get_tracer = activate = should_sample = lambda self: None


@pytest.mark.parametrize("bad", [3, Everything], ids=["a number", "a class"])
@pytest.mark.parametrize("name", UNUSABLE)
def test_an_argument_of_a_wrong_type_is_refused_immediately(name: str, bad: Any) -> None:
    call, option = UNUSABLE[name]
    with pytest.raises(ConfigurationError) as refused:
        call(bad)
    assert refused.value.option == option
    assert not opentracing.is_global_tracer_registered()


@pytest.mark.parametrize("given", [True, False], ids=["given", "ours"])
@pytest.mark.parametrize("exporters", [None, [], [InMemorySpanExporter()]], ids=["none", "empty", "one"])
def test_the_groups_of_names_of_install_are_those_of_the_process_where_it_adds_exporters(
    given: bool, exporters: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    monkeypatch.setenv("OTEL_SEMCONV_STABILITY_OPT_IN", "rpc")
    provider = SdkTracerProvider(shutdown_on_exit=False) if given else None
    ot_bridge.install("shop", tracer_provider=provider, exporters=exporters, semconv="http/dup")
    ignored = given and exporters is None
    assert opt_in() == ({"rpc": False} if ignored else {"http": True})
    ot_bridge.uninstall()
    assert opt_in() == {"rpc": False}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"service_name": "shop"}, ["service_name"]),
        ({"sampler": "always_on"}, ["sampler"]),
        ({"engine": False}, ["engine"]),
        ({"trace_id_bits": 64}, ["trace_id_bits"]),
        ({"semconv": "http"}, ["semconv"]),
        ({"semconv": "http", "exporters": []}, []),
        ({"engine": True, "propagators": "b3"}, []),
        ({"sampler": "always_on", "service_name": "shop"}, ["service_name", "sampler"]),
    ],
    ids=str,
)
def test_each_argument_that_a_given_provider_cannot_follow_is_named(
    options: dict[str, Any], named: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    provider = SdkTracerProvider(shutdown_on_exit=False)
    ot_bridge.install(tracer_provider=provider, set_global=False, **options)
    begin = f"install() ignores {', '.join(f'{name}=...' for name in named)}: the spans are made by other "
    assert [message[: len(begin)] for message in caplog.messages] == [begin] * bool(named)
    assert (
        not named or "by other code's opentelemetry.sdk.trace.TracerProvider; set it up there" in caplog.text
    )


def test_exporters_of_a_provider_that_takes_none_are_named(caplog: pytest.LogCaptureFixture) -> None:
    ot_bridge.install(
        tracer_provider=trace.NoOpTracerProvider(),
        set_global=False,
        exporters=[InMemorySpanExporter()],
        semconv="",
    )
    (message,) = caplog.messages
    assert message.startswith("install() ignores exporters=..., semconv=...: ")
