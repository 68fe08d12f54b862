"""`ot-bridge doctor`: prints the effective configuration with the origin of every value, finds faults in it,
and sends one span with each exporter.

It changes nothing and needs no extra. If no collector can be reached, it takes 5 s.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final

from ot_bridge.cli.checkup import effective, file, incoming, known, packages, program, sending
from ot_bridge.cli.checkup.model import LOOK, WELL, WRONG, Finding, LogLines, Row, collected_log
from ot_bridge.cli.jaeger_file import read
from ot_bridge.jaeger_client.settings import ROWS, problems
from ot_bridge.jaeger_client.translate import effective as jaeger_settings
from ot_bridge.jaeger_client.translate import lines

#: The arguments after `--` are a program's command line.
AFTER_DASHES: Final = True
FINE, PROBLEMS, NOT_DONE = 0, 1, 2

EPILOG: Final = """\
examples:
  ot-bridge doctor
  ot-bridge doctor -H 'x-b3-traceid: 463ac35c9f6413ad'        # is this caller's trace continued?
  ot-bridge doctor -- gunicorn app:app                        # the configuration in that program's Python
  ot-bridge doctor jaeger.yml --service-name shop             # a dictionary of jaeger-client's Config
  ot-bridge doctor jaeger.yml --otel > otel.env               # translated to OpenTelemetry's variables
  ot-bridge doctor --json --no-send

`ot-bridge config` is `ot-bridge doctor --no-send`. Values of headers, tokens and user names are not shown.

exit status: 0 nothing is wrong, 1 something is wrong, 2 the check failed (a file cannot be read).
"""
_MARKS: Final = {WRONG: "x", LOOK: "!", WELL: "+"}
_VARIABLE: Final = re.compile(r"(OTEL|JAEGER|OT_BRIDGE)_\w+")


def add_arguments(parser: argparse.ArgumentParser, send: bool = True) -> None:
    """Adds the options that `run` reads."""
    parser.add_argument("file", nargs="?", help="a Jaeger configuration in YAML, JSON or Python; - for stdin")
    parser.add_argument(
        "-H", "--header", action="append", default=[], metavar="HEADER", help="a request header to check"
    )
    parser.add_argument(
        "--service-name",
        metavar="NAME",
        help="the service name that the program passes to install() or Config",
    )
    parser.add_argument("--otel", action="store_true", help="print only OpenTelemetry's variables")
    parser.add_argument("--json", action="store_true", help="print only JSON")
    if send:
        parser.add_argument("--no-send", action="store_false", dest="send", help="send no span")
    else:
        parser.set_defaults(send=False)


def run(args: argparse.Namespace) -> int:
    """Prints the report. Returns the exit status that `EPILOG` describes."""
    try:
        config = read(args.file) if args.file else {}
        if args.service_name:
            config.setdefault("service_name", args.service_name)
        wrong = problems(config)
        if wrong:
            raise ValueError(f"{args.file}: {'; '.join(wrong)}")
    except OSError as error:
        print(f"ot-bridge {args.command}: {args.file} cannot be read: {error.strerror}", file=sys.stderr)
        return NOT_DONE
    except ValueError as error:
        print(f"ot-bridge {args.command}: {error}", file=sys.stderr)
        return NOT_DONE
    with collected_log() as log:
        if args.otel:
            print(*lines(config, os.environ), sep="\n")
            return FINE
        rows, findings = _elsewhere(args) if args.program else _here(args, config, log)
    (_print_json if args.json else _print)(rows, findings)
    if (args.file or args.command == "config") and not args.json:
        with collected_log():
            print("", "The same in OpenTelemetry's variables:", *lines(config, os.environ), sep="\n")
    return PROBLEMS if any(each.level == WRONG for each in findings) else FINE


def _elsewhere(args: argparse.Namespace) -> tuple[list[Row], list[Finding]]:
    looked = program.inspect(args.program)
    options = [word for header in args.header for word in ("-H", header)]
    options += ["--service-name", args.service_name] if args.service_name else []
    options += [args.file] if args.file else []
    options += [] if args.send else ["--no-send"]
    rows, findings = program.report_of(looked.interpreter, options) if looked.there else ([], [])
    inner = [each for each in rows if each.name != "redirect"]
    return [*looked.rows, *inner], [*looked.findings, *findings]


def _here(args: argparse.Namespace, config: dict[str, Any], log: LogLines) -> tuple[list[Row], list[Finding]]:
    rows = [*effective.rows(args.service_name), *program.redirection(), *_jaeger(config, args)]
    findings = [
        *_from_log(log),
        *known.findings(),
        *known.keys(config, args.file),
        *packages.findings(),
        *file.findings(),
        *sending.unsent(),
    ]
    if args.header:
        findings += incoming.findings(args.header)
    if args.send and not any(each.text.startswith("nothing will be sent") for each in findings):
        findings += sending.send(log, args.service_name)
    if any(each.name == "service.name" and each.value.startswith("unknown_service") for each in rows):
        findings.append(Finding(LOOK, "service", "no name", "OTEL_SERVICE_NAME=…"))
    return rows, findings


def _from_log(log: LogLines) -> Iterator[Finding]:
    """The messages that the library has logged about variables, each once.

    `install()` and the drop-in may do different things in place of one wrong value. The first message says
    what `install()` does.
    """
    known = set[str]()
    for level, text in log.take():
        is_variable = _VARIABLE.match(text) is not None
        problem = text.rpartition("; ")[0] if is_variable else text
        if problem not in known:
            known.add(problem)
            about = "variable" if is_variable else "library"
            yield Finding(WRONG if level >= logging.ERROR else LOOK, about, text)


def _jaeger(config: dict[str, Any], args: argparse.Namespace) -> Iterator[Row]:
    """The drop-in's settings: all of them for a dictionary or `config`, else those that variables set."""
    for name, setting in jaeger_settings(config, os.environ).items():
        if config or args.command == "config" or setting.source.startswith("JAEGER"):
            yield Row(f"jaeger.{name}", effective.as_text(setting.value), _origin(name, setting.source, args))


def _origin(name: str, source: str, args: argparse.Namespace) -> str:
    if source != "config":
        return source
    key = ROWS[name].key if name in ROWS else name
    return (
        f"{args.file}: {key}"
        if args.file and not (name == "service_name" and args.service_name)
        else "argument"
    )


def _print_json(rows: Sequence[Row], findings: Sequence[Finding]) -> None:
    wrong = any(each.level == WRONG for each in findings)
    report = {
        "rows": [each._asdict() for each in rows],
        "findings": [each._asdict() for each in findings],
        "status": PROBLEMS if wrong else FINE,
    }
    print(json.dumps(report, indent=1))


def _print(rows: Sequence[Row], findings: Sequence[Finding]) -> None:
    name, value = (max((len(row[column]) for row in rows), default=0) for column in (0, 1))
    for row in rows:
        print(f"{row.name:{name}}  {row.value:{min(value, 60)}}  {row.source}".rstrip())
    print()
    about = max((len(each.about) for each in findings), default=0)
    for each in sorted(findings, key=lambda each: [WRONG, LOOK, WELL].index(each.level)):
        print(f"{_MARKS[each.level]} {each.about:{about}}  {each.text}")
        if each.mend:
            print(f"  {'':{about}}  {each.mend}")
    counts = {level: sum(each.level == level for each in findings) for level in (WRONG, LOOK)}
    print(f"{counts[WRONG]} wrong, {counts[LOOK]} to look at" if any(counts.values()) else "all is well")
