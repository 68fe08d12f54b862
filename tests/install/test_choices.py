"""Each name and each variable that chooses a part: exporters, samplers, id generators, limits, protocols."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import SpanLimits, sampling

from ot_bridge import choices, exporters
from ot_bridge.errors import ConfigurationError
from ot_bridge.variables import usable
from tests import needs


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_TRACES_SAMPLER_ARG", *(v for names in LIMITS.values() for v in names)):
        monkeypatch.delenv(name, raising=False)
    for name in (*PROTOCOL_VARIABLES, *CREDENTIALS, "AWS_XRAY_DAEMON_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


EXPORTERS = {
    "console": "ConsoleSpanExporter",
    "ot_bridge_otlp": "OTLPSpanExporter",
    "ot_bridge_tree": "TreeExporter",
    "xray": "XRayExporter",
    "xray_daemon": "XRayDaemonExporter",
    "xray_otlp": "XRayOTLPExporter",
}


def test_the_tables_of_this_file_are_complete() -> None:
    assert exporters.EXPORTERS.own.keys() == EXPORTERS.keys()
    assert choices.SAMPLERS.known()[: len(SAMPLERS) + len(RATIOS)] == [*SAMPLERS, *RATIOS]
    assert choices._LIMITS.keys() == LIMITS.keys()


@pytest.mark.parametrize("name", EXPORTERS)
def test_an_exporter_name_is_case_insensitive(name: str) -> None:
    for given in (name, f" {name} ", name.upper()):
        made: Any = exporters.exporter_factory(given)
        assert made.func.__name__ == EXPORTERS[name]


def test_the_x_ray_daemon_exporter_is_used_if_its_address_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", "127.0.0.1:2000")
    made: Any = exporters.exporter_factory("xray")
    assert made.func.__name__ == "XRayDaemonExporter"


@pytest.mark.parametrize("name", ["", "none", "NONE", " none "])
def test_the_exporter_name_none_means_no_exporter(name: str) -> None:
    assert exporters.exporter_factory(name) is None


HINTS = {
    "jaeger": (None, "Jaeger takes OTLP itself from 1.35 on: name otlp"),
    "xray": ("ot_bridge.xray.api", "pip install 'ot-bridge[xray]'"),
    "xray_otlp": ("ot_bridge.xray.otlp", "pip install 'ot-bridge[xray]'"),
}


@pytest.mark.parametrize("name", HINTS)
def test_an_exporter_that_cannot_be_loaded_logs_what_to_do(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, hint = HINTS[name]
    if module is not None:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError) as error:
        exporters.exporter_factory(name)
    assert (error.value.option, error.value.value) == ("exporters", name)
    assert error.value.reason.startswith(hint)
    assert "expected one of otlp, none, console, " in error.value.reason


PROTOCOL_VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
MISSING = {
    "grpc": ("opentelemetry.exporter.otlp.proto.grpc.trace_exporter", "pip install 'ot-bridge[otlp-grpc]'"),
    "http/json": (
        "opentelemetry.exporter.otlp.json.http.trace_exporter",
        "pip install 'ot-bridge[otlp-json]'",
    ),
}


@pytest.mark.parametrize("variable", PROTOCOL_VARIABLES)
@pytest.mark.parametrize("protocol", MISSING)
def test_a_protocol_without_its_package_names_the_variable_and_the_extra(
    variable: str, protocol: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    module, hint = MISSING[protocol]
    monkeypatch.setenv(variable, protocol.upper())
    monkeypatch.setitem(sys.modules, module, None)
    assert exporters.exporter_factory("otlp") is None
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (
            logging.ERROR,
            f"{variable}={protocol.upper()!r}: its exporter is not installed: {hint}; nothing is exported",
        )
    ]


CREDENTIALS = (
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER",
    "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER",
)


@pytest.mark.parametrize("variable", CREDENTIALS)
def test_a_credential_provider_variable_requires_opentelemetrys_exporter(
    variable: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(variable, "mine")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    assert exporters.exporter_factory("otlp") is None
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{variable}='mine': its exporter is not installed: "
        "pip install opentelemetry-exporter-otlp-proto-http; nothing is exported"
    )


@pytest.mark.parametrize(
    ("first", "second", "expected", "target"),
    [
        ("", "", "http/protobuf", "http://localhost:4318/v1/traces"),
        ("grpc", "http/json", "grpc", "http://localhost:4317"),
        ("", "HTTP/JSON", "http/json", "http://localhost:4318/v1/traces"),
        ("smoke", "grpc", "http/protobuf", "http://localhost:4318/v1/traces"),
    ],
)
def test_the_variable_for_traces_decides_on_the_protocol(
    first: str, second: str, expected: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in zip(PROTOCOL_VARIABLES, (first, second), strict=True):
        monkeypatch.setenv(variable, value)
    assert exporters.protocol() == expected
    assert exporters.default_target() == target


#: The endpoint that a program gives -> the one that it gets with gRPC.
ENDPOINTS = {
    "http://h:4318/v1/traces": "http://h:4317",
    "https://h:4318": "https://h:4317",
    "http://[::1]:4318/v1/traces": "http://[::1]:4317",
    "http://h:4319/v1/traces": "http://h:4319/v1/traces",
    "http://h/v1/traces": "http://h/v1/traces",
    "h:4318": "h:4318",
}


@pytest.mark.parametrize("protocol", ["http/protobuf", pytest.param("grpc", marks=needs.otlp_over_grpc)])
@pytest.mark.parametrize("given", ENDPOINTS)
def test_an_endpoint_with_the_port_of_http_gets_another_port_with_grpc_only(
    given: str, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    made: Any = exporters.exporter_factory("otlp", endpoint=given, timeout=5)
    expected = ENDPOINTS[given] if protocol == "grpc" else given
    assert made.keywords == {"endpoint": expected, "timeout": 5}
    without: Any = exporters.exporter_factory("otlp", timeout=5)
    assert without.keywords == {"timeout": 5}


@pytest.mark.parametrize(
    ("names", "wrong"),
    [("process", False), ("*", False), (" process , * ", False), ("*,*", False), ("process,hots", True)],
)
def test_resource_detectors_are_named_or_all_of_them(
    names: str, wrong: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", names)
    assert "process.pid" in choices.resource("shop", {}).attributes
    logged = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert [text.partition("=")[0] for text in logged] == ["OTEL_EXPERIMENTAL_RESOURCE_DETECTORS"] * wrong


@pytest.mark.parametrize("names", ["failing", "*", "process,failing"])
def test_a_resource_detector_that_cannot_be_made_is_logged_and_left_out(
    names: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    (tmp_path / "failing.py").write_text("def detector():\n    raise RuntimeError('no cloud')\n")
    (tmp_path / "failing-1.dist-info").mkdir()
    (tmp_path / "failing-1.dist-info" / "METADATA").write_text("Name: failing\nVersion: 1\n")
    (tmp_path / "failing-1.dist-info" / "entry_points.txt").write_text(
        "[opentelemetry_resource_detector]\nfailing = failing:detector\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", names)
    assert ("process.pid" in choices.resource("shop", {}).attributes) is (names != "failing")
    (message,) = caplog.messages
    assert "'failing': RuntimeError: no cloud; expected a detector that can be made" in message


@pytest.mark.parametrize("part", ["team", "=shop", " = "])
def test_a_part_of_the_resource_that_is_no_pair_with_a_name_is_logged_and_left_out(
    part: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", f"a=b,{part},c=")
    found = choices.resource(None, {}).attributes
    assert {name: found[name] for name in found if not name.startswith(("telemetry.", "service."))} == {
        "a": "b",
        "c": "",
    }
    (message,) = caplog.messages
    assert message.endswith(f"expected key=value pairs; {part!r} is none; that part is left out")


SAMPLERS = {
    "always_on": sampling.ALWAYS_ON,
    "always_off": sampling.ALWAYS_OFF,
    "parentbased_always_on": sampling.DEFAULT_ON,
    "parentbased_always_off": sampling.DEFAULT_OFF,
}
RATIOS = {
    "traceidratio": "TraceIdRatioBased{0.25}",
    "parentbased_traceidratio": "ParentBased{root:TraceIdRatioBased{0.25},",
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_without_an_argument_is_the_one_of_opentelemetry(name: str) -> None:
    assert choices.sampler_named(f" {name.upper()} ") is SAMPLERS[name]


@pytest.mark.parametrize("name", RATIOS)
def test_a_ratio_sampler_reads_its_ratio_from_its_variable(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.25")
    assert choices.sampler_named(name).get_description().startswith(RATIOS[name])


@pytest.mark.parametrize(
    ("text", "ratio", "lines"),
    [("", 1.0, 0), ("0", 0.0, 0), ("1", 1.0, 0), ("1.01", 1.0, 1), ("-0.01", 1.0, 1), ("nan", 1.0, 1)],
)
def test_a_ratio_is_a_number_from_0_to_1(
    text: str, ratio: float, lines: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", text)
    made: Any = choices.sampler_named("traceidratio")
    assert made.rate == ratio
    assert [record.getMessage() for record in caplog.records] == [
        f"OTEL_TRACES_SAMPLER_ARG={text!r}: expected a number from 0 to 1; 1.0 is taken"
    ] * lines


@pytest.mark.parametrize(
    ("variable", "read", "begins", "ends"),
    [
        (
            "OTEL_TRACES_SAMPLER",
            choices.sampler_in_environment,
            "expected one of always_on, always_off, ",
            "(OpenTelemetry's default is parentbased_always_on)",
        ),
        (
            "OTEL_PYTHON_ID_GENERATOR",
            choices.id_generator_in_environment,
            "expected one of random, xray",
            "; it counts as unset",
        ),
    ],
    ids=["a sampler", "an ID generator"],
)
def test_an_unknown_name_counts_as_unset(
    variable: str,
    read: Callable[[], object],
    begins: str,
    ends: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv(variable, "often")
    assert read() is None
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith(f"{variable}='often': {begins}")
    assert record.getMessage().endswith(ends)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("random", "RandomIdGenerator"), ("xray", "XRayIdGenerator"), ("XRay", "XRayIdGenerator")],
)
def test_an_id_generator_is_selected_by_its_name(
    name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_PYTHON_ID_GENERATOR", name)
    assert type(choices.id_generator_in_environment()).__name__ == kind


COUNT, LENGTH = "OTEL_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"
#: Limit -> its variables, the first that counts; without one, 128 for a count and none for a length.
LIMITS = {
    "max_attributes": (COUNT,),
    "max_events": ("OTEL_SPAN_EVENT_COUNT_LIMIT",),
    "max_links": ("OTEL_SPAN_LINK_COUNT_LIMIT",),
    "max_span_attributes": ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", COUNT),
    "max_event_attributes": ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", COUNT),
    "max_link_attributes": ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", COUNT),
    "max_attribute_length": (LENGTH,),
    "max_span_attribute_length": ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", LENGTH),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_each_limit_is_read_from_its_variables_or_is_the_default(
    limit: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    default = None if limit.endswith("length") else 128
    assert getattr(choices.span_limits(), limit) == default
    none = 128 if limit == "max_attributes" else None  # the SDK never goes without this one
    assert getattr(choices.span_limits(free=[limit]), limit) == none
    for number, variable in enumerate(reversed(LIMITS[limit])):
        monkeypatch.setenv(variable, str(number))
        assert getattr(choices.span_limits(), limit) == number
    monkeypatch.setenv(variable, "")
    assert getattr(choices.span_limits(), limit) == none
    assert not caplog.records
    for other in LIMITS[limit]:
        monkeypatch.setenv(other, "-1")
    assert getattr(choices.span_limits(), limit) == default
    assert {record.getMessage() for record in caplog.records} >= {
        f"{other}='-1': expected a whole number from 0 on; it counts as unset" for other in LIMITS[limit]
    }


@pytest.mark.parametrize("empty", ["", *dict.fromkeys(v for names in LIMITS.values() for v in names)])
def test_without_variables_and_with_an_empty_one_the_limits_are_the_sdks(
    empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if empty:
        monkeypatch.setenv(empty, "")
    ours, theirs = choices.span_limits(), SpanLimits()
    assert {name: getattr(ours, name) for name in LIMITS} == {name: getattr(theirs, name) for name in LIMITS}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_without_a_default_stays_off_where_a_variable_is_empty(
    limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in LIMITS[limit]:
        with monkeypatch.context() as patched:
            patched.setenv(variable, "")
            none = 128 if limit == "max_attributes" else None
            assert getattr(choices.span_limits(free=[limit]), limit) == none


@pytest.mark.parametrize(("value", "names"), [(None, ["xray"]), ("console", ["console"]), ("", [])])
def test_a_given_value_replaces_the_names_in_the_variable(
    value: str | None, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "xray")
    assert usable("OTEL_TRACES_EXPORTER", exporters.EXPORTERS.load, "otlp", value) == names
