"""`ot-bridge config` prints the effective values, their sources, and the matching `OTEL_*` variables."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from ot_bridge.cli.jaeger_file import read
from ot_bridge.cli.main import main
from ot_bridge.jaeger_client.settings import ROWS, resolve
from ot_bridge.jaeger_client.translate import Line, effective, lines


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("JAEGER_", "OTEL_")):
            monkeypatch.delenv(name)


def _variables(config: dict[str, Any], **environment: str) -> dict[str, str]:
    return {line.variable: line.text for line in lines(config, environment) if line.variable}


def _comments(config: dict[str, Any], **environment: str) -> str:
    return "\n".join(line.text for line in lines(config, environment) if not line.variable)


def test_every_setting_is_shown_with_its_value_and_source(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JAEGER_AGENT_HOST", "there")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "99")
    monkeypatch.setenv("JAEGER_TAGS", "a=1")
    file = tmp_path / "jaeger.yml"
    file.write_text("sampler: {type: const, param: 1}\nreporter_batch_size: 5\n")
    assert main(["config", str(file), "--service-name", "shop"]) == 0
    table, _, rest = capsys.readouterr().out.partition("\n\n")
    rows = [re.split(r"  +", line) for line in table.splitlines() if line.startswith("jaeger.")]
    assert {row[0][7:] for row in rows} == {*ROWS, "tags.a"}
    for row in (
        ["service_name", "shop", "argument"],
        ["sampler_type", "const", f"{file}: sampler.type"],
        ["reporting_host", "there", "JAEGER_AGENT_HOST"],
        ["traces_endpoint", "http://there:4318/v1/traces", "reporting_host"],
        ["reporter_queue_size", "99", "OTEL_BSP_MAX_QUEUE_SIZE"],
        ["max_operations", "-", "default"],
        ["tags.a", "1", "JAEGER_TAGS"],
    ):
        assert [f"jaeger.{row[0]}", *row[1:]] in rows
    assert "\nThe same in OpenTelemetry's variables:\nOTEL_SERVICE_NAME=shop\n" in rest


@pytest.mark.parametrize(
    ("command", "shown"),
    [("config", True), ("config FILE", True), ("doctor --no-send", False), ("doctor --no-send FILE", True)],
)
def test_a_configuration_is_also_shown_in_opentelemetrys_variables(
    command: str, shown: bool, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "jaeger.yml").write_text("service_name: shop\n")
    words = command.replace("FILE", str(tmp_path / "jaeger.yml")).split()
    main(words)
    assert ("The same in OpenTelemetry's variables:" in capsys.readouterr().out) == shown
    main([*words, "--json"])
    assert json.loads(capsys.readouterr().out)["rows"]


SAMPLERS: dict[str, tuple[Any, dict[str, str]]] = {
    "const": ({"type": "const", "param": 1}, {"OTEL_TRACES_SAMPLER": "parentbased_always_on"}),
    "const off": ({"type": "const", "param": "false"}, {"OTEL_TRACES_SAMPLER": "parentbased_always_off"}),
    "probabilistic": (
        {"type": "probabilistic", "param": 0.1},
        {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"},
    ),
    "ratelimiting": (
        {"type": "ratelimiting", "param": 3},
        {"OTEL_TRACES_SAMPLER": "ot_bridge", "OTEL_TRACES_SAMPLER_ARG": "3/s"},
    ),
    "remote": (
        {},
        {
            "OTEL_TRACES_SAMPLER": "parentbased_jaeger_remote",
            "OTEL_TRACES_SAMPLER_ARG": "endpoint=http://localhost:5778/sampling,"
            "pollingIntervalMs=60000,initialSamplingRate=0.001",
        },
    ),
}


@pytest.mark.parametrize(("sampler", "expected"), SAMPLERS.values(), ids=SAMPLERS)
def test_each_sampler_is_translated_to_variables_that_configure_the_same_sampler(
    sampler: Any, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ot_bridge.provider import build_provider

    got = {k: v for k, v in _variables({"sampler": sampler}).items() if k.startswith("OTEL_TRACES_SAMPLER")}
    assert got == expected
    for name, text in got.items():
        monkeypatch.setenv(name, text)
    description = build_provider("service", exporters=[]).sampler.get_description()
    assert {
        "parentbased_always_on": "AlwaysOnSampler",
        "parentbased_always_off": "AlwaysOffSampler",
        "parentbased_traceidratio": "TraceIdRatioBased{0.1}",
        "ot_bridge": "rate_limited(3.0)",
        "parentbased_jaeger_remote": "JaegerRemoteSampler",
    }[got["OTEL_TRACES_SAMPLER"]] in description


def test_an_unknown_sampler_is_reported_in_a_comment() -> None:
    assert "sampler: 'lucky' is none of const" in _comments({"sampler": {"type": "lucky"}})


def test_the_variables_have_the_values_of_the_dictionary() -> None:
    config: dict[str, Any] = {
        "service_name": "shop",
        "reporter_queue_size": 500,
        "reporter_batch_size": 50,
        "reporter_flush_interval": 0.25,
        "max_tag_value_length": 77,
    }
    variables = _variables(config)
    for name, value in config.items():
        assert resolve(name, {}, variables).value == value
    assert _variables({}, **variables) == variables


def test_opentelemetrys_variables_are_not_changed() -> None:
    given = {
        "OTEL_TRACES_SAMPLER": "always_on",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318",
        "OTEL_PROPAGATORS": "xray",
        "OTEL_TRACES_EXPORTER": "console",
    }
    got = _variables({"service_name": "shop", "local_agent": {"reporting_host": "a"}}, **given)
    assert {name: got[name] for name in given} == given


def test_the_rest_of_the_configuration_is_translated_or_explained() -> None:
    config = {
        "tags": {"a b": "c,d"},
        "logging": True,
        "propagation": "b3",
        "trace_id_header": "x",
        "throttler": {"port": 1},
        "local_agent": {"reporting_host": "::1"},
    }
    variables, comments = _variables(config, JAEGER_DISABLED="true"), _comments(config)
    assert variables["OTEL_SDK_DISABLED"] == "true"
    assert variables["OTEL_RESOURCE_ATTRIBUTES"] == "a%20b=c%2Cd"
    assert variables["OTEL_PROPAGATORS"] == "b3multi"
    assert variables["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] == "http://[::1]:4318/v1/traces"
    for word in ("service_name", "logging", "trace_id_header", "throttler", "128 bits", "propagator-b3"):
        assert word in comments
    assert "128 bits" not in _comments({"generate_128bit_trace_id": True})
    assert (
        _variables({}, JAEGER_PROPAGATION="jaeger,w3c")["OTEL_PROPAGATORS"] == "jaeger,tracecontext,baggage"
    )


def test_spans_go_to_the_collectors_address_unless_the_program_names_a_host() -> None:
    environment = {"JAEGER_ENDPOINT": "http://collector:14268/api/traces", "JAEGER_AGENT_HOST": "agent"}
    endpoint = effective({}, environment)["traces_endpoint"]
    assert endpoint == ("http://collector:4318/v1/traces", "JAEGER_ENDPOINT")
    endpoint = effective({"local_agent": {"reporting_host": "here"}}, environment)["traces_endpoint"]
    assert endpoint == ("http://here:4318/v1/traces", "reporting_host")


def test_a_line_is_quoted_for_the_shell() -> None:
    assert str(Line("A", "b")) == "A=b"
    assert str(Line("", "why")) == "# why"


FILES = {
    "yaml": "sampler:\n  type: const\n  param: true\n",
    "json": '{"sampler": {"type": "const", "param": true}}',
    "python": "{'sampler': {'type': 'const', 'param': True}}",
    "within more": "name: app\ntracing:\n  config:\n    sampler: {type: const, param: 1}\n",
    "a section": json.dumps({"jaeger": {"sampler": {"type": "const", "param": 1}}}),
}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_a_file_may_hold_yaml_json_or_python(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert main(["config", "-", "--otel"]) == 0
    assert "OTEL_TRACES_SAMPLER=parentbased_always_on\n" in capsys.readouterr().out


NAMED = {
    "in the section": ("config: {service_name: shop}\n", "shop"),
    "beside the section": ("service_name: shop\nconfig: {sampler: {type: const}}\n", "shop"),
    "beside an outer section": ("tracing:\n  service_name: shop\n  config: {tags: {a: b}}\n", "shop"),
    "in both": ("service_name: outer\nconfig: {service_name: inner}\n", "inner"),
}


@pytest.mark.parametrize(("text", "name"), NAMED.values(), ids=NAMED)
def test_the_service_name_may_stand_beside_the_section_of_the_configuration(
    text: str, name: str, tmp_path: Path
) -> None:
    file = tmp_path / "jaeger.yml"
    file.write_text(text)
    assert read(str(file))["service_name"] == name


def test_an_invalid_configuration_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "list.yml"
    file.write_text("- 1\n- 2\n")
    assert main(["config", str(file)]) == 2
    assert f"{file}: no dictionary in YAML, JSON or Python" in capsys.readouterr().err
    assert main(["config", str(tmp_path / "missing")]) == 2
    monkeypatch.setenv("JAEGER_REPORTER_MAX_QUEUE_SIZE", "many")
    assert main(["config"]) == 1
    assert "JAEGER_REPORTER_MAX_QUEUE_SIZE='many': expected a whole number above 0" in capsys.readouterr().out


USELESS = {
    "tags": ({"tags": ["a"]}, "tags: expected keys and values, not ['a']"),
    "host": (
        {"local_agent": {"reporting_host": 5}},
        "local_agent.reporting_host: expected a text, not 5",
    ),
    "formats": ({"propagation": ["b3"]}, "propagation: expected a text, not ['b3']"),
    "type": ({"sampler": {"type": ["a"]}}, "sampler.type: expected a text, not ['a']"),
    "group": ({"sampler": 5}, "sampler: expected keys and values, not 5"),
    "size": ({"reporter_batch_size": "x"}, "reporter_batch_size: expected a number, not 'x'"),
}


@pytest.mark.parametrize(("config", "problem"), USELESS.values(), ids=USELESS)
@pytest.mark.parametrize("option", [[], ["--otel"]], ids=["table", "otel"])
def test_an_invalid_value_gives_an_error_message(
    config: dict[str, Any],
    problem: str,
    option: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(config)))
    assert main(["config", "-", *option]) == 2
    assert capsys.readouterr().err.startswith(f"ot-bridge config: -: {problem}")


UNREAD: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nothing": ({}, []),
    "a key of each kind": ({"tags": {"any": "thing"}, "sampler": {"type": "const"}, "logging": True}, []),
    "keys that are not refused": ({"metrics": True, "max_operations": 5, "debug_id_header": "x"}, []),
    "a typing error": (
        {"loging": True},
        ["loging has no effect: Config has no such key. Did you mean logging?"],
    ),
    "a typing error in a group": (
        {"sampler": {"tipe": "const", "param": 1}},
        ["sampler.tipe has no effect: Config has no such key. Did you mean sampler.type?"],
    ),
    "a section that is none": ({"config": 5}, ["config has no effect: Config has no such key"]),
    "a group that is none": (
        {"reporter": {"port": 1}},
        ["reporter has no effect: Config has no such key"],
    ),
}


@pytest.mark.parametrize(("config", "found"), UNREAD.values(), ids=UNREAD)
def test_a_key_in_a_file_that_nothing_reads_is_named_with_the_nearest_known_key(
    config: dict[str, Any],
    found: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(config)))
    assert main(["config", "-", "--service-name", "shop"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("! file")] == [f"! file  -: {each}" for each in found]


def test_yaml_without_pyyaml_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("importlib.import_module", missing)
    file = tmp_path / "jaeger.yml"
    file.write_text("sampler: {type: const}")
    with pytest.raises(ValueError, match="pip install pyyaml"):
        read(str(file))


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"])
@pytest.mark.parametrize("endpoint", ["", "http://collector:4317"])
def test_the_protocol_in_the_environment_is_kept(
    variable: str, endpoint: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, "grpc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint)
    assert main(["config", "--otel"]) == 0
    printed = capsys.readouterr().out
    assert "OTEL_EXPORTER_OTLP_PROTOCOL=grpc\n" in printed
    assert f"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT={endpoint or 'http://localhost:4317'}\n" in printed


def test_a_yaml_file_without_pyyaml_names_the_package(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tracing.yml"
    file.write_text("service_name: shop\n")
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert main(["config", str(file)]) == 2
    assert f"{file}: reading YAML needs PyYAML: pip install pyyaml" in capsys.readouterr().err
