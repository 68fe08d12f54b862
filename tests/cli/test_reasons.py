"""The parts of `ot-bridge doctor`: reasons from log lines, versions, variables, row by row."""

from __future__ import annotations

import os

import pytest

from ot_bridge.cli.checkup import addresses, effective, known, packages
from ot_bridge.cli.checkup.model import is_secret, source, variable
from ot_bridge.cli.checkup.reasons import Address, Reason, address_of, reason
from ot_bridge.jaeger_client.settings import ROWS


@pytest.mark.parametrize(
    ("url", "grpc", "address"),
    [
        ("http://h:1/v1", False, ("h", 1, False, False)),
        ("http://h", False, ("h", 80, False, False)),
        ("https://h", False, ("h", 443, True, False)),
        ("https://h", True, ("h", 4317, True, True)),
        ("h:5", True, ("h", 5, False, True)),
        ("h", True, ("h", 4317, False, True)),
        ("http://[::1]:7", False, ("::1", 7, False, False)),
        ("http://h:x", False, None),
        ("http://", False, None),
    ],
)
def test_the_address_of_an_endpoint(url: str, grpc: bool, address: tuple[object, ...] | None) -> None:
    assert address_of(url, grpc) == address


def test_an_address_is_shown_with_brackets_where_it_needs_them() -> None:
    one, other = Address("h", 1, False, False), Address("::1", 2, False, False)
    assert (one.authority, other.authority) == ("h:1", "[::1]:2")
    assert other.at(3) == "OTEL_EXPORTER_OTLP_ENDPOINT=http://[::1]:3"
    assert one.at(3, "https") == "OTEL_EXPORTER_OTLP_ENDPOINT=https://h:3"


