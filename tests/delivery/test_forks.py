"""Forks: every process sends its own spans, once, on its own connection (row D1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import needs
from tests.delivery.parts import run
from tests.receiver import GrpcReceiver, HttpReceiver

HEAD = """
import os, signal, sys, threading, time
import ot_bridge

def work(*names):
    for name in names:
        tracer.start_span(name).finish()

def fork(run):
    pid = os.fork()
    if pid == 0:
        try:
            run()
        except BaseException:
            import traceback; traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return pid

def wait(*pids):
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * len(pids)
"""
INSTALL = "tracer = ot_bridge.install('forks')\n"
DROP_IN = """
from ot_bridge.jaeger_client import Config
config = Config({'sampler': {'type': 'const', 'param': 1}}, service_name='forks')
tracer = config.initialize_tracer()
"""
SDK = """
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from ot_bridge.delivery import DeliveryProcessor
provider = TracerProvider()
provider.add_span_processor(DeliveryProcessor(OTLPSpanExporter))
tracer = ot_bridge.install(tracer_provider=provider)
"""


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with HttpReceiver() as server:
        yield server


def _names(receiver: HttpReceiver, directory: Path, text: str, **variables: str) -> Counter[str]:
    endpoint = receiver.endpoint.removesuffix("/v1/traces")
    done = run(HEAD + text, directory, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **variables)
    assert (done.status, done.err) == (0, "")
    return Counter(span.name for span in receiver.spans)


@pytest.mark.parametrize(
    "made",
    [
        INSTALL,
        DROP_IN,
        SDK,
    ],
    ids=["install", "drop-in", "the SDK's provider"],
)
def test_a_busy_parent_forks_after_an_export_and_all_spans_arrive_once(
    made: str, receiver: HttpReceiver, tmp_path: Path
) -> None:
    text = """
work('before'); assert tracer.flush(10)
stop = threading.Event()
def busy():
    number = 0
    while not stop.is_set():
        work(f'parent {number}'); number += 1
        time.sleep(0.001)
    print(number)
thread = threading.Thread(target=busy); thread.start()
def child():
    for number in range(5):
        work(*[f'child {n} {number} {os.getpid()}' for n in range(20)])
        assert tracer.flush(20)
pids = [fork(child) for n in range(4)]
wait(*pids)
stop.set(); thread.join()
assert tracer.flush(20)
"""
    names = _names(receiver, tmp_path, made + text, OTEL_BSP_SCHEDULE_DELAY="20")
    assert set(names.values()) == {1}
    assert sum(name.startswith("child") for name in names) == 4 * 5 * 20
    assert names["before"] == 1


@needs.otlp_over_grpc
@pytest.mark.parametrize(
    "made", [INSTALL, pytest.param(DROP_IN, marks=pytest.mark.soak)], ids=["install", "drop-in"]
)
def test_a_grpc_exporter_is_recreated_after_a_fork(made: str, tmp_path: Path) -> None:
    text = """
work('before'); assert tracer.flush(20)
def child():
    work(f'child {os.getpid()}'); assert tracer.flush(20)
pid = fork(child)
work('parent')
wait(pid)
assert tracer.flush(20)
"""
    with GrpcReceiver() as receiver:
        endpoint = f"http://{receiver.endpoint}"
        variables = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        done = run(HEAD + made + text, tmp_path, **variables)
        assert done.status == 0, done.err
        names = Counter(span.name for span in receiver.spans)
    assert set(names.values()) == {1}
    assert sorted(name.split()[0] for name in names) == ["before", "child", "parent"]


def test_spans_that_waited_at_the_fork_are_exported_by_the_parent(
    receiver: HttpReceiver, tmp_path: Path
) -> None:
    text = """
work('parent')
def child():
    (processor,) = ot_bridge.delivery.exit.PROCESSORS
    assert processor.counts().ended == 0
    assert threading.active_count() == 1
    assert tracer.flush(10)
    work('child')
    assert processor.counts().waiting == 1
    assert tracer.flush(10)
    assert processor.counts().exported == 1
