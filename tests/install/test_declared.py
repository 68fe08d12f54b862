"""`OTEL_CONFIG_FILE`: a file in OpenTelemetry's declarative configuration contains all settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import needs
from tests.install.child import run
from tests.receiver import HttpReceiver

pytestmark = needs.configuration

FILE = """
file_format: "1.0"
resource:
  attributes:
    - {{name: service.name, value: from-the-file}}
propagator:
  composite:
    - b3multi:
tracer_provider:
  sampler:
    {sampler}:
  processors:
    - batch:
        exporter:
          otlp_http:
            endpoint: {endpoint}
"""

#: Its first line leaves out a check of OpenTelemetry's own schema, for half a second; `DROP_IN` keeps it.
PROGRAM = """
import jsonschema; jsonschema.Draft202012Validator.check_schema = lambda *_, **__: None
import logging; logging.basicConfig(format="%(levelname)s %(message)s")
import ot_bridge
tracer = ot_bridge.install({arguments})
with tracer.start_active_span("a") as scope:
    headers = {{}}
    tracer.inject(scope.span, "http_headers", headers)
print(sorted(name.lower() for name in headers), scope.span.context.sampled, tracer.flush(20))
from opentelemetry import propagate, trace
assert not {globals} or trace.get_tracer_provider() is tracer.provider
ot_bridge.uninstall()
print(type(trace.get_tracer_provider()).__name__, flush=True)
import os; os._exit(0)
"""
B3 = "['x-b3-sampled', 'x-b3-spanid', 'x-b3-traceid']"


def _run(file: Path, arguments: str = "", **variables: str) -> tuple[list[str], list[str]]:
    program = PROGRAM.format(arguments=arguments, globals="set_global" not in arguments)
    done = run(program, OTEL_CONFIG_FILE=str(file), **variables)
    return done.stdout.splitlines(), [
        line for line in done.stderr.splitlines() if line.startswith(("ERROR OTEL", "WARN"))
    ]


@pytest.mark.parametrize("arguments", ["", "set_global=False"])
def test_provider_and_propagators_come_from_the_configuration_file_and_other_variables_are_ignored(
    tmp_path: Path, arguments: str
) -> None:
    file = tmp_path / "otel.yaml"
    with HttpReceiver() as receiver:
        file.write_text(FILE.format(sampler="always_on", endpoint=receiver.endpoint))
        printed, logged = _run(
            file,
            arguments,
            OTEL_TRACES_SAMPLER="always_off",
            OTEL_SERVICE_NAME="from-a-variable",
            OTEL_PROPAGATORS="jaeger",
            OTEL_TRACES_EXPORTER="otpl",
        )
        assert printed == [f"{B3} True True", "ProxyTracerProvider"]
        assert logged == []
        assert [span.name for span in receiver.wait(1)] == ["a"]
        (request,) = receiver.requests
        resource = {
            pair.key: pair.value.string_value for pair in request.resource_spans[0].resource.attributes
        }
        assert resource["service.name"] == "from-the-file"


def test_arguments_beside_a_configuration_file_are_ignored_and_logged(tmp_path: Path) -> None:
    file = tmp_path / "otel.yaml"
    file.write_text(FILE.format(sampler="always_off", endpoint="http://127.0.0.1:1/v1/traces"))
    printed, logged = _run(file, '"shop", sampler="always_on", propagators="jaeger", exporters=["console"]')
    assert printed[0].startswith(f"{B3} False")
    (line,) = logged
    assert "service_name=..., propagators=..., sampler=..., exporters=..." in line
    assert "OTEL_CONFIG_FILE" in line


@pytest.mark.parametrize(
    ("text", "says"),
    [(None, "not found"), ("a: [", "parse"), ("file_format: '9.0'", "9.0"), ("file_format: 1\nx: y", "")],
    ids=["missing", "no YAML", "another version", "not by the schema"],
)
def test_an_unreadable_configuration_file_is_logged_and_nothing_is_exported(
    tmp_path: Path, text: str | None, says: str
) -> None:
    file = tmp_path / "otel.yaml"
    if text is not None:
        file.write_text(text)
    printed, logged = _run(file, '"shop"')
    assert printed[0] == "['traceparent', 'uber-trace-id'] True False"
    line, lost = logged
    assert "1 span for an exporter that could not be made is lost" in lost
    assert line.startswith(f"ERROR OTEL_CONFIG_FILE='{file}'")
    assert says in line
    assert "nothing is exported" in line


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    program = "import sys; sys.modules['opentelemetry.configuration'] = None\n" + PROGRAM.format(
        arguments="", globals="True"
    )
    done = run(program, OTEL_CONFIG_FILE=str(tmp_path / "otel.yaml"))
    assert "pip install opentelemetry-configuration; nothing is exported" in done.stderr


def test_a_configuration_file_can_disable_the_sdk(tmp_path: Path) -> None:
    file = tmp_path / "otel.yaml"
    file.write_text('file_format: "1.0"\ndisabled: true\n')
    printed, logged = _run(file)
    assert printed == ["[] False True", "ProxyTracerProvider"]
    assert "disabled=true" in logged[0]


DROP_IN = """
import logging; logging.basicConfig(format="%(levelname)s %(message)s")
from ot_bridge.jaeger_client import Config
tracer = Config({"sampler": {"type": "const", "param": 1}}, service_name="shop").initialize_tracer()
tracer.start_span("a").finish()
print(tracer.flush(20))
tracer.close().result(20)
"""


def test_the_drop_in_exports_to_the_endpoint_of_the_configuration_file(tmp_path: Path) -> None:
    file = tmp_path / "otel.yaml"
    with HttpReceiver() as receiver:
        file.write_text(FILE.format(sampler="always_on", endpoint=receiver.endpoint))
        done = run(DROP_IN, OTEL_CONFIG_FILE=str(file))
        assert done.stdout.strip() == "True"
        assert [span.name for span in receiver.wait(1)] == ["a"]
