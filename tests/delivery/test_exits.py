"""The end of a program: one deadline for all, and nothing lost that could be sent (D4, D24, D25, D27).

The programs run side by side, since some of them take five seconds each.
"""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from ot_bridge.delivery.refusal import Probe
from tests import needs
from tests.delivery.parts import Done, ended, hanging, refusing, run, start
from tests.receiver import HttpReceiver

HEAD = """
import atexit, os, sys, time
import ot_bridge
from ot_bridge.delivery import DeliveryProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

class Refused(SpanExporter):
    "What our exporters do when nobody listens: they try again until they have to give up."
    refusing = True
    moment = float("inf")
    def export(self, spans):
        while time.monotonic() < min(self.moment, start + 30):
            time.sleep(0.01)
        return SpanExportResult.FAILURE
    def give_up_at(self, moment):
        self.moment = moment
    def shutdown(self):
        self.moment = 0

class Stuck(SpanExporter):
    "Somebody else's exporter, which nothing ends."
    def export(self, spans):
        time.sleep(30)

def work(*names):
    for name in names:
        tracer.start_span(name).finish()

start = time.monotonic()
"""
INSTALL = "tracer = ot_bridge.install('exit')\n"
LOOK_UP = """
import socket
socket.getaddrinfo = lambda *args, **options: time.sleep(30)
os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://collector.internal:4318"
from ot_bridge.xray import XRayDaemonExporter
tracer = ot_bridge.install("exit", exporters=["otlp", XRayDaemonExporter("daemon.internal:2000")])
"""
STUCK = "tracer = ot_bridge.install('exit', exporters=[Stuck(), Stuck()])\n"
REFUSED = "tracer = ot_bridge.install('exit', exporters=[Refused(), Refused()])\n"
DROP_IN = """
from ot_bridge.jaeger_client import Config
tracer = Config({"sampler": {"type": "const", "param": 1}}, service_name="exit").initialize_tracer()
"""
SDK = """
from opentelemetry.sdk.trace import TracerProvider
provider = TracerProvider()
provider.add_span_processor(DeliveryProcessor(Stuck()))
tracer = ot_bridge.install(tracer_provider=provider)
"""
OUTLIVES = """
import threading
def serve():
    threading.main_thread().join()
    for name in ("a", "b"):
        work(name)
        assert tracer.flush(20)
        time.sleep(5.5)
    print('END', time.monotonic(), flush=True)
threading.Thread(target=serve).start()
"""
END = "print('END', time.monotonic(), flush=True)\n"
HOOK = "atexit.register(lambda: work(*[f'hook {n}' for n in range(10)]))\n"
FIRST_HOOK = "def first(): work(*[f'first {n}' for n in range(10)])\natexit.register(first)\n"


class Case(NamedTuple):
    """A program.

    most: seconds that the exit may take on a busy machine. lost: how many spans the log lines report, so that
    each is reported once. says: in the log. names: what arrives.
    """

    text: str
    most: float
    lost: int = 0
    says: str = ""
    collector: str = "none"
    names: frozenset[str] = frozenset()


TAKES, HANGS, REFUSES = "takes", "hangs", "refuses"
LOSS = re.compile(r"^(\d+) spans? .*(?:\blost\b|\bleft behind\b)", re.MULTILINE)
LATE = "spans that end after the shutdown of their tracer are lost"
REFUSAL = "nothing listens there ([Errno 111] Connection refused); is a collector running?"
STAYED = "1 span for Stuck left behind at exit: it did not take them in time"
FIVE, ONE = 8.0, 4.0
FLUSHED = frozenset({"a", "b"})
HOOKS = frozenset(f"hook {n}" for n in range(10)) | frozenset(f"first {n}" for n in range(10))

