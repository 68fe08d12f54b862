"""If OpenTelemetry lacks a private name that the engine needs, the SDK's own tracer makes the spans."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import Any

import pytest
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentracing import Format

from ot_bridge import engine, jaeger_client, otel
from ot_bridge.bridge import create_tracer
from ot_bridge.jaeger_client.reporter import InMemoryReporter

NAMES = [f"{kind}.{name}" for kind, names in otel.NEEDED.items() for name in names]


@pytest.fixture(autouse=True)
def _asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otel, "_known", {})


def without(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The installed version has the name under another one."""
    kind, _, attribute = name.partition(".")
    names = [each for each in otel.NEEDED[kind] if each != attribute]
    monkeypatch.setattr(otel, "NEEDED", {**otel.NEEDED, kind: (*names, f"{attribute}_of_before")})


def test_the_installed_version_has_all_that_the_engine_needs() -> None:
    assert otel.lacking(sdk.TracerProvider(shutdown_on_exit=False).get_tracer("a")) == []
    assert type(engine.TracerProvider(shutdown_on_exit=False).get_tracer("a")) is engine.Tracer


@pytest.mark.parametrize("name", NAMES)
def test_if_a_private_name_of_the_sdk_is_missing_its_own_tracer_is_used_and_that_is_logged_once(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    without(monkeypatch, name)
    provider, exporter = engine.TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    assert {type(provider.get_tracer(each)) for each in "ab"} == {sdk.Tracer}
    logged = [record for record in caplog.records if record.name == "ot_bridge"]
    assert [record.levelno for record in logged] == [logging.WARNING]
    assert (
        f"has no {name}_of_before, which the engine needs: the SDK's own tracer is used"
        in logged[0].getMessage()
    )
    tracer = create_tracer(provider, propagators="jaeger")
    carrier: dict[str, str] = {}
    with tracer.start_active_span("above", tags={"a": 1}) as scope:
        tracer.inject(scope.span, Format.HTTP_HEADERS, carrier)
        tracer.start_span("below", child_of=tracer.extract(Format.HTTP_HEADERS, carrier)).finish()
    below, above = exporter.get_finished_spans()
    assert (above.name, dict(above.attributes or {}), type(above)) == ("above", {"a": 1}, sdk.ReadableSpan)
    assert below.parent is not None
    assert above.context is not None
    assert below.parent.span_id == above.context.span_id


def test_if_a_private_name_of_the_sdk_is_missing_the_drop_in_works_on_the_sdks_tracer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without(monkeypatch, NAMES[0])
    reporter: Any = InMemoryReporter()
    tracer = jaeger_client.Tracer("service", reporter, jaeger_client.ConstSampler(True))
    with tracer.start_active_span("above"):
        tracer.start_span("below").finish()
    assert [span.operation_name for span in reporter.get_spans()] == ["below", "above"]


def test_if_private_names_of_the_api_are_missing_a_provider_is_set_by_the_public_function(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[Any] = []
    monkeypatch.delattr("opentelemetry.trace._TRACER_PROVIDER")
    monkeypatch.delattr("opentelemetry.trace._TRACER_PROVIDER_SET_ONCE")
    monkeypatch.setattr("opentelemetry.trace.set_tracer_provider", given.append)
    provider = sdk.TracerProvider(shutdown_on_exit=False)
    assert otel.provider_slot() == (None, None)
    otel.hold_provider(None)
    otel.hold_provider(provider)
    assert given == [provider]


@pytest.mark.parametrize(
    "name",
    [
        "opentelemetry.attributes.BoundedAttributes",
        "opentelemetry.context.contextvars_context.ContextVarsRuntimeContext",
        "opentelemetry.context._SUPPRESS_INSTRUMENTATION_KEY",
        "opentelemetry.context._SUPPRESS_HTTP_INSTRUMENTATION_KEY",
        "opentelemetry.trace.span.DEFAULT_TRACE_STATE",
    ],
)
def test_the_package_works_where_opentelemetry_no_longer_has_a_name_that_it_imports(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    program = f"""
import importlib
import opentelemetry.context.contextvars_context, opentelemetry.sdk.trace.export
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
delattr(importlib.import_module({module!r}), {attribute!r})
import ot_bridge
exporter = InMemorySpanExporter()
tracer = ot_bridge.install("a", exporters=[exporter])
with tracer.start_active_span("above", tags={{"a": 1}}):
    tracer.start_span("below").finish()
assert tracer.flush()
print([(span.name, dict(span.attributes)) for span in exporter.get_finished_spans()])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[('below', {}), ('above', {'a': 1})]\n"
    assert ("the SDK's own tracer is used" in done.stderr) is (attribute == "BoundedAttributes"), done.stderr


def test_if_the_private_dictionary_of_trace_state_is_missing_its_constructor_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entries = {"a": "1", "b": "2"}
    expected = otel.state_of(entries)
    monkeypatch.setattr(otel, "_STATE_HAS_DICT", False)
    assert otel.state_of(entries) == expected
    assert otel.state_of(entries).to_header() == "a=1,b=2"
