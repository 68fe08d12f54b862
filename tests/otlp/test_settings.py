"""`OTEL_EXPORTER_OTLP_*` and the exporter's arguments: each rule of the variables, one by one."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression

from ot_bridge.errors import ConfigurationError
from ot_bridge.otlp.settings import Settings

P = "OTEL_EXPORTER_OTLP_"
TRACES = f"{P}TRACES_ENDPOINT"
BASE = f"{P}ENDPOINT"


def _set(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


URLS = {
    "nothing is set": ({}, "http://localhost:4318/v1/traces"),
    "a base": ({BASE: "http://h:1"}, "http://h:1/v1/traces"),
    "a base with one slash": ({BASE: "http://h:1/"}, "http://h:1/v1/traces"),
    "a base with two slashes": ({BASE: "http://h:1//"}, "http://h:1/v1/traces"),
    "a base with a path": ({BASE: "https://h/api/otlp"}, "https://h/api/otlp/v1/traces"),
    "a base with blanks around": ({BASE: "  http://h:1 "}, "http://h:1/v1/traces"),
    "traces' own URL, as it is": ({TRACES: "http://h:1/x/", BASE: "http://g"}, "http://h:1/x/"),
    "an empty one counts as unset": ({TRACES: "", BASE: " "}, "http://localhost:4318/v1/traces"),
    "an IPv6 address": ({BASE: "http://[::1]:4318"}, "http://[::1]:4318/v1/traces"),
    "the scheme in capitals": ({BASE: "HTTP://H:1"}, "http://h:1/v1/traces"),
    "a name with an underscore": (
        {BASE: "http://otel_collector:4318"},
        "http://otel_collector:4318/v1/traces",
    ),
    "a name outside ASCII": ({BASE: "http://bücher.example"}, "http://xn--bcher-kva.example/v1/traces"),
    "a path outside ASCII": ({TRACES: "http://h/ü x"}, "http://h/%C3%BC%20x"),
}


@pytest.mark.parametrize(("variables", "target"), URLS.values(), ids=URLS)
def test_the_url_is_read_as_the_specification_says(
    variables: dict[str, str], target: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _set(monkeypatch, variables)
    settings = Settings()
    assert str(settings.url) == settings.target == target
    assert not caplog.records


BAD_URLS = {
    "no scheme": "collector:4318",
    "no scheme and no port": "collector",
    "an address without scheme": "127.0.0.1:4318",
    "another scheme": "unix:///var/run/otel.sock",
    "gRPC's scheme": "grpc://collector:4317",
    "no host": "http:///v1/traces",
    "a port that is no number": "http://collector:http",
    "a port that cannot be": "http://collector:77777",
    "half an address": "http://[::1",
    "a blank in the host": "http://my collector:4318",
}


@pytest.mark.parametrize("name", [TRACES, BASE])
@pytest.mark.parametrize("value", BAD_URLS.values(), ids=BAD_URLS)
def test_an_unusable_endpoint_is_logged_once_and_not_replaced_by_the_default(
    value: str, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(name, value)
    assert Settings().url is None
    assert Settings().url is None
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert name in record.message
    assert value in record.message
    assert "nothing is exported" in record.message


DOUBTS = {
    "a base with the path of traces": (
        BASE,
        "http://h:1/v1/traces",
        "http://h:1/v1/traces/v1/traces",
        "is added",
    ),
    "a base with gRPC's port": (BASE, "http://h:4317", "http://h:4317/v1/traces", "gRPC"),
    "traces' URL without a path": (TRACES, "http://h:4318", "http://h:4318/", "no path"),
    "traces' URL with gRPC's port": (TRACES, "http://h:4317/v1/traces", "http://h:4317/v1/traces", "gRPC"),
}


@pytest.mark.parametrize(("name", "value", "target", "words"), DOUBTS.values(), ids=DOUBTS)
def test_a_suspicious_endpoint_is_used_and_logged_once(
    name: str,
    value: str,
    target: str,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv(name, value)
    assert [Settings().target, Settings().target] == [target, target]
    (record,) = caplog.records
    assert name in record.message
    assert words in record.message


def test_user_password_and_query_of_an_endpoint_are_used_and_never_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings("http://me:p%40ss@h:4317?key=secret")
    assert settings.target == "http://h:4317/"
    assert settings.url is not None
    assert settings.url.query == "?key=secret"
    assert settings.headers == (("Authorization", "Basic bWU6cEBzcw=="),)
    monkeypatch.setenv(BASE, "me:p%40ss@h?key=secret")
    assert Settings().url is None
    with pytest.raises(ConfigurationError) as error:
        Settings("htp://me:p%40ss@h?key=secret")
    printed = caplog.text + str(error.value)
    assert "4317" in printed
    assert not any(secret in printed for secret in ("p%40ss", "p@ss", "me:", "secret"))


TIMES = {
    "the default": ({}, 10.0),
    "seconds": ({f"{P}TIMEOUT": "5"}, 5.0),
    "a fraction of a second": ({f"{P}TIMEOUT": " 0.5 "}, 0.5),
    "the most seconds": ({f"{P}TIMEOUT": "999"}, 999.0),
    "milliseconds": ({f"{P}TIMEOUT": "1000"}, 1.0),
    "milliseconds, the specification's default": ({f"{P}TIMEOUT": "10000"}, 10.0),
    "the one of traces wins": ({f"{P}TIMEOUT": "5", f"{P}TRACES_TIMEOUT": "7"}, 7.0),
    "an empty one counts as unset": ({f"{P}TIMEOUT": "5", f"{P}TRACES_TIMEOUT": ""}, 5.0),
}


@pytest.mark.parametrize(("variables", "seconds"), TIMES.values(), ids=TIMES)
def test_a_timeout_is_read_as_seconds_below_1000_and_as_milliseconds_from_1000_on(
    variables: dict[str, str],
    seconds: float,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    _set(monkeypatch, variables)
    assert Settings().timeout == seconds
    assert not caplog.records


@pytest.mark.parametrize("value", ["", "0", "-1", "nan", "inf", "10s", "ten"])
def test_an_invalid_timeout_is_logged_and_the_default_used(
    value: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(f"{P}TIMEOUT", value)
    assert Settings().timeout == 10.0
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * bool(value)


@pytest.mark.parametrize("value", ["gzip", "GZIP", " Deflate", "none", "NONE"])
def test_compression_is_read_in_any_case(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{P}COMPRESSION", value)
    assert Settings().compression == value.strip().lower()


def test_an_unknown_compression_is_logged_and_none_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(f"{P}COMPRESSION", "zstd")
    assert Settings().compression == "none"
    assert "zstd" in caplog.text
    assert "gzip, deflate, none" in caplog.text


def test_opentelemetrys_compression_values_are_accepted_as_arguments() -> None:
    assert [Settings(compression=each).compression for each in Compression] == [
        "none",
        "deflate",
        "gzip",
    ]


HEADERS = {
    "a pair": ("k=v", {"k": "v"}),
    "pairs with blanks around": (" a = 1 , b =2", {"a": "1", "b": "2"}),
    "a value with blanks and equals signs": ("auth=Basic a==", {"auth": "Basic a=="}),
    "percent signs in key and value": ("x%2Dy=a%20b%2Cc", {"x-y": "a b,c"}),
    "a value outside ASCII": ("k=%C3%BC", {"k": "ü"}),
    "an empty value": ("k=", {"k": ""}),
    "the last of two": ("k=1,K=2", {"K": "2"}),
    "commas too many": (",k=v,,", {"k": "v"}),
    "what the exporter says itself": ("Host=x,Content-Length=3,content-encoding=br,k=v", {"k": "v"}),
}


@pytest.mark.parametrize(("text", "headers"), HEADERS.values(), ids=HEADERS)
def test_headers_are_read_from_the_variable(
    text: str, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(f"{P}HEADERS", text)
    assert dict(Settings().headers) == headers
    assert not caplog.records


BAD_HEADERS = {
    "no equals sign": "s3cret",
    "no key": "=s3cret",
    "a key that no header has": "a key=s3cret",
    "a line break": "k=s3cret%0d%0aHost:evil",
    "a zero byte": "k=s3cret%00",
    "no UTF-8": "k=s3cret%ff",
    "no UTF-8 in the environment": "k=s3cret\udcff",
}


@pytest.mark.parametrize("text", BAD_HEADERS.values(), ids=BAD_HEADERS)
def test_a_header_that_cannot_be_sent_is_dropped_and_logged_without_its_value(
    text: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(f"{P}HEADERS", f"good=1,{text}")
    assert Settings().headers == (("good", "1"),)
    (record,) = caplog.records
    assert "pair 2" in record.message
    assert "s3cret" not in record.message


def test_the_traces_headers_variable_replaces_the_general_one_and_the_argument_is_merged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _set(monkeypatch, {f"{P}HEADERS": "a=1,b=1", f"{P}TRACES_HEADERS": "b=2,c=2"})
    assert dict(Settings(headers={"C": "3", "d": "3"}).headers) == {"b": "2", "C": "3", "d": "3"}


FILES = {"CERTIFICATE": "certificate", "CLIENT_CERTIFICATE": "client_certificate", "CLIENT_KEY": "client_key"}


@pytest.mark.parametrize(("name", "field"), FILES.items(), ids=FILES)
def test_a_missing_certificate_file_is_logged_only_for_https(
    name: str, field: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _set(
        monkeypatch,
        {f"{P}{name}": "/nowhere/x.pem", f"{P}CLIENT_CERTIFICATE": __file__}
        | {f"{P}{name}": "/nowhere/x.pem"},
    )
    assert getattr(Settings("http://h/v1/traces"), field) == "/nowhere/x.pem"
    assert not caplog.records
    assert getattr(Settings("https://h/v1/traces"), field) == "/nowhere/x.pem"
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "/nowhere/x.pem" in caplog.text


def test_the_requests_variable_names_the_certificates_if_opentelemetrys_variable_is_unset(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/requests.pem")
    assert Settings().certificate == "/requests.pem"
    monkeypatch.setenv(f"{P}CERTIFICATE", str(tmp_path))
    assert Settings().certificate == str(tmp_path)


def test_a_client_key_without_a_certificate_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    Settings(client_key_file=__file__)
    assert "no client certificate" in caplog.text


ARGUMENTS: dict[str, dict[str, Any]] = {
    "an endpoint without scheme": {"endpoint": "localhost:4318"},
    "an endpoint that is empty": {"endpoint": ""},
    "an endpoint that is no text": {"endpoint": 4318},
    "a timeout of nothing": {"timeout": 0},
    "a timeout that is text": {"timeout": "soon"},
    "a compression that nobody knows": {"compression": "br"},
    "headers that are a number": {"headers": 3},
    "a header with a line break": {"headers": {"a": "b\r\nc"}},
    "certificates that are not to be verified": {"certificate_file": False},
    "a header that is no text": {"headers": {"a": 3}},
    "certificates that are missing": {"endpoint": "https://h/", "certificate_file": "/nowhere/x.pem"},
}


@pytest.mark.parametrize("arguments", ARGUMENTS.values(), ids=ARGUMENTS)
def test_an_invalid_argument_raises(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Settings(**arguments)


def test_insecure_is_not_read_since_the_scheme_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{P}INSECURE", "true")
    url = Settings("https://h/v1/traces").url
    assert url is not None
    assert url.scheme == "https"
