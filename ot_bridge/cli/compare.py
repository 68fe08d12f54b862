"""`ot-bridge compare -- python app.py`: runs a program on jaeger-client and then on ot_bridge, and shows how
the traces differ.

Both run with what they send caught on loopback. Exit status: 0 if the traces are the same but for the
differences that are documented, 1 if they are not, 2 if there is nothing to compare.
"""

from __future__ import annotations

import argparse
import difflib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ot_bridge.cli.catcher import Catcher
from ot_bridge.cli.run import SITE, command_of, environment
from ot_bridge.cli.traces import KNOWN, text

_GRACE = 10.0  # seconds in which a server has to heed an interrupt


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `run` reads."""
    parser.add_argument("--sample", action="store_true", help="have both sample every trace")
    parser.add_argument("--ignore", action="append", default=[], metavar="TAG", help="a tag that may differ")
    parser.add_argument("--show", action="store_true", help="show the traces, not the difference alone")
    parser.add_argument("--then", metavar="COMMAND", help="for servers: what to run against it, by the shell")
    parser.add_argument("--after", type=float, default=2, metavar="SECONDS", help="when (default: 2)")
    parser.add_argument("--timeout", type=float, default=120, metavar="SECONDS", help="of each run")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the program and its arguments, after --")


def run(args: argparse.Namespace) -> int:
    """Run both and print the difference; the exit status as above."""
    command = command_of(args.command)
    if not command:
        print("ot-bridge compare: no program given: ot-bridge compare -- python app.py", file=sys.stderr)
        return 2
    with Catcher() as caught:
        base = {**os.environ, "OT_BRIDGE_SITE": str(Path(SITE) / "compared.py")}
        base["OT_BRIDGE_UDP"] = str(caught.udp_port)
        base["OT_BRIDGE_SAMPLE"] = "1" if args.sample else ""
        their_status = _run(command, {**environment(base), "OT_BRIDGE_REDIRECT": "off"}, args)
        theirs = caught.take()
        our_status = _run(command, {**environment(base), **caught.variables}, args)
        ours = caught.take()
    for name, status, spans in (("jaeger-client", their_status, theirs), ("ot_bridge", our_status, ours)):
        traces = len({span.trace_id for span in spans})
        print(f"{name}: {len(spans)} spans in {traces} traces, exit status {status}")
    if not (theirs or ours):
        print("No spans to compare. Is the program sampled? --sample has both sample everything.")
        return 2
    return _report(text(theirs, args.ignore), text(ours, args.ignore), args.show, their_status == our_status)


def _report(theirs: Sequence[str], ours: Sequence[str], show: bool, same_status: bool) -> int:
    if show:
        print(*theirs, sep="\n")
    difference = list(difflib.unified_diff(theirs, ours, "jaeger-client", "ot_bridge", lineterm="", n=2))
    if difference:
        print(*difference, sep="\n")
        return 1
    print("The traces are the same. Not compared, for these differ by design:")
    print(*(f"  - {each}" for each in KNOWN), sep="\n")
    return 0 if same_status else 1


def _run(command: Sequence[str], environ: Mapping[str, str], args: argparse.Namespace) -> int:
    """Runs the program, its output on our standard error; its exit status."""
    process = subprocess.Popen(command, env=dict(environ), stdout=sys.stderr)
    try:
        if args.then:
            time.sleep(args.after)
            subprocess.run(
                args.then, shell=True, stdout=sys.stderr, env=dict(environ), timeout=args.timeout, check=False
            )
            process.send_signal(signal.SIGINT)
            try:
                return process.wait(min(args.timeout, _GRACE))
            except subprocess.TimeoutExpired:  # what a shell has put in the background ignores it
                process.terminate()
        return process.wait(args.timeout)
    except subprocess.TimeoutExpired:
        print(f"ot-bridge compare: stopped after {args.timeout:g} seconds", file=sys.stderr)
        process.terminate()
        return process.wait(10)
    finally:
        process.kill()
