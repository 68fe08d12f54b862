"""TLS: certificates are verified, always."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from tests.authority import Authority
from tests.receiver import HttpReceiver

from .conftest import exporting, lost, some_spans

SUCCESS, FAILURE = SpanExportResult.SUCCESS, SpanExportResult.FAILURE


def test_the_certificate_in_opentelemetrys_variable_takes_precedence_over_others(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = Authority(tmp_path)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(authority.certificate))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other.certificate))
    monkeypatch.setenv("SSL_CERT_FILE", str(other.certificate))
    with HttpReceiver(tls=authority.context()) as receiver, exporting(receiver) as exporter:
        assert exporter.export(some_spans()) is SUCCESS
        assert exporter.export(some_spans()) is SUCCESS
        assert receiver.connections == 1


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_without_that_variable_the_certificates_of_requests_or_the_system_are_used(
    variable: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(authority.certificate))
    with HttpReceiver(tls=authority.context()) as receiver, exporting(receiver) as exporter:
        assert exporter.export(some_spans()) is SUCCESS


@pytest.mark.parametrize("missing", [False, True], ids=["unknown authority", "missing file"])
def test_a_certificate_that_cannot_be_verified_ends_the_export_at_once(
    missing: bool, authority: Authority, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if missing:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem")
    with HttpReceiver(tls=authority.context()) as receiver, exporting(receiver) as exporter:
        began = time.monotonic()
        assert exporter.export(some_spans()) is FAILURE
        assert time.monotonic() - began < 8
        assert [len(receiver.seen), lost(exporter)] == [0, {"other": 1}]
    assert "TLS" in caplog.text


def test_a_certificate_for_another_host_ends_the_export_at_once(authority: Authority) -> None:
    context = authority.context()
    context.load_cert_chain(authority.client, authority.client_key)
    with (
        HttpReceiver(tls=context) as receiver,
        exporting(receiver, certificate_file=str(authority.certificate)) as exporter,
    ):
        assert exporter.export(some_spans()) is FAILURE
        assert lost(exporter) == {"other": 1}


@pytest.mark.parametrize("form", ["none", "two files", "one file"])
def test_the_client_certificate_is_sent(form: str, authority: Authority, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_text(authority.client.read_text() + authority.client_key.read_text())
    files: dict[str, dict[str, str]] = {
        "none": {},
        "two files": {
            "client_certificate_file": str(authority.client),
            "client_key_file": str(authority.client_key),
        },
        "one file": {"client_certificate_file": str(both)},
    }
    with (
        HttpReceiver(tls=authority.context(client=True)) as receiver,
        exporting(receiver, certificate_file=str(authority.certificate), **files[form]) as exporter,
    ):
        began = time.monotonic()
        assert exporter.export(some_spans()) is (FAILURE if form == "none" else SUCCESS)
        assert time.monotonic() - began < 8


def test_http_ignores_files_for_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem")
    with HttpReceiver() as receiver, exporting(receiver) as exporter:
        assert exporter.export(some_spans()) is SUCCESS


def test_certificate_files_that_change_are_read_again(authority: Authority, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    (tmp_path / "other").mkdir()
    file.write_text(Authority(tmp_path / "other").certificate.read_text())
    with (
        HttpReceiver(tls=authority.context()) as receiver,
        exporting(receiver, certificate_file=str(file)) as exporter,
    ):
        assert exporter.export(some_spans()) is FAILURE
        file.write_text(authority.certificate.read_text())
        os.utime(file, (1, 1))
        assert exporter.export(some_spans()) is SUCCESS
