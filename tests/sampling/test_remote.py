"""The remote sampler with a real HTTP server, and with a server that is down or broken."""

from __future__ import annotations

import gc
import json
import logging
import multiprocessing
import os
import queue
import signal
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType, ModuleType
from typing import Any

import pytest
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, get_value

from ot_bridge.errors import ConfigurationError
from ot_bridge.sampling import (
    AdaptiveSampler,
    ConstSampler,
    JaegerRemoteSampler,
    ProbabilisticSampler,
    RateLimitingSampler,
    polling,
    rates,
    remote,
)
from tests.interrupts import handled
from tests.sampling.ask import IDS, sampled

HALF = {"strategyType": "PROBABILISTIC", "probabilisticSampling": {"samplingRate": 0.5}}
FIVE = {"strategyType": "RATE_LIMITING", "rateLimitingSampling": {"maxTracesPerSecond": 5}}
EACH = {
    **HALF,
    "operationSampling": {
        "defaultSamplingProbability": 0.25,
        "defaultLowerBoundTracesPerSecond": 0.5,
        "perOperationStrategies": [{"operation": "get", "probabilisticSampling": {"samplingRate": 1.0}}],
    },
}


class Strategies(ThreadingHTTPServer):
    """Serves `answer`: something for JSON, or bytes as they are; and remembers what was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer: Any = HALF
        self.status = 200
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: Strategies

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        body = (
            self.server.answer
            if isinstance(self.server.answer, bytes)
            else json.dumps(self.server.answer).encode()
        )
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Strategies]:
    with Strategies() as server:
        yield server
        server.shutdown()


Make = Callable[..., JaegerRemoteSampler]


@pytest.fixture
def make() -> Iterator[Make]:
    made: list[JaegerRemoteSampler] = []

    def make(*arguments: Any, **options: Any) -> JaegerRemoteSampler:
        made.append(JaegerRemoteSampler("shop", *arguments, **options))
        return made[-1]

    yield make
    for sampler in made:
        sampler.close()


def eventually(condition: Callable[[], object]) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False


def test_the_remote_sampler_requests_the_strategy_of_its_service_and_applies_it(
    server: Strategies, make: Make
) -> None:
    sampler = make(server.url)
    assert eventually(lambda: sampler.sampler == ProbabilisticSampler(0.5))
    assert server.asked == ["/sampling?service=shop"]


def test_the_remote_sampler_polls_repeatedly(server: Strategies, make: Make) -> None:
    sampler = make(server.url, polling_interval=0.02)
    assert eventually(lambda: sampler.sampler == ProbabilisticSampler(0.5))
    server.answer = FIVE
    assert eventually(lambda: sampler.sampler == RateLimitingSampler(5))
    server.answer = EACH
    assert eventually(lambda: isinstance(sampler.sampler, AdaptiveSampler))
    assert sampled(sampler, "get")


def test_under_uwsgi_the_first_decision_starts_the_thread(
    server: Strategies, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uwsgi", ModuleType("uwsgi"))
    before = {*threading.enumerate()}
    sampler = make(server.url, polling_interval=60.0)
    assert {*threading.enumerate()} <= before
    sampler.is_sampled(1)
    assert eventually(lambda: server.asked)


def test_before_the_first_response_the_remote_sampler_uses_0_001_or_the_initial_sampler(make: Make) -> None:
    assert make("127.0.0.1:1").sampler == ProbabilisticSampler(0.001)
    told = make("127.0.0.1:1", initial=ConstSampler(True))
    assert sampled(told)
    assert (
        told.get_description()
        == "JaegerRemoteSampler(http://127.0.0.1:1/sampling?service=shop, ConstSampler(True))"
    )


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread: the test refreshes."""
    monkeypatch.setattr(JaegerRemoteSampler, "_start", lambda self: None)


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (HALF, ProbabilisticSampler(0.5)),
        ({"probabilisticSampling": {"samplingRate": 0.5}}, ProbabilisticSampler(0.5)),
        ({"strategyType": 0, "probabilisticSampling": {"samplingRate": 0.5}}, ProbabilisticSampler(0.5)),
        ({"strategyType": "PROBABILISTIC"}, ProbabilisticSampler(0.001)),
        ({"strategyType": "PROBABILISTIC", "probabilisticSampling": None}, ProbabilisticSampler(0.001)),
        (FIVE, RateLimitingSampler(5)),
        ({"rateLimitingSampling": {"maxTracesPerSecond": 5}}, RateLimitingSampler(5)),
        ({"strategyType": 1, "rateLimitingSampling": {"maxTracesPerSecond": 5}}, RateLimitingSampler(5)),
        ({"strategyType": "RATE_LIMITING"}, RateLimitingSampler(1 / 600)),
        (EACH, AdaptiveSampler(EACH["operationSampling"])),  # type: ignore[arg-type]
        ({"operationSampling": {"perOperationStrategies": None, "x": 1}}, AdaptiveSampler({})),
    ],
    ids=str,
)
def test_the_remote_sampler_understands_every_kind_of_strategy(
    server: Strategies, make: Make, answer: Any, wanted: Any
) -> None:
    sampler = make(server.url)
    server.answer = answer
    assert sampler.refresh()
    assert sampler.sampler == wanted


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("start", [HALF, FIVE, EACH], ids=["probability", "rate", "operations"])
@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"no strategy",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        [],
        {},
        None,
        "PROBABILISTIC",
        {"strategyType": "OTHER"},
        {"strategyType": 2},
        {"strategyType": [1]},
        {**HALF, "probabilisticSampling": {"samplingRate": 1.5}},
        {**HALF, "probabilisticSampling": {"samplingRate": "0.5"}},
        {**HALF, "probabilisticSampling": [0.5]},
        {**FIVE, "rateLimitingSampling": {"maxTracesPerSecond": -1}},
        {**FIVE, "rateLimitingSampling": {"maxTracesPerSecond": 500}},
        {"operationSampling": [1]},
        {"operationSampling": {"perOperationStrategies": [{"operation": ["a"]}]}},
        {"operationSampling": {"perOperationStrategies": [{}]}},
        {"operationSampling": {"perOperationStrategies": 5, "defaultSamplingProbability": 1}},
    ],
    ids=lambda garbage: str(garbage)[:40],
)
def test_an_invalid_response_keeps_the_last_valid_strategy(
    server: Strategies, make: Make, start: Any, garbage: Any
) -> None:
    sampler, untouched = make(server.url), make(server.url)
    server.answer = start
    assert sampler.refresh()
    assert untouched.refresh()
    server.answer = garbage
    assert not sampler.refresh()
    assert sampler.sampler == untouched.sampler


