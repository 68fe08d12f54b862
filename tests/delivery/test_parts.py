"""The parts of delivery by themselves: ledger, markers, calls, outlet, and whether a collector refuses."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from ot_bridge.delivery import Counts, markers, refusal
from ot_bridge.delivery.calls import Calls, Turn
from ot_bridge.delivery.counts import Ledger
from ot_bridge.delivery.markers import Marker, has_marker
from ot_bridge.delivery.outlet import Outlet
from ot_bridge.delivery.refusal import Probe
from tests.delivery.parts import Keeping, hanging, refusing

take: Any = markers.take
SPANS: Any = [SimpleNamespace(name=name) for name in "abc"]


def _counts(ledger: Ledger, *waiting: Any) -> Counts:
    return ledger.counts(deque(waiting), Marker)


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


# The outlet


class Limited(Keeping):
    """Notes the moments at which it is to give up."""

    failed: dict[str, int] = {}
    refusing: Any = False

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[float] = []

    def give_up_at(self, moment: float) -> None:
        self.moments.append(moment)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("ot_bridge.delivery.outlet.time.monotonic", lambda: now[0])
    monkeypatch.setattr("ot_bridge.delivery.refusal.time.monotonic", lambda: now[0])
    return now


def test_an_exporter_is_made_at_its_first_use_and_once() -> None:
    made: list[Limited] = []

    def make() -> Limited:
        made.append(Limited())
        return made[-1]

    outlet = Outlet(make, 30)
    assert (outlet.made, made, outlet.refusing) == (None, [], False)
    assert outlet.flush(time.monotonic() + 1) is True
    assert outlet.shut() is True
    assert outlet.export(SPANS) == {}
    assert outlet.exporter is outlet.made is made[0]
    assert len(made) == 1


def test_an_export_is_limited_by_the_timeout_and_by_whoever_is_in_a_hurry(clock: list[float]) -> None:
    exporter = Limited()
    outlet = Outlet(lambda: exporter, 30)
    assert outlet.limit == float("inf")
    outlet.export(SPANS)
    assert exporter.moments == [1030.0]
    outlet.hurry(1010)
    outlet.hurry(1020)  # a later moment does not count
    assert exporter.moments[1:] == [1010, 1010]
    outlet.export(SPANS)
    assert exporter.moments[3:] == [1010, 1010]
    outlet.limit = 1030.0
    outlet.export(SPANS)
    assert exporter.moments[5:] == [1030.0]


def test_an_exporter_that_is_shut_down_gives_up_at_once_and_gets_no_more_spans(clock: list[float]) -> None:
    exporter = Limited()
    outlet = Outlet(lambda: exporter, 30)
    outlet.export(SPANS)
    assert outlet.shut() is True
    assert outlet.shut() is True
    assert (exporter.shutdowns, exporter.moments[1:]) == (1, [1000.0])
    assert outlet.export(SPANS) == {"shut down": 3}
    assert len(exporter.batches) == 1
    assert outlet.flush(1010) is True


def test_a_shutdown_that_takes_a_time_gets_half_a_second() -> None:
    given: list[int] = []

    class Timed(Keeping):
        def shutdown(self, timeout_millis: int = 30_000) -> None:
            given.append(timeout_millis)

    outlet = Outlet(Timed, 30)
    outlet.export([])
    assert outlet.shut()
    assert given == [500]


@pytest.mark.parametrize(("left", "asked"), [(20, [20_000]), (0.0015, [1]), (0.0005, []), (0, []), (-1, [])])
def test_an_exporter_is_flushed_if_there_is_time_left(
    left: float, asked: list[int], clock: list[float]
) -> None:
    given: list[int] = []

    class Buffers(Keeping):
        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            given.append(timeout_millis)
            return False

    outlet = Outlet(Buffers, 30)
    outlet.export([])
    assert outlet.flush(1000 + left) is not bool(asked)
    assert given == asked


class Raises(Keeping):
    def export(self, spans: Any) -> SpanExportResult:
        raise OSError

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        raise OSError

    def shutdown(self, timeout_millis: int = 30000) -> None:
        raise OSError

    def give_up_at(self, moment: float | None) -> None:
        raise OSError


def test_what_an_exporter_raises_is_logged_with_its_name(caplog: pytest.LogCaptureFixture) -> None:
    def fails() -> Any:
        raise OSError

    assert Outlet(fails, 30).export(SPANS) == {"other": 3}
    outlet = Outlet(Raises, 30)
    assert outlet.export(SPANS) == {"other": 3}
    assert outlet.flush(time.monotonic() + 10) is False
    assert outlet.shut() is False
    assert [record.getMessage().partition(" raised")[0] for record in caplog.records] == [
        "making an exporter",
        "Raises.export",
        "Raises.force_flush",
        "Raises.give_up_at",
        "Raises.shutdown",
    ]
    assert {record.name for record in caplog.records} == {"ot_bridge.delivery"}


@pytest.mark.parametrize("result", [None, True, "SUCCESS", SpanExportResult.FAILURE], ids=str)
def test_any_result_but_success_is_a_failure(result: Any) -> None:
    exporter = Keeping(result)
    assert Outlet(lambda: exporter, 30).export(SPANS) == {"other": 3}


# Whether the collector refuses


class Somewhere(Keeping):
    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target


def _refuses(target: str) -> bool:
    probe = Probe()
    assert probe.refused is False  # nothing is known of any address
    probe = Probe()
    probe.look_up(Somewhere(target))
    return probe.refused


def test_a_port_on_which_nothing_listens_refuses() -> None:
    with refusing() as endpoint:
        assert _refuses(endpoint)
        assert _refuses(endpoint.removeprefix("http://"))


@pytest.mark.parametrize("target", ["", "http://", "http://[::1", "http://h:70000", "ftp://127.0.0.1/"])
def test_of_an_address_that_cannot_be_read_it_is_not_known(target: str) -> None:
    assert not _refuses(target)


def test_a_port_on_which_something_listens_does_not_refuse() -> None:
    with hanging() as endpoint:
        assert not _refuses(endpoint)


def test_a_collector_refuses_if_all_of_its_addresses_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with hanging() as good, refusing() as bad:
        ports = [int(each.rpartition(":")[2]) for each in (good, bad)]
        found: list[Any] = [(socket.AF_INET, 0, 0, "", ("127.0.0.1", port)) for port in ports]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: found)
        assert not _refuses("http://collector:1")
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **more: found[1:])
        assert _refuses("http://collector:1")


@pytest.mark.parametrize(
    ("target", "asked"),
    [
        ("http://collector/v1/traces", ("collector", 80)),
        ("https://collector/v1/traces", ("collector", 443)),
        ("collector", ("collector", 4317)),
        ("https://collector:4318/v1/traces", ("collector", 4318)),
        ("collector:1", ("collector", 1)),
    ],
)
def test_the_port_of_an_address_without_one_is_that_of_its_scheme(
    target: str, asked: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []

    def look_up(host: str, port: int, **more: Any) -> list[Any]:
        given.append((host, port, more))
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert not _refuses(target)
    assert given == [(*asked, {"type": socket.SOCK_STREAM})]


def test_a_probe_is_remembered_for_a_second_and_an_address_for_a_minute(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    places: list[Any] = [("family", "where")]
    looked: list[float] = []
    tried: list[float] = []

    def look_up(text: str) -> list[Any]:
        looked.append(clock[0])
        return places

    def attempt(family: Any, where: Any) -> bool:
        tried.append(clock[0])
        return len(tried) == 1

    monkeypatch.setattr(refusal, "_places", look_up)
    monkeypatch.setattr(refusal, "_refused", attempt)
    probe, exporter = Probe(), Somewhere("http://collector")
    for _ in range(2):
        probe.look_up(exporter)
        assert probe.refused is True
    clock[0] += 0.75
    assert probe.refused is True
    clock[0] += 0.25
    assert probe.refused is False
    clock[0] = 1059.75
    probe.look_up(exporter)
    clock[0] = 1060.0
    probe.look_up(exporter)
    assert (looked, tried) == ([1000.0, 1060.0], [1000.0, 1001.0])


@pytest.mark.parametrize("says", [True, False])
def test_an_exporter_that_says_whether_its_collector_refuses_is_not_probed(
    says: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_up(*args: Any) -> Any:
        raise NotImplementedError

    monkeypatch.setattr(Probe, "look_up", look_up)
    exporter = Limited()
    exporter.refusing = says
    outlet = Outlet(lambda: exporter, 30)
    assert outlet.export(SPANS) == {}
    assert outlet.refusing is says


def test_an_exporter_that_does_not_say_so_is_probed() -> None:
    with refusing() as endpoint:
        outlet = Outlet(lambda: Somewhere(endpoint), 30)
        outlet.export([])
        assert outlet.refusing is True


def test_an_address_that_does_not_answer_does_not_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[Any] = []

    class Silent(socket.socket):
        def settimeout(self, value: float | None) -> None:
            waited.append(value)

        def connect(self, address: Any) -> None:
            raise TimeoutError

    monkeypatch.setattr(socket, "socket", Silent)
    assert refusal._refused(socket.AF_INET, ("127.0.0.1", 1)) is False
    assert waited == [0.1]


def test_the_queue_of_calls_is_one_that_signal_handlers_may_use() -> None:
    assert type(Calls()._queue) is queue.SimpleQueue
