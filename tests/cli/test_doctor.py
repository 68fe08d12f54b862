"""`ot-bridge doctor` prints the settings and their mistakes, and says whether a span arrives."""

from __future__ import annotations

import importlib
import json
import logging
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, PathDistribution, distributions, version
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import TracerProvider

import ot_bridge
from ot_bridge.cli.checkup import addresses, effective, known, packages, program, sending
from ot_bridge.cli.checkup.model import Row
from ot_bridge.cli.main import main
from tests import needs
from tests.authority import Authority
from tests.cli import programs
from tests.receiver import HANG, GrpcReceiver, HttpReceiver, Response, free_port

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


class Report(NamedTuple):
    status: int
    rows: dict[str, tuple[str, str]]
    findings: list[dict[str, str]]

    def of(self, about: str, level: str = "wrong") -> str:
        """The texts and remedies of one part."""
        lines = [each for each in self.findings if (each["about"], each["level"]) == (about, level)]
        return "\n".join(f"{each['text']} | {each['mend']}" for each in lines)


Doctor = Callable[..., Report]


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("JAEGER_", "OTEL_", "OT_BRIDGE_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


#: What the files of packages say, by path. Reading them again would be most of what a check does.
READ: dict[tuple[str, str], Any] = {}


@pytest.fixture(autouse=True)
def _packages_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def once(name: str, read: Callable[..., Any]) -> Callable[..., Any]:
        def read_once(one: Any) -> Any:
            key = name, str(one._path)  # all else that names a package has to be read
            if key not in READ:
                READ[key] = read(one)
            return READ[key]

        return read_once

    for name in ("metadata", "entry_points"):
        read = getattr(PathDistribution, name).fget
        monkeypatch.setattr(PathDistribution, name, property(once(name, read)))
    monkeypatch.setattr(packages, "_fields", once("fields", packages._fields))


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    def look(*arguments: str, **variables: str) -> Report:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        status = main(["doctor", "--json", *arguments])
        report = json.loads(capsys.readouterr().out)
        assert report["status"] == status
        rows = {each["name"].strip(): (each["value"], each["source"]) for each in report["rows"]}
        return Report(status, rows, report["findings"])

    return look


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@contextmanager
def _listening(behave: Callable[[socket.socket], object]) -> Iterator[int]:
    """A server with this behaviour; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    behave(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def test_doctor_reports_a_delivered_span_with_its_trace(doctor: Doctor, servers: ExitStack) -> None:
    receiver = servers.enter_context(HttpReceiver())
    variables = {
        ENDPOINT: receiver.base,
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_RESOURCE_ATTRIBUTES": "region=eu",
    }
    report = doctor(**variables)
    (span,) = receiver.spans
    assert report.status == 0
    finding = report.of("otlp", "well")
    delivered = re.escape(f"delivered to {receiver.endpoint} in ")
    assert re.fullmatch(rf"{delivered}\d+ ms, trace {span.trace_id.hex()} \| ", finding)
    assert span.name == "ot-bridge doctor"
    pairs = receiver.requests[0].resource_spans[0].resource.attributes
    named = {pair.key: pair.value.string_value for pair in pairs}
    assert (named["service.name"], named["region"]) == ("shop", "eu")
    assert report.rows["endpoint"] == (receiver.endpoint, f"{ENDPOINT} + /v1/traces")
    assert report.rows["service.name"] == ("shop", "OTEL_SERVICE_NAME")
    assert report.rows["sampler"] == ("parentbased_always_on", "default")


def test_doctor_distinguishes_a_refused_connection_an_unknown_host_and_a_timeout(doctor: Doctor) -> None:
    """Row K1."""
    port = free_port()
    refused = doctor(**{ENDPOINT: f"http://127.0.0.1:{port}"}).of("otlp")
    assert f"nothing listens at 127.0.0.1:{port}" in refused
    assert "ot-bridge view" in refused
    unknown = doctor(**{ENDPOINT: "http://no-such-host.invalid:4318"}).of("otlp")
    assert "there is no host no-such-host.invalid" in unknown
    with HttpReceiver(always=HANG) as receiver:  # for longer than a test may take, as the program would wait
        variables = {ENDPOINT: receiver.base, "OTEL_EXPORTER_OTLP_TIMEOUT": "3600"}
        assert "answers nothing in time" in doctor(**variables).of("otlp")


def _full(servers: ExitStack) -> int:
    """The port of a server that accepts nothing, with as many connections as may wait."""
    server = servers.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    for _ in range(3):
        waiting = servers.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex(server.getsockname())
    port: int = server.getsockname()[1]
    return port


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue refuses")
def test_an_unreachable_host_is_reported(doctor: Doctor, servers: ExitStack) -> None:
    """Row K1."""
    for there in (f"127.0.0.1:{_full(servers)}", "255.255.255.255:4318"):
        assert f"{there} cannot be reached: a firewall" in doctor(**{ENDPOINT: f"http://{there}"}).of("otlp")


@needs.otlp_over_grpc
def test_a_port_of_another_protocol_is_reported(doctor: Doctor, servers: ExitStack, tmp_path: Path) -> None:
    """Row K2."""
    by_grpc, by_http = servers.enter_context(GrpcReceiver()), servers.enter_context(HttpReceiver())
    finding = doctor(**{ENDPOINT: f"http://{by_grpc.endpoint}"}).of("otlp")
    assert f"{by_grpc.endpoint} answers in HTTP/2, as gRPC does; this exporter speaks HTTP/1.1" in finding
    assert "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318" in finding
    tls = servers.enter_context(HttpReceiver(tls=Authority(tmp_path).context()))
    finding = doctor(**{ENDPOINT: tls.base.replace("https", "http")}).of("otlp")
    assert "speaks TLS, and the endpoint is http://" in finding
    assert f"{ENDPOINT}={tls.base}" in finding
    finding = doctor(**{ENDPOINT: by_http.base.replace("http", "https")}).of("otlp")
    assert "does not speak TLS, and the endpoint is https://" in finding
    finding = doctor(**{ENDPOINT: by_http.base, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}).of("otlp")
    assert "answers in HTTP/1.1; this exporter speaks gRPC" in finding
    there = {ENDPOINT: f"http://{by_grpc.endpoint}", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    assert doctor(**there).of("otlp", "well").startswith(f"delivered to http://{by_grpc.endpoint} in ")


class _Refusing(grpc.GenericRpcHandler):
    def service(self, handler_call_details: object) -> Any:
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token")
        )


SERVERS = {
    "without the service": ([], "has no service for spans (UNIMPLEMENTED)"),
    "that refuses": ([_Refusing()], "refuses the sender: a header or token is missing or wrong"),
}


@needs.otlp_over_grpc
@pytest.mark.parametrize(("handlers", "text"), SERVERS.values(), ids=SERVERS)
def test_the_response_of_a_grpc_server_is_explained(handlers: list[Any], text: str) -> None:
    """Rows K2 and K4; in a process of its own, as OpenTelemetry's exporter logs a failure only sometimes."""
    server = grpc.server(ThreadPoolExecutor(1), handlers=handlers)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        there = f"http://127.0.0.1:{port}"
        done = programs.run("doctor", OTEL_EXPORTER_OTLP_ENDPOINT=there, OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
        assert text in done.stdout
    finally:
        server.stop(None).wait()


def test_problems_with_certificates_are_distinguished(
    doctor: Doctor, servers: ExitStack, tmp_path: Path
) -> None:
    """Row K3."""
    authority = Authority(tmp_path)
    server = servers.enter_context(HttpReceiver(tls=authority.context()))
    finding = doctor(**{ENDPOINT: server.base}).of("otlp")
    assert "a certificate of an issuer that this machine does not know" in finding
    assert "OTEL_EXPORTER_OTLP_CERTIFICATE=" in finding
    good = doctor(OTEL_EXPORTER_OTLP_CERTIFICATE=str(authority.certificate))
    assert good.of("otlp", "well"), good.findings
    other = f"https://127.0.0.2:{server.port}"
    with socket.create_server(("127.0.0.2", 0)) as there:
        other = f"https://127.0.0.2:{there.getsockname()[1]}"

        def wrong_name() -> None:
            for _ in range(4):
                try:
                    connection, _peer = there.accept()
                    authority.context().wrap_socket(connection, server_side=True).close()
                except OSError:
                    pass

        threading.Thread(target=wrong_name, daemon=True).start()
        assert "a certificate for another name" in doctor(**{ENDPOINT: other}).of("otlp")
    expired = servers.enter_context(HttpReceiver(tls=authority.context(expired=True)))
    finding = doctor(**{ENDPOINT: expired.base}).of("otlp")
    assert f"the certificate of 127.0.0.1:{expired.port} has expired" in finding
    asking = servers.enter_context(HttpReceiver(tls=authority.context(client=True)))
    finding = doctor(**{ENDPOINT: asking.base}).of("otlp")
    assert "wants a certificate of the client" in finding
    assert "OTEL_EXPORTER_OTLP_CLIENT_KEY" in finding


HTML = Response(200, b"<html>", {"Content-Type": "text/html"})
REJECTED = ExportTraceServiceResponse()
REJECTED.partial_success.rejected_spans = 1
REJECTED.partial_success.error_message = "too old"
RESPONSES = {
    "401": (Response(401), "refuses the sender (HTTP 401)", "OTEL_EXPORTER_OTLP_HEADERS"),
    "403": (Response(403), "refuses the sender (HTTP 403)", "OTEL_EXPORTER_OTLP_HEADERS"),
    "404": (Response(404), "takes no spans at this path (HTTP 404)", "without a path"),
    "405": (Response(405), "takes no POST at this path", ENDPOINT),
    "413": (Response(413), "no request of this size", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"),
    "415": (Response(415), "does not take this encoding", "http/json"),
    "429": (Response(429), "is overloaded (HTTP 429)", "try again later"),
    "503": (Response(503, headers={"Retry-After": "60"}), "is overloaded (HTTP 503)", "try again later"),
    "302": (Response(302, headers={"Location": "/other"}), "sends elsewhere (HTTP 302)", ENDPOINT),
    "a web page": (HTML, "a web page came back", ENDPOINT),
    "rejected": (Response(200, REJECTED.SerializeToString()), "rejected the span: too old", "its message"),
    "500": (Response(500), "answers HTTP 500", ""),
}


@pytest.mark.parametrize(("response", "text", "mend"), RESPONSES.values(), ids=RESPONSES)
def test_the_response_of_a_collector_is_explained(
    response: Response, text: str, mend: str, doctor: Doctor, servers: ExitStack
) -> None:
    """Row K4."""
    receiver = servers.enter_context(HttpReceiver(always=response))
    report = doctor(**{ENDPOINT: receiver.base})
    assert report.status == 1
    assert text in report.of("otlp")
    assert mend in report.of("otlp")


def test_an_exporter_that_raises_is_reported(doctor: Doctor) -> None:
    wrong = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_COMPRESSION": "brotli"}
    assert re.match(r"the exporter cannot be made: .*brotli", doctor(**wrong).of("otlp"))


def test_a_warning_in_the_response_of_a_collector_is_shown(doctor: Doctor, servers: ExitStack) -> None:
    warning = ExportTraceServiceResponse()
    warning.partial_success.error_message = "slow down"
    receiver = servers.enter_context(HttpReceiver(always=Response(200, warning.SerializeToString())))
    report = doctor(**{ENDPOINT: receiver.base})
    assert report.status == 0
    assert "delivered to" in report.of("otlp", "look")
    assert "slow down" in report.of("otlp", "look").partition("; it says: ")[2]


VARIABLES: dict[str, tuple[dict[str, str], str, str, str]] = {
    "no scheme": (
        {ENDPOINT: "localhost:4318"},
        "variable",
        "wrong",
        "OTEL_EXPORTER_OTLP_ENDPOINT='localhost:4318': a URL begins with http:// or https://; nothing is exported, and every span counts as lost | ",
    ),
    "another scheme": (
        {ENDPOINT: "grpc://localhost:4317"},
        "variable",
        "wrong",
        "OTEL_EXPORTER_OTLP_ENDPOINT='grpc://localhost:4317': a URL begins with http:// or https://; nothing is exported, and every span counts as lost | ",
    ),
    "a path twice": (
        {ENDPOINT: "http://localhost:4318/v1/traces"},
        "variable",
        "wrong",
        "OTEL_EXPORTER_OTLP_ENDPOINT: v1/traces is added to it; OTEL_EXPORTER_OTLP_TRACES_ENDPOINT takes a whole URL; spans are sent to http://localhost:4318/v1/traces/v1/traces nevertheless | ",
    ),
    "IPv6 without brackets": (
        {ENDPOINT: "http://::1:4318"},
        "variable",
        "wrong",
        "OTEL_EXPORTER_OTLP_ENDPOINT='http://::1:4318': this is no URL; nothing is exported, and every span counts as lost | ",
    ),
    "overruled": (
        {ENDPOINT: "http://a:4318", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://b:4318/v1/traces"},
        "variable",
        "look",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT overrules OTEL_EXPORTER_OTLP_ENDPOINT, which is set as well | unset OTEL_EXPORTER_OTLP_ENDPOINT",
    ),
    "an unknown exporter": ({"OTEL_TRACES_EXPORTER": "otpl"}, "variable", "wrong", "expected one of otlp"),
    "an unknown sampler": (
        {"OTEL_TRACES_SAMPLER": "sometimes"},
        "variable",
        "wrong",
        "parentbased_always_on",
    ),
    "an unknown propagator": ({"OTEL_PROPAGATORS": "jeager"}, "variable", "wrong", "jaeger"),
    "no number": (
        {"OTEL_BSP_SCHEDULE_DELAY": "soon"},
        "variable",
        "wrong",
        "OTEL_BSP_SCHEDULE_DELAY='soon': expected a whole number above 0; the default is taken | ",
    ),
    "a typo": (
        {"OTEL_EXPORTER_OTLP_PROTCOL": "http/json"},
        "variable",
        "wrong",
        "OTEL_EXPORTER_OTLP_PROTCOL has no effect: it is not known. Did you mean OTEL_EXPORTER_OTLP_PROTOCOL? | OTEL_EXPORTER_OTLP_PROTOCOL=http/json",
    ),
    "a typo of ours": (
        {"OT_BRIDGE_FLUSH_ON_SIGTREM": "true"},
        "variable",
        "wrong",
        "OT_BRIDGE_FLUSH_ON_SIGTREM has no effect: it is not known. Did you mean OT_BRIDGE_FLUSH_ON_SIGTERM? | OT_BRIDGE_FLUSH_ON_SIGTERM=true",
    ),
    "a typo of Jaeger's": (
        {"JAEGER_AGENT_HSOT": "a"},
        "variable",
        "wrong",
        "JAEGER_AGENT_HSOT has no effect: it is not known. Did you mean JAEGER_AGENT_HOST? | JAEGER_AGENT_HOST=a",
    ),
    "read by nobody": (
        {"OTEL_SERVICE_VERSION_NUMBER": "1"},
        "variable",
        "look",
        "OTEL_SERVICE_VERSION_NUMBER is not read by anything here | unset OTEL_SERVICE_VERSION_NUMBER",
    ),
    "for the drop-in": (
        {"JAEGER_AGENT_HOST": "a"},
        "variable",
        "look",
        "JAEGER_AGENT_HOST: read by jaeger-client's names (ot_bridge.jaeger_client) only, and not by install() | ot-bridge config --otel    prints OpenTelemetry's variables for them",
    ),
    "Kubernetes": (
        {"JAEGER_AGENT_PORT": "tcp://10.96.0.7:6831", "JAEGER_AGENT_SERVICE_HOST": "10.96.0.7"},
        "variable",
        "wrong",
        "JAEGER_AGENT_PORT='tcp://10.96.0.7:6831': expected the number of a port; it counts as unset | ",
    ),
    "disabled": (
        {"OTEL_SDK_DISABLED": "true"},
        "exporter",
        "wrong",
        "nothing will be sent, and this is why: OTEL_SDK_DISABLED is true | unset OTEL_SDK_DISABLED",
    ),
    "no exporter": (
        {"OTEL_TRACES_EXPORTER": "none"},
        "exporter",
        "wrong",
        "nothing will be sent, and this is why: OTEL_TRACES_EXPORTER=none | OTEL_TRACES_EXPORTER=otlp",
    ),
    "never sampled": (
        {"OTEL_TRACES_SAMPLER": "always_off"},
        "exporter",
        "wrong",
        "nothing will be sent, and this is why: OTEL_TRACES_SAMPLER=always_off samples no trace that begins here | OTEL_TRACES_SAMPLER=parentbased_always_on",
    ),
    "a ratio of 0": (
        {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"},
        "exporter",
        "wrong",
        "nothing will be sent, and this is why: OTEL_TRACES_SAMPLER=parentbased_traceidratio samples no trace that begins here | OTEL_TRACES_SAMPLER=parentbased_always_on",
    ),
    "no name": ({}, "service", "look", "no name | OTEL_SERVICE_NAME=…"),
    "a proxy": (
        {"HTTP_PROXY": "http://user:secret@proxy:3128", ENDPOINT: "http://collector:4318"},
        "proxy",
        "look",
        "spans for collector:4318 go through the proxy proxy:3128 | NO_PROXY=collector",
    ),
}


@pytest.mark.parametrize(
    ("exporter", "instead"),
    [("otlp", "tracecontext,baggage,jaeger"), ("xray", "tracecontext,baggage,jaeger,xray")],
)
def test_a_wrong_variable_is_reported_once_with_what_install_does(
    exporter: str, instead: str, doctor: Doctor
) -> None:
    report = doctor(
        "--no-send", OTEL_PROPAGATORS="jagger", OTEL_TRACES_EXPORTER=exporter, AWS_REGION="eu-west-1"
    )
    (text,) = report.of("variable").splitlines()
    assert f"; {instead} is taken, as if it were unset" in text


def test_each_wrong_variable_is_reported(doctor: Doctor) -> None:
    wrong = {"OTEL_PROPAGATORS": "jagger", "OTEL_TRACES_SAMPLER": "sometimes"}
    lines = doctor("--no-send", **wrong).of("variable").splitlines()
    assert sorted(line.partition("=")[0] for line in lines) == [*wrong]


@pytest.mark.parametrize(
    ("sampler", "argument", "none"),
    [
        ("parentbased_traceidratio", "0", True),
        ("traceidratio", "0.0", True),
        ("traceidratio", "0.5", False),
        ("traceidratio", "x", False),
        ("parentbased_always_on", "0", False),
        ("parentbased_always_off", "1", True),
    ],
)
def test_a_sampler_that_drops_everything_is_reported(
    sampler: str, argument: str, none: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row K9."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", argument)
    why = f"nothing will be sent, and this is why: OTEL_TRACES_SAMPLER={sampler} samples no trace that begins here"
    assert [each.text for each in sending.unsent()] == [why] * none


@pytest.mark.parametrize(("variables", "about", "level", "text"), VARIABLES.values(), ids=VARIABLES)
def test_a_wrong_variable_is_explained(
    variables: dict[str, str], about: str, level: str, text: str, doctor: Doctor
) -> None:
    """Rows K5, K8 and K9."""
    sends = about == "proxy"
    if sends:
        variables = {**variables, "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    report = doctor(*([] if sends else ["--no-send"]), **variables)
    lines = report.of(about, level)
    assert text in lines if "expected one of" in lines else text in lines.splitlines(), report.findings
    assert report.status == (1 if any(each["level"] == "wrong" for each in report.findings) else 0)
    assert "SERVICE_HOST" not in report.of("variable", "look")
    assert "secret" not in json.dumps(report)


def test_a_missing_package_is_named_with_the_command_that_installs_it(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row K6."""
    for name in [name for name in sys.modules if name.startswith("opentelemetry.exporter.otlp.proto.grpc")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)
    report = doctor(OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    assert "pip install 'ot-bridge[otlp-grpc]'" in report.of("otlp")


def _package(directory: Path, name: str, version: str, *lines: str, entries: str = "") -> None:
    info = directory / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    required = "".join(f"Requires-Dist: {line}\n" for line in lines)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{required}")
    (info / "entry_points.txt").write_text(entries)


def test_incompatible_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows K6 and K7, on real metadata."""
    entries = "[opentelemetry_propagator]\nmine = a:b\n"
    _package(
        tmp_path,
        "opentelemetry-proto-of-old",
        "1.0",
        "protobuf<4.0,>=3.19",
        "opentelemetry-api==0.1",
        "no-such-package>1; extra == 'x'",
        "another-that-is-missing",
        "opentelemetry-sdk>=1.20",
        entries=entries,
    )
    _package(tmp_path, "opentelemetry-other", "1.0", entries=entries)
    monkeypatch.syspath_prepend(tmp_path)
    found = [(each.level, each.text, each.mend) for each in packages.findings()]
    old = "opentelemetry-proto-of-old"
    assert [each for each in found if old in each[1]] == [
        (
            "wrong",
            f"{old} 1.0 needs protobuf <4.0,>=3.19, and {version('protobuf')} is installed",
            "pip install 'protobuf<4.0,>=3.19'",
        ),
        (
            "wrong",
            f"{old} 1.0 needs opentelemetry-api ==0.1, and {version('opentelemetry-api')} is installed",
            "pip install 'opentelemetry-api==0.1'",
        ),
        (
            "wrong",
            f"{old} needs another-that-is-missing, which is not installed",
            "pip install another-that-is-missing",
        ),
        (
            "look",
            f"mine (opentelemetry_propagator) is provided by opentelemetry-other and {old}",
            f"pip uninstall {old}",
        ),
    ]


@pytest.mark.parametrize(
    ("missing", "reported"), [("opentelemetry-opentracing-shim", False), ("opentracing", True)]
)
def test_of_the_packages_that_ot_bridge_requires_only_the_shim_may_be_missing(
    missing: str, reported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = [each for each in distributions() if each.name.replace("_", "-") != missing]
    monkeypatch.setattr(packages, "distributions", lambda: installed)
    texts = [each.text for each in packages.findings()]
    assert (f"ot-bridge needs {missing}, which is not installed" in texts) is reported


def test_generated_code_that_is_newer_than_protobuf_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Row K7."""
    (tmp_path / "newer.py").write_text("raise TypeError('Descriptors cannot be created directly.')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(packages, "_GENERATED", "newer")
    (found,) = (each for each in packages.findings() if "protobuf are incompatible" in each.text)
    assert found.level == "look"  # http/protobuf needs no protobuf here
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    (found,) = (each for each in packages.findings() if "protobuf are incompatible" in each.text)
    assert found.level == "wrong"
    assert found.text == (
        "opentelemetry-proto and the installed protobuf are incompatible "
        "(TypeError: Descriptors cannot be created directly.)"
    )
    assert found.mend == (
        "pip install 'ot-bridge[otlp-json]' and OTEL_EXPORTER_OTLP_PROTOCOL=http/json, or http/protobuf, "
        "which needs no protobuf"
    )


NEWER_CODE = """
import sys

class Newer:
    def find_spec(self, name, path=None, target=None):
        if name == "opentelemetry.proto.collector.trace.v1.trace_service_pb2":
            raise TypeError("Descriptors cannot be created directly.")

sys.meta_path.insert(0, Newer())
"""


@pytest.mark.parametrize(("protocol", "mark"), [("http/protobuf", "!"), ("grpc", "x")])
def test_the_command_names_generated_code_that_is_newer_than_protobuf(
    protocol: str, mark: str, tmp_path: Path
) -> None:
    """Row K7."""
    (tmp_path / "sitecustomize.py").write_text(NEWER_CODE)
    variables = {**os.environ, "PYTHONPATH": str(tmp_path), "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
    command = [sys.executable, "-m", "ot_bridge", "doctor", "--no-send"]
    ended = subprocess.run(command, capture_output=True, text=True, env=variables, timeout=100)
    (line,) = [each for each in ended.stdout.splitlines() if "Descriptors cannot be created" in each]
    assert line.startswith(mark)
    assert "pip install 'ot-bridge[otlp-json]'" in ended.stdout


def test_the_nearest_name_is_at_most_two_errors_away() -> None:
    names = ["OTEL_SERVICE_NAME", "OTEL_TRACES_EXPORTER"]
    for typo in ("OTEL_SERVICE_NMAE", "OTEL_SERVICENAME", "OTEL_SERVICE__NAMES", "OTEL_SERVICE_NAME"):
        assert known.nearest(typo, names) == "OTEL_SERVICE_NAME", typo
    for other in ("OTEL_SERVER_NAMES", "OTEL_XYZVICE_NAME", "OTEL_SERVICE_NAME_ABC"):
        assert known.nearest(other, names) == "", other


def test_a_foreign_tracer_provider_is_named(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row K9."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", TracerProvider(shutdown_on_exit=False))
    report = doctor("--no-send")
    assert report.of("provider", "look") == (
        "another provider is global (opentelemetry.sdk.trace.TracerProvider): install() takes it, with its "
        "sampler and exporters | call ot_bridge.install() first, or configure that one"
    )


HEADERS = {
    "read": (
        "uber-trace-id: 5b8aa5a2d2c872e8:51581bf3cb55c13:0:1",
        "well",
        "uber-trace-id is read by jaeger | ",
    ),
    "refused": (
        "uber-trace-id: x:1:0:1",
        "wrong",
        "uber-trace-id is refused: trace id has a character that is not a hex digit | ot-bridge decode 'uber-trace-id: …'",
    ),
    "not read": (
        "x-b3-traceid: 463ac35c9f6413ad",
        "wrong",
        "x-b3-traceid came, and no propagator reads it: the caller's trace ends here. | OTEL_PROPAGATORS=tracecontext,baggage,jaeger,b3multi",
    ),
    "Datadog's": (
        "x-datadog-trace-id: 1",
        "wrong",
        "x-datadog-trace-id came, which is Datadog's: no propagator of ours reads it | have the caller send traceparent (W3C) as well",
    ),
    **{
        whose: (
            f"{name}: 1",
            "wrong",
            (
                f"{name} came, which is {whose}: no propagator of ours reads it | "
                "have the caller send traceparent (W3C) as well"
            ),
        )
        for name, whose in (
            ("x-cloud-trace-context", "Google Cloud's"),
            ("sentry-trace", "Sentry's"),
            ("elastic-apm-traceparent", "Elastic APM's"),
            ("newrelic", "New Relic's"),
            ("x-instana-t", "Instana's"),
        )
    },
    "SkyWalking's": (
        "sw8: 1-a",
        "wrong",
        "sw8 came, which is SkyWalking's: no propagator of ours reads it | have the caller send traceparent (W3C) as well",
    ),
    "curl": (
        "curl -sH 'traceparent: 00-" + "1" * 32 + "-" + "2" * 16 + "-01' x",
        "well",
        "traceparent is read by tracecontext | ",
    ),
    "none": ("nonsense", "look", "no tracing header was given: a new trace begins here | -H 'name: value'"),
    "none of tracing": (
        "user-agent: curl",
        "look",
        "no tracing header was given: a new trace begins here | -H 'name: value'",
    ),
    "empty": ("", "look", "no tracing header was given: a new trace begins here | -H 'name: value'"),
}


@pytest.mark.parametrize(("header", "level", "text"), HEADERS.values(), ids=HEADERS)
def test_doctor_says_which_propagator_reads_a_header(
    header: str, level: str, text: str, doctor: Doctor
) -> None:
    """Row K12."""
    assert doctor("--no-send", "-H", header).of("headers", level) == text


def test_every_exporter_gets_its_span(doctor: Doctor, servers: ExitStack) -> None:
    """Row K13."""
    receiver = servers.enter_context(HttpReceiver())
    daemon = servers.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    daemon.bind(("127.0.0.1", 0))
    daemon.settimeout(20)
    address = f"127.0.0.1:{daemon.getsockname()[1]}"
    exporters = {"OTEL_TRACES_EXPORTER": "otlp,console,xray_daemon", "AWS_XRAY_DAEMON_ADDRESS": address}
    report = doctor(**exporters, **{ENDPOINT: receiver.base})
    assert len(receiver.spans) == 1
    assert daemon.recv(70_000).startswith(b'{"format":"json","version":1}\n')
    assert report.of("console", "well") == "spans are printed to standard output | "
    assert report.rows["exporter"][1] == "OTEL_TRACES_EXPORTER"


INVALID = Response(403, b'{"message": "no such token"}', {"x-amzn-errortype": "UnrecognizedClientException"})
KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "geheim", "AWS_REGION": "eu-west-1"}
XRAY: dict[str, tuple[dict[str, str], str]] = {
    "refused": (KEYS, "(UnrecognizedClientException)"),
    "no credentials": (
        {"AWS_REGION": "eu-west-1"},
        "https://xray.eu-west-1.amazonaws.com: Unable to locate credentials",
    ),
    "no region": (
        {},
        "the exporter cannot be made: region: expected a name such as eu-west-1; pass one or set AWS_REGION",
    ),
}


@pytest.mark.parametrize(("variables", "text"), XRAY.values(), ids=XRAY)
def test_doctor_says_why_x_ray_gets_no_span(
    variables: dict[str, str], text: str, doctor: Doctor, servers: ExitStack, tmp_path: Path
) -> None:
    """Row K13."""
    pytest.importorskip("botocore")
    receiver = servers.enter_context(HttpReceiver(always=INVALID))
    if variables is KEYS:
        variables = {**variables, "AWS_ENDPOINT_URL_XRAY": receiver.base}
    elsewhere = {"HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/dev/null"}
    report = doctor(OTEL_TRACES_EXPORTER="xray", **elsewhere, **variables)
    printed = json.dumps(report)
    assert (report.status, text in printed) == (1, True), printed
    assert "geheim" not in printed


B3 = "b3: 463ac35c9f6413ad-72485a3953bb6124-1"
CONFIGURATION = """
file_format: "1.0"
resource:
  attributes: [{name: service.name, value: "${SHOP:-shop}"}, {name: region, value: eu}]
attribute_limits: {attribute_count_limit: 9}
propagator:
  composite: [{tracecontext: }, {b3: }]
tracer_provider:
  sampler: {parent_based: {root: {trace_id_ratio_based: {ratio: 0.001}}}}
  id_generator: {random: }
  processors:
    - batch:
        schedule_delay: 100
        exporter:
          otlp_http: {endpoint: ENDPOINT, headers: [{name: api-key, value: geheim}]}
    - simple: {exporter: {console: }}
"""


def test_a_configuration_file_is_used_and_each_value_is_shown_with_its_key(
    servers: ExitStack, tmp_path: Path
) -> None:
    """Row K14, and K12 and K13 with a file."""
    pytest.importorskip("opentelemetry.configuration")
    receiver = servers.enter_context(HttpReceiver())
    file = tmp_path / "otel.yaml"
    file.write_text(CONFIGURATION.replace("ENDPOINT", receiver.endpoint.replace("://", "://me:geheim@")))
    done = programs.run(
        *("doctor", "--json", "-H", B3, "-H", "uber-trace-id: 1:2:0:1"),
        OTEL_CONFIG_FILE=str(file),
        SHOP="kiosk",
    )
    report = json.loads(done.stdout)
    assert done.returncode == 1  # nothing reads Jaeger's header
    assert '"name": "ot-bridge doctor"' in done.stderr  # the console's
    assert "geheim" not in done.stdout
    batch = "tracer_provider.processors[0].batch"
    rows = [(each["name"], each["value"], each["source"]) for each in report["rows"]]
    for row in [
        ("service.name", "kiosk", "resource.attributes.service.name"),
        ("resource", "eu", "resource.attributes.region"),
        ("limits", "attribute_count_limit: 9", "attribute_limits.attribute_count_limit"),
        ("propagators", "composite[0]: tracecontext", "propagator.composite[0]"),
        ("propagators", "composite[1]: b3", "propagator.composite[1]"),
        ("trace ids", "id_generator: random", "tracer_provider.id_generator"),
        ("sampler", "ratio: 0.001", "tracer_provider.sampler.parent_based.root.trace_id_ratio_based.ratio"),
        ("exporter", f"endpoint: {receiver.endpoint}", f"{batch}.exporter.otlp_http.endpoint"),
        ("exporter", "…", f"{batch}.exporter.otlp_http.headers.api-key"),
        ("exporter", "schedule_delay: 100", f"{batch}.schedule_delay"),
        ("exporter", "exporter: console", "tracer_provider.processors[1].simple.exporter"),
    ]:
        assert (row[0], row[1], f"{file}: {row[2]}") in rows
    texts = {each["text"] for each in report["findings"]}
    assert "b3 is read by b3" in texts
    assert "uber-trace-id came, and no propagator reads it: the caller's trace ends here." in texts
    assert "its processors accepted a span and report that it is flushed" in texts
    assert [span.name for span in receiver.spans] == ["ot-bridge doctor"]


def test_the_errors_of_all_exporters_in_a_file_are_shown(doctor: Doctor, tmp_path: Path) -> None:
    pytest.importorskip("opentelemetry.configuration")
    exporter = f'{{exporter: {{otlp_http: {{endpoint: "{_closed()}", timeout: 100}}}}}}'
    file = tmp_path / "otel.yaml"
    file.write_text(
        f'file_format: "1.0"\ntracer_provider:\n  processors: [{{simple: {exporter}}}, {{batch: {exporter}}}]\n'
    )
    before, _, problems = doctor(OTEL_CONFIG_FILE=str(file)).of("file").removesuffix(" | ").partition(": ")
    first, second = problems.split("; ")
    assert before == "1 span not delivered"
    assert first == second != ""


@pytest.fixture
def _files_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenTelemetry's schema for such files is valid. To check this for each file takes a second."""
    pytest.importorskip("opentelemetry.configuration")
    jsonschema = importlib.import_module("jsonschema")
    monkeypatch.setattr(jsonschema.Draft202012Validator, "check_schema", lambda *_, **__: None)


NOTHING = {
    "always off": "sampler: {always_off: }",
    "off at the root": "sampler: {parent_based: {root: {always_off: }}}",
    "a ratio of 0": "sampler: {trace_id_ratio_based: {ratio: 0}}",
}


@pytest.mark.usefixtures("_files_are_understood")
@pytest.mark.parametrize("sampler", NOTHING.values(), ids=NOTHING)
def test_a_configuration_file_whose_sampler_drops_everything_is_reported(
    sampler: str, doctor: Doctor, tmp_path: Path
) -> None:
    """Row K9."""
    file = tmp_path / "otel.yaml"
    exporter = "processors: [{simple: {exporter: {console: }}}]"
    file.write_text(f'file_format: "1.0"\ntracer_provider:\n  {sampler}\n  {exporter}\n')
    finding = doctor(OTEL_CONFIG_FILE=str(file)).of("exporter")
    assert finding.startswith("nothing will be sent, and this is why: its sampler (")
    assert finding.endswith(
        ") samples no trace that begins here | tracer_provider.sampler: {parent_based: {root: {always_on: }}}"
    )


BROKEN_FILES = {
    "missing": (None, "otel.yaml"),
    "not YAML": ("a: [", "otel.yaml"),
    "another format": ("file_format: '9.0'\n", "file_format"),
}


@pytest.mark.usefixtures("_files_are_understood")
@pytest.mark.parametrize("option", [[], ["--no-send"]], ids=["sending", "not sending"])
@pytest.mark.parametrize(("content", "problem"), BROKEN_FILES.values(), ids=BROKEN_FILES)
def test_an_unusable_configuration_file_is_reported(
    content: str | None, problem: str, option: list[str], doctor: Doctor, tmp_path: Path
) -> None:
    file = tmp_path / "otel.yaml"
    if content is not None:
        file.write_text(content)
    report = doctor(*option, OTEL_CONFIG_FILE=str(file))
    assert report.status == 1
    assert report.rows["file"] == (str(file), "OTEL_CONFIG_FILE")
    assert f"{file} cannot be used: " in report.of("file")
    assert problem in report.of("file")


SET_UPS = {
    "uWSGI without threads": (
        "uwsgi --master",
        "",
        "wrong",
        "uWSGI starts without threads, so the thread that exports spans does not run | uwsgi --enable-threads …",
    ),
    "uWSGI with threads": ("uwsgi --enable-threads", "", "", ""),
    "uWSGI with a number of threads": ("uwsgi --threads 4", "", "", ""),
    "uWSGI with a file": ("uwsgi --ini app.ini", "", "", ""),
    "uWSGI with a file in YAML": ("uwsgi --yaml app.yml", "", "", ""),
    "gunicorn": ("gunicorn app:app", "grpc", "", ""),
    "gunicorn's gevent": (
        "gunicorn -k gevent app:app",
        "",
        "look",
        "gevent makes a greenlet of the thread that exports: one that never waits delays spans | let such a loop give way: sleep(0)",
    ),
    "as one word": (
        "gunicorn --worker-class=gevent app:app",
        "",
        "look",
        "gevent makes a greenlet of the thread that exports: one that never waits delays spans | let such a loop give way: sleep(0)",
    ),
    "celery's eventlet": (
        "celery -A tasks worker -P eventlet",
        "",
        "look",
        "eventlet makes a greenlet of the thread that exports: one that never waits delays spans | let such a loop give way: sleep(0)",
    ),
    "a patched Python": (
        "{python} -m gevent.monkey app.py",
        "",
        "look",
        "gevent makes a greenlet of the thread that exports: one that never waits delays spans | let such a loop give way: sleep(0)",
    ),
    "gevent and gRPC": (
        "gunicorn -kgevent app:app",
        "grpc",
        "wrong",
        "gRPC blocks gevent's loop, and spans may not leave | OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
    ),
    "a fork and gRPC": (
        "gunicorn --preload app:app",
        "grpc",
        "look",
        "the program forks after it was loaded, and a gRPC channel does not survive a fork | OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
    ),
    "a fork": ("gunicorn --preload app:app", "", "", ""),
    "celery's fork and gRPC": (
        "celery -A tasks worker",
        "grpc",
        "look",
        "the program forks after it was loaded, and a gRPC channel does not survive a fork | OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
    ),
    "celery's threads and gRPC": ("celery -A tasks worker --pool=threads", "grpc", "", ""),
    "celery's only process and gRPC": ("celery -A tasks worker -P solo", "grpc", "", ""),
    "uWSGI's fork and gRPC": (
        "uwsgi --enable-threads",
        "grpc",
        "look",
        "the program forks after it was loaded, and a gRPC channel does not survive a fork | OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
    ),
    "lazy applications": ("uwsgi --enable-threads --lazy-apps", "grpc", "", ""),
}


@pytest.mark.parametrize(("line", "protocol", "level", "text"), SET_UPS.values(), ids=SET_UPS)
def test_a_server_setup_that_may_lose_spans_is_named(
    line: str, protocol: str, level: str, text: str, doctor: Doctor
) -> None:
    """Row K13."""
    command = line.format(python=sys.executable).split()
    report = doctor("--no-send", "--", *command, OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
    finding = "\n".join(report.of("program", each) for each in ("wrong", "look"))
    if level:
        assert text in report.of("program", level).splitlines()
    else:
        assert not re.search("greenlet|fork|threads", finding)


def test_secrets_are_not_shown(doctor: Doctor) -> None:
    report = doctor(
        "--no-send",
        **{
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=geheim",
            ENDPOINT: "http://user:geheim@collector:4318",
            "OTEL_EXPORTER_OTLP_HEADRES": "authorization=geheim",
        },
    )
    assert report.rows["headers"] == ("…", "OTEL_EXPORTER_OTLP_HEADERS")
    assert report.rows["endpoint"][0] == "http://collector:4318/v1/traces"
    assert "geheim" not in json.dumps(report)


def test_doctor_runs_the_programs_python_to_find_what_the_program_would_import(
    doctor: Doctor, tmp_path: Path
) -> None:
    """Row K10. The program itself is not run."""
    (tmp_path / "app.py").write_text("open('ran', 'w')")
    report = doctor("--no-send", "-H", "sw8: 1", "--", sys.executable, str(tmp_path / "app.py"))
    assert report.rows["program"][0] == f"{sys.executable} {tmp_path / 'app.py'}"
    shown, source = report.rows["its python"]
    assert shown.endswith(sys.executable)
    assert source == "argument"
    assert report.rows["redirect"][0] == "ot-bridge run turns it on: jaeger_client, grpc_opentracing"
    assert report.of("program", "well") == (
        f"{sys.executable} has ot-bridge {ot_bridge.__version__} | \n"
        "installed there, too: the real jaeger_client and grpc_opentracing | "
    )
    assert "SkyWalking's" in report.of("headers")
    assert "service.name" in report.rows
    assert not list(tmp_path.glob("ran"))
    for options in ([], ["--"], ["--quiet", "--"], ["--view", "--show", "--"]):
        report = doctor("--no-send", "--", "ot-bridge", "run", *options, sys.executable, "-E", "app.py")
        assert report.rows["program"][0] == f"{sys.executable} -E app.py"
        assert report.of("redirect") == (
            "Python's option -E hides the sitecustomize on PYTHONPATH: leave it out, or call "
            "ot_bridge.redirect.redirect() first in the program | from ot_bridge.redirect import redirect; redirect()"
        )
    bare = doctor("--no-send", "--", sys.executable, "-I", "-S", "app.py")
    assert bare.rows["redirect"][0] == "off, with ot-bridge run too"
    assert bare.of("program") == (
        f"{sys.executable} has no ot_bridge; the one that runs now belongs to {sys.executable} | "
        f"{sys.executable} -m pip install ot-bridge"
    )
    unknown = doctor("--no-send", "--", "sh", "-c", "x").of("program", "look")
    assert unknown == "it is not known which Python sh starts, if any | "
    assert doctor("--no-send", "--", "ot-bridge").rows["program"] == ("ot-bridge", "argument")
    missing = doctor("--no-send", "--", "no-such-program")
    assert (missing.status, missing.of("program")) == (1, "no-such-program: not found | ")


@pytest.mark.parametrize(
    ("installed", "text"),
    [
        ([], "neither jaeger_client nor grpc_opentracing is installed"),
        (["jaeger_client"], "the real jaeger_client is installed"),
        (["grpc_opentracing", "jaeger_client"], "the real jaeger_client and grpc_opentracing are installed"),
    ],
)
def test_the_real_packages_that_are_installed_are_named(
    installed: list[str], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PathFinder, "find_spec", lambda name: name in installed or None)
    (row,) = program.redirection()
    assert row.value == f"off in this process; {text}"


@pytest.mark.parametrize("missing", ["", "protobuf"])
def test_the_versions_of_the_packages_that_matter_are_shown(
    missing: str, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def installed(name: str) -> str:
        if name == missing:
            raise PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(effective, "version", installed)
    _, packages = doctor("--no-send").rows["python"]
    names = ["ot-bridge", "opentelemetry-api", "opentelemetry-sdk", "protobuf", "grpcio", "opentracing"]
    assert packages == ", ".join(f"{name} {version(name)}" for name in names if name != missing)


@pytest.mark.parametrize("exporter", ["otlp", "console"])
def test_a_proxy_matters_only_to_the_exporter_over_http(exporter: str, doctor: Doctor) -> None:
    proxy = {"HTTP_PROXY": _closed(), ENDPOINT: "http://collector:4318"}
    report = doctor(OTEL_TRACES_EXPORTER=exporter, OTEL_EXPORTER_OTLP_TIMEOUT="1", **proxy)
    assert bool(report.of("proxy", "look")) == (exporter == "otlp")


def test_a_file_and_a_service_name_are_checked_in_the_programs_python(doctor: Doctor, tmp_path: Path) -> None:
    file = tmp_path / "jaeger.yml"
    file.write_text("sampler: {type: const, param: 1}\n")
    rows = doctor("--no-send", str(file), "--service-name", "kiosk", "--", sys.executable, "app.py").rows
    assert rows["jaeger.sampler_type"] == ("const", f"{file}: sampler.type")
    assert rows["jaeger.service_name"] == rows["service.name"] == ("kiosk", "argument")


def _python(folder: Path, *lines: str) -> str:
    """A Python that runs these lines of the shell first."""
    path = folder / "python3"
    path.write_text("\n".join(["#!/bin/sh", *lines, f'exec {sys.executable} "$@"', ""]))
    path.chmod(0o755)
    return str(path)


def test_a_python_without_the_doctor_is_reported(doctor: Doctor, tmp_path: Path) -> None:
    line = 'case "$*" in *doctor*) echo odd >&2; echo "invalid choice" >&2; exit 2;; esac'
    finding = doctor("--no-send", "--", _python(tmp_path, line), "app.py").of("program", "look")
    assert finding == "its ot-bridge has no doctor, or could not run it: invalid choice | "


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("exit 3", "exit status 3"),
        ("echo odd >&2; echo 'it fails' >&2; exit 1", "it fails"),
        ("echo '{'; exit 0", "Expecting property name"),
    ],
)
def test_a_python_that_fails_is_reported(line: str, problem: str, doctor: Doctor, tmp_path: Path) -> None:
    python = _python(tmp_path, line)
    report = doctor("--no-send", "--", python, "app.py")
    assert report.of("program").startswith(f"{python} cannot be started: {problem}")
    assert set(report.rows) == {"program"}


@pytest.mark.parametrize("other", [False, True])
def test_a_python_without_our_sitecustomize_is_reported(other: bool, doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").touch()
    python = _python(tmp_path, f"export PYTHONPATH={tmp_path}" if other else "unset PYTHONPATH")
    more = f": {tmp_path / 'sitecustomize.py'} is read in its place" if other else ""
    report = doctor("--no-send", "--", python, "app.py")
    assert report.of("redirect") == (
        f"{sys.executable} does not read the sitecustomize of ot-bridge run{more} | "
    )
    assert report.rows["redirect"] == ("off, with ot-bridge run too", "ot-bridge run")


@pytest.mark.parametrize(("level", "kind"), [("warning", "look"), ("error", "wrong")])
def test_a_log_line_of_the_library_is_a_finding(
    level: str, kind: str, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def logging_rows(name: str | None) -> list[Row]:
        for text in ("odd; one", "odd; two", "odd; two"):
            getattr(logging.getLogger("ot_bridge.engine"), level)(text)
        return []

    monkeypatch.setattr(effective, "rows", logging_rows)
    before = logging.getLogger("ot_bridge").propagate
    assert doctor("--no-send").of("library", kind) == "odd; one | \nodd; two | "
    assert logging.getLogger("ot_bridge").propagate is before is True


def test_redirection_in_this_process_is_reported(doctor: Doctor) -> None:
    """Row K11."""
    value, source = doctor("--no-send").rows["redirect"]
    assert value == "off in this process; the real jaeger_client and grpc_opentracing are installed"
    assert source == "ot-bridge run -- … turns it on"


def test_the_doctor_command_prints_findings_and_sets_the_exit_status(servers: ExitStack) -> None:
    """The command prints a table and findings with remedies, sets the exit status, and logs nothing."""
    receiver = servers.enter_context(HttpReceiver())
    done = programs.run(
        "doctor", OTEL_EXPORTER_OTLP_PROTCOL="http/json", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.base
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("python ")
    assert (
        "\nx variable  OTEL_EXPORTER_OTLP_PROTCOL has no effect: it is not known. Did you mean" in done.stdout
    )
    assert "\n+ otlp      delivered to http://127.0.0.1:" in done.stdout
    assert done.stdout.endswith("1 wrong, 1 to look at\n")
    redirected = programs.run(
        "run", "--quiet", "--", sys.executable, "-m", "ot_bridge", "doctor", "--no-send"
    )
    assert "redirect " in redirected.stdout
    assert "on: jaeger_client, grpc_opentracing are ours" in redirected.stdout


def test_the_report_is_a_table_and_then_the_findings_with_the_worst_first(
    doctor: Doctor, capsys: pytest.CaptureFixture[str]
) -> None:
    variables = {"OTEL_SERVICE_VERSION_NUMBER": "1", "OTEL_EXPORTER_OTLP_PROTCOL": "grpc"}
    report = doctor("--no-send", "--service-name", "shop", "-H", B3, **variables)
    assert main(["doctor", "--no-send", "--service-name", "shop", "-H", B3]) == 1
    printed = capsys.readouterr().out.splitlines()
    table, findings = printed[: printed.index("")], printed[printed.index("") + 1 :]
    assert [line.split()[0] for line in table] == [name.split()[0] for name in report.rows]
    (row,) = (line for line in table if line.startswith("sampler "))
    name = max(map(len, report.rows))
    value = min(60, max(len(value) for value, _ in report.rows.values()))
    assert row == f"{'sampler':{name}}  {'parentbased_always_on':{value}}  default"
    assert findings == [
        (
            "x variable  OTEL_EXPORTER_OTLP_PROTCOL has no effect: it is not known. Did you mean "
            "OTEL_EXPORTER_OTLP_PROTOCOL?"
        ),
        "            OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
        "x headers   b3 came, and no propagator reads it: the caller's trace ends here.",
        "            OTEL_PROPAGATORS=tracecontext,baggage,jaeger,b3",
        "! variable  OTEL_SERVICE_VERSION_NUMBER is not read by anything here",
        "            unset OTEL_SERVICE_VERSION_NUMBER",
        "2 wrong, 1 to look at",
    ]


def test_a_report_without_findings_says_so(doctor: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--no-send", "--service-name", "shop"]) == 0
    assert capsys.readouterr().out.endswith("\n\nall is well\n")


FILES: dict[str, tuple[bytes | None, str]] = {
    "missing": (None, "file cannot be read: No such file or directory"),
    "no text": (b"\xff\xfe", "file: no text in UTF-8"),
    "no dictionary": (b"text", "file: no dictionary in YAML, JSON or Python"),
}


@pytest.mark.parametrize(("content", "text"), FILES.values(), ids=FILES)
def test_an_invalid_configuration_file_gives_an_error_message(
    content: bytes | None,
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", "--no-send", "file"]) == 2
    assert capsys.readouterr() == ("", f"ot-bridge doctor: {text}\n")


def _closed() -> str:
    return f"http://127.0.0.1:{free_port()}"


COMMANDS: dict[str, tuple[list[str], dict[str, str], str]] = {
    "K1": ([], {}, "nothing listens at 127.0.0.1:"),
    "K5": ([], {ENDPOINT: "localhost:4318"}, "x variable  OTEL_EXPORTER_OTLP_ENDPOINT"),
    "K6": (["--no-send"], {"OTEL_TRACES_EXPORTER": "zipkin_thrift"}, "OTEL_TRACES_EXPORTER"),
    "K9": ([], {"OTEL_SDK_DISABLED": "true"}, "nothing will be sent, and this is why"),
    "K10": (["--no-send", "--", sys.executable, "-I", "app.py"], {}, "Python's option -I"),
    "K12": (["--no-send", "-H", "x-datadog-trace-id: 1"], {}, "x-datadog-trace-id came, which is Datadog's"),
}


@pytest.mark.parametrize(("arguments", "variables", "text"), COMMANDS.values(), ids=COMMANDS)
def test_each_row_is_reported_by_the_command_in_its_own_process(
    arguments: list[str], variables: dict[str, str], text: str
) -> None:
    """The rows that no other test here runs in a process of its own."""
    done = programs.run("doctor", *arguments, cwd=None, **{ENDPOINT: _closed(), **variables})
    assert (done.returncode, done.stderr) == (1, ""), done.stdout
    assert text in done.stdout


@pytest.mark.parametrize("expired", [False, True], ids=["K4", "K3"])
def test_each_response_is_reported_by_the_command_in_its_own_process(
    expired: bool, servers: ExitStack, tmp_path: Path
) -> None:
    tls = Authority(tmp_path).context(expired=True) if expired else None
    receiver = servers.enter_context(HttpReceiver(tls=tls, always=Response(401)))
    trusted = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(tmp_path / "ca.pem")} if expired else {}
    done = programs.run("doctor", cwd=None, **{ENDPOINT: receiver.base, **trusted})
    assert done.returncode == 1
    assert ("has expired" if expired else "refuses the sender (HTTP 401)") in done.stdout


def test_the_protocol_of_a_server_is_recognized_by_its_first_bytes(tmp_path: Path) -> None:
    first_bytes = {
        addresses.HTTP: b"HTTP/1.1 200 OK\r\n\r\n",
        addresses.HTTP2: b"\x00\x00\x06\x04\x00\x00\x00\x00\x00" + b"\x00" * 6,
        addresses.TLS: b"\x15\x03\x01\x00\x02\x02\x46",
        addresses.CLOSED: b"",
    }
    for kind, data in first_bytes.items():
        with _listening(_answering(data)) as port:
            assert addresses.probe("127.0.0.1", port) == kind
    refusing = b"HTTP/1.1 400 Bad\r\n\r\nThe plain HTTP request was sent to HTTPS port"
    with _listening(_answering(refusing)) as port:
        assert addresses.probe("127.0.0.1", port) == addresses.TLS


@pytest.mark.parametrize(
    ("alert", "kind"), [(b"\x15\x03\x03\x00\x02\x02\x28", addresses.TLS), (b"garbage", addresses.CLOSED)]
)
def test_a_server_that_closes_a_plain_connection_is_asked_in_tls(alert: bytes, kind: str) -> None:
    received: list[bytes] = []

    def respond(connection: socket.socket) -> None:
        received.append(connection.recv(9))
        if not received[-1].startswith(b"GET "):
            connection.sendall(alert)
            connection.recv(9999)

    with _listening(respond) as port:
        assert addresses.probe("127.0.0.1", port) == kind
    assert len(received) == 2


def _answering(data: bytes) -> Callable[[socket.socket], None]:
    def respond(connection: socket.socket) -> None:
        connection.recv(99)
        connection.sendall(data)

    return respond
