"""`install()`: what it registers, what it reads from the environment, and what it logs."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import opentracing
import pytest
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentracing import Format

import ot_bridge
from ot_bridge import otel
from ot_bridge.delivery import DeliveryProcessor
from ot_bridge.errors import ConfigurationError
from ot_bridge.propagation import parse_propagators
from ot_bridge.sampling import OperationSampler, always_off, always_on
from tests.ids import param_id

FAILURE, SUCCESS = SpanExportResult.FAILURE, SpanExportResult.SUCCESS


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("OTEL_PROPAGATORS", "OTEL_TRACES_EXPORTER", "OTEL_SERVICE_NAME"):
        monkeypatch.delenv(name, raising=False)
    yield
    ot_bridge.uninstall()


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def test_install_registers_both_apis_with_the_same_propagators(exporter: InMemorySpanExporter) -> None:
    tracer = ot_bridge.install("shop", exporters=[exporter])
    assert opentracing.global_tracer() is tracer
    assert opentracing.tracer is tracer
    assert opentracing.is_global_tracer_registered()
    assert trace.get_tracer_provider() is tracer.provider
    with tracer.start_active_span("a"):
        ours: dict[str, str] = {}
        theirs: dict[str, str] = {}
        tracer.inject(tracer.active_span, Format.HTTP_HEADERS, ours)
        propagate.inject(theirs)
    assert set(ours) == {"traceparent", "uber-trace-id"}
    assert theirs == ours
    assert tracer.flush()
    (span,) = exporter.get_finished_spans()
    assert span.resource.attributes["service.name"] == "shop"


def test_opentelemetry_spans_are_children_of_our_active_span(exporter: InMemorySpanExporter) -> None:
    tracer = ot_bridge.install("shop", exporters=[exporter])
    with tracer.start_active_span("ours"), trace.get_tracer("lib").start_as_current_span("theirs"):
        pass
    tracer.flush()
    inner, outer = exporter.get_finished_spans()
    assert inner.parent is not None
    assert inner.parent.span_id == outer.context.span_id


def test_a_second_call_returns_the_first_tracer_and_warns_once(
    exporter: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    exporters = [exporter]
    tracer = ot_bridge.install("shop", exporters=exporters)
    assert ot_bridge.install("shop", exporters=exporters) is tracer
    assert not caplog.records
    assert ot_bridge.install("other") is ot_bridge.install("another") is tracer
    assert len(caplog.records) == 1


def test_threads_that_install_at_once_get_one_tracer(exporter: InMemorySpanExporter) -> None:
    tracers: list[Any] = []
    exporters = [exporter]
    threads = [
        threading.Thread(target=lambda: tracers.append(ot_bridge.install("shop", exporters=exporters)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tracers) == 8
    assert len(set(map(id, tracers))) == 1


def test_uninstall_restores_the_previous_globals() -> None:
    before = opentracing.tracer, propagate.get_global_textmap(), trace.get_tracer_provider()
    ot_bridge.install("shop", exporters=[])
    ot_bridge.uninstall()
    assert (opentracing.tracer, propagate.get_global_textmap(), trace.get_tracer_provider()) == before
    assert not opentracing.is_global_tracer_registered()


def test_with_set_global_false_the_globals_are_not_changed() -> None:
    tracer = ot_bridge.install("shop", exporters=[], set_global=False)
    assert opentracing.global_tracer() is not tracer
    assert trace.get_tracer_provider() is not tracer.provider


def test_a_provider_given_by_the_user_is_used_unchanged(exporter: InMemorySpanExporter) -> None:
    provider = SdkTracerProvider(shutdown_on_exit=False)
    tracer = ot_bridge.install(tracer_provider=provider, exporters=[SimpleSpanProcessor(exporter)])
    tracer.start_span("a").finish()
    assert tracer.provider is provider
    assert [span.name for span in exporter.get_finished_spans()] == ["a"]


def test_an_existing_global_provider_is_used() -> None:
    before = otel.provider_slot()
    otel.hold_provider(agents := SdkTracerProvider(shutdown_on_exit=False))
    try:
        assert ot_bridge.install("shop").provider is agents
    finally:
        ot_bridge.uninstall()
        otel.hold_provider(*before)


def test_with_engine_false_the_provider_is_the_sdks_own() -> None:
    assert type(ot_bridge.install(exporters=[], engine=False).provider) is SdkTracerProvider


def test_install_uses_the_given_sampler(exporter: InMemorySpanExporter) -> None:
    tracer = ot_bridge.install(exporters=[exporter], sampler=ALWAYS_OFF)
    assert tracer.start_span("a").context.sampled is False


@pytest.mark.parametrize(
    ("spec", "headers"),
    [
        ("b3", {"b3"}),
        ("jaeger,b3multi", {"uber-trace-id", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled"}),
        (["tracecontext"], {"traceparent"}),
        ("none", set()),
    ],
    ids=param_id,
)
def test_propagators_can_be_given_by_name_or_by_the_environment(
    spec: Any, headers: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for given in (True, False):
        if not given:
            monkeypatch.setenv("OTEL_PROPAGATORS", spec if isinstance(spec, str) else ",".join(spec))
        tracer = ot_bridge.install(exporters=[], propagators=spec if given else None)
        carrier: dict[str, str] = {}
        tracer.inject(tracer.start_span("a"), Format.HTTP_HEADERS, carrier)
        assert {name.lower() for name in carrier} == headers
        ot_bridge.uninstall()


def test_baggage_is_encoded_in_http_headers_and_not_in_text_maps() -> None:
    tracer = ot_bridge.install(exporters=[], propagators="jaeger")
    span = tracer.start_span("a").set_baggage_item("k", "a b")
    carriers: tuple[dict[str, str], dict[str, str]] = ({}, {})
    tracer.inject(span, Format.TEXT_MAP, carriers[0])
    tracer.inject(span, Format.HTTP_HEADERS, carriers[1])
    assert [carrier["uberctx-k"] for carrier in carriers] == ["a b", "a%20b"]


@pytest.mark.parametrize("bits", [64, 128])
def test_trace_ids_have_the_configured_length(bits: int) -> None:
    tracer = ot_bridge.install(exporters=[], trace_id_bits=bits)
    assert all((tracer.start_span("a").context.trace_id >> 64 == 0) is (bits == 64) for _ in range(20))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"propagators": "jager"}, "jaeger"),
        ({"propagators": 7}, "names, formats or propagators"),
        ({"propagators": [7]}, "names, formats or propagators"),
        ({"exporters": [7]}, "span processors"),
        ({"exporters": [], "sampler": "often"}, "expected one of always_on, .*ot_bridge"),
        ({"exporters": [], "sampler": 3}, "sampler or its name"),
        ({"exporters": 3}, "expected a list"),
        ({"exporters": []} | {"scope_manager": 3}, "an OpenTracing scope manager"),
        ({"tracer_provider": 3}, "tracer provider"),
        ({"exporters": ["jaeger"]}, "Jaeger takes OTLP"),
        ({"exporters": ["otlp", "olpt"]}, "expected one of .*otlp"),
        ({"exporters": ["olpt"]}, "console"),
        ({"exporters": [], "trace_id_bits": 65}, "64 or 128"),
    ],
    ids=param_id,
)
def test_an_unknown_name_is_an_error_that_lists_the_known_names(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        ot_bridge.install(**arguments)


def test_without_configuration_install_logs_where_spans_are_sent(caplog: pytest.LogCaptureFixture) -> None:
    ot_bridge.install("shop")
    (record,) = [record for record in caplog.records if record.name == "ot_bridge"]
    assert "localhost:4318" in record.getMessage()
    assert "OTEL_TRACES_EXPORTER=none" in record.getMessage()


def test_with_configuration_install_logs_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    tracer = ot_bridge.install("shop")
    tracer.start_span("a").finish()
    assert tracer.flush(20) is True
    assert not caplog.records


@pytest.mark.parametrize("name", ["jaeger", "b3", "b3multi", "ottrace", "xray"])
def test_our_names_in_opentelemetrys_variables_do_not_break_its_import(name: str) -> None:
    """OpenTelemetry looks these up when it is imported; ours are looked up when they are first used."""
    program = "import ot_bridge, opentelemetry.propagate as p\nprint(*sorted(p.get_global_textmap().fields))"
    environment = {**os.environ, "OTEL_PROPAGATORS": name}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        env=environment,
    )
    assert done.stdout.split() == sorted(parse_propagators(name).fields)


def test_a_sampler_of_ours_is_named_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "ot_bridge")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    assert ot_bridge.install(exporters=[]).start_span("a").context.sampled is False


def test_the_sampler_decides_for_roots_and_children_follow_their_parent() -> None:
    tracer = ot_bridge.install(exporters=[], sampler=OperationSampler([("kept", always_on)], always_off))
    with tracer.start_active_span("kept"):
        assert tracer.start_span("anything").context.sampled is True
    with tracer.start_active_span("dropped"):
        assert tracer.start_span("kept").context.sampled is False


def test_an_x_ray_exporter_selects_x_ray_ids_and_the_x_ray_header() -> None:
    tracer = ot_bridge.install(exporters=["xray_daemon"])
    context = tracer.start_span("a").context
    carrier: dict[str, str] = {}
    tracer.inject(context, Format.HTTP_HEADERS, carrier)
    assert abs((context.trace_id >> 96) - time.time()) < 60
    assert {name.lower() for name in carrier} == {"traceparent", "uber-trace-id", "x-amzn-trace-id"}


class Failing(SpanExporter):
    """An exporter whose collector is unreachable, in one of several ways."""

    def __init__(self, behaviour: Any) -> None:
        self.behaviour = behaviour

    def export(self, spans: Any) -> SpanExportResult:
        logging.getLogger("opentelemetry.exporter.test").error("cannot send %d", len(spans))
        result: SpanExportResult = self.behaviour()
        return result


def _raise() -> SpanExportResult:
    raise OSError("refused")


@pytest.mark.parametrize("behaviour", [lambda: SpanExportResult.FAILURE, _raise], ids=["fails", "raises"])
def test_flush_returns_false_if_spans_were_lost_and_the_log_stays_short(
    behaviour: Any, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("opentelemetry.exporter.test")
    tracer = ot_bridge.install(exporters=[Failing(behaviour)])
    for _ in range(5):
        tracer.start_span("a").finish()
        assert tracer.flush() is False
    assert len([r for r in caplog.records if r.name == "opentelemetry.exporter.test"]) <= 1
    ours = [r.getMessage() for r in caplog.records if r.name == "ot_bridge.delivery"]
    assert len(ours) == len(set(ours)) <= 2  # the exception, and the number of spans


def test_flush_does_not_wait_for_an_exporter_that_hangs() -> None:
    let_go = threading.Event()

    def hang() -> SpanExportResult:
        let_go.wait(30)
        return SpanExportResult.SUCCESS

    tracer = ot_bridge.install(exporters=[Failing(hang)])
    tracer.start_span("a").finish()
    assert tracer.flush(0.05) is False
    let_go.set()
    assert tracer.flush(10) is True


_AT_EXIT = """
import sys
import ot_bridge
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

