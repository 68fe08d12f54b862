"""`log_once` logs a text once, and `log_failure` the same failure once a minute."""

from __future__ import annotations

import logging

import pytest

from ot_bridge import errors

_log = logging.getLogger("ot_bridge.tests")


def test_an_invalid_variable_is_logged_once_with_its_value_and_the_consequence(
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


def test_of_more_than_a_thousand_failures_all_are_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    for number in (*range(1001), 0):
        errors.log_failure(_log, f"text {number}")
    assert caplog.messages.count("text 0 (logged at most once a minute)") == 2


def test_a_failure_is_logged_again_after_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    at: list[float] = []
    for moment in (1000.0, 1000.1, 1059.9, 1060.0, 1119.9, 1120.0):
        monkeypatch.setattr("ot_bridge.errors.time.monotonic", lambda moment=moment: moment)
        before = len(caplog.records)
        errors.log_failure(_log, "a hook failed")
        at += [moment] * (len(caplog.records) - before)
    monkeypatch.undo()
    assert at == [1000.0, 1060.0, 1120.0]
    assert [(each.levelno, each.getMessage()) for each in caplog.records] == [
        (logging.WARNING, "a hook failed (logged at most once a minute)")
    ] * 3


def test_the_same_text_is_logged_by_each_of_two_loggers(caplog: pytest.LogCaptureFixture) -> None:
    for logger in (_log, logging.getLogger("ot_bridge.others")) * 2:
        errors.log_failure(logger, "a hook failed")
    assert [each.name for each in caplog.records] == ["ot_bridge.tests", "ot_bridge.others"]


def test_the_last_thousand_texts_are_remembered(caplog: pytest.LogCaptureFixture) -> None:
    for number in (*range(1000), 0):
        errors.log_once(_log, logging.INFO, f"text {number}")
    assert len(errors.logged()) == 1000
    errors.log_once(_log, logging.INFO, "one more")
    assert errors.logged() == ["one more"]
