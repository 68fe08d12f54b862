"""`ot-bridge compare` runs a program on jaeger-client and on ot_bridge, and compares their spans."""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import opentracing
import pytest

from ot_bridge.cli import group, traces
from ot_bridge.cli.main import main
from ot_bridge.otlp.decode import EventRecord, LinkRecord
from ot_bridge.view.packets import records
from tests.cli import programs
from tests.delivery.parts import until
from tests.view.spans import MS, START, TRACE, many, span

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


Compare = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Compare:
    """Runs the command in a directory of its own; `app.py` is `PROGRAM` unless a test writes another.

    The command itself runs in this process, with the environment that it would have as a process.
    """
    monkeypatch.chdir(tmp_path)
    Path("app.py").write_text(PROGRAM)

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        with monkeypatch.context() as changed:
            for name in {*os.environ} - {*programs.environment()}:
                changed.delenv(name)
            for name, value in variables.items():
                changed.setenv(name, value)
            status = main(["compare", *arguments])
        return subprocess.CompletedProcess(arguments, status, *capfd.readouterr())

    return run


def test_compare_finds_no_difference_between_equal_traces(compare: Compare) -> None:
    done = compare("--show", "--", sys.executable, "app.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "has no jaeger-client" not in done.stderr  # though other optional packages may be missing
    lines = done.stdout.splitlines()
    assert lines[:2] == [
        "jaeger-client: 27 spans in 5 traces, exit status 0",
        "ot_bridge: 27 spans in 5 traces, exit status 0",
    ]
    at = lines.index("The traces are the same. Not compared, because these differ by design:")
    assert lines[at + 1 : at + 7] == [
        "  - ids, times, durations and peer.port belong to one run",
        "  - the process names jaeger.version on one side, telemetry.sdk.* on the other",
        "  - OTLP has no debug flag; sampling.priority and jaeger-debug-id are there as tags",
        "  - a tag that is set twice is one tag with its last value; jaeger-client sends both",
        "  - an exception is logged once a span, and in OpenTelemetry's words",
        "  - spans of gRPC have a status code in addition (rpc.grpc.status_code)",
    ]
    theirs, ours = done.stdout.split("== jaeger-client\n")[1].split("== ot_bridge\n")
    assert "! parent 0000000000000002 did not arrive" in theirs  # its packets do not say where a parent is
    assert ours.count("continues the caller's") == 1
    for side in (theirs, ours):
        assert re.search(r"^  outer +compared server +[\d.]+ [mu]?s  #", side, re.M)
        assert re.search(r"^  `- inner x20, [\d.]+ [mu]?s in all +compared internal ", side, re.M)
        assert re.search(r"^  - hit +at [\d.]+ [mu]?s .*size=3$", side, re.M)
        assert re.search(r"^  +> +[0-9a-f]{32}/[0-9a-f]{16}$", side, re.M)
        assert re.search(r"fails .* x ", side)


def test_compare_uses_the_names_that_the_program_has_set(compare: Compare) -> None:
    Path("app.py").write_text(
        "from jaeger_client import Config\n"
        "config = Config({'sampler': {'type': 'const', 'param': 1}}, service_name='compared')\n"
        "tracer = config.initialize_tracer()\n"
        "tracer.start_span('a', tags={'http.method': 'GET', 'http.url': 'http://h/a'}).finish()\n"
    )
    done = compare("--", sys.executable, "app.py", OTEL_SEMCONV_STABILITY_OPT_IN="http,database,rpc")
    assert done.returncode == 0, done.stdout


def test_the_html_page_shows_both_runs_and_links_each_difference_to_its_row(compare: Compare) -> None:
    Path("app.py").write_text(
        f"{PROGRAM}\ntracer.start_span('who', tags={{'by': Config.__module__}}).finish()"
    )
    done = compare("--html", "compared.html", "--", sys.executable, "app.py")
    assert done.returncode == 1
    text = Path("compared.html").read_text("utf-8")
    found = re.search(r'id="data">(.*?)</script>', text, re.S)
    assert found is not None
    data = json.loads(found[1])
    assert data["names"] == ["jaeger-client", "ot_bridge"]
    assert [each["summary"]["name"] for each in data["traces"]][:2] == ["outer", "debugged"]
    linked = {line: (trace, row) for line, trace, row in data["differences"] if "who" in line}
    ids = [each["id"] for each in data["traces"] if each["summary"]["name"] == "who"]
    sampled = "sampler.param=True sampler.type='const'"
    assert linked == {
        f"-compared: who by='jaeger_client.config' {sampled}": (ids[0], "0-0"),
        f"+compared: who by='ot_bridge.jaeger_client.config' {sampled}": (ids[0], "0-0"),
    }
    assert compare("--html", "no/such/file", "--", sys.executable, "app.py").returncode == 2


def test_a_difference_is_shown_and_can_be_ignored(compare: Compare) -> None:
    different = "tracer.start_span('who').set_tag('by', Config.__module__).finish()"
    Path("app.py").write_text(f"{PROGRAM}\n{different}\n")
    done = compare("--", sys.executable, "app.py")
    assert done.returncode == 1
    assert "-compared: who by='jaeger_client.config'" in done.stdout
    assert "+compared: who by='ot_bridge.jaeger_client.config'" in done.stdout
    done = compare("--ignore", "by", "--", sys.executable, "app.py")
    assert done.returncode == 0, done.stdout


UNSAMPLED = """
from jaeger_client import Config
tracer = Config({"sampler": {"type": "const", "param": 0}}, service_name="compared").initialize_tracer()
tracer.start_span("a").finish()
"""
NOT_COMPARED = {
    "no program": ([], "no program given; for example: ot-bridge compare -- python app.py"),
    "a program that is not there": (["--", "no-such-program"], "no-such-program: not found"),
    "a file that is no program": (
        ["--", "./text"],
        "./text: is not executable (chmod +x, or name its interpreter)",
    ),
    "a file that cannot be run": (["--", "./garbage"], "./garbage: Exec format error"),
    "a program that fails": (
        ["--", sys.executable, "-c", "raise SystemExit(3)"],
        (
            "no spans came from the program on jaeger-client (exit status 3) and ot_bridge (exit status 3). "
            "Did it fail (see above)? Is it sampled (--sample has both sample everything)? "
            "Does it serve requests (--then asks it some)?"
        ),
    ),
    "a program that samples nothing": (
        ["--", sys.executable, "-c", UNSAMPLED],
        (
            "no spans came from the program on jaeger-client (exit status 0) and ot_bridge (exit status 0). "
            "Did it fail (see above)? Is it sampled (--sample has both sample everything)? "
            "Does it serve requests (--then asks it some)?"
        ),
    ),
    "a program without jaeger-client": (
        ["--", sys.executable, "app.py"],
        f"{sys.executable} has no jaeger-client: pip install 'ot-bridge[legacy]'",
    ),
    "a program that does not end": (
        ["--timeout", "0.3", "--", sys.executable, "-c", "import time; time.sleep(60)"],
        (
            "on jaeger-client the program did not end within 0.3 seconds (--timeout); a server is ended when "
            "the command after --then is through"
        ),
    ),
    "a command to ask that fails": (
        ["--then", "exit 7", "--after", "0", "--", "sleep", "60"],
        (
            "on jaeger-client the command after --then failed (exit status 7); is the server up "
            "after 0 seconds (--after)?"
        ),
    ),
    "a command to ask that does not end": (
        ["--then", "sleep 60", "--after", "0", "--timeout", "0.2", "--", "sleep", "60"],
        "on jaeger-client the command after --then did not end within 0.2 seconds",
    ),
}


@pytest.mark.parametrize(("arguments", "problem"), NOT_COMPARED.values(), ids=NOT_COMPARED)
def test_a_comparison_that_is_impossible_exits_with_status_2_and_not_1(
    arguments: list[str], problem: str, compare: Compare
) -> None:
    Path("text").write_text("no program")
    Path("garbage").write_bytes(b"\x00\x01")
    Path("garbage").chmod(0o755)
    if "jaeger-client:" in problem:
        Path("app.py").write_text(WITHOUT + PROGRAM)
    done = compare(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    lines = done.stderr.splitlines()
    assert [line for line in lines if line.endswith(problem)] != []
    assert [line for line in lines if line.startswith("ot-bridge compare: could not compare: ")] != []
    assert "Traceback" not in done.stderr.partition("could not compare")[2]


#: Hides the real jaeger-client on the path, but not from import hooks, which run before.
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


def test_compare_sends_requests_to_a_server_by_a_command_and_samples_on_demand(compare: Compare) -> None:
    Path("app.py").write_text(SERVER)
    Path("ask.py").write_text(ASK)
    ask = f"{sys.executable} ask.py"
    done = compare("--sample", "--show", "--then", ask, "--after", "0.1", "--", sys.executable, "app.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("path=/a sampler.type=const sampler.param=true") == 2


def test_a_server_that_ignores_signals_is_killed(compare: Compare) -> None:
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


def test_a_child_that_ignores_signals_is_killed_though_its_leader_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "PATIENCE", 0.3)
    numbers = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)
    before = [*map(signal.getsignal, numbers)]
    lines = "trap '' TERM; echo $$ > pid; while :; do sleep 0.1; done"
    with group.running(f'cd {tmp_path}; (exec sh -c "{lines}") & wait', os.environ) as running:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
            assert not running.ends(0.02)
        pid = int((tmp_path / "pid").read_text())
        assert _runs(pid)
    assert running.ends(0)
    assert [*map(signal.getsignal, numbers)] == before
    until(lambda: not _runs(pid))


def test_a_child_that_ends_by_itself_on_sigterm_is_not_killed(tmp_path: Path) -> None:
    lines = "trap 'sleep 0.3; : > done; exit' TERM; : > here; while :; do sleep 0.05; done"
    with group.running(f'cd {tmp_path}; (exec sh -c "{lines}") & wait', os.environ) as running:
        while not (tmp_path / "here").exists():
            assert not running.ends(0.02)
    assert (tmp_path / "done").exists()


SHELLS = {
    "a shell": "{python} app.py; true",
    "make": "make -s serve",
    "a reloader": "{python} reloader.py",
}


@pytest.mark.parametrize("line", SHELLS.values(), ids=SHELLS)
def test_no_process_is_left_running_if_a_shell_or_reloader_has_started_the_server(
    line: str, compare: Compare
) -> None:
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
def test_when_compare_is_terminated_it_terminates_its_programs(
    number: signal.Signals, tmp_path: Path
) -> None:
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


def test_jaeger_packets_are_decoded_correctly() -> None:
    real = _real("jaeger_client")
    reporter = _real("jaeger_client.reporter").InMemoryReporter()
    sampler, tags = real.ConstSampler(True), {"ip": "1.2.3.4"}
    tracer = real.Tracer("service", reporter, sampler, generate_128bit_trace_id=True, tags=tags)
    values = {"text": "ü", "true": True, "false": False, "integer": -5, "big": 1 << 40, "float": -2.5}
    above = tracer.start_span("above", start_time=1.5)
    references = [opentracing.follows_from(above.context), opentracing.child_of(above.context)]
    span = tracer.start_span("op", child_of=above, tags=dict(values), references=references)
    for number in range(20):  # more than the short form of a list's length can say
        span.log_kv({"event": str(number), "at": number}, timestamp=2.0 + number)
    span.finish()
    above.finish(3.5)
    read, first = records(_packet(reporter.get_spans(), {"region": "eu"}))
    ids = f"{span.trace_id:032x}", f"{span.span_id:016x}", f"{above.span_id:016x}"
    assert (read.trace_id, read.span_id, read.parent_id) == ids
    assert read.attributes == values
    assert [type(value) for value in read.attributes.values()] == [type(value) for value in values.values()]
    assert [(each.name, each.time, each.attributes) for each in read.events] == [
        (str(number), (2 + number) * 10**9, {"at": number}) for number in range(20)
    ]
    # The parent is no link; that it is followed from is.
    assert [(each.span_id, each.attributes["opentracing.ref_type"]) for each in read.links] == [
        (ids[2], "follows_from")
    ]
    assert (first.name, first.start, first.end, first.parent_id) == ("above", 15 * 10**8, 35 * 10**8, "")
    assert (first.service, first.resource["region"]) == ("service", "eu")


def _event(time: int, name: str, **attributes: Any) -> EventRecord:
    return EventRecord(name, START + time * MS, attributes, 0)


def _link(span_id: int, kind: str) -> LinkRecord:
    return LinkRecord(TRACE, f"{span_id:016x}", "", {"opentracing.ref_type": kind}, 0, 0)


def test_ids_times_and_order_are_not_compared() -> None:
    one = [span(1, name="a"), span(2, 1, 5, name="b"), span(3, 1, 6, name="c")]
    other = [span(30, 10, 2, name="c"), span(20, 10, 9, name="b"), span(10, begin=1, name="a")]
    other = [each._replace(trace_id="f" * 32) for each in other]
    assert traces.text(one) == traces.text(other)
    assert len(traces.text(one)) == 5


PLAIN = span(1, name="a"), span(2, 1, name="b")
DIFFERENT = {
    "a parent": [span(2, name="b")],
    "a tag": [span(2, 1, name="b", attributes={"n": 1})],
    "a tag's type": [span(2, 1, name="b", attributes={"n": "1"})],
    "a tag's end": [span(2, 1, name="b", attributes={"n": "x" * 500 + "y"})],
    "a log": [span(2, 1, name="b", events=(_event(0, "x"),))],
    "a log's time": [span(2, 1, name="b", events=(_event(500, "x"),))],
    "a log's field": [span(2, 1, name="b", events=(_event(0, "x", n=1),))],
    "a reference": [span(2, 1, name="b", links=(_link(1, "follows_from"),))],
    "a reference elsewhere": [span(2, 1, name="b", links=(_link(9, "child_of"),))],
    "a service": [span(2, 1, name="b", resource={"service.name": "other"})],
    "a process": [span(2, 1, name="b", resource={"service.name": "shop", "region": "eu"})],
    "a kind": [span(2, 1, name="b", kind="CLIENT")],
    "an error": [span(2, 1, name="b", status="ERROR")],
    "one more": [span(2, 1, name="b"), span(3, 1, name="b")],
}


def test_each_kind_of_difference_is_found() -> None:
    texts = [traces.text([PLAIN[0], *others]) for others in DIFFERENT.values()]
    found = ["\n".join(each) for each in [traces.text(PLAIN), *texts]]
    assert len({*found}) == len(DIFFERENT) + 1


SAME = {
    "the parent as a reference": ({"links": (_link(1, "child_of"),)}, {}),
    "an error as a tag": ({"attributes": {"error": True}}, {"status": "ERROR"}),
    "no error as a tag": ({"attributes": {"error": False}}, {"status": "OK"}),
    "a kind as a tag": (
        {"attributes": {"span.kind": "client"}, "kind": "CLIENT"},
        {"kind": "CLIENT"},
    ),
    "an exception": (
        {"events": (_event(0, "error", message="no", **{"error.kind": "E", "error.object": "E"}),)},
        {
            "events": (
                _event(0, "exception", **{"exception.type": "E", "exception.stacktrace": "…"}),
                _event(0, "exception", **{"exception.type": "E", "exception.stacktrace": "again"}),
            )
        },
    ),
    "an error without an exception": (
        {"events": (_event(0, "error", message="no", **{"error.kind": "E"}),)},
        {"events": (_event(0, "exception", **{"exception.message": "no", "exception.escaped": "False"}),)},
    ),
    "what one side has by design": (
        {"resource": {"service.name": "shop", "jaeger.version": "Python-4.8.0"}},
        {
            "resource": {"service.name": "shop", "telemetry.sdk.name": "x", "service.instance.id": "1"},
            "attributes": {"peer.port": 5, "rpc.grpc.status_code": 0},
        },
    ),
}


@pytest.mark.parametrize(("theirs", "ours"), SAME.values(), ids=SAME)
def test_equivalent_spans_of_both_clients_are_equal(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    one, other = (traces.text([PLAIN[0], span(2, 1, name="b", **each)]) for each in (theirs, ours))
    assert one == other


def test_a_late_log_and_a_parent_elsewhere_are_reported() -> None:
    late = [span(1, name="a", events=(_event(500, "x"),))]
    assert traces.text(late)[-1] == "  log event='x' (not in the time of its span)"
    assert traces.text([span(5, 5, name="a")])[-1] == "shop: a"
    assert traces.text([span(5, 4, name="a")])[-1] == "shop: a (its parent is elsewhere)"


def test_a_client_and_a_server_that_share_an_id_are_both_compared() -> None:
    shared = [span(1, name="call", kind="CLIENT"), span(1, name="serve", kind="SERVER")]
    spans = [*shared, span(2, 1, links=(_link(1, "follows_from"),))]
    expected = ["  shop: serve span.kind='server'", "    shop: span 2", "      follows_from serve"]
    assert traces.text(spans)[-4:] == ["shop: call span.kind='client'", *expected]
    assert traces.text(reversed(spans)) == traces.text(spans)


def test_a_trace_of_two_thousand_levels_can_be_compared() -> None:
    assert len(traces.text(many(2000, deep=True))) == 2004
