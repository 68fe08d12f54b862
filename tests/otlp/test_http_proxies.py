"""Proxies, as the variables name them."""

from __future__ import annotations

import sys

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from tests.authority import Authority
from tests.proxy import Proxy
from tests.receiver import HttpReceiver

from .conftest import exporting, lost, some_spans

SUCCESS, FAILURE = SpanExportResult.SUCCESS, SpanExportResult.FAILURE


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"])
def test_a_proxy_gets_the_absolute_url_and_its_password(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with HttpReceiver() as receiver, Proxy() as proxy, exporting(receiver) as exporter:
        monkeypatch.setenv(name, f"http://me:p%40ss@{proxy.authority}")
        assert exporter.export(some_spans()) is SUCCESS
        ((method, target, headers),) = proxy.seen
        assert (method, target) == ("POST", receiver.endpoint)
        assert headers["proxy-authorization"] == "Basic bWU6cEBzcw=="
        assert headers["host"] == f"127.0.0.1:{receiver.port}"


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "ALL_PROXY"])
def test_https_goes_through_a_tunnel(
    name: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        HttpReceiver(tls=authority.context()) as receiver,
        Proxy() as proxy,
        exporting(receiver, certificate_file=str(authority.certificate)) as exporter,
    ):
        monkeypatch.setenv(
            name, f"me:secret@{proxy.authority}"
        )  # http:// is what a proxy without scheme speaks
        assert exporter.export(some_spans()) is SUCCESS
        assert exporter.export(some_spans()) is SUCCESS
        ((method, target, headers),) = proxy.seen
        assert (method, target) == ("CONNECT", f"127.0.0.1:{receiver.port}")
        assert headers["proxy-authorization"].startswith("Basic ")
        assert "proxy-authorization" not in receiver.seen[0].headers
        assert receiver.seen[0].target == "/v1/traces"


def test_without_a_variable_no_proxy_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "urllib.request", None)  # it cannot be imported
    with HttpReceiver() as receiver, exporting(receiver) as exporter:
        assert exporter.export(some_spans()) is SUCCESS


@pytest.mark.parametrize(("system", "used"), [("darwin", True), ("win32", True), ("linux", False)])
def test_a_proxy_of_the_systems_settings_is_used_where_systems_have_them(
    system: str, used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HttpReceiver() as receiver, Proxy() as proxy, exporting(receiver) as exporter:
        monkeypatch.setattr("urllib.request.getproxies", lambda: {"http": f"http://{proxy.authority}"})
        monkeypatch.setattr(sys, "platform", system)
        assert exporter.export(some_spans()) is SUCCESS
        monkeypatch.undo()
        assert bool(proxy.seen) is used


NO_PROXY = {"everything": "*", "the host": "other,127.0.0.1", "host and port": "127.0.0.1:{port}"}


@pytest.mark.parametrize("text", NO_PROXY.values(), ids=NO_PROXY)
@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_no_proxy_is_used_for_hosts_in_no_proxy(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HttpReceiver() as receiver, Proxy() as proxy, exporting(receiver) as exporter:
        monkeypatch.setenv("http_proxy", f"http://{proxy.authority}")
        monkeypatch.setenv(name, text.format(port=receiver.port))
        assert exporter.export(some_spans()) is SUCCESS
        assert not proxy.seen


@pytest.mark.parametrize("status", [300, 407, 503])
def test_a_proxy_that_refuses_the_tunnel_is_logged(
    status: int, authority: Authority, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        Proxy(status) as proxy,
        exporting(
            "https://127.0.0.1:9/", timeout=0.5, certificate_file=str(authority.certificate)
        ) as exporter,
    ):
        monkeypatch.setenv("https_proxy", proxy.authority)
        assert exporter.export(some_spans()) is FAILURE
    assert f"HTTP {status}" in caplog.text


@pytest.mark.parametrize("text", ["socks5://me:secret@h:1080", "https://me:secret@h:3128", "http://"])
def test_an_unusable_proxy_is_logged_and_not_bypassed(
    text: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with HttpReceiver() as receiver, exporting(receiver) as exporter:
        monkeypatch.setenv("http_proxy", text)
        assert exporter.export(some_spans()) is FAILURE
        assert [len(receiver.seen), lost(exporter)] == [0, {"other": 1}]
    assert "proxy" in caplog.text
    assert "secret" not in caplog.text
