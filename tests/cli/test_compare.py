"""`ot-bridge compare`: one program on the real jaeger-client and on ours, and what both sent."""

from __future__ import annotations

import gzip
import importlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import opentracing
import pytest

from ot_bridge.cli import traces
from ot_bridge.cli.catcher import Catcher
from ot_bridge.cli.main import main
from ot_bridge.cli.packets import Seen, from_packet
from tests.cli import programs

PROGRAM = """
import sys, time
import opentracing
from jaeger_client import Config

config = Config({"sampler": {"type": "const", "param": 1}, "tags": {"region": "eu", "replicas": 3},
                 "local_agent": {"reporting_host": "jaeger-agent", "reporting_port": "6831"}},
                service_name="compared", validate=True)
tracer = config.initialize_tracer()
with tracer.start_active_span("outer", tags={"span.kind": "server", "n": 3, "f": 1.5, "b": False}) as outer:
    outer.span.log_kv({"event": "hit", "size": 3})
    outer.span.set_baggage_item("user", "me")
    for _ in range(20):
        with tracer.start_active_span("inner") as inner:
            inner.span.set_tag("long", "x" * 2000).set_tag("none", None).set_tag("list", [1, "a"])
    with tracer.start_active_span("after", references=[opentracing.follows_from(inner.span.context)]):
        pass
    try:
        with tracer.start_active_span("fails"):
            raise ValueError("no")
    except ValueError:
        pass
debug = tracer.extract("http_headers", {"jaeger-debug-id": "find me"})
tracer.start_span("debugged", child_of=debug).finish()
remote = tracer.extract("http_headers", {"uber-trace-id": "1:2:3:1", "uberctx-k": "v"})
tracer.start_span("continued", child_of=remote).finish()
tracer.start_span("forgotten", child_of=tracer.extract("http_headers", {"uber-trace-id": "1:2:3:0"})).finish()
tracer.start_span("forced", tags={"sampling.priority": 1}).finish()
tracer.start_span("later").set_tag("error", True).error("broken", {"a": 1}).finish()
"""


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


Compare = Callable[..., Done]


@pytest.fixture
def compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Compare:
    """Runs the command in a directory of its own; `app.py` is `PROGRAM` unless a test writes another."""
    monkeypatch.chdir(tmp_path)
    Path("app.py").write_text(PROGRAM)
    for name in [name for name in os.environ if name.startswith(("OTEL_", "JAEGER_"))]:
        monkeypatch.delenv(name)

    def run(*arguments: str) -> Done:
        status = main(["compare", *arguments])
        return Done(status, *capfd.readouterr())

    return run


def test_the_same_program_leaves_the_same_traces(compare: Compare) -> None:
    done = compare("--show", "--", sys.executable, "app.py")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == [
        "jaeger-client: 27 spans in 5 traces, exit status 0",
        "ot_bridge: 27 spans in 5 traces, exit status 0",
    ]
    assert any(line.startswith("process compared ") and " region='eu' replicas=3" in line for line in lines)
    assert "  log event='hit' size=3" in lines
    assert "    follows_from inner" in lines
    assert "compared: continued (its parent is elsewhere)" in lines
    assert "The traces are the same. Not compared, for these differ by design:" in lines


def test_a_difference_is_shown_and_may_be_ignored(compare: Compare) -> None:
    different = "tracer.start_span('who').set_tag('by', Config.__module__).finish()"
    Path("app.py").write_text(f"{PROGRAM}\n{different}\n")
    done = compare("--", sys.executable, "app.py")
    assert done.returncode == 1
    assert "-compared: who by='jaeger_client.config'" in done.stdout
    assert "+compared: who by='ot_bridge.jaeger_client.config'" in done.stdout
    done = compare("--ignore", "by", "--", sys.executable, "app.py")
    assert done.returncode == 0, done.stdout


NOT_COMPARED = {
    "no program": ([], "no program given"),
    "a program that is not there": (["--", "no-such-program"], "no-such-program: not found"),
    "a file that is no program": (["--", "./text"], "text: is not executable"),
    "a file that cannot be run": (["--", "./garbage"], "./garbage: Exec format error"),
    "a program that fails": (
        ["--", sys.executable, "-c", "raise SystemExit(3)"],
        "no spans came from the program on jaeger-client (exit status 3) and ot_bridge (exit status 3)",
    ),
    "a program without jaeger-client": (
        ["--", sys.executable, "app.py"],
        "has no jaeger-client: pip install 'ot-bridge[legacy]'",
    ),
    "a program that does not end": (
        ["--timeout", "0.3", "--", sys.executable, "-c", "import time; time.sleep(60)"],
        "did not end within 0.3 seconds (--timeout)",
    ),
    "a command to ask that fails": (
        ["--then", "exit 7", "--after", "0", "--", "sleep", "60"],
        "on jaeger-client the command after --then failed (exit status 7)",
    ),
    "a command to ask that does not end": (
        ["--then", "sleep 60", "--after", "0", "--timeout", "0.2", "--", "sleep", "60"],
        "the command after --then did not end within 0.2 seconds",
    ),
}


