"""K10, K11: the Python that a command starts, its packages, and whether imports are redirected there.

That Python is started with a probe and with `-m ot_bridge doctor`. The program itself is never started.
"""

from __future__ import annotations

import importlib.machinery
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import dropwhile
from pathlib import Path
from typing import Any, Final, NamedTuple

from ot_bridge.cli.checkup.model import LOOK, WELL, WRONG, Finding, Row
from ot_bridge.cli.interpreter import Interpreter, interpreter_of
from ot_bridge.cli.run import NotRunnable, command_of, environment, program_of
from ot_bridge.exporters import exporters_in_environment, protocol
from ot_bridge.redirect import REDIRECTED, Finder

_SECONDS: Final = 20.0
_GREEN: Final = re.compile(
    r"(?:-k|-P|.*=|--)?(gevent|eventlet)(?:[._]\w+)?"
)  # an argument, the value of an option, or the module after -m
_HTTP: Final = "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
_PROBE: Final = """
import json, os, sys
from importlib import machinery, util
try:
    from importlib import metadata
    version = metadata.version("ot-bridge")
except Exception:
    version = ""
finders = [each for each in sys.meta_path if type(each).__module__ == "ot_bridge.redirect"]
for each in finders:
    sys.meta_path.remove(each)
def found(name):
    try:
        return util.find_spec(name) is not None
    except Exception:
        return False
site = getattr(sys.modules.get("sitecustomize"), "__file__", "") or ""
print(json.dumps({
    "python": ".".join(map(str, sys.version_info[:3])), "executable": sys.executable, "version": version,
    "ot_bridge": found("ot_bridge"), "redirected": bool(finders), "site": site,
    "real": [name for name in ("jaeger_client", "grpc_opentracing") if found(name)],
}))
"""


class Inspection(NamedTuple):
    """The rows and findings of the program's Python. there: whether ot_bridge is installed in it."""

    rows: list[Row]
    findings: list[Finding]
    there: bool
    interpreter: Interpreter


def inspect(words: Sequence[str]) -> Inspection:
    """Inspects a command line, with or without `ot-bridge run` before it."""
    command = _without_run(command_of(words))
    interpreter = interpreter_of(command)
    rows = [Row("program", " ".join(command), "argument")]
    if not interpreter.python:
        return Inspection(rows, [_unknown(command), *_server(command)], False, interpreter)
    try:
        seen = _probe(interpreter)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        text = f"{interpreter.python} cannot be started: {error}"
        return Inspection(rows, [Finding(WRONG, "program", text)], False, interpreter)
    rows.append(Row("its python", f"{seen['python']}  {seen['executable']}", "argument"))
    rows.append(Row("redirect", _redirection(seen, interpreter), "ot-bridge run"))
    return Inspection(
        rows, [*_findings(seen, interpreter), *_server(command)], bool(seen["ot_bridge"]), interpreter
    )


def _unknown(command: Sequence[str]) -> Finding:
    try:
        program_of(command, "doctor")
    except NotRunnable as problem:
        return Finding(WRONG, "program", str(problem))
    return Finding(LOOK, "program", f"it is not known which Python {command[0]} starts, if any")


def _without_run(command: list[str]) -> list[str]:
    if len(command) > 1 and Path(command[0]).name == "ot-bridge" and command[1] == "run":
        return command_of([*dropwhile({"--quiet", "--show", "--view"}.__contains__, command[2:])])
    return command


