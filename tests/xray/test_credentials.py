"""Credentials that come late, fail for a while or run out: the same for both exporters that sign."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from ot_bridge.xray import XRayExporter, XRayOTLPExporter
from tests.xray.conftest import FakeXRay, Request, Response, Track, error
from tests.xray.spans import span

DELIVERED, LOST = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
Make = Callable[..., Any]


@pytest.fixture(params=["own session", "given session"])
def given(request: pytest.FixtureRequest, session: Any) -> Any:
    return session if request.param == "given session" else None


@pytest.fixture(params=[XRayExporter, XRayOTLPExporter])
def make(request: pytest.FixtureRequest, xray: FakeXRay, given: Any, closing: Track) -> Make:
    def make(**options: Any) -> Any:
        exporter = request.param("eu-west-1", endpoint=xray.url, session=given, **options)
        closing(exporter)
        return exporter

    return make


@pytest.fixture
def _none(monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials in the environment."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")


def write(key: str) -> None:
    Path(os.environ["AWS_SHARED_CREDENTIALS_FILE"]).write_text(
        f"[default]\naws_access_key_id = {key}\naws_secret_access_key = secret\n"
    )


def keys(xray: FakeXRay) -> list[str]:
    return [
        request.headers["Authorization"].partition("Credential=")[2].partition("/")[0]
        for request in xray.requests
    ]


PROCESS = """
import json, os, sys
if not os.path.exists(sys.argv[1]):
    open(sys.argv[1], "w").close()
    sys.exit("busy")
print(json.dumps({"Version": 1, "AccessKeyId": "AKIDPROCESS", "SecretAccessKey": "secret"}))
"""


@pytest.mark.usefixtures("_none")
def test_a_temporary_failure_of_a_credential_source_is_retried(
    make: Make, xray: FakeXRay, tmp_path: Path
) -> None:
    script = tmp_path / "process.py"
    script.write_text(PROCESS)
    command = f"{sys.executable} {script} {tmp_path / 'asked'}"
    Path(os.environ["AWS_CONFIG_FILE"]).write_text(f"[default]\ncredential_process = {command}\n")
    exporter = make()
    assert exporter.export([span()]) is DELIVERED
    assert keys(xray) == ["AKIDPROCESS"]
    assert not exporter.failed


@pytest.mark.usefixtures("_none")
def test_an_exporter_made_before_its_credentials_finds_them_later(make: Make, xray: FakeXRay) -> None:
    exporter = make()
    exporter.give_up_at(time.monotonic() + 0.2)
    assert exporter.export([span()]) is LOST
    assert exporter.failed == {"other": 1}
    assert not xray.requests
    write("AKIDLATE")
    exporter.give_up_at(None)
    assert exporter.export([span()]) is DELIVERED
    assert keys(xray) == ["AKIDLATE"]


EXPIRED = {
    "by X-Ray": error(403, "ExpiredTokenException"),
    "by STS": error(400, "ExpiredToken"),
    "with an address": error(403, "ExpiredTokenException:http://internal.amazon.com/coral/"),
    "in the body": Response(403, b'{"__type":"com.amazon#ExpiredTokenException","message":"expired"}'),
}


@pytest.mark.usefixtures("_none")
@pytest.mark.parametrize("response", EXPIRED.values(), ids=EXPIRED)
def test_expired_credentials_are_looked_up_again(response: Response, make: Make, xray: FakeXRay) -> None:
    def rotated(_: Request) -> Response:
        write("AKIDNEXT")
        return response

    write("AKIDFIRST")
    xray.responses = [response, rotated]
    exporter = make()
    assert exporter.export([span()]) is DELIVERED
    assert keys(xray) == ["AKIDFIRST", "AKIDFIRST", "AKIDNEXT"]
    assert not exporter.failed


def test_the_exporter_uses_new_credentials_that_the_program_sets_on_its_session(
    xray: FakeXRay, closing: Track, make: Make, given: Any
) -> None:
    session = given or botocore.session.Session()
    session.set_credentials("AKIDFIRST", "secret")

    def rotated(_: Request) -> Response:
        session.set_credentials("AKIDNEXT", "secret")
        return error(403, "ExpiredTokenException")

    write("AKIDOTHER")
    xray.responses = [rotated]
    exporter = make() if given else XRayExporter("eu-west-1", endpoint=xray.url, session=session)
    closing(exporter)
    assert exporter.export([span()]) is DELIVERED
    assert keys(xray) == ["AKIDFIRST", "AKIDNEXT"]


@pytest.mark.parametrize("code", ["AccessDeniedException", "UnrecognizedClientException"])
def test_a_request_with_wrong_credentials_is_not_retried(code: str, make: Make, xray: FakeXRay) -> None:
    xray.responses = [error(403, code)]
    exporter = make()
    assert exporter.export([span()]) is LOST
    assert exporter.failed == {"status": 1}
    assert len(xray.requests) == 1
