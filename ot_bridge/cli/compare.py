"""`ot-bridge compare -- python app.py`: runs a program on jaeger-client and then on ot_bridge, and shows how
the traces differ.

The spans of both runs are received on loopback. Each run has a process group of its own, and no process of
that group is left running at the end.
"""

from __future__ import annotations

import argparse
import difflib
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ot_bridge.cli.group import Group, running
from ot_bridge.cli.receiving import receiving
from ot_bridge.cli.run import SITE, NotRunnable, command_of, environment, program_of
from ot_bridge.cli.traces import KNOWN, text
from ot_bridge.otlp.decode import SpanRecord
from ot_bridge.semconv.groups import VARIABLE as SEMCONV
from ot_bridge.view import page
from ot_bridge.view.compared import of_comparison
from ot_bridge.view.terminal import Style, draw
from ot_bridge.view.tree import trees

_GRACE = 5.0  # seconds that a server has to end after an interrupt
SAME: Final = 0
DIFFERENT: Final = 1
NOT_COMPARED: Final = 2

EPILOG: Final = """\
examples:
  ot-bridge compare -- python app.py
  ot-bridge compare --sample --show -- python app.py
  ot-bridge compare --then 'curl -s localhost:5000/order/pear' -- flask run
  ot-bridge compare --ignore hostname --ignore build -- make test
  ot-bridge compare --html compared.html -- python app.py

The program's Python needs ot_bridge and jaeger-client (pip install 'ot-bridge[legacy]'). Each run has
a process group of its own. When the command after --then has ended, the whole group is
interrupted as by Ctrl-C, and processes that still run 5 s later are killed.

exit status: 0 the traces are the same except for the documented differences, 1 they differ, 2 they
could not be compared. Needs Linux, macOS or WSL.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options that `run` reads."""
    parser.add_argument("--sample", action="store_true", help="sample every trace in both runs")
    parser.add_argument("--ignore", action="append", default=[], metavar="TAG", help="a tag that may differ")
    parser.add_argument("--show", action="store_true", help="print the traces of both runs as trees")
    parser.add_argument(
        "--html", metavar="FILE", help="write both runs side by side as a page that needs no network"
    )
    parser.add_argument("--then", metavar="COMMAND", help="for servers: a shell command that sends requests")
    parser.add_argument(
        "--after", type=float, default=2, metavar="SECONDS", help="wait before --then (default: 2)"
    )
    parser.add_argument(
        "--timeout", type=float, default=120, metavar="SECONDS", help="limit of each run (default: 120)"
    )
    parser.add_argument("program", nargs=argparse.REMAINDER, help="the program and its arguments, after --")


class _Failure(Exception):
    """The traces cannot be compared. The text of the exception is the message for the user."""


class _Run(NamedTuple):
    name: str
    status: int
    spans: list[SpanRecord]


def run(args: argparse.Namespace) -> int:
    """Runs the program twice and prints the differences. Returns the exit status that `EPILOG` describes."""
    try:
        theirs, ours = _both(_checked(command_of(args.program)), args)
        _check_spans(theirs, ours)
    except _Failure as failure:
        print(f"ot-bridge compare: could not compare: {failure}", file=sys.stderr)
        return NOT_COMPARED
    return _report(theirs, ours, args)


def _checked(command: list[str]) -> list[str]:
    if os.name == "nt":
        raise _Failure("it needs process groups that can be interrupted, which Windows has not; use WSL")
    try:
        program_of(command, "compare")
    except NotRunnable as problem:
        raise _Failure(str(problem)) from problem
    return command


def _both(command: Sequence[str], args: argparse.Namespace) -> tuple[_Run, _Run]:
    with receiving() as received:
        base = environment({**os.environ, "OT_BRIDGE_SITE": str(Path(SITE) / "compared.py")})
        base |= {"OT_BRIDGE_UDP": str(received.udp_port), "OT_BRIDGE_QUIET": "1"}
        base["OT_BRIDGE_SAMPLE"] = "1" if args.sample else ""
        base[SEMCONV] = ""  # no names are translated, so that the program's own tags are compared
        runs = []
        for name, more in (
            ("jaeger-client", {"OT_BRIDGE_REDIRECT": "off"}),
            ("ot_bridge", received.variables),
        ):
            status = _run(name, command, {**base, **more}, args)
            runs.append(_Run(name, status, received.take()))
            count = len({span.trace_id for span in runs[-1].spans})
            print(f"{name}: {len(runs[-1].spans)} spans in {count} traces, exit status {status}")
        return runs[0], runs[1]


def _check_spans(theirs: _Run, ours: _Run) -> None:
    """Raises _Failure if one of the runs has sent no span."""
    silent = [each for each in (theirs, ours) if not each.spans]
    if silent:
        names = " and ".join(f"{each.name} (exit status {each.status})" for each in silent)
        raise _Failure(
            f"no spans came from the program on {names}. Did it fail (see above)? Is it sampled"
            " (--sample has both sample everything)? Does it serve requests (--then asks it some)?"
        )


def _report(theirs: _Run, ours: _Run, args: argparse.Namespace) -> int:
    before, after = text(theirs.spans, args.ignore), text(ours.spans, args.ignore)
    difference = list(difflib.unified_diff(before, after, theirs.name, ours.name, lineterm="", n=2))
    if args.html:
        sides = trees(theirs.spans), trees(ours.spans)
        found = of_comparison(*sides, difference, (theirs.name, ours.name))
        if not page.write_page(found, args.html, "ot-bridge compare"):
            return NOT_COMPARED
    if args.show:
        for each in (theirs, ours):
            print(f"== {each.name}")
            print(*draw(each.spans, Style.of(sys.stdout)), sep="\n")
    if difference:
        print(*difference, sep="\n")
        return DIFFERENT
    print("The traces are the same. Not compared, because these differ by design:")
    print(*(f"  - {each}" for each in KNOWN), sep="\n")
    if theirs.status != ours.status:
        print(f"The exit statuses differ: {theirs.status} on jaeger-client, {ours.status} on ot_bridge.")
        return DIFFERENT
    return SAME


def _run(name: str, command: Sequence[str], environ: Mapping[str, str], args: argparse.Namespace) -> int:
    """Runs the program to its end and returns its exit status. Raises _Failure."""
    try:
        with running(command, environ) as program:
            if args.then:
                return _with_requests(name, program, environ, args)
            if not program.ends(args.timeout):
                raise _Failure(
                    f"on {name} the program did not end within {args.timeout:g} seconds (--timeout); a server"
                    " is ended when the command after --then is through"
                )
            return _status(program)
    except OSError as error:
        raise _Failure(f"{command[0]}: {error.strerror}") from None


def _with_requests(name: str, server: Group, environ: Mapping[str, str], args: argparse.Namespace) -> int:
    """Runs the command of `--then`, then interrupts the server. Returns the server's exit status."""
    time.sleep(args.after)
    with running(args.then, environ) as asking:
        if not asking.ends(args.timeout):
            raise _Failure(f"on {name} the command after --then did not end within {args.timeout:g} seconds")
        if _status(asking):
            raise _Failure(
                f"on {name} the command after --then failed (exit status {_status(asking)}); is the server up"
                f" after {args.after:g} seconds (--after)?"
            )
    server.signal(signal.SIGINT)
    if not server.wait(_GRACE):  # it ignores SIGINT, or is a background job of a shell
        server.end()
    return _status(server)


def _status(group: Group) -> int:
    status = group.leader.poll()
    return 0 if status is None else status