@pytest.mark.usefixtures("silent")
def test_a_rate_that_jaeger_client_would_refuse_is_logged_with_the_limit(
    server: Strategies, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    sampler = make(server.url)
    server.answer = {**FIVE, "rateLimitingSampling": {"maxTracesPerSecond": 500}}
    assert not sampler.refresh()
    (record,) = caplog.records
    assert isinstance(record.args, tuple)
    assert str(record.args[1]) == "maxTracesPerSecond=500: expected less than 500"


@pytest.mark.usefixtures("silent")
def test_an_unchanged_response_keeps_the_sampler_and_its_balance(server: Strategies, make: Make) -> None:
    sampler = make(server.url)
    for server.answer in (HALF, FIVE, EACH):
        sampler.refresh()
        before = sampler.sampler
        sampler.refresh()
        assert sampler.sampler is before


@pytest.mark.usefixtures("silent")
def test_a_response_with_an_error_status_is_ignored(server: Strategies, make: Make) -> None:
    sampler = make(server.url)
    server.status = 500
    assert not sampler.refresh()
    server.status = 404
    assert not sampler.refresh()


@pytest.mark.usefixtures("silent")
def test_a_server_that_never_answers_blocks_only_the_polling_thread_until_its_timeout(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "REQUEST_TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        sampler = make(f"127.0.0.1:{mute.getsockname()[1]}")
        assert not sampler.refresh()


@pytest.mark.usefixtures("silent")
def test_failures_are_logged_once_until_it_works_again(
    server: Strategies, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    sampler = make(server.url)
    with caplog.at_level(logging.WARNING, "ot_bridge.sampling"):
        for server.status in (500, 500, 200, 200, 503, 503):
            sampler.refresh()
    errors: list[Any] = [record.args[1] for record in caplog.records]  # type: ignore[index]
    assert [(error.code, error.fp.closed) for error in errors] == [(500, True), (503, True)]
    samplers = ["ProbabilisticSampler(0.001)", "ProbabilisticSampler(0.5)"]
    assert caplog.messages == [
        f"no sampling strategy from {sampler.url}: {error!r}; sampling goes on by {each}"
        for error, each in zip(errors, samplers, strict=True)
    ]


def test_each_strategy_that_was_received_is_logged_for_debugging(
    server: Strategies, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    sampler = make(server.url)
    with caplog.at_level(logging.DEBUG, "ot_bridge.sampling"):
        assert sampler.refresh()
    assert f"sampling by ProbabilisticSampler(0.5), as received from {sampler.url}" in caplog.messages


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://collector:14268/api/sampling", "http://collector:14268/api/sampling"),
        ("http://agent:5778", "http://agent:5778/sampling"),
        ("http://agent:5778/", "http://agent:5778/sampling"),
        ("agent:5778", "http://agent:5778/sampling"),
        ("https://agent", "https://agent/sampling"),
    ],
)
@pytest.mark.usefixtures("silent")
def test_an_endpoint_may_omit_the_scheme_and_the_default_path(make: Make, endpoint: str, url: str) -> None:
    assert make(endpoint).url == f"{url}?service=shop"


@pytest.mark.usefixtures("silent")
def test_without_an_endpoint_the_default_of_jaeger_is_used(make: Make) -> None:
    assert make().url == "http://localhost:5778/sampling?service=shop"


@pytest.mark.parametrize("endpoint", ["", "file:///etc/passwd", "grpc://agent:1", "http://", "http://a?b=c"])
def test_an_invalid_endpoint_is_refused(make: Make, endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="endpoint"):
        make(endpoint)


@pytest.mark.parametrize("interval", [0, -1, float("nan"), float("inf")])
def test_an_invalid_interval_is_refused(make: Make, interval: float) -> None:
    with pytest.raises(ConfigurationError, match="polling_interval"):
        make(polling_interval=interval)


def test_the_requests_of_the_remote_sampler_are_not_traced(
    make: Make, server: Strategies, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []
    monkeypatch.setattr(
        JaegerRemoteSampler, "refresh", lambda self: seen.append(get_value(_SUPPRESS_INSTRUMENTATION_KEY))
    )
    make(server.url)
    assert eventually(lambda: seen)
    assert set(seen) == {True}


def threads() -> int:
    return sum(thread.name == "ot-bridge-remote-sampler" for thread in threading.enumerate())


def test_the_polling_thread_never_waits_with_a_timeout_of_zero(
    server: Strategies, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In CPython 3.10, `SimpleQueue.get(timeout=0)` may wait for ever.
    real = queue.SimpleQueue

    class Checked:
        def __init__(self) -> None:
            self.real: queue.SimpleQueue[None] = real()
            self.put = self.real.put

        def get(self, timeout: float) -> None:
            waits.append(timeout)
            self.real.get(timeout=timeout)

    waits: list[float] = []
    monkeypatch.setattr(queue, "SimpleQueue", Checked)
    sampler = JaegerRemoteSampler("shop", server.url, polling_interval=3600)
    assert eventually(lambda: waits)
    sampler.close()
    assert waits == [3600]


def test_close_stops_polling_and_keeps_the_strategy(server: Strategies, make: Make) -> None:
    before = threads()
    sampler = make(server.url, polling_interval=3600)
    assert eventually(lambda: sampler.sampler == ProbabilisticSampler(0.5))
    sampler.close()
    assert eventually(lambda: threads() == before)
    assert sampler.sampler == ProbabilisticSampler(0.5)


def test_if_no_thread_can_be_started_the_initial_sampler_is_used(
    server: Strategies, make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        sampler = make(server.url)
    assert sampler.is_sampled(1) == (True, {"sampler.type": "probabilistic", "sampler.param": 0.001})
    assert "JaegerRemoteSampler asks no server: its thread could not be started" in caplog.text


def test_when_the_sampler_is_garbage_collected_its_thread_ends(server: Strategies) -> None:
    before = threads()
    forgotten = weakref.ref(JaegerRemoteSampler("shop", server.url, polling_interval=3600))
    assert eventually(lambda: gc.collect() is not None and forgotten() is None)
    assert eventually(lambda: threads() == before)


def test_the_polling_thread_ends_even_if_the_sampler_is_garbage_collected_during_its_wait(
    server: Strategies,
) -> None:
    held: list[JaegerRemoteSampler] = []

    def collect(frame: FrameType, event: str, argument: object) -> Any:
        names = frame.f_code.co_name, getattr(frame.f_back, "f_code", frame.f_code).co_name
        if frame.f_code.co_filename == threading.__file__ and names == ("wait", "wait"):
            held.clear()  # here `threading` holds a lock
        return collect

    before = set(threading.enumerate())
    threading.settrace(collect)
    try:
        held.append(JaegerRemoteSampler("shop", server.url, polling_interval=0.01))
    finally:
        threading.settrace(None)
    (thread,) = [each for each in set(threading.enumerate()) - before if "sampler" in each.name]
    assert eventually(lambda: len(server.asked) > 2 or not held)
    held.clear()
    thread.join(10)
    assert not thread.is_alive()


def test_a_signal_handler_may_close_the_sampler_while_its_thread_closes_it(
    server: Strategies, make: Make
) -> None:
    sampler = make(server.url, polling_interval=3600)
    seen: list[bool] = []

    def everywhere() -> None:
        for file in (threading.__file__, polling.__file__):
            seen.extend(handled(sampler.close, at, file, sampler.close) for at in range(1, 6))

    closing = threading.Thread(target=everywhere, daemon=True)
    closing.start()
    closing.join(10)
    assert not closing.is_alive()
    assert any(seen)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_starts_its_own_requests_unless_closed_before_the_fork(
    server: Strategies, make: Make
) -> None:
    sampler = make(server.url, polling_interval=3600)
    closed = make(server.url, polling_interval=3600)
    closed.close()
    assert eventually(lambda: sampler.sampler == ProbabilisticSampler(0.5))
    server.answer = FIVE

    def child() -> None:
        fine = eventually(lambda: sampler.sampler == RateLimitingSampler(5))
        fine = fine and threads() == 1
        os._exit(0 if fine else 1)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(20)
    assert process.exitcode == 0
    assert sampler.sampler == ProbabilisticSampler(0.5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_forked_while_a_thread_holds_the_buckets_lock_can_still_decide() -> None:
    limited = RateLimitingSampler(1000)
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with rates._lock:
            held.set()
            over.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(20)
    pid = os.fork()
    if not pid:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(10)
        limited.is_sampled(IDS[0])
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    over.set()
    thread.join()
    assert status == 0
