"""`ot-bridge check PATH…`: what of a code base works unchanged, works differently, or needs a person.

Reads every `*.py` that imports OpenTracing or a package around it, by its syntax alone, and what the project
declares. Writes nothing, imports nothing, reaches no network. Exit status: 0 if nothing needs a person, 1 if
something does, 2 for wrong use or a file that cannot be read (the others are still read).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ot_bridge.migrate.report import check

EPILOG = """\
examples:
  ot-bridge check .                    one line a reference, and a summary by code
  ot-bridge check src tests --json     for programs
  ot-bridge check . | grep ' OTB[345]' what a person has to look at

exit status: 0 nothing needs a person; 1 something does; 2 wrong use, or a file that cannot be read
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that `run` reads."""
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a folder or a file")
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")


def run(args: argparse.Namespace) -> int:
    """Print what was found; the exit status as above."""
    try:
        report = check([Path(each) for each in args.paths])
    except OSError as error:
        print(f"ot-bridge check: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    for file, problem in report.unread:
        print(f"ot-bridge check: {file} cannot be read: {problem}", file=sys.stderr)
    if args.json:
        print(json.dumps(report.as_json(), indent=2))
    else:
        print(*report.lines, *([""] if report.lines else []), *report.summary(), sep="\n")
    return report.status