@pytest.mark.parametrize(
    ("logged", "text", "mend"),
    [
        (
            "certificate verify failed: self-signed certificate",
            "it shows a certificate of an issuer that this machine does not know",
            "OTEL_EXPORTER_OTLP_CERTIFICATE=/path/to/the/issuer.pem",
        ),
        (
            "unable to get local issuer certificate",
            "it shows a certificate of an issuer that this machine does not know",
            "OTEL_EXPORTER_OTLP_CERTIFICATE=/path/to/the/issuer.pem",
        ),
        (
            "unable to get issuer",
            "it shows a certificate of an issuer that this machine does not know",
            "OTEL_EXPORTER_OTLP_CERTIFICATE=/path/to/the/issuer.pem",
        ),
        (
            "Hostname mismatch, x",
            "it shows a certificate for another name (Hostname mismatch)",
            "OTEL_EXPORTER_OTLP_ENDPOINT=https://THE-NAME-IN-THE-CERTIFICATE",
        ),
        (
            "IP address mismatch, x",
            "it shows a certificate for another name (IP address mismatch)",
            "OTEL_EXPORTER_OTLP_ENDPOINT=https://THE-NAME-IN-THE-CERTIFICATE",
        ),
        ("certificate has expired", "the certificate of it has expired", "renew it there"),
        ("certificate is not yet valid", "the certificate of it is not yet valid", "renew it there"),
        *(
            (
                text,
                "it wants a certificate of the client",
                "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=… and OTEL_EXPORTER_OTLP_CLIENT_KEY=…",
            )
            for text in ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE", "BAD_CERTIFICATE")
        ),
        (
            "HTTP 401",
            "it refuses the sender (HTTP 401): a header or token is missing or wrong",
            "OTEL_EXPORTER_OTLP_HEADERS=name=value",
        ),
        (
            "HTTP 403",
            "it refuses the sender (HTTP 403): a header or token is missing or wrong",
            "OTEL_EXPORTER_OTLP_HEADERS=name=value",
        ),
        (
            "HTTP 404",
            "it takes no spans at this path (HTTP 404): the path is doubled, missing, or another one",
            "OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:4318, without a path (_TRACES_ENDPOINT: with all of it)",
        ),
        (
            "HTTP 405",
            "it takes no POST at this path (HTTP 405)",
            "OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:4318",
        ),
        ("HTTP 413", "it takes no request of this size (HTTP 413)", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=64"),
        (
            "body too large",
            "it takes no request of this size (HTTP 413)",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=64",
        ),
        (
            "HTTP 415",
            "it does not take this encoding (HTTP 415)",
            "OTEL_EXPORTER_OTLP_PROTOCOL=http/json, or OTEL_EXPORTER_OTLP_COMPRESSION=none",
        ),
        (
            "HTTP 429",
            "it is overloaded (HTTP 429) and asks to try again later",
            "try again later, or sample less",
        ),
        (
            "HTTP 503",
            "it is overloaded (HTTP 503) and asks to try again later",
            "try again later, or sample less",
        ),
        (
            "HTTP 307",
            "it sends elsewhere (HTTP 307), and redirects are not followed",
            "OTEL_EXPORTER_OTLP_ENDPOINT=the address that it leads to",
        ),
        (
            "HTTP 200, but a web page",
            "a web page came back from it (HTTP 200): no collector is there",
            "OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:4318",
        ),
        (
            "the receiver rejected them: too old",
            "it took the request and rejected the span: too old",
            "its message says what to change",
        ),
        (
            "StatusCode.UNIMPLEMENTED",
            "it speaks gRPC, and has no service for spans (UNIMPLEMENTED)",
            "OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:4317",
        ),
        (
            "StatusCode.UNAUTHENTICATED",
            "it refuses the sender: a header or token is missing or wrong",
            "OTEL_EXPORTER_OTLP_HEADERS=name=value",
        ),
        (
            "PERMISSION_DENIED",
            "it refuses the sender: a header or token is missing or wrong",
            "OTEL_EXPORTER_OTLP_HEADERS=name=value",
        ),
        ("HTTP 500 no", "it answers HTTP 500 no", ""),
        ("something else", "something else", ""),
        ("", "the exporter gives no reason", ""),
    ],
)
def test_each_log_line_of_an_exporter_has_its_reason(logged: str, text: str, mend: str) -> None:
    assert reason(None, logged) == Reason(text, mend)


H1, H2, TLS = addresses.HTTP, addresses.HTTP2, addresses.TLS


@pytest.mark.parametrize(
    ("found", "secure", "grpc", "text", "mend"),
    [
        (
            addresses.REFUSED,
            False,
            False,
            "nothing listens at h:9: the connection was refused",
            "OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:9, with the host on which the collector runs",
        ),
        (
            addresses.UNKNOWN,
            False,
            False,
            "there is no host h: its name cannot be resolved",
            "OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:9",
        ),
        (
            addresses.SILENT,
            False,
            False,
            "h:9 cannot be reached: a firewall, no route, or a host that is off",
            "OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:9",
        ),
        (
            addresses.MUTE,
            False,
            False,
            "h:9 takes the connection and answers nothing in time: it hangs, or is no collector",
            "",
        ),
        (
            addresses.CLOSED,
            False,
            False,
            "h:9 closes the connection without an answer: it is no collector",
            "",
        ),
        (
            H1,
            True,
            False,
            "h:9 does not speak TLS, and the endpoint is https://",
            "OTEL_EXPORTER_OTLP_ENDPOINT=http://h:9",
        ),
        (
            H2,
            True,
            True,
            "h:9 does not speak TLS, and the endpoint is https://",
            "OTEL_EXPORTER_OTLP_ENDPOINT=http://h:9",
        ),
        (
            TLS,
            False,
            False,
            "h:9 speaks TLS, and the endpoint is http://",
            "OTEL_EXPORTER_OTLP_ENDPOINT=https://h:9",
        ),
        (
            H2,
            False,
            False,
            "h:9 answers in HTTP/2, as gRPC does; this exporter speaks HTTP/1.1",
            "OTEL_EXPORTER_OTLP_ENDPOINT=http://h:4318      (or OTEL_EXPORTER_OTLP_PROTOCOL=grpc)",
        ),
        (
            H1,
            False,
            True,
            "h:9 answers in HTTP/1.1; this exporter speaks gRPC, in HTTP/2",
            "OTEL_EXPORTER_OTLP_ENDPOINT=http://h:4317      (or OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf)",
        ),
        *((each, False, False, "the exporter gives no reason", "") for each in (H1, "")),
        (H2, False, True, "the exporter gives no reason", ""),
        (TLS, True, False, "the exporter gives no reason", ""),
    ],
)
def test_what_listens_at_the_address_is_the_reason(
    found: str, secure: bool, grpc: bool, text: str, mend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "probe", lambda host, port: found)
    assert reason(Address("h", 9, secure, grpc), "") == Reason(text, mend)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_on_this_machine_the_viewer_is_named(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "probe", lambda host, port: addresses.REFUSED)
    assert reason(Address(host, 9, False, False), "").mend == (
        "ot-bridge view    shows spans on this machine; a collector somewhere else: "
        "OTEL_EXPORTER_OTLP_ENDPOINT=http://HOST:4318"
    )
    assert reason(None, "") == Reason("the exporter gives no reason")


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (b"HTTP/1.1 200 OK", H1),
        (b"HTTP/1.1 400 Bad Request\r\n\r\nsent to an HTTPS port", TLS),
        (b"HTTP/1.1 400 Bad Request\r\n\r\nno", H1),
        (b"HTTP/1.1 200 OK\r\n\r\nhttps", H1),
        (b"\x15\x03\x01\x00", TLS),
        (b"\x00\x00\x06\x04\x00", H2),
        (b"\x00\x00\x06\x05\x00", ""),
        *((data, "") for data in (b"\x00\x00\x06", b"", b"SSH-2.0")),
    ],
)
def test_the_first_bytes_tell_the_protocol(response: bytes, kind: str) -> None:
    assert addresses.protocol_of(response) == kind


