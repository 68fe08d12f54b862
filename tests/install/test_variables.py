"""An invalid variable never stops a program: it is logged once, as an ERROR, and counts as unset."""

from __future__ import annotations

import gc
import logging
import socket
import subprocess
import sys
import time
import urllib.request
import weakref
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from opentracing import Format

import ot_bridge
from ot_bridge.jaeger_client import Config
from ot_bridge.provider import build_provider
from ot_bridge.wire import FORMATS
from ot_bridge.xray import XRayIdGenerator
from tests import needs
from tests.install.child import environment, run
from tests.receiver import GrpcReceiver, HttpReceiver

#: What the SDK and this package read when a provider is made, with what cannot be read.
GARBAGE = {
    "OTEL_TRACES_EXPORTER": "otpl",
    "OTEL_TRACES_SAMPLER": "often",
    "OTEL_PROPAGATORS": "jagger",
    "OTEL_PYTHON_ID_GENERATOR": "rnadom",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "grcp",
    "OTEL_RESOURCE_ATTRIBUTES": "a=b,team",
    "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "hots",
    "OTEL_PYTHON_TRACER_PROVIDER": "tarcer",
    "OTEL_PYTHON_METER_PROVIDER": "meetr",
    "OTEL_SDK_DISABLED": "maybe",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "many",
    "OTEL_SPAN_EVENT_COUNT_LIMIT": "-1",
    "OTEL_SPAN_LINK_COUNT_LIMIT": "1.5",
    "OTEL_ATTRIBUTE_COUNT_LIMIT": "1e3",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": "few",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": "few",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "long",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "long",
}
#: Read by parts that other modules build; they have to start all the same.
MORE_GARBAGE = {
    "OTEL_PYTHON_CONTEXT": "thread",
    "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED": "perhaps",
    "OTEL_SEMCONV_STABILITY_OPT_IN": "htpp",
    "OTEL_SERVICE_NAME": " ",
    "OTEL_TRACES_SAMPLER_ARG": "x",
}

INSTALL = """
import logging; logging.basicConfig(format="%(levelname)s %(message)s")
import ot_bridge
tracer = ot_bridge.install("shop")
with tracer.start_active_span("a") as scope:
    headers = {}
    tracer.inject(scope.span, "http_headers", headers)
print(sorted(headers), scope.span.context.sampled, len(f"{scope.span.context.trace_id:x}") > 16, flush=True)
import os; assert os.environ["OTEL_PROPAGATORS"] == "jagger"
os._exit(0)
"""

DROP_IN = """
import logging; logging.basicConfig(format="%(levelname)s %(message)s")
from ot_bridge.jaeger_client import Config
tracer = Config({"sampler": {"type": "const", "param": 1}}, service_name="shop").initialize_tracer()
with tracer.start_active_span("a") as scope:
    headers = {}
    tracer.inject(scope.span, "http_headers", headers)
print(sorted(headers), scope.span.context.sampled, flush=True)
import os; os._exit(0)
"""


@cache
def _with_garbage(program: str) -> subprocess.CompletedProcess[str]:
    return run(program, **GARBAGE, **MORE_GARBAGE)


@pytest.mark.parametrize(
    ("program", "printed"),
    [
        (INSTALL, "['traceparent', 'uber-trace-id'] True True"),
        (DROP_IN, "['uber-trace-id'] True"),
    ],
    ids=["install", "drop-in"],
)
def test_a_program_starts_whatever_the_variables_contain_and_each_problem_is_logged_once(
    program: str, printed: str
) -> None:
    done = _with_garbage(program)
    assert done.stdout.strip() == printed
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR OTEL_")]
    assert sorted(line.split()[1].split("=")[0] for line in errors) == sorted(GARBAGE)
    for line in errors:
        name = line.split()[1].split("=")[0]
        assert repr(GARBAGE[name]) in line


def test_the_error_for_an_unknown_name_lists_the_known_names() -> None:
    printed = _with_garbage(INSTALL).stderr
    for known in (
        "otlp",
        "always_on",
        "tracecontext, baggage, jaeger",
        "http/protobuf, grpc, http/json",
        "random",
    ):
        assert f"expected one of {known}" in printed or known in printed
    assert "'otpl': expected one of otlp, none, console" in printed


IMPORT = """
import logging; logging.basicConfig(format="%(levelname)s %(message)s")
import ot_bridge
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import TracerProvider
tracer = ot_bridge.create_tracer(TracerProvider(shutdown_on_exit=False))
headers = {}
tracer.inject(tracer.start_span("a"), "http_headers", headers)
print(sorted(headers), sorted(propagate.get_global_textmap().fields))
"""


def test_the_package_can_be_imported_although_the_variable_names_an_unknown_propagator() -> None:
    done = run(IMPORT, OTEL_PROPAGATORS="jagger")
    assert done.stdout.strip() == "['traceparent'] ['baggage', 'traceparent', 'tracestate']"
    assert done.stderr.count("ERROR OTEL_PROPAGATORS='jagger'") == 1
    assert "tracecontext,baggage is taken" in done.stderr


