"""What calls a server again and again: its thread, its failures, and uWSGI, which forks without hooks."""

from __future__ import annotations

import logging
import os
import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ot_bridge.errors import ConfigurationError
from ot_bridge.sampling.polling import Polling


class Asks(Polling):
    """Counts its calls. fails: every call raises."""

    def __init__(self, interval: float = 3600, first: float = 0.0, fails: bool = False) -> None:
        self.calls = 0
        self.came = threading.Semaphore(0)
        self._fails = fails
        self._poll("asks", interval, first)

    def refresh(self) -> bool:
        self.calls += 1
        self.came.release()
        if self._fails:
            raise ValueError("metrics")
        return True

    def decide(self) -> None:
        if self._waits:
            self._in_this_process()


Make = Callable[..., Asks]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[Asks] = []

    def make(*arguments: Any, **options: Any) -> Asks:
        made.append(Asks(*arguments, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()
    for thread in threads():
        thread.join(10)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "asks"]


def test_a_server_is_asked_at_once_in_a_daemon_thread(make: Make) -> None:
    asks = make()
    assert asks.came.acquire(timeout=10)
    (thread,) = threads()
    assert thread.daemon
    asks.close()
    thread.join(10)
    assert (thread.is_alive(), asks.calls) == (False, 1)


def test_a_short_interval_is_waited_for(make: Make) -> None:
    asks = make(0.9)
    assert asks.came.acquire(timeout=10)
    assert not asks.came.acquire(timeout=0.05)


def test_the_first_call_may_come_later(make: Make) -> None:
    asks = make(0.001, 3600.0)
    (thread,) = threads()
    asks.close()
    thread.join(10)
    assert (thread.is_alive(), asks.calls) == (False, 0)


def test_a_refresh_that_raises_is_logged_and_the_next_one_comes(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    asks = make(0.001, fails=True)
    assert asks.came.acquire(timeout=10)
    assert asks.came.acquire(timeout=10)
    asks.close()
    assert {record.levelno >= logging.WARNING for record in caplog.records} == {True}
    assert "Asks.refresh raised" in caplog.text
    assert "metrics" in caplog.text


def test_under_uwsgi_the_thread_starts_at_the_first_decision_of_each_process(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uwsgi", types.ModuleType("uwsgi"))
    asks = make()
    assert threads() == []
    asks.decide()
    assert asks.came.acquire(timeout=10)
    asks.decide()
    assert [len(threads()), asks.calls] == [1, 1]
    pid, of_master = os.getpid(), asks._calls
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    asks.decide()
    asks.decide()
    assert asks.came.acquire(timeout=10)
    assert asks.calls == 2
    asks.close()
    of_master.put(None)  # a fork would not have left its thread


def test_under_uwsgi_nothing_starts_after_the_end(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uwsgi", types.ModuleType("uwsgi"))
    asks = make()
    asks.close()
    asks.decide()
    assert threads() == []


@pytest.mark.parametrize("interval", [0, -1, threading.TIMEOUT_MAX * 2], ids=str)
def test_an_interval_for_which_no_thread_can_wait_is_refused(interval: float) -> None:
    with pytest.raises(ConfigurationError, match="a number of seconds above 0") as refused:
        Asks(interval)
    assert refused.value.option == "polling_interval"


def test_the_longest_interval_is_accepted(make: Make) -> None:
    asks = make(threading.TIMEOUT_MAX)
    assert asks.came.acquire(timeout=10)
    (thread,) = threads()
    asks.close()
    thread.join(10)
    assert not thread.is_alive()