@pytest.mark.parametrize(
    ("installed", "operator", "wanted", "fits"),
    [
        *(("1.2", "==", "1.2.0", True), ("1.2", "==", "1.3", False), ("0.5b1", "==", "0.5b0", False)),
        *(("0.5b0", "==", "0.5b0", True), ("1.2", "==", "2.*", True), ("1.2", "~=", "9", True)),
        *(("1.2", "!=", "1.2", True), ("1.2", ">=", "1.2", True), ("1.2", ">=", "1.3", False)),
        *(("1.2", "<=", "1.2", True), ("1.3", "<=", "1.2", False), ("1.2", "<", "1.2", False)),
        *(("1.1", "<", "1.2", True), ("1.2", ">", "1.2", False), ("1.2.1", ">", "1.2", True)),
        *(("2.0rc1", ">=", "2.0", True), ("2.0rc1", "==", "2.0", True), ("2.0rc1", ">", "2.0", False)),
        ("0.5b1", ">", "0.5", False),
        *(("1", ">=", "1.0", True), ("1.0.0.0.1", "==", "1", True)),
    ],
)
def test_a_version_fits_a_requirement(installed: str, operator: str, wanted: str, fits: bool) -> None:
    assert packages.fits(installed, operator, wanted) is fits


@pytest.mark.parametrize(
    ("name", "value", "setting"),
    [
        ("JAEGER_AGENT_HOST", "h", True),
        ("JAEGER_AGENT_PORT", "tcp://10.0.0.1:6831", False),
        ("JAEGER_AGENT_PORT", "6831", True),
        ("JAEGER_SERVICE_HOST", "10.0.0.1", False),
        ("JAEGER_PORT_6831_UDP", "udp://10.0.0.1:6831", False),
        ("JAEGER_PORT_6831_UDP_ADDR", "10.0.0.1", False),
        ("JAEGER_SERVICE_PORT_HTTP", "80", False),
        ("JAEGER_ENV_PATH", "x", False),
        ("JAEGER_SERVICE_NAME", "shop", True),
        ("JAEGER_COLLECTOR_NAME", "/app/collector", False),
    ],
)
def test_a_variable_that_kubernetes_sets_is_no_setting(
    name: str, value: str, setting: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    found = [each.text for each in known.findings() if each.text.startswith(name)]
    read = [f"{name}: read by jaeger-client's names (ot_bridge.jaeger_client) only, and not by install()"]
    assert found == read * setting


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        *((f"A_{word}", True) for word in ("HEADERS", "TOKEN", "PASSWORD", "SECRET", "CREDENTIALS", "USER")),
        *(("AWS_ACCESS_KEY_ID", True), ("a_token", True), ("A_USERS", False), ("OTEL_SERVICE_NAME", False)),
    ],
)
def test_the_value_of_a_variable_with_a_secret_is_not_shown(
    name: str, secret: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, " value ")
    assert is_secret(name) is secret
    assert variable(name) == ("…" if secret else "value")
    monkeypatch.setenv(name, " ")
    assert variable(name) == ""
    assert source(name) == "default"
    monkeypatch.setenv("A_OTHER", "http://u:p@h/")
    assert source(name, "A_OTHER") == "A_OTHER"
    assert variable("A_OTHER") == "http://h/"