def test_each_of_our_names_works_in_opentelemetrys_variable() -> None:
    done = run(IMPORT, OTEL_PROPAGATORS=",".join([*FORMATS, "ot_bridge"]))
    assert "uber-trace-id" in done.stdout
    assert "ot-tracer-traceid" in done.stdout
    assert done.stderr == ""


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("OTEL_PROPAGATORS", "OTEL_TRACES_EXPORTER", "OTEL_SERVICE_NAME", "OTEL_TRACES_SAMPLER"):
        monkeypatch.delenv(name, raising=False)
    yield
    ot_bridge.uninstall()


@pytest.mark.parametrize(
    ("variables", "says", "instead"),
    [
        ({"OTEL_TRACES_EXPORTER": "none,consle"}, "expected one of otlp", "only none is taken"),
        ({"OTEL_TRACES_EXPORTER": "jaeger"}, "Jaeger takes OTLP", "otlp is taken"),
        ({"OTEL_PROPAGATORS": "b3,b4,jaeger"}, "expected one of tracecontext", "only b3,jaeger is taken"),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "half"},
            "from 0 to 1",
            "1.0 is taken",
        ),
        (
            {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"},
            "from 0 to 1",
            "1.0 is taken",
        ),
        (
            {"OTEL_TRACES_SAMPLER": "ot_bridge", "OTEL_TRACES_SAMPLER_ARG": "*=often"},
            "OTEL_TRACES_SAMPLER_ARG",
            "parentbased_always_on",
        ),
        ({"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http"}, "http/protobuf, grpc", "http/protobuf is taken"),
    ],
    ids=str,
)
def test_one_error_line_says_what_is_wrong_and_what_is_used_instead(
    variables: dict[str, str],
    says: str,
    instead: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    exporters: list[str] | None = None if any("EXPORTER" in name for name in variables) else []
    tracer = ot_bridge.install("shop", exporters=exporters)
    assert tracer.start_span("a").context.sampled is True
    messages = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(messages) == 1
    name = list(variables)[-1]
    assert messages[0].startswith(f"{name}={variables[name]!r}")
    assert says in messages[0]
    assert instead in messages[0]


#: Where an exporter raises when it is made.
UNMADE = {
    "an address of X-Ray's daemon": (
        {"OTEL_TRACES_EXPORTER": "xray_daemon"},
        {"AWS_XRAY_DAEMON_ADDRESS": "x"},
    ),
    "no region": ({"OTEL_TRACES_EXPORTER": "xray"}, {}),
    "a region": ({"OTEL_TRACES_EXPORTER": "console,xray_otlp"}, {"AWS_REGION": "no region"}),
    "a timeout of OTLP over gRPC": (
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        {"OTEL_EXPORTER_OTLP_TIMEOUT": "ten"},
    ),
    "a compression of OTLP over gRPC": (
        {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"},
        {"OTEL_EXPORTER_OTLP_COMPRESSION": "zstd"},
    ),
    "a source of credentials": ({}, {"OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER": "nope"}),
}


@needs.otlp_over_grpc
@pytest.mark.parametrize("way", ["install", "drop-in"])
@pytest.mark.parametrize("name", UNMADE)
def test_an_exporter_whose_constructor_raises_does_not_stop_the_program(
    name: str, way: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    named, variables = UNMADE[name]
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    environment = {"AWS_CONFIG_FILE": str(tmp_path / "none"), "OTEL_TRACES_EXPORTER": "otlp"}
    for variable, value in {**environment, **named, **variables}.items():
        monkeypatch.setenv(variable, value)
    if way == "install":
        tracer: Any = ot_bridge.install("shop", set_global=False)
        tracer.start_span("a").finish()
    else:
        sampler = {"type": "const", "param": True}
        tracer = Config({"sampler": sampler}, service_name="shop").new_tracer()
        tracer.start_span("a").finish()
    assert tracer.flush(20) is False
    assert tracer.flush(20) is True  # nothing has been lost since
    tracer.close().result(20)
    ot_bridge.uninstall()
    (message,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert "cannot be made" in message
    assert "nothing is exported by it" in message
    assert all(value in message for value in variables.values())


@pytest.mark.parametrize(
    "name", ["always_on", "ALWAYS_ON", "parentbased_always_on", "traceidratio", "ot_bridge"]
)
def test_samplers_are_selected_by_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "1")
    tracer = ot_bridge.install(exporters=[], sampler=name)
    assert tracer.start_span("a").context.sampled is True
    with tracer.start_active_span("a"):
        assert tracer.start_span("b").context.sampled is True


@pytest.mark.parametrize(
    ("variable", "argument", "propagators", "bits"),
    [
        ("xray", None, None, "time"),
        ("xray", 64, None, "64"),
        ("random", None, ["ottrace"], "128"),
        ("", None, ["ottrace"], "64"),
        ("rnadom", None, ["ottrace"], "64"),
        ("random", None, ["xray"], "128"),
        ("", None, ["xray"], "time"),
    ],
)
def test_the_id_generator_comes_from_the_argument_the_variable_or_the_default(
    variable: str, argument: Any, propagators: Any, bits: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_PYTHON_ID_GENERATOR", variable)
    tracer = ot_bridge.install(exporters=[], trace_id_bits=argument, propagators=propagators)
    ids = [tracer.start_span("a").context.trace_id for _ in range(20)]
    provider: Any = tracer.provider
    kind = (
        "time"
        if isinstance(provider.id_generator, XRayIdGenerator)
        else "64"
        if all(each >> 64 == 0 for each in ids)
        else "128"
    )
    assert kind == bits


@pytest.mark.parametrize("engine", [True, False])
def test_a_provider_that_is_not_used_any_more_is_not_kept_until_the_exit(engine: bool) -> None:
    gone = weakref.ref(build_provider(exporters=[], engine=engine))
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    ("given", "variable", "is_xray"),
    [
        (["xray_daemon"], "none", True),
        ("console, xray_daemon", "none", True),
        (None, "xray_daemon", True),
        (None, "console, xray_daemon", True),
        (["none"], "xray_daemon", False),
        (None, "none", False),
    ],
)
def test_spans_that_go_to_x_ray_have_its_ids_and_its_header(
    given: Any, variable: str, is_xray: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", variable)
    tracer = ot_bridge.install(exporters=given)
    carrier: dict[str, str] = {}
    tracer.inject(tracer.start_span("a").context, Format.HTTP_HEADERS, carrier)
    provider: Any = tracer.provider
    assert ("X-Amzn-Trace-Id" in carrier) is is_xray
    assert isinstance(provider.id_generator, XRayIdGenerator) is is_xray


SENDING = """
import {module}
tracer = {make}
tracer.start_span("a").finish()
print(tracer.flush(20))
"""
WAYS = {
    "install": ("ot_bridge", "ot_bridge.install('shop')"),
    "drop-in": (
        "ot_bridge.jaeger_client",
        """ot_bridge.jaeger_client.Config({'sampler': {'type': 'const', 'param': 1}}, service_name='shop')
tracer = tracer.initialize_tracer()""",
    ),
}


@needs.otlp_over_grpc
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"])
def test_the_protocol_variable_selects_the_exporter(way: str, variable: str) -> None:
    module, make = WAYS[way]
    program = SENDING.format(module=module, make=make)
    receiver: GrpcReceiver | HttpReceiver
    for protocol, kind in (("grpc", GrpcReceiver), ("http/protobuf", HttpReceiver)):
        with kind() as receiver:
            endpoint = receiver.endpoint.removesuffix("/v1/traces")
            endpoint = endpoint if "//" in endpoint else f"http://{endpoint}"
            done = run(program, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **{variable: protocol})
            assert [span.name for span in receiver.wait(1)] == ["a"]
            assert done.stdout.strip() == "True"


WITHOUT = """
import logging; logging.basicConfig(format="%(levelname)s %(message)s")
import sys
for name in ("opentelemetry.exporter.otlp.proto.grpc", "opentelemetry.exporter.otlp.json"):
    sys.modules[name] = None
"""


@pytest.mark.parametrize("way", WAYS)
def test_a_protocol_whose_exporter_is_not_installed_names_the_extra_and_sends_nothing(way: str) -> None:
    module, make = WAYS[way]
    program = WITHOUT + SENDING.format(module=module, make=make)
    for protocol, extra in (("grpc", "ot-bridge[otlp-grpc]"), ("http/json", "ot-bridge[otlp-json]")):
        done = run(program, OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        assert line.startswith(f"ERROR OTEL_EXPORTER_OTLP_PROTOCOL='{protocol}'")
        assert extra in line
        assert "nothing is exported" in line
        assert done.stdout.strip() == "False"


APPLICATION = """
import ot_bridge
ot_bridge.install("shop")

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"served"]

app = ot_bridge.TracingMiddleware(app)
"""


def test_gunicorn_starts_whatever_the_variables_contain(tmp_path: Path) -> None:
    (tmp_path / "application.py").write_text(APPLICATION)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-b", f"127.0.0.1:{port}", "application:app"],
        cwd=tmp_path,
        env=environment(**GARBAGE, **MORE_GARBAGE),
        stderr=subprocess.DEVNULL,
    )
    try:
        assert _get(f"http://127.0.0.1:{port}/", server) == b"served"
    finally:
        server.terminate()
        server.wait(20)


def _get(url: str, server: subprocess.Popen[bytes]) -> bytes:
    for _ in range(300):
        assert server.poll() is None
        try:
            body: bytes = urllib.request.urlopen(url, timeout=10).read()
        except OSError:
            time.sleep(0.1)
        else:
            return body
    raise AssertionError("nothing is served")
