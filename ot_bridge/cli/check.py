"""`ot-bridge check PATH…`: reports which code works unchanged, works differently, or needs a person.

It reads the syntax of every `*.py` that imports OpenTracing or a package around it, and the requirements that
the project declares. It writes nothing, imports nothing and uses no network. Exit status: 0 if nothing needs
a person, 1 if something does, 2 for wrong use or a file that cannot be read (the other files are still read).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ot_bridge.migrate.report import check

#: The arguments after `--` are a program's command line.
AFTER_DASHES = True
EPILOG = """\
examples:
  ot-bridge check .                    one line per reference, and a summary by code
  ot-bridge check src tests --json     for programs
  ot-bridge check . | grep ' OTB[345]' the references that a person has to look at
  ot-bridge check . --tags --in grafana/             tags whose names change, and queries that miss them
  ot-bridge check --tags --run -- python app.py      the tags that a run sends

exit status: 0 nothing needs a person; 1 something does; 2 wrong use, or a file that cannot be read
with --tags: 0 no name changes, or OTEL_SEMCONV_STABILITY_OPT_IN is set; 1 a name changes; 2 wrong use, a
file that cannot be read, or a run that did not end in time
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options that `run` reads."""
    parser.add_argument("paths", nargs="*", metavar="PATH", help="a folder or a file")
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    parser.add_argument(
        "--tags",
        action="store_true",
        help="list the tags whose names change (docs/semconv.md); PATH may also be a file of OTLP in JSON",
    )
    parser.add_argument(
        "--in",
        dest="queries",
        action="append",
        default=[],
        metavar="DIR",
        help="with --tags: list the lines of dashboards, alerts and collector files that stop matching",
    )
    parser.add_argument(
        "--run",
        dest="run_program",
        action="store_true",
        help="with --tags: run the program after -- and read its spans",
    )
    parser.add_argument(
        "--timeout", type=float, default=60.0, metavar="SECONDS", help="limit of that run (default: 60)"
    )


def run(args: argparse.Namespace) -> int:
    """Prints the report. Returns the exit status that `EPILOG` describes."""
    if args.tags:
        from ot_bridge.cli import check_tags  # not at the top: only this report needs the decoder of spans

        return check_tags.run(args)
    if not args.paths:
        print("ot-bridge check: a PATH is needed", file=sys.stderr)
        return 2
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
