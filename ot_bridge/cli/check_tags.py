"""`ot-bridge check --tags`: the report of `ot_bridge.migrate.tag_names`, from code, a run or a file."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ot_bridge.cli.group import running
from ot_bridge.cli.receiving import receiving
from ot_bridge.cli.run import environment
from ot_bridge.migrate.tag_names import Found, Stale, as_json, in_code, stale_lines
from ot_bridge.otlp.decode_json import decode_json
from ot_bridge.semconv.groups import VARIABLE, opt_in


def run(args: argparse.Namespace) -> int:
    """Prints the report. Returns 1 if a name changes and no group is opted in, 2 if a file cannot be read."""
    found = Found()
    paths = [Path(each) for each in args.paths]
    spans = [path for path in paths if path.suffix == ".json" and path.is_file()]
    try:
        unread = in_code([path for path in paths if path not in spans], found)
        for path in spans:
            for span in decode_json(path.read_bytes()):
                _add(found, span.attributes, str(path))
        stale = list(stale_lines(Path(each) for each in args.queries))
        failed = _add_run(found, args.program, args.timeout) if args.run_program else 0
    except (OSError, ValueError) as error:
        print(f"ot-bridge check: {error}", file=sys.stderr)
        return 2
    for file, problem in unread:
        print(f"ot-bridge check: {file} cannot be read: {problem}", file=sys.stderr)
    if args.json:
        print(json.dumps(as_json(found, stale), indent=2))
    else:
        print(*_lines(found, stale), sep="\n")
    changes = any(each.new for each in found.names())
    return 2 if unread or failed else int(changes and not opt_in())


def _add(found: Found, names: Iterable[str], place: str) -> None:
    for name in names:
        found.add(name, place)


def _add_run(found: Found, program: Sequence[str], seconds: float) -> int:
    """Runs a program on ot_bridge and adds the names in its spans. Returns 1 if it does not end in time."""
    if not program:
        raise ValueError("no program given; for example: ot-bridge check --tags --run -- python app.py")
    with receiving() as received:
        variables = {**environment(os.environ), **received.variables, VARIABLE: "", "OT_BRIDGE_QUIET": "1"}
        with running(program, variables) as group:
            ended = group.ends(seconds)
        for span in received.take():
            _add(found, span.attributes, span.name)
    if not ended:
        print(f"ot-bridge check: the program did not end within {seconds:g} seconds", file=sys.stderr)
    return int(not ended)


def _lines(found: Found, stale: Sequence[Stale]) -> Iterator[str]:
    names = list(found.names())
    yield "Names that change when their group is opted in:"
    yield from (f"  {each}" for each in names if each.new) if any(each.new for each in names) else ["  none"]
    yield "Names that stay:"
    yield from [f"  {each}" for each in names if not each.new] or ["  none"]
    yield "Names whose values may carry secrets:"
    yield from [f"  {name}: {what}" for name, what in found.secrets().items()] or ["  none"]
    if stale:
        yield "Queries that stop matching without /dup:"
        yield from (f"  {each}" for each in stale)
    yield f"Sampling rules behind the program (a collector's, Refinery's) see the new names. {VARIABLE}"
    yield "=http/dup,database/dup,rpc/dup sends the old ones beside them."
