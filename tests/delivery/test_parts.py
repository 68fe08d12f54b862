"""The parts of delivery by themselves: ledger, markers, calls and the turn."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from ot_bridge.delivery import Counts, markers
from ot_bridge.delivery.calls import Calls, Turn
from ot_bridge.delivery.counts import Ledger, Tally
from ot_bridge.delivery.markers import Marker, has_marker
from tests.interrupts import PACKAGE, handled

take: Any = markers.take
SPANS: Any = [SimpleNamespace(name=name) for name in "abc"]


def _counts(ledger: Ledger, *waiting: Any) -> Counts:
    return ledger.counts(deque(waiting), Marker)


def test_a_marker_without_a_result_is_waited_for_until_the_deadline() -> None:
    marker, end = Marker(0), time.monotonic() + 0.1
    assert marker.wait(end) is None
    assert time.monotonic() >= end
    marker.set_result((1, True))
    assert marker.wait(0) == (1, True)


def test_a_new_ledger_has_counted_nothing() -> None:
    ledger = Ledger()
    assert _counts(ledger) == Counts(0, 0, 0, {}, 0, 0)
    assert (ledger.failed, ledger.refused, ledger.lost, ledger.moving) == (0, 0, {}, False)


def test_a_ledger_counts_every_span_in_one_place() -> None:
    ledger = Ledger()
    ledger.begin()
    assert ledger.moving
    ledger.flying = 5
    ledger.end()
    assert not ledger.moving
    assert _counts(ledger, "waits", Marker(0), "waits, too") == Counts(7, 0, 0, {}, 2, 5)
    ledger.settle({"refused": 2, "status": 1})
    assert (ledger.failed, ledger.lost) == (3, {"refused": 2, "status": 1})
    assert _counts(ledger) == Counts(5, 2, 0, {"refused": 2, "status": 1}, 0, 0)
    ledger.flying = 1
    ledger.settle({"refused": 1})
    ledger.dropped.add()
    ledger.dropped.add()
    assert (ledger.failed, ledger.refused) == (4, 2)
    assert ledger.lost == {"dropped": 2, "refused": 3, "status": 1}
    ledger.late.add()
    assert ledger.refused == 3
    made = _counts(ledger, "waits")
    assert made == Counts(10, 2, 2, {"refused": 3, "status": 1, "shut down": 1}, 1, 0)
    assert made.lost == 7
    ledger.flying = 1
    ledger.settle({"shut down": 1})
    assert _counts(ledger).failed["shut down"] == 2


def test_a_thread_that_died_before_it_took_a_span_loses_none() -> None:
    ledger = Ledger()
    ledger.begin()
    ledger.recover()
    assert (ledger.moving, _counts(ledger, "waits")) == (False, Counts(1, 0, 0, {}, 1, 0))


@pytest.mark.parametrize("moving", [True, False])
def test_what_a_dead_thread_was_exporting_is_lost(moving: bool) -> None:
    ledger = Ledger()
    ledger.begin()
    ledger.flying = 3
    if not moving:
        ledger.end()
    ledger.recover()
    assert not ledger.moving
    assert _counts(ledger) == Counts(3, 0, 0, {"other": 3}, 0, 0)
    ledger.recover()
    assert _counts(ledger) == Counts(3, 0, 0, {"other": 3}, 0, 0)


def test_counts_are_read_again_while_spans_move(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger()
    ledger.begin()
    ledger.flying = 1
    read: list[int] = []

    def goes_on(seconds: float) -> None:
        read.append(1)
        if len(read) == 3:
            ledger.end()

    monkeypatch.setattr("ot_bridge.delivery.counts.time.sleep", goes_on)
    assert _counts(ledger) == Counts(1, 0, 0, {}, 0, 1)
    assert len(read) == 3


def test_counts_are_read_again_if_a_span_has_moved_meanwhile() -> None:
    ledger = Ledger()

    class Moving(deque[Any]):
        def __iter__(self) -> Iterator[Any]:
            seen = [self[at] for at in range(len(self))]
            if seen:
                take(self, 1, ledger)
            return iter(seen)

    assert ledger.counts(Moving(["a"]), Marker) == Counts(1, 0, 0, {}, 0, 1)


def test_no_signal_handler_can_interrupt_a_tally() -> None:
    tally = Tally()
    assert not handled(tally.add, 1, PACKAGE, tally.add)
    assert (tally.value, tally.value) == (1, 1)


def test_counts_are_read_for_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger()
    ledger.begin()
    ledger.flying = 1
    now = [0.0]

    def moved(seconds: float) -> None:
        now[0] += 0.125

    monkeypatch.setattr("ot_bridge.delivery.counts.time.monotonic", lambda: now[0])
    monkeypatch.setattr("ot_bridge.delivery.counts.time.sleep", moved)
    assert _counts(ledger) == Counts(1, 0, 0, {}, 0, 1)
    assert now == [1.0]


def test_a_marker_gets_the_first_result_that_is_set() -> None:
    marker = Marker(5.0)
    assert (marker.deadline, marker.end) == (5.0, False)
    assert marker.wait(time.monotonic() - 1) is None
    assert marker.wait(time.monotonic() + 0.01) is None
    marker.set_result((3, True))
    marker.set_result((4, False))
    assert marker.wait(time.monotonic() - 1) == (3, True)
    assert Marker(5.0, True).end is True


@pytest.mark.parametrize("step", ["wait", "set_result"])
def test_a_signal_handler_may_set_the_result_for_which_its_thread_waits(step: str) -> None:
    arguments: dict[str, Any] = {"wait": 0.0, "set_result": (1, True)}
    results: list[Any] = []

    def everywhere() -> None:
        for file in (threading.__file__, markers.__file__):
            for at in range(1, 10):
                marker = Marker(5.0)
                work = partial(getattr(marker, step), arguments[step])
                if handled(work, at, file, partial(marker.set_result, (1, True))):
                    results.append(marker.wait(0.0) or marker._result)  # only one `wait` returns it

    thread = threading.Thread(target=everywhere, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert results
    assert set(results) == {(1, True)}


def test_a_batch_ends_at_a_marker_or_when_it_is_full() -> None:
    ledger, first, second = Ledger(), Marker(0), Marker(0)
    waiting: deque[Any] = deque(["a", "b", "c", first, second, "d"])
    assert has_marker(waiting)
    assert take(waiting, 2, ledger) == (["a", "b"], None)
    assert ledger.flying == 2
    assert take(waiting, 2, ledger) == (["c"], first)
    assert ledger.flying == 3
    assert take(waiting, 2, ledger) == ([], second)
    assert not has_marker(waiting)
    assert take(waiting, 2, ledger) == (["d"], None)
    assert take(waiting, 2, ledger) == ([], None)
    assert (ledger.flying, ledger.moving) == (4, False)


def test_a_full_batch_leaves_its_marker_for_the_next() -> None:
    marker = Marker(0)
    waiting: deque[Any] = deque(["a", "b", marker])
    assert take(waiting, 2, Ledger()) == (["a", "b"], None)
    assert list(waiting) == [marker]


def test_a_queue_that_changes_under_the_look_at_it_may_have_a_marker() -> None:
    class Changing(deque[Any]):
        def __iter__(self) -> Iterator[Any]:
            raise RuntimeError("deque mutated during iteration")

    assert has_marker(Changing())


@pytest.mark.parametrize(
    ("put", "flush"),
    [([], False), ([False], False), ([True], True), ([False, True, False], True), ([False] * 3, False)],
    ids=str,
)
@pytest.mark.parametrize("seconds", [-1, 0, 0.01])
def test_calls_that_have_come_are_taken_at_once(put: list[bool], flush: bool, seconds: float) -> None:
    calls = Calls()
    for each in put:
        calls.put(each)
    assert calls.wait(seconds) is flush
    assert calls.wait(0) is False


def test_a_call_ends_the_wait_for_it() -> None:
    calls = Calls()
    thread = threading.Timer(0.01, calls.put, [True])
    thread.start()
    assert calls.wait(1e300) is True
    thread.join()


def test_one_thread_at_a_time_has_the_turn() -> None:
    turn = Turn()
    assert turn
    assert turn.take()
    assert not turn
    assert not turn.take()
    turn.give_back()
    assert turn.take()