class Printing(SpanExporter):
    def export(self, spans):
        print("exported", *[span.name for span in spans], flush=True)
        return SpanExportResult.SUCCESS

    def shutdown(self):
        print("shut down", flush=True)

tracer = ot_bridge.install("shop", exporters=[Printing()])
tracer.start_span("last").finish()
"""


def test_finished_spans_are_exported_at_exit_and_the_exporter_is_shut_down() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _AT_EXIT], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "exported last\nshut down\n"
    assert done.stderr == ""


def test_close_can_be_called_twice_and_the_exit_logs_nothing() -> None:
    program = _AT_EXIT + "assert tracer.close() is tracer.close()\nassert tracer.close().result(5) is True\n"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "exported last\nshut down\n"
    assert done.stderr == ""


@pytest.mark.parametrize("engine", [True, False], ids=["engine", "sdk"])
@pytest.mark.parametrize("decided", [True, False], ids=["on", "off"])
def test_a_static_sampler_overrides_the_caller_but_not_a_local_parent(engine: bool, decided: bool) -> None:
    tracer = ot_bridge.install(exporters=[], sampler=always_on if decided else always_off, engine=engine)
    flag = "00" if decided else "01"
    caller = tracer.extract(Format.TEXT_MAP, {"traceparent": f"00-{7:032x}-{7:016x}-{flag}"})
    assert tracer.start_span("a", child_of=caller).context.sampled is decided
    with tracer.start_active_span("other", sampler=always_off if decided else always_on):
        assert tracer.start_span("below").context.sampled is not decided


def test_a_flush_returns_false_if_spans_were_lost_since_the_previous_flush() -> None:
    away = [True]
    processor = DeliveryProcessor(Failing(lambda: FAILURE if away else SUCCESS), max_export_batch_size=1)
    tracer = ot_bridge.install(exporters=[processor])
    tracer.start_span("lost").finish()
    for _ in range(5000):
        if processor.counts().lost:
            break
        time.sleep(0.001)
    away.clear()
    tracer.start_span("delivered").finish()
    assert tracer.flush() is False
    assert tracer.flush() is True
