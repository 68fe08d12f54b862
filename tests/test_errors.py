"""Messages that are logged once, and how often a failure is reported."""

from __future__ import annotations

import logging

import pytest

from ot_bridge import errors

_log = logging.getLogger("ot_bridge.tests")


@pytest.fixture(autouse=True)
def _nothing_said_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "_said", set())
    monkeypatch.setattr(errors, "_reported", {})


def test_a_bad_variable_is_named_once_with_its_value_and_what_was_done(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for _ in range(3):
        errors.bad_variable("OTEL_TRACES_EXPORTER", "otpl", "no such exporter", "otlp is used")
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("ERROR", "OTEL_TRACES_EXPORTER='otpl': no such exporter; otlp is used")
    ]


def test_a_secret_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    errors.bad_variable("OTEL_EXPORTER_OTLP_HEADERS", None, "a pair without =", "it is left out")
    assert caplog.messages == ["OTEL_EXPORTER_OTLP_HEADERS: a pair without =; it is left out"]


def test_what_is_remembered_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    for number in range(3 * errors._MOST):
        errors.say_once(_log, logging.INFO, f"text {number}")
        try:
            raise ValueError
        except ValueError:
            errors.report(_log, f"text {number}")
    assert len(errors._said) <= errors._MOST
    assert len(errors._reported) <= errors._MOST
