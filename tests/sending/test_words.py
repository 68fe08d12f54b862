"""What errors mean for spans, how losses are counted and logged, and how URLs are read and shown."""

from __future__ import annotations

import errno
import logging
import socket
import ssl
from typing import Any

import pytest

from ot_bridge.sending import line, losses, responses
from ot_bridge.sending.clock import FIRST_PAUSE, LONGEST_PAUSE, Patience
from ot_bridge.sending.losses import Losses
from ot_bridge.sending.trouble import CannotConnect, Trouble, trouble
from ot_bridge.sending.url import Url, parse, without_secrets

#: An error -> the reason it is counted by, words of its text, whether another attempt may succeed.
TROUBLES: dict[str, tuple[Exception, str, str, bool]] = {
    "no time": (TimeoutError("the time is over"), "timeout", "no answer came in time", True),
    "a name without address": (socket.gaierror(-2, "unknown"), "refused", "nothing listens there (", True),
    "refused": (OSError(errno.ECONNREFUSED, "r"), "refused", "nothing listens there ([Errno 111] r)", True),
    "no route to the host": (OSError(errno.EHOSTUNREACH, "r"), "refused", "r)", True),
    "no route to the net": (OSError(errno.ENETUNREACH, "r"), "refused", "r)", True),
    "the host is down": (OSError(errno.EHOSTDOWN, "r"), "refused", "r)", True),
    "no address of its own": (OSError(errno.EADDRNOTAVAIL, "r"), "refused", "r)", True),
    "reset": (ConnectionResetError(errno.ECONNRESET, "r"), "other", "the connection broke ([Err", True),
    "closed": (ConnectionError("closed"), "other", "the connection broke (closed)", True),
    "TLS closed, not as it should": (ssl.SSLEOFError(8, "x"), "other", "the connection broke", True),
    "TLS closed": (ssl.SSLZeroReturnError(6, "x"), "other", "the connection broke", True),
    "TLS, a fault of the system": (ssl.SSLSyscallError(5, "x"), "other", "the connection broke", True),
    "TLS failed": (ssl.SSLError(1, "bad"), "other", "TLS failed, and another attempt", False),
    "a certificate": (ssl.SSLCertVerificationError(1, "bad"), "other", "TLS failed", False),
    "a setting": (CannotConnect("no such file"), "other", "no such file", False),
    "an error without text": (ValueError(), "other", "ValueError", False),
}


@pytest.mark.parametrize(("error", "reason", "words", "again"), TROUBLES.values(), ids=TROUBLES)
def test_an_error_has_its_reason_and_says_whether_to_try_again(
    error: Exception, reason: str, words: str, again: bool
) -> None:
    found = trouble(error)
    assert found == Trouble(reason, found.text, again)
    assert words in found.text