CASES = {
    "a collector that takes": Case(INSTALL + "work('a', 'b')\n" + END, FIVE, 0, "", TAKES, FLUSHED),
    "the drop-in, a collector that takes": Case(
        DROP_IN + "work('a', 'b')\n" + END, FIVE, 0, "", TAKES, FLUSHED
    ),
    "a collector that hangs": Case(INSTALL + "work('a', 'b')\n" + END, FIVE, 2, "", HANGS),
    "the drop-in, a collector that hangs": Case(DROP_IN + "work('a')\n" + END, FIVE, 1, "", HANGS),
    "nobody listens": Case(INSTALL + "work('a', 'b')\n" + END, ONE, 2, REFUSAL, REFUSES),
    "close() of the drop-in, and nobody listens": Case(
        DROP_IN + "work('a')\ntracer.close()\n" + END, ONE, 1, REFUSAL, REFUSES
    ),
    "two exporters that hang": Case(STUCK + "work('a')\n" + END, FIVE, 2, STAYED),
    "two exporters that are refused": Case(REFUSED + "work('a')\n" + END, ONE, 2),
    "look-ups of names that hang": Case(LOOK_UP + "work('a')\n" + END, FIVE, 2),
    "the SDK's provider": Case(SDK + "work('a')\n" + END, FIVE, 1, STAYED),
    "close() as the last line": Case(
        INSTALL + "work(*['a'] * 2000)\ntracer.close()\n" + END, FIVE, 2000, "", HANGS
    ),
    "close() of the drop-in as the last line": Case(
        DROP_IN + "work(*['a'] * 2000)\ntracer.close()\n" + END, FIVE, 2000, "", HANGS
    ),
    "close(), and it is refused": Case(REFUSED + "work('a')\ntracer.close()\n" + END, ONE, 2),
    "close() in an exit hook": Case(
        STUCK + "work('a')\natexit.register(tracer.close)\n" + END, FIVE, 2, STAYED
    ),
    "hooks before and after install()": Case(
        FIRST_HOOK + INSTALL + HOOK + "work('a', 'b')\n" + END, FIVE, 0, "", TAKES, FLUSHED | HOOKS
    ),
    "hooks while a collector hangs": Case(FIRST_HOOK + STUCK + HOOK + "work('a')\n" + END, FIVE, 22, LATE),
    "hooks after the SDK's shutdown of an exporter of the program's": Case(
        FIRST_HOOK + SDK + "work('a')\n" + END,
        FIVE,
        1,
        LATE,
    ),
    "a forked child whose first span ends in an exit hook": Case(
        INSTALL + "pid = os.fork()\nif pid:\n    os.waitpid(pid, 0)\nelse:\n    " + HOOK + END,
        FIVE,
        0,
        "",
        TAKES,
        frozenset(f"hook {n}" for n in range(10)),
    ),
    "threads that outlive the main thread": Case(INSTALL + OUTLIVES, FIVE, 0, "", TAKES, FLUSHED),
    "a full queue": Case(
        "os.environ['OTEL_BSP_MAX_QUEUE_SIZE'] = '3'\n" + STUCK + "work(*['a'] * 20)\n" + END,
        FIVE,
        40,
        "17 spans for Stuck are lost: the queue was full",
    ),
    "a long delay": Case(
        "os.environ['OTEL_BSP_SCHEDULE_DELAY'] = '60000'\n" + INSTALL + "work('a', 'b')\n" + END,
        FIVE,
        0,
        "",
        TAKES,
        FLUSHED,
    ),
}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], tuple[Done, list[str]]]]:
    """How each of the programs ended, and which of its spans arrived."""
    with ExitStack() as stack:
        directory: Path = tmp_path_factory.mktemp("exits")
        closed, hung = stack.enter_context(refusing()), stack.enter_context(hanging())
        running: dict[str, tuple[subprocess.Popen[str], HttpReceiver]] = {}
        for name, case in CASES.items():
            receiver = stack.enter_context(HttpReceiver())
            takes = receiver.endpoint.removesuffix("/v1/traces")
            endpoint = {TAKES: takes, HANGS: hung, REFUSES: closed}.get(case.collector, takes)
            process = start(HEAD + case.text, directory, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
            running[name] = process, receiver
        with ThreadPoolExecutor(len(running)) as pool:
            ends = list(pool.map(ended, [process for process, _ in running.values()]))
        arrived = [[span.name for span in receiver.spans] for _, receiver in running.values()]
        yield dict(zip(running, zip(ends, arrived, strict=True), strict=True)).__getitem__


@pytest.mark.parametrize("name", CASES)
def test_a_program_ends_in_time_and_logs_the_spans_that_it_lost(
    name: str, done: Callable[[str], tuple[Done, list[str]]]
) -> None:
    case, (result, names) = CASES[name], done(name)
    assert result.status == 0, result.err
    assert "Traceback" not in result.err
    assert sorted(names) == sorted(case.names)
    assert result.seconds < case.most
    assert case.says in result.err
    assert sum(map(int, LOSS.findall(result.err))) == case.lost, result.err


EARLIEST = """
import atexit

def last():
    tracer.start_span("last").finish()

atexit.register(last)

import ot_bridge
tracer = ot_bridge.install("exit")
tracer.start_span("a").finish()
"""


@pytest.mark.parametrize("then", ["", "assert tracer.flush()\n"], ids=["at once", "after a flush"])
def test_a_span_that_ends_in_the_last_exit_hook_of_all_is_exported(then: str, tmp_path: Path) -> None:
    with HttpReceiver() as receiver:
        endpoint = receiver.endpoint.removesuffix("/v1/traces")
        result = run(EARLIEST + then, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
        assert (result.status, result.err) == (0, "")
        assert [span.name for span in receiver.spans] == ["a", "last"]


THEIRS = """
os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] = PROTOCOL
if PROTOCOL == "http/protobuf":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    tracer = ot_bridge.install("exit", exporters=[OTLPSpanExporter()])
else:
    tracer = ot_bridge.install("exit")
work("a")
"""
CLOSE = "tracer.close()\n"


@pytest.mark.parametrize("last", ["", CLOSE], ids=["", "after close()"])
@pytest.mark.parametrize("protocol", [pytest.param("grpc", marks=needs.otlp_over_grpc), "http/protobuf"])
def test_the_exit_ends_early_if_a_collector_refuses_opentelemetrys_exporters(
    protocol: str, last: str, tmp_path: Path
) -> None:
    with refusing() as endpoint:
        program = HEAD + f"PROTOCOL = {protocol!r}\n" + THEIRS + last + END
        result = ended(start(program, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint))
    # The exporter of OpenTelemetry 1.28 raises.
    reported = LOSS.findall(result.err) or "OTLPSpanExporter.export raised; its spans are lost" in result.err
    assert (result.status, reported in (True, ["1"])) == (0, True), result.err
    assert result.seconds < ONE


@pytest.mark.parametrize(
    ("endpoint", "refused"),
    [
        ("http://127.0.0.1:{closed}/v1/traces", True),
        ("127.0.0.1:{closed}", True),
        ("localhost:{closed}", True),
        ("[::1]:{closed}", True),
        ("http://127.0.0.1:{hung}", False),
        ("localhost:{hung}", False),
        ("{name}:{closed}", True),
        ("no-such-host.invalid:{closed}", False),
        ("127.0.0.1:99999", False),
        ("unix:/tmp/collector", False),
        ("http://[::1", False),
        ("", False),
    ],
)
def test_the_exit_probes_the_endpoint_of_an_exporter_that_does_not_report_refusals(
    endpoint: str, refused: bool
) -> None:
    with refusing() as closed, hanging() as hung:
        ports = {"closed": closed.rpartition(":")[2], "hung": hung.rpartition(":")[2]}
        probe = Probe()
        probe.look_up(SimpleNamespace(_endpoint=endpoint.format(**ports, name=socket.gethostname())))
        assert probe.refused is refused


GREENLETS = """
from gevent import monkey
monkey.patch_all()
import os
import ot_bridge
from ot_bridge.otlp import OTLPSpanExporter
from ot_bridge.xray import XRayDaemonExporter
exporters = [OTLPSpanExporter(os.environ["COLLECTOR"]), XRayDaemonExporter(os.environ["DAEMON"])]
ot_bridge.install("exit", exporters=exporters).start_span("a").finish()
"""


def test_names_can_be_looked_up_at_the_exit_although_gevent_uses_a_thread_for_it(tmp_path: Path) -> None:
    with HttpReceiver() as receiver, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(10)
        places = receiver.endpoint.replace("127.0.0.1", "localhost"), f"localhost:{daemon.getsockname()[1]}"
        result = run(GREENLETS, tmp_path, COLLECTOR=places[0], DAEMON=places[1])
        assert (result.status, result.err) == (0, "")
        assert [span.name for span in receiver.spans] == ["a"]
        assert b'"name":"a"' in daemon.recv(70_000).replace(b": ", b":")


PATCHED_LATE = """
import os
import ot_bridge
tracer = ot_bridge.install("exit")
from gevent import monkey, sleep, spawn
monkey.patch_all()
tracer.start_span("a").finish()
ticks = []
spawn(lambda: [ticks.append(sleep(0.01)) for _ in range(20)]).join(10)
print(len(ticks), tracer.flush(10))
"""


def test_gevent_may_replace_the_queue_after_install(tmp_path: Path) -> None:
    with HttpReceiver() as receiver:
        endpoint = receiver.endpoint.removesuffix("/v1/traces")
        result = run(PATCHED_LATE, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
        assert (result.status, result.out) == (0, "20 True\n"), result.err
        assert [span.name for span in receiver.spans] == ["a"]
