"""The clock of an export at its limits, and how long a pause is."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from ot_bridge.sending import clock, line
from ot_bridge.sending.clock import Clock, Patience
from ot_bridge.sending.url import parse


class Recording(Patience):
    """Notes how long it should wait, and does not."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, until: float, deadline: float) -> bool:
        self.waits.append(until - 1000.0)
        return until < deadline


class Now:
    """The time that a test sets."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Now:
    made = Now()
    monkeypatch.setattr(clock, "time", made)
    return made


PAUSES: dict[str, tuple[int, float | None, float, float]] = {
    "the first": (0, None, 0.8, 1.2),
    "the second": (1, None, 1.6, 2.4),
    "the third": (2, None, 3.2, 4.8),
    "the fourth": (3, None, 5.0, 5.0),
    "any later one": (100_000, None, 5.0, 5.0),
    "as the receiver says": (0, 7.0, 7.0, 7.0),
    "as the receiver says, later": (4, 0.5, 0.5, 0.5),
    "none, as the receiver says": (0, 0.0, 0.0, 0.0),
    "none, as the receiver says again": (1, 0.0, 1.6, 2.4),
}


@pytest.mark.parametrize(("rounds", "delay", "least", "most"), PAUSES.values(), ids=PAUSES)
def test_a_pause_is_twice_as_long_after_each_attempt_up_to_five_seconds(
    rounds: int, delay: float | None, least: float, most: float, now: Now
) -> None:
    patience = Recording()
    for _ in range(50):
        assert patience.start(60).pause(rounds, delay)
    assert least - 1e-9 <= min(patience.waits) <= max(patience.waits) <= most + 1e-9
    assert (len(set(patience.waits)) == 1) is (least == most)


def test_no_time_is_left_at_the_deadline_itself(now: Now) -> None:
    patience = Patience()
    export = patience.start(2)
    part = export.within(1)
    now.now = 1000.75
    assert (export.left(), part.left(), part.over) == (1.25, 0.25, False)
    now.now = 1001.0
    assert (export.left(), part.over, part.forbids() is None) == (1.0, True, False)
    with pytest.raises(TimeoutError):
        part.left()
    patience.give_up_at(1001.0)
    assert (export.over, patience.remaining()) == (True, 0.0)
    patience.give_up_at(1001.5)
    assert (export.over, export.left(), patience.remaining()) == (False, 0.5, 0.5)


@pytest.mark.parametrize(
    ("until", "deadline", "moment", "waited"),
    [
        (1000.0, 1001.0, None, True),
        (1000.0, 1000.0, None, False),
        (1000.0, 1001.0, 1000.0, False),
        (1000.0, 1001.0, 1000.5, True),
        (1002.0, 1001.0, None, False),
        (1002.0, 1003.0, 1001.0, False),
    ],
)
def test_a_pause_that_would_end_too_late_is_not_begun(
    until: float, deadline: float, moment: float | None, waited: bool, now: Now
) -> None:
    patience = Patience()
    patience.give_up_at(moment)
    assert patience.wait(until, deadline) is waited
    patience.end()
    assert not patience.wait(until, deadline)


WAKERS: dict[str, Callable[[Patience], None]] = {
    "an end": lambda patience: patience.end(),
    "a moment to give up": lambda patience: patience.give_up_at(0.0),
}


@pytest.mark.parametrize("wake", WAKERS.values(), ids=WAKERS)
def test_pauses_end_at_once_when_there_is_no_time_left(wake: Callable[[Patience], None]) -> None:
    patience = Patience()
    results: list[bool] = []
    threads = [
        threading.Thread(target=lambda: results.append(patience.start(60).pause(0, 30.0))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    while len(patience._pauses) < 2:
        time.sleep(0)  # lets them run
    wake(patience)
    for thread in threads:
        thread.join(10)
    assert results == [False, False]


def test_a_pause_takes_no_processor_time_and_leaves_nothing_behind() -> None:
    patience = Patience()
    began, used = time.monotonic(), time.thread_time()
    assert patience.start(60).pause(0, 0.1)
    assert time.monotonic() - began >= 0.1
    assert time.thread_time() - used < 0.05
    assert not patience._pauses


def test_an_export_without_a_moment_to_give_up_has_its_own_time() -> None:
    patience = Patience()
    assert (patience.moment, patience.remaining(), patience.ended) == (math.inf, math.inf, False)
    assert 0 < Clock(patience, time.monotonic() + 5).left() <= 5


def _dialled(port: int, seconds: float = 5) -> Any:
    return line.dial(parse(f"http://localhost:{port}"), Patience().start(seconds))


def test_a_connection_sends_small_pieces_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, _dialled(server.getsockname()[1]) as dialled:
        assert dialled.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_no_name_is_looked_up_when_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def look_up(*arguments: object) -> list[Any]:
        asked.append(arguments)
        return []

    monkeypatch.setattr(line, "addresses", look_up)
    with pytest.raises(TimeoutError):
        _dialled(1, seconds=0)
    assert asked == []


def test_each_address_of_a_host_has_a_share_of_the_time_and_three_seconds_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []

    class Socket:
        def __init__(self, *kind: int) -> None:
            pass

        def settimeout(self, seconds: float) -> None:
            waits.append(seconds)

        def connect(self, address: object) -> None:
            if address == "interrupted":
                raise KeyboardInterrupt
            raise ConnectionRefusedError(f"{address}")

        def close(self) -> None:
            closed.append(self)

    closed: list[Socket] = []
    monkeypatch.setattr(socket, "socket", Socket)
    found = [(0, 0, 0, "", address) for address in ("a", "b")]
    monkeypatch.setattr(line, "addresses", lambda *_: found)
    for seconds, expected in ((60, [3.0, 3.0]), (2, [1.0, 2.0])):
        waits.clear()
        with pytest.raises(ConnectionRefusedError, match="b"):
            _dialled(1, seconds)
        assert waits == pytest.approx(expected, abs=0.1)
    assert len(closed) == 4
    found.insert(1, (0, 0, 0, "", "interrupted"))
    with pytest.raises(KeyboardInterrupt):
        _dialled(1)
    assert len(closed) == 6  # the third address was not tried
    found.clear()
    with pytest.raises(socket.gaierror, match="localhost has no address"):
        _dialled(1)