HINTS = {"refused": "; start it", "partial": "; look there"}


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that `losses` sees, which a test can change."""
    moment = [0.0]
    monkeypatch.setattr(losses, "time", type("Time", (), {"monotonic": staticmethod(lambda: moment[0])}))
    return moment


@pytest.fixture
def account(now: list[float], caplog: pytest.LogCaptureFixture) -> Losses:
    return Losses(logging.getLogger("sender"), "http://h", HINTS)


def _take(caplog: pytest.LogCaptureFixture) -> list[str]:
    lines = [f"{record.levelname} {record.message}" for record in caplog.records]
    caplog.clear()
    return lines


FAILURES = {
    "refused": True,
    "timeout": True,
    "status": True,
    "other": True,
    "partial": False,
    "too large": False,
    "not encodable": False,
    "shut down": False,
}


@pytest.mark.parametrize("reason", FAILURES)
def test_every_reason_is_counted_and_a_recovery_is_logged_after_a_failure_of_the_receiver(
    reason: str, account: Losses, now: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    assert (account.failed, account.total) == ({}, 0)
    account.lose(1, reason, "why")
    account.lose(2, reason, "why")
    assert (account.failed, account.total) == ({reason: 3}, 3)
    hint = HINTS.get(reason, "")
    assert _take(caplog) == [f"WARNING 1 span is lost on the way to http://h: why{hint}"]
    account.delivered()
    account.delivered()
    more = "; 2 more were lost since the last line about it"
    assert _take(caplog) == [f"WARNING spans reach http://h again{more}"] * FAILURES[reason]
    now[0] = 60.0
    account.lose(4, reason, "why")
    count = 4 if FAILURES[reason] else 6
    assert _take(caplog) == [f"WARNING {count} spans are lost on the way to http://h: why{hint}"]
    account.delivered()
    assert _take(caplog) == ["WARNING spans reach http://h again"] * FAILURES[reason]


def test_the_reasons_are_those_that_the_docs_name() -> None:
    assert set(losses.REASONS) == set(FAILURES)


def test_each_reason_and_the_notes_of_a_receiver_have_one_line_a_minute(
    account: Losses, now: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    for now[0] in (0.0, 59.9, 60.0, 119.9):
        account.lose(1, "refused", "why")
        account.lose(1, "partial", "why")
        account.note("slower, please")
        words = [text.rpartition(": ")[2] for text in _take(caplog)]
        expected = ["why; start it", "why; look there", "slower, please"]
        assert words == (expected if now[0] in (0.0, 60.0) else [])
    account.delivered()
    assert "; 1 more were lost" in caplog.text


#: A URL -> its parts, its authority, its netloc, and as it is shown.
URLS: dict[str, tuple[tuple[Any, ...], str, str, str]] = {
    "http://h": (("http", "h", 80, "", "", None), "h:80", "h", "http://h"),
    "https://h/": (("https", "h", 443, "/", "", None), "h:443", "h", "https://h/"),
    "http://h:443/a": (("http", "h", 443, "/a", "", None), "h:443", "h:443", "http://h:443/a"),
    "https://h:80": (("https", "h", 80, "", "", None), "h:80", "h:80", "https://h:80"),
    "http://h:0": (("http", "h", 0, "", "", None), "h:0", "h:0", "http://h:0"),
    " http://h ": (("http", "h", 80, "", "", None), "h:80", "h", "http://h"),
    "http://[::1]:4318/v1": (
        ("http", "::1", 4318, "/v1", "", None), "[::1]:4318", "[::1]:4318", "http://[::1]:4318/v1"),
    "https://[::1]": (("https", "::1", 443, "", "", None), "[::1]:443", "[::1]", "https://[::1]"),
    "http://Bücher.example/ü?ö=1 2#x": (
        ("http", "xn--bcher-kva.example", 80, "/%C3%BC", "?%C3%B6=1%202", None),
        "xn--bcher-kva.example:80", "xn--bcher-kva.example", "http://xn--bcher-kva.example/%C3%BC"),
    "http://h/%2F:=&~+!$,;'@()*[]?%2F:=&?/~+!$,;'@()*[]": (
        ("http", "h", 80, "/%2F:=&~+!$,;'@()*[]", "?%2F:=&?/~+!$,;'@()*[]", None),
        "h:80", "h", "http://h/%2F:=&~+!$,;'@()*[]"),
    "http://h/\"<>^`{|}\\": (
        ("http", "h", 80, "/%22%3C%3E%5E%60%7B%7C%7D%5C", "", None),
        "h:80", "h", "http://h/%22%3C%3E%5E%60%7B%7C%7D%5C"),
    "http://me:p%40ss@h/a?q": (
        ("http", "h", 80, "/a", "?q", "Basic bWU6cEBzcw=="), "h:80", "h", "http://h/a"),
    "http://me@h": (("http", "h", 80, "", "", "Basic bWU6"), "h:80", "h", "http://h"),
    "http://a@b:c@h": (("http", "h", 80, "", "", "Basic YUBiOmM="), "h:80", "h", "http://h"),
    "http://az_AZ.09-~%41:1": (
        ("http", "az_az.09-~%41", 1, "", "", None), "az_az.09-~%41:1", "az_az.09-~%41:1",
        "http://az_az.09-~%41:1"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), URLS.items(), ids=URLS)
def test_a_url_has_its_parts_and_is_shown_without_secrets(
    text: str, expected: tuple[tuple[Any, ...], str, str, str]
) -> None:
    url = parse(text)
    assert (url, url.authority, url.netloc, str(url)) == expected
    assert url.text == expected[-1] + url.query


NO_URLS = {
    "": "begins with http",
    "h": "begins with http",
    "ftp://h": "begins with http",
    "http://h:x": "no URL",
    "http://h:65536": "no URL",
    "http://[::1": "no URL",
    "http://": "needs a host",
    "http://:1": "needs a host",
    "http://a b": "needs a host",
    "http://a_b,c": "needs a host",
    "http://\u00fc..\u00fc": "cannot be read",
}


@pytest.mark.parametrize(("text", "words"), NO_URLS.items(), ids=repr)
def test_a_text_that_is_no_url_is_refused_without_being_shown(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as refused:
        parse(text)
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


SHOWN = {
    "http://me:secret@h/a?key=secret": "http://h/a",
    "http://h/a#secret": "http://h/a",
    "http://h?x=http://secret": "http://h",
    "http://me:secret@h/?next=http://x": "http://h/",
    "http://http://me:secret@h": "http://h",
    "me:secret@h?next=http://x": "h",
    " htp+a.b-c://me:secret@h": " htp+a.b-c://h",
    "http://me:sec?ret@h": "http://...",
    "http://me:sec#ret@h": "http://...",
    "me:secret@h:1": "h:1",
    "me:secret@x@h": "h",
    "h?a@b": "...",
    "h": "h",
    "": "",
}


@pytest.mark.parametrize(("text", "shown"), SHOWN.items(), ids=repr)
def test_a_text_is_shown_without_what_may_be_a_secret(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


def test_the_times_and_sizes_of_sending_are_as_documented() -> None:
    assert (losses.PAUSE, line.IDLE, FIRST_PAUSE, LONGEST_PAUSE) == (60.0, 50.0, 1.0, 5.0)
    assert responses.MAX_BODY == 4 * 1024 * 1024


def test_an_export_waits_until_its_own_end_or_the_moment_to_give_up() -> None:
    patience = Patience()
    clock = patience.start(60)
    assert patience.remaining() == float("inf")
    assert 59 < clock.left() <= 60
    assert (clock.over, clock.forbids()) == (False, None)
    patience.give_up_at(0.0)
    assert (patience.remaining(), clock.over) == (0.0, True)
    assert clock.forbids() == ("timeout", "there was no time for an attempt")
    with pytest.raises(TimeoutError, match="the time is over"):
        clock.left()
    patience.give_up_at(None)
    assert (patience.remaining(), clock.over, clock.forbids()) == (float("inf"), False, None)
    patience.end()
    assert clock.forbids() == ("shut down", "the exporter was shut down before")
    assert clock.left() > 59  # an attempt under way may end
    assert not clock.pause(0)


def test_urls_with_equal_parts_are_equal() -> None:
    assert parse("http://h:80") == parse("HTTP://H") == Url("http", "h", 80, "", "", None)
