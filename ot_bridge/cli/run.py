"""`ot-bridge run -- python app.py`: runs a program with the imports of jaeger-client and grpcio-opentracing
redirected, in the program and in every Python that it starts (the workers of gunicorn, uWSGI and celery).

The program replaces this process, so signals and the exit status are its own. On Windows a process cannot
replace another, so this process waits for it. The message about redirected imports comes from the Python that
redirects them, since this process cannot know which Python a program will start.
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
from types import FrameType
from typing import Final

from ot_bridge.cli.interpreter import PEX, interpreter_of

#: A folder that is put first on PYTHONPATH, so that every interpreter that is not isolated reads its
#: `sitecustomize`.
SITE: Final = str(Path(__file__).parent / "site")
_TREE: Final = "ot_bridge_tree"  # the exporter that prints traces
#: Defaults for variables that the user has not set: sample every trace, and send spans within 0.2 s.
_SEEN: Final = {"OTEL_TRACES_SAMPLER": "parentbased_always_on", "OTEL_BSP_SCHEDULE_DELAY": "200"}
_SENDING: Final = {
    "OTEL_CONFIG_FILE": "",
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
}
_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
NOT_FOUND: Final = 127
NOT_RUNNABLE: Final = 126

EPILOG: Final = """\
examples:
  ot-bridge run -- python app.py
  ot-bridge run --view -- python app.py            # its traces in a browser
  ot-bridge run --show -- flask run                # its traces as trees on standard error
  ot-bridge run -- gunicorn --workers 4 app:app
  OTEL_TRACES_EXPORTER=console ot-bridge run --quiet -- celery -A tasks worker

--view starts a viewer (see ot-bridge view --help) or uses the one that runs. When the program has ended, the
viewer stays until Ctrl-C. With --view or --show every trace is sampled unless OTEL_TRACES_SAMPLER is set, and
the file that OTEL_CONFIG_FILE names is not used.

The first Python that the program starts prints what it redirects. Imports are not redirected in a Python
without ot_bridge (it gets the real packages), in one with -I, -E or -S or without PYTHONPATH (a PEX file that
restarts itself, some process managers), and where jaeger_client is imported before `sitecustomize` is read.
There, put these two lines first in the program:

  from ot_bridge.redirect import redirect
  redirect()

exit status: the program's own; 2 no program is given, 126 it cannot be executed, 127 it is not found.
On Windows this process waits for the program and returns its exit status.
"""


class NotRunnable(Exception):
    """A command line that cannot be run. status: the exit status for it."""

    def __init__(self, problem: str, status: int) -> None:
        super().__init__(problem)
        self.status = status


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options that `run` reads."""
    parser.add_argument("--quiet", action="store_true", help="do not print what is redirected")
    parser.add_argument("--show", action="store_true", help="print each trace on standard error when it ends")
    parser.add_argument("--view", action="store_true", help="show the traces in a browser")
    parser.add_argument("program", nargs=argparse.REMAINDER, help="the program and its arguments, after --")


def run(args: argparse.Namespace) -> int:
    """Replaces this process by the program. Returns an exit status only if there is no program to run."""
    command = command_of(args.program)
    try:
        program = program_of(command, args.command)
    except NotRunnable as problem:
        print(f"ot-bridge run: {problem}", file=sys.stderr)
        return problem.status
    environ = _environment_of(args)
    hindrance = interpreter_of(command).hindrance
    if hindrance and not args.quiet:
        print(f"ot-bridge: nothing is redirected: {hindrance}", file=sys.stderr)
    if (
        hindrance == PEX
    ):  # otherwise the Python that unpacks it would report a redirection that the program does not get
        environ["OT_BRIDGE_REDIRECT"] = "off"
    try:
        return (_viewed if args.view else _start)(program, command, environ)
    except OSError as error:
        print(f"ot-bridge run: {program}: {error.strerror}", file=sys.stderr)
        return NOT_RUNNABLE


