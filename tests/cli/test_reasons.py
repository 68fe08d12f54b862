"""The parts of `ot-bridge doctor`: reasons from log lines, versions, and names of variables, row by row."""

from __future__ import annotations

import pytest

from ot_bridge.cli.checkup import addresses, known, packages
from ot_bridge.cli.checkup.model import is_secret, source, variable
from ot_bridge.cli.checkup.reasons import Address, Reason, address_of, reason


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
        ("certificate verify failed: self-signed certificate", "of an issuer that", "OTLP_CERTIFICATE="),
        ("unable to get local issuer certificate", "of an issuer that", "/path/to/the/issuer.pem"),
        ("unable to get issuer", "of an issuer that", "OTLP_CERTIFICATE="),
        ("Hostname mismatch, x", "for another name (Hostname mismatch)", "https://THE-NAME"),
        ("IP address mismatch, x", "for another name (IP address mismatch)", "https://THE-NAME"),
        ("certificate has expired", "the certificate of it has expired", "renew it there"),
        ("certificate is not yet valid", "certificate of it is not yet valid", "renew it there"),
        ("CERTIFICATE_REQUIRED", "certificate of the client", "CLIENT_KEY"),
        ("HTTP 401", "refuses the sender (HTTP 401)", "OTLP_HEADERS="),
        ("HTTP 403", "refuses the sender (HTTP 403)", "OTLP_HEADERS="),
        ("HTTP 404", "no spans at this path (HTTP 404)", "without a path"),
        ("HTTP 405", "no POST at this path (HTTP 405)", "http://HOST:4318"),
        ("HTTP 413", "no request of this size", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=64"),
        ("body too large", "no request of this size", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=64"),
        ("HTTP 415", "does not take this encoding", "OTLP_COMPRESSION=none"),
        ("HTTP 429", "is overloaded (HTTP 429)", "sample less"),
        ("HTTP 503", "is overloaded (HTTP 503)", "sample less"),
        ("HTTP 307", "sends elsewhere (HTTP 307)", "the address that it leads to"),
        ("HTTP 200, but a web page", "a web page came back from it (HTTP 200)", "http://HOST:4318"),
        ("the receiver rejected them: too old", "rejected the span: too old", "its message"),
        ("StatusCode.UNIMPLEMENTED", "has no service for spans", "http://HOST:4317"),
        ("StatusCode.UNAUTHENTICATED", "refuses the sender", "OTLP_HEADERS=name=value"),
        ("PERMISSION_DENIED", "refuses the sender", "OTLP_HEADERS=name=value"),
        ("HTTP 500 no", "it answers HTTP 500 no", ""),
        ("something else", "something else", ""),
        ("", "the exporter gives no reason", ""),
    ],
)
def test_each_log_line_of_an_exporter_has_its_reason(logged: str, text: str, mend: str) -> None:
    found = reason(None, logged)
    assert text in found.text
    assert mend in found.mend
    assert bool(found.mend) is bool(mend)


H1, H2, TLS = addresses.HTTP, addresses.HTTP2, addresses.TLS


@pytest.mark.parametrize(
    ("found", "secure", "grpc", "text", "mend"),
    [
        (addresses.REFUSED, False, False, "nothing listens at h:9", "HOST:9, with the host on which"),
        (addresses.UNKNOWN, False, False, "there is no host h", "http://HOST:9"),
        (addresses.SILENT, False, False, "h:9 cannot be reached", "http://HOST:9"),
        (addresses.MUTE, False, False, "answers nothing in time", ""),
        (addresses.CLOSED, False, False, "closes the connection without an answer", ""),
        (H1, True, False, "does not speak TLS", "http://h:9"),
        (H2, True, True, "does not speak TLS", "http://h:9"),
        (TLS, False, False, "speaks TLS, and the endpoint is http://", "https://h:9"),
        (H2, False, False, "answers in HTTP/2", "http://h:4318"),
        (H1, False, True, "answers in HTTP/1.1", "http://h:4317"),
        *((each, False, False, "the exporter gives no reason", "") for each in (H1, "")),
        (H2, False, True, "the exporter gives no reason", ""),
        (TLS, True, False, "the exporter gives no reason", ""),
    ],
)
def test_what_listens_at_the_address_is_the_reason(
    found: str, secure: bool, grpc: bool, text: str, mend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "probe", lambda host, port: found)
    told = reason(Address("h", 9, secure, grpc), "")
    assert text in told.text
    assert mend in told.mend
    assert bool(told.mend) is bool(mend)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_on_this_machine_the_viewer_is_named(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "probe", lambda host, port: addresses.REFUSED)
    assert reason(Address(host, 9, False, False), "").mend.startswith("ot-bridge view    shows spans")
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
        ("2.0rc1", ">=", "2.0", True),
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
