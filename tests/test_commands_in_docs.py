"""Runs the commands in README.md and docs/: blocks of `sh`, and blocks of `console` with their output.

Commands that cannot be run here are listed with the reason. Commands within sentences are only parsed.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ot_bridge.cli.main import COMMANDS, parse
from tests.cli import programs
from tests.receiver import HttpReceiver

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]

#: the beginning of a line -> why it is not run
NOT_RUN = {
    "python3 -m venv": "makes an environment from a package registry",
    "pip install": "takes packages from a registry",
    ".venv/bin/pip install": "takes packages from a registry",
    ".venv/bin/pytest": "needs the environment of the line above",
    "python docs/api.py": "needs the extra `docs`",
    "python -m benchmarks": "takes minutes",
    "ot-bridge compare --then 'curl -s localhost:5000/order/pear'": "needs a port that may be taken",
}
#: Servers, with what they print before the test ends them.
SERVERS = {"ot-bridge view": "shown at http://", "ot-bridge run --view -- python app.py": "the viewer stays"}

#: A file of a project in which nothing needs a person.
PROJECT = """
import opentracing

def weigh():
    with opentracing.tracer.start_active_span("weigh") as scope:
        scope.span.set_tag("n", 1)
"""

_BLOCK = re.compile(r"^```(sh|console)\n(.*?)^```", re.M | re.S)
_COMMENT = re.compile(r"\s+# .*")
_INLINE = re.compile(r"`(ot-bridge [^`…[]+)`")


def _commands(page: Path) -> Iterator[tuple[str, str]]:
    """Each command of a page, and the output that the page shows for it ("": none is shown)."""
    for kind, block in _BLOCK.findall(page.read_text("utf-8")):
        joined = block.replace("\\\n", " ")
        if kind == "sh":
            lines = (_COMMENT.sub("", line).strip() for line in joined.splitlines())
            yield from ((line, "") for line in lines if line and not line.startswith("#"))
        else:
            for each in joined.split("$ ")[1:]:
                command, _, output = each.partition("\n")
                yield command, output


ALL = [
    (f"{page.relative_to(ROOT)}: {line}", line, output) for page in PAGES for line, output in _commands(page)
]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Files for the commands: a program that uses jaeger-client, its configuration, and a project."""
    (tmp_path / "app.py").write_text(programs.PROGRAM)
    (tmp_path / "jaeger.yml").write_text("service_name: shop\nsampler: {type: const, param: 1}\n")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "prices.py").write_text(PROJECT)
    (tmp_path / "requirements.txt").write_text("flask\n")
    return tmp_path


def _is_taken(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize(("line", "output"), [each[1:] for each in ALL], ids=[each[0] for each in ALL])
def test_a_command_in_the_docs_works(line: str, output: str, directory: Path) -> None:
    reason = next((reason for begin, reason in NOT_RUN.items() if line.startswith(begin)), None)
    if reason is not None:
        pytest.skip(reason)
    if line in SERVERS and _is_taken(4318):
        pytest.skip("another program has the viewer's port")
    with HttpReceiver() as receiver:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        with subprocess.Popen(
            ["sh", "-c", f"exec {line}" if line in SERVERS else line],
            cwd=directory,
            env=programs.environment(PATH=path, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.base),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if line in SERVERS else subprocess.PIPE,
            text=True,
        ) as process:
            try:
                if line in SERVERS:
                    assert process.stdout is not None
                    assert any(SERVERS[line] in each for each in process.stdout)
                    process.send_signal(signal.SIGTERM)
                stdout, stderr = process.communicate(timeout=100)
            finally:
                process.kill()
    if output:
        assert stdout == output + "\n", stderr
    else:
        assert process.returncode == 0, (stdout, stderr)


def test_every_entry_of_the_list_of_commands_not_run_is_still_needed() -> None:
    lines = [line for _, line, _ in ALL]
    assert len(lines) > 10
    assert [begin for begin in NOT_RUN if not any(line.startswith(begin) for line in lines)] == []
    assert {*lines} >= {*SERVERS}


def _mentioned() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for command in dict.fromkeys(_INLINE.findall(page.read_text("utf-8"))):
            words = shlex.split(" ".join(command.split()))
            if len(words) > 2:
                yield f"{page.relative_to(ROOT)}: {' '.join(words)}", command
    for name in COMMANDS:
        with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
            parse([name, "--help"])
        for command in re.findall(r"^  (?:[A-Z_]+=\S+ )?(ot-bridge .*)", printed.getvalue(), re.M):
            yield f"{name} --help: {command}", command


MENTIONED = list(_mentioned())


@pytest.mark.parametrize("command", [each[1] for each in MENTIONED], ids=[each[0] for each in MENTIONED])
def test_a_command_in_a_sentence_or_an_example_is_understood(command: str) -> None:
    words = shlex.split(re.split(r"\s+[#<>|]|\s{3}", command)[0])
    parse(words[1:])
