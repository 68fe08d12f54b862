"""`ot-bridge run -- python app.py`: runs a program with jaeger-client's and grpcio-opentracing's imports
redirected, in it and in every Python that it starts: gunicorn's workers, uWSGI's interpreter, celery's.

The program replaces this process, so signals and exit status are its own. On Windows, where a process cannot
become another, it is waited for. What is redirected is said by the Python that does it, and not here: this
process cannot know which Python a program will start.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ot_bridge.cli.interpreter import interpreter_of

#: Put first on PYTHONPATH, it has its `sitecustomize` read by every interpreter that is not isolated.
SITE: Final = str(Path(__file__).parent / "site")
NOT_FOUND: Final = 127
NOT_RUNNABLE: Final = 126

EPILOG: Final = """\
examples:
  ot-bridge run -- python app.py
  ot-bridge run -- gunicorn --workers 4 app:app
  OTEL_TRACES_EXPORTER=console ot-bridge run --quiet -- celery -A tasks worker

Every Python that the program starts says what it redirects, the first one only. Not redirected are: a Python
without ot_bridge (it gets the real packages), one with -I, -E or -S or started without PYTHONPATH (a PEX file
that runs itself anew, some process managers), and what imports jaeger_client before `sitecustomize` is read.
There, put these two lines first in the program:

  from ot_bridge.redirect import redirect
  redirect()

exit status: the program's own; 2 no program given, 126 it cannot be executed, 127 it is not found.
On Windows this process waits for the program, and passes its exit status on.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `run` reads."""
    parser.add_argument("--quiet", action="store_true", help="do not say what is redirected")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the program and its arguments, after --")


def run(args: argparse.Namespace) -> int:
    """Becomes the program; the exit status as above if there is none."""
    command = command_of(args.command)
    if not command:
        return _refuse("no program given; for example: ot-bridge run -- python app.py", 2)
    program = shutil.which(command[0])
    if program is None:
        there = os.path.exists(command[0])
        problem = "is not executable (chmod +x, or name its interpreter)" if there else "not found"
        return _refuse(f"{command[0]}: {problem}", NOT_RUNNABLE if there else NOT_FOUND)
    hindrance = interpreter_of(command).hindrance
    if hindrance and not args.quiet:
        way_out = "or call ot_bridge.redirect.redirect() first in the program"
        print(f"ot-bridge: nothing is redirected: {hindrance}, {way_out}", file=sys.stderr)
    environ = environment(os.environ)
    if args.quiet:
        environ["OT_BRIDGE_QUIET"] = "1"
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        return (_wait_for if os.name == "nt" else _become)(program, command, environ)
    except OSError as error:
        return _refuse(f"{program}: {error.strerror}", NOT_RUNNABLE)


def _refuse(problem: str, status: int) -> int:
    print(f"ot-bridge run: {problem}", file=sys.stderr)
    return status


def _become(program: str, command: Sequence[str], environ: Mapping[str, str]) -> int:
    os.execve(program, [*command], environ)
    return 0


def _wait_for(program: str, command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Its exit status. An interrupt from the keyboard reaches both; the program decides what it means."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if os.name == "nt" else lambda number, frame: None)
    try:
        return subprocess.call(command, executable=program, env=dict(environ))
    finally:
        signal.signal(signal.SIGINT, before)


def command_of(words: Sequence[str]) -> list[str]:
    """The command line, without the `--` before it; a script alone is run by this Python."""
    command = list(words[1:] if words[:1] == ["--"] else words)
    if command and command[0].endswith(".py"):
        command.insert(0, sys.executable)
    return command


def environment(base: Mapping[str, str]) -> dict[str, str]:
    """`base`, for a program whose imports are to be redirected."""
    entries = [entry for entry in base.get("PYTHONPATH", "").split(os.pathsep) if entry and entry != SITE]
    return {**base, "PYTHONPATH": os.pathsep.join([SITE, *entries])}