def _probe(interpreter: Interpreter) -> dict[str, Any]:
    done = subprocess.run(
        [interpreter.python, *interpreter.options, "-c", _PROBE],
        env={**environment(os.environ), "OT_BRIDGE_QUIET": "1"},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode:
        raise ValueError(done.stderr.strip().rpartition("\n")[2] or f"exit status {done.returncode}")
    seen: dict[str, Any] = json.loads(done.stdout.strip().rpartition("\n")[2])
    return seen


def _redirection(seen: dict[str, Any], interpreter: Interpreter) -> str:
    if seen["redirected"] and seen["ot_bridge"] and not interpreter.hindrance:
        return f"ot-bridge run turns it on: {', '.join(REDIRECTED)}"
    return "off, with ot-bridge run too"


def _findings(seen: dict[str, Any], interpreter: Interpreter) -> Iterator[Finding]:
    python = seen["executable"]
    if interpreter.hindrance:
        yield Finding(
            WRONG, "redirect", interpreter.hindrance, "from ot_bridge.redirect import redirect; redirect()"
        )
    elif not seen["redirected"]:
        other = f": {seen['site']} is read in its place" if seen["site"] else ""
        yield Finding(WRONG, "redirect", f"{python} does not read the sitecustomize of ot-bridge run{other}")
    if not seen["ot_bridge"]:
        text = f"{python} has no ot_bridge; the one that runs now belongs to {sys.executable}"
        yield Finding(WRONG, "program", text, f"{python} -m pip install ot-bridge")
    else:
        yield Finding(WELL, "program", f"{python} has ot-bridge {seen['version']}")
    if seen["real"]:
        yield Finding(WELL, "program", f"installed there, too: the real {' and '.join(seen['real'])}")


def _server(command: Sequence[str]) -> Iterator[Finding]:
    """K13: set-ups of servers in which spans may not be sent."""
    names = {Path(word).name for word in command[:3]}
    by_grpc = "otlp" in exporters_in_environment() and protocol() == "grpc"
    if "uwsgi" in names and not {"--enable-threads", "--threads", "--ini", "--yaml"} & {*command}:
        text = "uWSGI starts without threads, so the thread that exports spans does not run"
        yield Finding(WRONG, "program", text, "uwsgi --enable-threads …")
    green = next((match for word in command if (match := _GREEN.fullmatch(word))), None)
    if green and by_grpc:
        text = f"gRPC blocks {green[1]}'s loop, and spans may not leave"
        yield Finding(WRONG, "program", text, _HTTP)
    elif green:
        text = f"{green[1]} makes a greenlet of the thread that exports: one that never waits delays spans"
        yield Finding(LOOK, "program", text, "let such a loop give way: sleep(0)")
    elif by_grpc and _forks(names, command):
        text = "the program forks after it was loaded, and a gRPC channel does not survive a fork"
        yield Finding(LOOK, "program", text, _HTTP)


def _forks(names: set[str], command: Sequence[str]) -> bool:
    if "gunicorn" in names:
        return "--preload" in command
    if "uwsgi" in names:
        return not {"--lazy-apps", "--lazy"} & {*command}
    return "celery" in names and not any(word.endswith(("solo", "threads")) for word in command)


def report_of(interpreter: Interpreter, options: Sequence[str]) -> tuple[list[Row], list[Finding]]:
    """The report of `doctor` in that Python."""
    done = subprocess.run(
        [interpreter.python, *interpreter.options, "-m", "ot_bridge", "doctor", "--json", *options],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    try:
        report = json.loads(done.stdout)
    except ValueError:
        last = done.stderr.strip().rpartition("\n")[2]
        return [], [Finding(LOOK, "program", f"its ot-bridge has no doctor, or could not run it: {last}")]
    return [Row(**each) for each in report["rows"]], [Finding(**each) for each in report["findings"]]


def redirection() -> list[Row]:
    """K11: the redirection of imports in this process."""
    on = any(isinstance(each, Finder) for each in sys.meta_path)
    real = [name for name in REDIRECTED if importlib.machinery.PathFinder.find_spec(name) is not None]
    names = "the real " + " and ".join(real) if real else "neither jaeger_client nor grpc_opentracing"
    verb = "are" if len(real) > 1 else "is"
    off = f"off in this process; {names} {verb} installed"
    state = f"on: {', '.join(REDIRECTED)} are ours" if on else off
    return [Row("redirect", state, "" if on else "ot-bridge run -- … turns it on")]