@pytest.fixture
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in os.environ if each.startswith("OTEL_")]:
        monkeypatch.delenv(name)


def _rows() -> list[tuple[str, str, str]]:
    return [tuple(row) for row in effective.rows() if row.name not in ("python", "resource")]  # type: ignore[misc]


@pytest.mark.usefixtures("_unset")
def test_the_rows_without_a_variable_are_the_defaults() -> None:
    assert [row for row in _rows() if row[0] != "service.name"] == [
        ("sampler", "parentbased_always_on", "default"),
        ("propagators", "tracecontext, baggage, jaeger", "default of ot-bridge"),
        ("trace ids", "128 bits", "default for these propagators"),
        ("exporter", "otlp (http/protobuf)", "default"),
        ("  endpoint", "http://localhost:4318/v1/traces", "default"),
        ("semconv", "as the program sets them", "default"),
        ("delivery", "queue of 2048 spans, batches of 512, every 1 s", "default"),
    ]


#: variables -> the rows of doctor's table that differ from those without variables
EFFECTIVE: list[tuple[dict[str, str], list[tuple[str, str, str]]]] = [
    (
        {"OTEL_SEMCONV_STABILITY_OPT_IN": "http/dup,rpc"},
        [("semconv", "http/dup,rpc", "OTEL_SEMCONV_STABILITY_OPT_IN")],
    ),
    (
        {"OTEL_PROPAGATORS": "b3,ottrace"},
        [
            ("propagators", "b3, ottrace", "OTEL_PROPAGATORS"),
            ("trace ids", "64 bits", "default for these propagators"),
        ],
    ),
    (
        {"OTEL_PROPAGATORS": "xray,ottrace"},
        [
            ("propagators", "xray, ottrace", "OTEL_PROPAGATORS"),
            ("trace ids", "64 bits", "default for these propagators"),
        ],
    ),
    (
        {"OTEL_PROPAGATORS": "xray"},
        [
            ("propagators", "xray", "OTEL_PROPAGATORS"),
            ("trace ids", "128 bits, with X-Ray's time in them", "default for these propagators"),
        ],
    ),
    (
        {"OTEL_TRACES_EXPORTER": "xray_daemon"},
        [
            ("propagators", "tracecontext, baggage, jaeger, xray", "default of ot-bridge"),
            ("trace ids", "128 bits, with X-Ray's time in them", "default for these propagators"),
            ("exporter", "xray_daemon", "OTEL_TRACES_EXPORTER"),
        ],
    ),
    ({"OTEL_TRACES_EXPORTER": "none"}, [("exporter", "none", "OTEL_TRACES_EXPORTER")]),
    (
        {"OTEL_TRACES_EXPORTER": "otlp,console"},
        [
            ("exporter", "otlp (http/protobuf)", "OTEL_TRACES_EXPORTER"),
            ("exporter", "console", "OTEL_TRACES_EXPORTER"),
        ],
    ),
    ({"OTEL_PYTHON_ID_GENERATOR": "random"}, [("trace ids", "random", "OTEL_PYTHON_ID_GENERATOR")]),
    (
        {"OTEL_RESOURCE_ATTRIBUTES": "service.name = shop,region=eu"},
        [("service.name", "shop", "OTEL_RESOURCE_ATTRIBUTES")],
    ),
    ({"OTEL_SERVICE_NAME": "shop"}, [("service.name", "shop", "OTEL_SERVICE_NAME")]),
    (
        {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5"},
        [("sampler", "traceidratio 0.5", "OTEL_TRACES_SAMPLER + OTEL_TRACES_SAMPLER_ARG")],
    ),
    ({"OTEL_TRACES_SAMPLER": "always_on"}, [("sampler", "always_on", "OTEL_TRACES_SAMPLER")]),
    (
        {
            "OTEL_BSP_SCHEDULE_DELAY": "1500",
            "OTEL_BSP_MAX_QUEUE_SIZE": "100",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10",
        },
        [
            (
                "delivery",
                "queue of 100 spans, batches of 10, every 1.5 s",
                "OTEL_BSP_MAX_EXPORT_BATCH_SIZE, OTEL_BSP_MAX_QUEUE_SIZE, OTEL_BSP_SCHEDULE_DELAY",
            )
        ],
    ),
    (
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        [
            ("exporter", "otlp (grpc)", "OTEL_EXPORTER_OTLP_PROTOCOL"),
            ("  endpoint", "http://localhost:4317", "default"),
        ],
    ),
    (
        {
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://h:1/x",
        },
        [
            ("exporter", "otlp (http/protobuf)", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"),
            ("  endpoint", "http://h:1/x", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
        ],
    ),
    (
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:1"},
        [
            ("exporter", "otlp (grpc)", "OTEL_EXPORTER_OTLP_PROTOCOL"),
            ("  endpoint", "http://h:1", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ],
    ),
    (
        {
            "OTEL_EXPORTER_OTLP_TIMEOUT": "7",
            "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "gzip",
            "OTEL_EXPORTER_OTLP_HEADERS": "a=b",
        },
        [
            ("  timeout", "7", "OTEL_EXPORTER_OTLP_TIMEOUT"),
            ("  compression", "gzip", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION"),
            ("  headers", "…", "OTEL_EXPORTER_OTLP_HEADERS"),
        ],
    ),
    ({"OTEL_SDK_DISABLED": "true"}, [("disabled", "true", "OTEL_SDK_DISABLED")]),
]


@pytest.mark.usefixtures("_unset")
@pytest.mark.parametrize(("variables", "rows"), EFFECTIVE, ids=[" ".join(each) for each, _ in EFFECTIVE])
def test_each_row_has_the_value_and_the_variable_that_it_comes_from(
    variables: dict[str, str], rows: list[tuple[str, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = _rows()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert [row for row in _rows() if row not in usual] == rows


@pytest.mark.usefixtures("_unset")
def test_the_other_attributes_of_the_resource_are_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=7,region=eu,service.name=shop")
    (row,) = (each for each in effective.rows() if each.name == "resource")
    assert (row.value, row.source) == ("service.instance.id=7, region=eu", "OTEL_RESOURCE_ATTRIBUTES")


#: variables that are read, and that no list of OpenTelemetry has
READ = (
    *(
        "OT_BRIDGE_FLUSH_ON_SIGTERM",
        "OT_BRIDGE_QUIET",
        "OT_BRIDGE_REDIRECT",
        "OT_BRIDGE_SITE",
        "OT_BRIDGE_UDP",
    ),
    *("OT_BRIDGE_SAMPLE", "OTEL_CONFIG_FILE", "OTEL_SEMCONV_STABILITY_OPT_IN", "OTEL_PYTHON_ID_GENERATOR"),
    *("OTEL_PYTHON_EXPORTER_OTLP_HTTP_TRACES_CREDENTIAL_PROVIDER", "OTEL_PYTHON_TRACER_PROVIDER"),
    *("OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER", "OTEL_SERVICE_NAME", "OTEL_PROPAGATORS"),
    *("OTEL_PYTHON_OTHER", "OTEL_INSTRUMENTATION_X", "OTEL_OPERATOR_X", "OTEL_NODE_IP", "OTEL_RESOURCE_X"),
    "OTEL_AUTO_X",
    *dict.fromkeys(name for row in ROWS.values() for name in row.otel),
)


@pytest.mark.usefixtures("_unset")
@pytest.mark.parametrize("name", READ)
def test_a_variable_that_something_reads_is_no_mistake(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    assert [each.text for each in known.findings() if name in each.text] == []


@pytest.mark.parametrize(
    ("general", "special", "found"),
    [
        ("http://a:4318", "http://b:4318", True),
        ("a", "a", False),
        ("", "a", False),
        (None, "a", False),
        ("a", " ", False),
    ],
)
def test_a_variable_overrules_another_one_that_is_set_to_something_else(
    general: str | None, special: str, found: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    if general is not None:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", general)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", special)
    assert [each.mend for each in known.findings()] == ["unset OTEL_EXPORTER_OTLP_ENDPOINT"] * found