@pytest.mark.parametrize(("arguments", "problem"), NOT_COMPARED.values(), ids=NOT_COMPARED)
def test_what_cannot_be_compared_is_no_difference(
    arguments: list[str], problem: str, compare: Compare
) -> None:
    Path("text").write_text("no program")
    Path("garbage").write_bytes(b"\x00\x01")
    Path("garbage").chmod(0o755)
    if "jaeger-client:" in problem:
        Path("app.py").write_text(WITHOUT + PROGRAM)
    done = compare(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert problem in done.stderr
    assert "ot-bridge compare: could not compare: " in done.stderr
    assert "Traceback" not in done.stderr.partition("could not compare")[2]


#: Hides the real jaeger-client from the path, not from who is asked before it.
WITHOUT = """
import sys
from importlib.machinery import PathFinder
for each in list(sys.meta_path):
    if each is PathFinder:
        class Hiding:
            @staticmethod
            def find_spec(name, path=None, target=None):
                return None if name == "jaeger_client" else PathFinder.find_spec(name, path, target)
        sys.meta_path[sys.meta_path.index(each)] = Hiding
"""


def test_another_exit_status_is_a_difference(compare: Compare) -> None:
    Path("app.py").write_text(
        f"{PROGRAM}\nsys.exit(0 if Config.__module__ == 'jaeger_client.config' else 3)\n"
    )
    done = compare("--", sys.executable, "app.py")
    assert done.returncode == 1
    assert "The exit statuses differ: 0 on jaeger-client, 3 on ot_bridge." in done.stdout


SERVER = """
import http.server, os
from jaeger_client import Config

tracer = Config({"local_agent": {"reporting_host": "127.0.0.1"}}, service_name="server").initialize_tracer()

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with tracer.start_active_span("request", tags={"path": self.path}):
            self.send_response(200); self.end_headers()
    def log_message(self, *args): pass

server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
open("new", "w").write(str(server.server_port))
os.rename("new", "port")
try:
    server.serve_forever()
except KeyboardInterrupt:
    os.remove("port")
"""


ASK = """
import os, time, urllib.request
while not os.path.exists('port'): time.sleep(0.01)
urllib.request.urlopen('http://127.0.0.1:' + open('port').read() + '/a', timeout=10).read()
"""


def test_a_server_is_asked_by_a_command_and_sampled_on_demand(compare: Compare) -> None:
    Path("app.py").write_text(SERVER)
    Path("ask.py").write_text(ASK)
    ask = f"{sys.executable} ask.py"
    done = compare("--sample", "--show", "--then", ask, "--after", "0.1", "--", sys.executable, "app.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "server: request path='/a' sampler.param=True sampler.type='const'" in done.stdout


def test_a_server_that_heeds_no_signal_is_ended(compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ot_bridge.cli.compare._GRACE", 0.2)
    monkeypatch.setattr("ot_bridge.cli.group.PATIENCE", 0.3)
    Path("app.py").write_text(
        "import signal, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "open('deaf', 'w')\n"
        "time.sleep(60)\n"
    )
    ask = "until rm deaf 2>/dev/null; do sleep 0.05; done"
    done = compare("--then", ask, "--after", "0", "--", sys.executable, "app.py")
    assert done.stdout.count(f"exit status -{signal.SIGKILL:d}") == 2
    assert done.returncode == 2


SHELLS = {
    "a shell": "{python} app.py; true",
    "make": "make -s serve",
    "a reloader": "{python} reloader.py",
}


@pytest.mark.parametrize("line", SHELLS.values(), ids=SHELLS)
def test_nothing_is_left_running_behind_what_stands_before_a_server(line: str, compare: Compare) -> None:
    """From a shell's background job, where SIGINT is ignored."""
    Path("app.py").write_text(f"import os\nopen(f'pid.{{os.getpid()}}', 'w')\n{SERVER}")
    Path("Makefile").write_text(f"serve:\n\t{sys.executable} app.py\n")
    Path("reloader.py").write_text(
        "import os, subprocess, sys\nopen(f'pid.{os.getpid()}', 'w')\n"
        "sys.exit(subprocess.call([sys.executable, 'app.py']))\n"
    )
    Path("ask.py").write_text(ASK)
    command = ["sh", "-c", line.format(python=sys.executable)]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        done = compare("--sample", "--then", f"{sys.executable} -S ask.py", "--after", "0", "--", *command)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.returncode == 0, done.stdout + done.stderr
    started = [int(path.suffix[1:]) for path in Path().glob("pid.*")]
    assert len(started) >= 2
    assert not [pid for pid in started if _runs(pid)]


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_command_that_is_ended_takes_its_programs_along(number: signal.Signals, tmp_path: Path) -> None:
    program = (
        "import os, time; open('new', 'w').write(str(os.getpid())); os.rename('new', 'pid'); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "ot_bridge", "compare", "--", sys.executable, "-c", program],
        cwd=tmp_path,
        env=programs.environment(),
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while not (tmp_path / "pid").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait(30) == 128 + number
    assert not _runs(int((tmp_path / "pid").read_text()))


def _real(module: str) -> Any:
    return importlib.import_module(module)


def _packet(spans: list[Any], tags: dict[str, Any]) -> bytes:
    """What jaeger-client sends."""
    thrift = _real("jaeger_client.thrift")
    buffer = _real("thrift.transport.TTransport").TMemoryBuffer()
    protocol = _real("thrift.protocol.TCompactProtocol").TCompactProtocol(buffer)
    batch = thrift.make_jaeger_batch(spans, thrift.make_process("service", tags, 1024))
    oneway = 4
    protocol.writeMessageBegin("emitBatch", oneway, 1234)
    _real("jaeger_client.thrift_gen.agent.Agent").emitBatch_args(batch).write(protocol)
    protocol.writeMessageEnd()
    return bytes(buffer.getvalue())


def test_packets_are_read_as_they_were_written() -> None:
    real = _real("jaeger_client")
    reporter = _real("jaeger_client.reporter").InMemoryReporter()
    sampler, tags = real.ConstSampler(True), {"ip": "1.2.3.4"}
    tracer = real.Tracer("service", reporter, sampler, generate_128bit_trace_id=True, tags=tags)
    values = {"text": "ü", "true": True, "false": False, "integer": -5, "big": 1 << 40, "float": -2.5}
    above = tracer.start_span("above", start_time=1.5)
    span = tracer.start_span(
        "op", child_of=above, tags=dict(values), references=opentracing.follows_from(above.context)
    )
    for number in range(20):  # more than the short form of a list's length can say
        span.log_kv({"event": number}, timestamp=2.0 + number)
    span.finish()
    above.finish(3.5)
    read, first = from_packet(_packet(reporter.get_spans(), {"region": "eu"}))
    assert (read.trace_id, read.span_id, read.parent_id) == (span.trace_id, span.span_id, above.span_id)
    assert dict(read.tags) == values
    assert [type(value) for _, value in read.tags] == [type(value) for value in values.values()]
    assert read.logs == tuple(((2 + number) * 1_000_000, {"event": number}) for number in range(20))
    assert read.references == (("follows_from", above.trace_id, above.span_id),)
    assert (first.name, first.start, first.duration, first.parent_id) == ("above", 1_500_000, 2_000_000, 0)
    assert (first.service, first.process) == ("service", {"region": "eu"})


def test_the_catcher_takes_packed_requests_too() -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.name = "op"
    span.links.add(span_id=b"12345678")
    span.attributes.add(key="list").value.array_value.values.add().int_value = 1
    span.events.add(name="exception").attributes.add(key="exception.message").value.string_value = "no"
    with Catcher() as caught:
        url = caught.variables["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]
        body = gzip.compress(request.SerializeToString())
        sent = urllib.request.Request(url, body, {"Content-Encoding": "gzip"})
        urllib.request.urlopen(sent, timeout=10).close()
        (seen,) = caught.take()
        assert caught.take() == []
    assert (seen.name, dict(seen.tags), seen.service) == ("op", {"list": [1]}, "")
    assert seen.logs == ((0, {"message": "no", "event": "error"}),)
    assert seen.references == (("follows_from", 0, int.from_bytes(b"12345678", "big")),)


def _seen(name: str, span_id: int, parent_id: int = 0, **fields: Any) -> Seen:
    plain = Seen(1, span_id, parent_id, name, 0, 10, (), (), (), "service", {})
    return plain._replace(**fields)


def test_ids_times_and_order_make_no_difference() -> None:
    one = [_seen("a", 1), _seen("b", 2, 1, start=5), _seen("c", 3, 1, start=6)]
    other = [_seen("c", 30, 10, start=2), _seen("b", 20, 10, start=9), _seen("a", 10, start=1)]
    assert traces.text(one) == traces.text(other)


def test_what_makes_a_difference() -> None:
    plain = [_seen("a", 1), _seen("b", 2, 1)]
    for others in (
        [_seen("a", 1), _seen("b", 2)],
        [_seen("a", 1), _seen("b", 2, 1, tags=(("n", 1),))],
        [_seen("a", 1), _seen("b", 2, 1, tags=(("n", "x" * 500),))],
        [_seen("a", 1), _seen("b", 2, 1, logs=((5, {"event": "x"}),))],
        [_seen("a", 1), _seen("b", 2, 1, references=(("child_of", 1, 1),))],
        [_seen("a", 1), _seen("b", 2, 1, references=(("child_of", 1, 9),))],
        [_seen("a", 1), _seen("b", 2, 1, service="other")],
        [_seen("a", 1, process={"region": "eu"}), _seen("b", 2, 1)],
        [_seen("a", 1), _seen("b", 2, 1), _seen("b", 3, 1)],
    ):
        assert traces.text(others) != traces.text(plain)
    late = [_seen("a", 1, logs=((500, {"event": "x"}),))]
    assert "(not in the time of its span)" in traces.text(late)[-1]
    assert traces.text([_seen("a", 5, 5)])[-1].startswith("service: a")
