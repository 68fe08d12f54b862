"""`ot-bridge run -- python app.py`: runs a program with jaeger-client's and grpcio-opentracing's imports
redirected, in it and in every Python that it starts: gunicorn's workers, uWSGI's interpreter, celery's.

The program replaces this process, so signals and exit status are its own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ot_bridge.redirect import REDIRECTED

#: Put first on PYTHONPATH, it has its `sitecustomize` read by every interpreter that is not isolated.
SITE: Final = str(Path(__file__).parent / "site")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `run` reads."""
    parser.add_argument("--quiet", action="store_true", help="do not say what is redirected")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the program and its arguments, after --")


def run(args: argparse.Namespace) -> int:
    """Becomes the program. If there is none: 2 for no command, 127 for one that is not found."""
    command = command_of(args.command)
    if not command:
        print("ot-bridge run: no program given; for example: ot-bridge run -- python app.py", file=sys.stderr)
        return 2
    program = shutil.which(command[0])
    if program is None:
        print(f"ot-bridge run: {command[0]}: not found", file=sys.stderr)
        return 127
    if not args.quiet:
        pairs = ", ".join(f"{old} -> {new}" for old, new in REDIRECTED.items())
        print(f"ot-bridge: imports redirected: {pairs}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os.execve(program, command, environment(os.environ))
    return 0


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
