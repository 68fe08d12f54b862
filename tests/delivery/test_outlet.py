"""What an exporter is asked and told, and whether a collector refuses connections."""

from __future__ import annotations

import queue
import socket
import time
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from ot_bridge.delivery import markers, refusal
from ot_bridge.delivery.calls import Calls
from ot_bridge.delivery.outlet import Outlet
from ot_bridge.delivery.refusal import Probe
from tests.delivery.parts import Keeping, Raises, hanging, refusing

take: Any = markers.take
SPANS: Any = [SimpleNamespace(name=name) for name in "abc"]


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


def test_what_an_exporter_counted_before_a_batch_is_not_lost_with_it() -> None:
    exporter = Limited()
    exporter.failed = {"status": 7}
    outlet = Outlet(lambda: exporter, 30)
    assert outlet.export(SPANS) == {}
    exporter.result = SpanExportResult.FAILURE
    assert outlet.export(SPANS) == {"other": 3}

    def refuse(spans: Any) -> SpanExportResult:
        exporter.failed = {"status": 8, "partial": 1}
        return SpanExportResult.FAILURE

    exporter.export = refuse  # type: ignore[method-assign]
    assert outlet.export(SPANS) == {"status": 1, "partial": 1}


def test_a_shutdown_that_takes_a_time_gets_half_a_second() -> None:
    given: list[int] = []

    class Timed(Keeping):
        def shutdown(self, timeout_millis: int = 30_000) -> None:
            given.append(timeout_millis)

    outlet = Outlet(Timed, 30)
    outlet.export([])
    assert outlet.shut()
    assert given == [500]


def test_an_exporter_whose_log_rest_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Fails(Keeping):
        def log_rest(self) -> None:
            raise OSError

    outlet = Outlet(Fails, 30)
    outlet.export([])
    outlet.log_rest()
    assert "Fails.log_rest raised" in caplog.text


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
    probe = Probe()
    probe.look_up(SimpleNamespace(target="127.0.0.1:1"))
    assert probe.refused is False
    assert waited == [0.1]


def test_whoever_asks_while_another_thread_probes_gets_the_last_answer(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[bool] = []

    class Asking(socket.socket):
        def connect(self, address: Any) -> None:
            answers.append(probe.refused)
            raise ConnectionRefusedError

    monkeypatch.setattr(socket, "socket", Asking)
    probe = Probe()
    probe.look_up(Somewhere("http://127.0.0.1:1"))
    assert probe.refused is True
    clock[0] += 1
    assert probe.refused is True
    assert answers == [False, True]


def test_the_queue_of_calls_is_one_that_signal_handlers_may_use() -> None:
    assert type(Calls()._queue) is queue.SimpleQueue
