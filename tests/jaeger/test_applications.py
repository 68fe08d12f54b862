"""The example applications, each as its kind is in public code, unmodified on jaeger-client and on ours."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ot_bridge.cli.main import main
from tests.cli import programs

EXAMPLES = Path(__file__).parent.parent.parent / "examples"

#: Requests pages as soon as the server answers, and prints the responses.
ASK = """
import sys, time, urllib.error, urllib.request
port, *pages = sys.argv[1:]
for page in pages:
    while True:
        try:
            print(urllib.request.urlopen(f"http://127.0.0.1:{port}{page}", timeout=10).read().decode())
        except urllib.error.HTTPError as refused:
            print(refused.code)
        except urllib.error.URLError:
            time.sleep(0.05)
            continue
        break
"""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


Compare = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Compare:
    """Runs the command in this process; the example runs in two of its own, as it does from a shell."""

    def run(
        example: str, then: str, *arguments: str, program: str = "app.py", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(EXAMPLES / example)
        monkeypatch.delenv("PYTHONPATH", raising=False)
        for name, value in {"PYTHONWARNINGS": "ignore", **variables}.items():
            monkeypatch.setenv(name, value)
        options = ("--show", "--after", "0", "--then", then)
        status = main(["compare", *options, "--", sys.executable, program, *arguments])
        done = subprocess.CompletedProcess(arguments, status, *capfd.readouterr())
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run


def _ask(directory: Path, port: int, *pages: str) -> str:
    (directory / "ask.py").write_text(ASK)
    return f"{sys.executable} {directory / 'ask.py'} {port} {' '.join(pages)}"


def test_a_flask_service_configured_by_yaml_with_flask_tracing(compare: Compare, tmp_path: Path) -> None:
    port = _free_port()
    ask = _ask(tmp_path, port, "'/order/pear?customer=ann'", "/order/nothing")
    done = compare("flask_jaeger", ask, PORT=str(port))
    assert done.stdout.startswith(
        "jaeger-client: 6 spans in 2 traces, exit status 0\not_bridge: 6 spans in 2 traces, exit status 0\n"
    )
    nested = r"\n  `- reckon +orders internal .*for=ann\n     `- get price orders client "
    assert len(re.findall(nested, done.stdout)) == 2  # on either side
    assert done.stderr.count("Reporting span ") == 12


def test_a_tornado_service_with_prometheus_and_close_at_shutdown(compare: Compare, tmp_path: Path) -> None:
    port = _free_port()
    done = compare(
        "tornado_jaeger", _ask(tmp_path, port, "/front/ann", "/back/error", "/metrics"), PORT=str(port)
    )
    assert done.stdout.startswith("jaeger-client: 8 spans in 2 traces, exit status 0\n")
    counted = [line for line in done.stderr.splitlines() if "_spans_total" in line and line[0] != "#"]
    half = len(counted) // 2
    assert counted[:half] == counted[half:]
    assert "greetings_jaeger:finished_spans_total 8.0" in counted


def test_a_grpc_pair_with_grpcio_opentracing_and_context_variables(compare: Compare, tmp_path: Path) -> None:
    port_file = tmp_path / "port"
    wait = f"while [ ! -e {port_file} ]; do sleep 0.05; done; {sys.executable} client.py {port_file}"
    done = compare("grpc_jaeger", wait, str(port_file), program="server.py")
    assert done.stdout.startswith("jaeger-client: 7 spans in 1 traces, exit status 0\n")
    assert " echo-client " in done.stdout
    assert done.stderr.count("HELLO\nINVALID_ARGUMENT\n") == 2


def _without_ids(output: str) -> Any:
    """What the custom reporter printed, with each id replaced by the number of its first appearance."""
    found: dict[int, int] = {}

    def number(value: Any) -> Any:
        if isinstance(value, int) and value > 1000:
            return found.setdefault(value, len(found))
        return value

    result = json.loads(output)
    for span in result["spans"]:
        span["ids"] = [number(each) for each in span["ids"]]
        span["references"] = [[kind, trace, number(each)] for kind, trace, each in span["references"]]
    return result


def test_a_twisted_style_server_with_its_own_scope_manager_and_reporter() -> None:
    environ = programs.environment(PYTHONWARNINGS="ignore")
    app = str(EXAMPLES / "custom_scope" / "app.py")
    real = subprocess.run(
        [sys.executable, app], env=environ, capture_output=True, text=True, check=True, timeout=50
    )
    ours = programs.run("run", "--quiet", "--", sys.executable, app)
    assert ours.returncode == 0, ours.stderr
    assert _without_ids(ours.stdout) == _without_ids(real.stdout)
    spans = _without_ids(ours.stdout)["spans"]
    assert len(spans) == 6
    assert all(span["same"] and span["text"] and span["finished"] for span in spans)