def _environment_of(args: argparse.Namespace) -> dict[str, str]:
    """The program's environment, without the viewer's address."""
    environ = environment(os.environ)
    if args.quiet:
        environ["OT_BRIDGE_QUIET"] = "1"
    if args.view:
        environ |= _SENDING
    if args.show:
        exporters = environ.get("OTEL_TRACES_EXPORTER", "none")
        environ["OTEL_TRACES_EXPORTER"] = _TREE if exporters in ("", "none") else f"{exporters},{_TREE}"
        environ["OTEL_CONFIG_FILE"] = ""
    return {**_SEEN, **environ} if args.view or args.show else environ


def sending_to(url: str) -> dict[str, str]:
    """Variables that make a program send its spans to a receiver at this address, and nowhere else."""
    return {**_SENDING, _ENDPOINT: f"{url}/v1/traces"}


def _viewed(program: str, command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Runs the program, and a viewer until SIGINT or SIGTERM. Returns the program's exit status."""
    from ot_bridge.cli import viewing
    from ot_bridge.view.store import Store

    with viewing.viewer(Store()) as address:
        environ = {**environ, _ENDPOINT: f"{address.url}/v1/traces"}
        message = f"ot-bridge run: traces are shown at {address.url}/"
        if not address.ours:
            print(message, file=sys.stderr, flush=True)
            return _start(program, command, environ)
        running: list[subprocess.Popen[bytes]] = []
        ended: list[int] = []

        def handle(number: int, frame: FrameType | None) -> None:
            if number == signal.SIGTERM:  # the terminal sends SIGINT to the program too
                ended.append(number)
                for process in running:
                    process.terminate()

        with viewing.signals(handle):
            print(message, file=sys.stderr, flush=True)
            running.append(process := subprocess.Popen(command, executable=program, env=environ))
            if ended:  # by a signal that came before the program was known
                process.terminate()
            status = process.wait()
            if not ended:
                text = f"the program has ended with exit status {status}; the viewer stays until Ctrl-C"
                with viewing.noted(ended):
                    print(f"ot-bridge run: {text}", file=sys.stderr, flush=True)
                    viewing.serve(address, ended)
        return status if status >= 0 else 128 - status


def _start(program: str, command: Sequence[str], environ: Mapping[str, str]) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    return (_wait_for if os.name == "nt" else _become)(program, command, environ)


def _become(program: str, command: Sequence[str], environ: Mapping[str, str]) -> int:
    os.execve(program, [*command], environ)
    return 0


def _wait_for(program: str, command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Waits for the program and returns its exit status.

    Ctrl-C reaches both processes. The program decides what to do with it.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if os.name == "nt" else lambda number, frame: None)
    try:
        return subprocess.call(command, executable=program, env=dict(environ))
    finally:
        signal.signal(signal.SIGINT, before)


def command_of(words: Sequence[str]) -> list[str]:
    """The command line without the `--` before it. A script without an interpreter is run by this Python."""
    command = list(words[1:] if words[:1] == ["--"] else words)
    if command and command[0].endswith(".py"):
        command.insert(0, sys.executable)
    return command


def program_of(command: Sequence[str], subcommand: str) -> str:
    """The path of the program that a command line starts. subcommand: run or compare. Raises NotRunnable."""
    if not command:
        raise NotRunnable(f"no program given; for example: ot-bridge {subcommand} -- python app.py", 2)
    program = shutil.which(command[0])
    if program is not None:
        return program
    if os.path.exists(command[0]):
        how = "chmod +x, or name its interpreter"
        raise NotRunnable(f"{command[0]}: is not executable ({how})", NOT_RUNNABLE)
    raise NotRunnable(f"{command[0]}: not found", NOT_FOUND)


def environment(base: Mapping[str, str]) -> dict[str, str]:
    """`base` with the variables that redirect imports in a program."""
    entries = [entry for entry in base.get("PYTHONPATH", "").split(os.pathsep) if entry and entry != SITE]
    return {**base, "PYTHONPATH": os.pathsep.join([SITE, *entries])}
