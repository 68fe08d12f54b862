"""An export in threads, signal handlers, greenlets, children, and at the interpreter's exit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry.sdk.trace.export import SpanExportResult

from ot_bridge.otlp import OTLPSpanExporter
from tests.receiver import HANG, HttpReceiver, Response

from .conftest import exporting, names, some_spans

SUCCESS, FAILURE = SpanExportResult.SUCCESS, SpanExportResult.FAILURE


def test_threads_export_side_by_side() -> None:
    with HttpReceiver() as receiver, exporting(receiver) as exporter:
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda _: exporter.export(some_spans()), range(100)))
        assert results == [SUCCESS] * 100
        assert len(receiver.seen) == 100


def test_a_signal_handler_may_export_change_and_end_while_its_thread_exports() -> None:
    done: list[Any] = []

    def handler(*_: object) -> None:
        exporter.give_up_at(time.monotonic() + 30)
        done.append(exporter.export(some_spans()))
        exporter.shutdown()

    before = signal.signal(signal.SIGALRM, handler)
    try:
        with HttpReceiver(Response(503, headers={"Retry-After": "20"})) as receiver:
            exporter = OTLPSpanExporter(receiver.endpoint, timeout=60)
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            began = time.monotonic()
            assert exporter.export(some_spans()) is FAILURE  # the handler runs in the pause, and ends it
            assert time.monotonic() - began < 15
            assert done == [SUCCESS]
    finally:
        signal.signal(signal.SIGALRM, before)


def test_after_a_fork_during_an_export_both_processes_can_export() -> None:
    with HttpReceiver(Response(wait=0.5)) as receiver, exporting(receiver) as exporter:
        with ThreadPoolExecutor(1) as pool:
            result = pool.submit(exporter.export, some_spans())
            receiver.wait(1)
            pid = os.fork()
            if pid == 0:
                os._exit(0 if exporter.export(some_spans()) is SUCCESS else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            assert result.result(timeout=20) is SUCCESS
        assert exporter.export(some_spans()) is SUCCESS
        assert len(receiver.seen) == 3


AT_EXIT = """
import atexit, sys, threading
from ot_bridge.otlp import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("late")
span.end()
exporter = OTLPSpanExporter(sys.argv[1], compression="gzip")
atexit.register(lambda: print(exporter.export([span]).name, threading.active_count()))
"""


def test_the_exporter_works_at_the_interpreters_exit_and_starts_no_thread() -> None:
    with HttpReceiver(Response(503, headers={"Retry-After": "0"})) as receiver:
        program = [sys.executable, "-c", AT_EXIT, receiver.endpoint]
        done = subprocess.run(program, capture_output=True, text=True, timeout=50, check=True)
        assert done.stdout.split() == ["SUCCESS", "1"]
        assert names(receiver) == ["late"]


GEVENT = """
from gevent import monkey
import ot_bridge.otlp.exporter  # a program may import it before it patches
monkey.patch_all()
import sys, time, gevent
from opentelemetry.sdk.trace import TracerProvider
span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("green")
span.end()
exporter = ot_bridge.otlp.exporter.OTLPSpanExporter(sys.argv[1], timeout=20)
ticks = []
def tick():
    while True:
        ticks.append(time.monotonic())
        gevent.sleep(0.01)
gevent.spawn(tick)
results = [exporter.export([span]).name for _ in range(2)]
hanging = gevent.spawn(exporter.export, [span])
gevent.sleep(0.3)
hanging.kill()  # within a request
results.append(exporter.export([span]).name)
print(*results, max(after - before for before, after in zip(ticks, ticks[1:])) < 0.8, len(ticks) > 20)
"""


def test_under_gevent_other_greenlets_run_and_one_may_be_killed() -> None:
    pytest.importorskip("gevent")
    busy = Response(503, headers={"Retry-After": "1"})
    with HttpReceiver(busy, Response(wait=1.0), Response(), HANG) as receiver:
        program = [sys.executable, "-c", GEVENT, receiver.endpoint]
        done = subprocess.run(program, capture_output=True, text=True, timeout=50, check=False)
        assert done.stdout.split() == ["SUCCESS"] * 3 + ["True"] * 2, done.stderr
        assert receiver.connections == 2


FORKED = """
import os, signal, sys, threading, time
from ot_bridge.otlp import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("late")
span.end()
exporter = OTLPSpanExporter(sys.argv[1])
begun = threading.Event()

class Slow:  # whoever loads http.client takes a while, as on a busy machine
    @staticmethod
    def find_spec(name, *_):
        if name == "http.client":
            begun.set()
            time.sleep(0.3)

sys.meta_path.insert(0, Slow)
assert "http.client" not in sys.modules
thread = threading.Thread(target=exporter.export, args=([span],))
thread.start()
begun.wait()
pid = os.fork()
if pid == 0:
    signal.alarm(20)
    os._exit(0 if exporter.export([span]).name == "SUCCESS" else 1)
thread.join()
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_a_child_forked_while_a_thread_loads_the_http_parser_exports() -> None:
    with HttpReceiver() as receiver:
        program = [sys.executable, "-W", "ignore", "-c", FORKED, receiver.endpoint]
        done = subprocess.run(program, capture_output=True, text=True, timeout=50, check=False)
        assert done.stdout.strip() == "0", done.stderr
        assert names(receiver) == ["late"] * 2