wait(fork(child))
"""
    names = _names(receiver, tmp_path, INSTALL + text, OTEL_BSP_SCHEDULE_DELAY="60000")
    assert names == {"parent": 1, "child": 1}


def test_a_child_and_a_grandchild_forked_during_an_export_can_export(
    receiver: HttpReceiver, tmp_path: Path
) -> None:
    text = """
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from ot_bridge.delivery import DeliveryProcessor
inside, go_on = threading.Event(), threading.Event()
class Slow(SpanExporter):
    def __init__(self):
        self.lock = threading.Lock()
        self.inner = OTLPSpanExporter()
    def export(self, spans):
        with self.lock:
            inside.set()
            assert go_on.wait(20)
            return self.inner.export(spans)
    def shutdown(self):
        pass
tracer = ot_bridge.install(exporters=[DeliveryProcessor(Slow, max_export_batch_size=1)])
work('parent')
assert inside.wait(20)
def grandchild():
    work('grandchild'); assert tracer.flush(20)
def child():
    go_on.set()
    work('child'); assert tracer.flush(20)
    wait(fork(grandchild))
    work('child again'); assert tracer.flush(20)
pid = fork(child)
go_on.set()
wait(pid)
assert tracer.flush(20)
"""
    names = _names(receiver, tmp_path, text)
    assert names == {"parent": 1, "child": 1, "grandchild": 1, "child again": 1}


def test_a_flush_in_a_child_covers_only_spans_since_the_fork(receiver: HttpReceiver, tmp_path: Path) -> None:
    text = """
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
parent = os.getpid()
class Fails(SpanExporter):
    def export(self, spans):
        return SpanExportResult.FAILURE if os.getpid() == parent else SpanExportResult.SUCCESS
    def shutdown(self):
        pass
import logging; logging.disable()
tracer = ot_bridge.install(exporters=[Fails()])
work('lost')
assert tracer.flush(20) is False
work('lost')
def child():
    work('a')
    assert tracer.flush(20) is True
wait(fork(child))
assert tracer.flush(20) is False
"""
    assert not _names(receiver, tmp_path, text)


def test_a_child_that_exits_normally_exports_its_waiting_spans(
    receiver: HttpReceiver, tmp_path: Path
) -> None:
    text = """
pid = os.fork()
work('child' if pid == 0 else 'parent')
if pid:
    wait(pid)
"""
    names = _names(receiver, tmp_path, INSTALL + text, OTEL_BSP_SCHEDULE_DELAY="60000")
    assert names == {"parent": 1, "child": 1}


def test_a_processor_that_was_shut_down_stays_shut_down_in_a_child(
    receiver: HttpReceiver, tmp_path: Path
) -> None:
    text = """
import logging; logging.disable()
work('parent')
tracer.provider.shutdown()
def child():
    work('late')
    assert tracer.flush(5) is False
wait(fork(child))
"""
    assert _names(receiver, tmp_path, INSTALL + text) == {"parent": 1}


@pytest.mark.parametrize("made", [INSTALL, DROP_IN, SDK], ids=["install", "drop-in", "SDK"])
def test_no_thread_runs_before_the_first_span_ends(made: str, tmp_path: Path) -> None:
    # If it ran while uWSGI forks, and held the interpreter's lock, the workers would hang for ever.
    done = run(HEAD + made + "assert len(sys._current_frames()) == 1, sys._current_frames()", tmp_path)
    assert done.status == 0, done.err


def test_children_that_are_forked_without_pythons_hooks_export_their_spans(
    receiver: HttpReceiver, tmp_path: Path
) -> None:
    """As uWSGI does it."""
    text = """
import ctypes, types
sys.modules['uwsgi'] = types.ModuleType('uwsgi')
tracer = ot_bridge.install('forks')
work('parent'); assert tracer.flush(10)
work('parent again')
pid = ctypes.PyDLL(None).fork()
if pid == 0:
    work('child')
    os._exit(0 if tracer.flush(20) else 1)
wait(pid)
"""
    names = _names(receiver, tmp_path, text, OTEL_BSP_SCHEDULE_DELAY="60000")
    assert names == {"parent": 1, "parent again": 1, "child": 1}
