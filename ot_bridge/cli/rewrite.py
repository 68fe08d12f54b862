"""`ot-bridge rewrite PATH…`: rewrites OpenTracing calls to OpenTelemetry, and marks what a person decides.

All uses of one object are rewritten together or left together. Code that is left stays unchanged, below a
comment that begins with `# ot-bridge:`. The command prints a diff unless `--write` is given. Exit status: 0
if everything was rewritten, 1 if something is left, 2 for wrong use.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ot_bridge.jaeger_client.translate import lines
from ot_bridge.migrate.codes import CODES
from ot_bridge.migrate.rewriting import Outcome, rewrite, write

EPILOG = """\
examples:
  ot-bridge rewrite src                  show the changes as a diff
  ot-bridge rewrite src > way-out.patch  a patch for `git apply` or a review
  ot-bridge rewrite src --write          change the files; commit first, and read the marks afterwards
  grep -rn '# ot-bridge:' src            list what a person decides

exit status: 0 everything was rewritten; 1 something is left, below a mark; 2 wrong use
"""
_ONCE = (
    "A cancelled task, SystemExit or KeyboardInterrupt makes the status ERROR on the bridge, and none after.",
    "OpenTelemetry drops attributes whose values are neither text, numbers, truth values nor lists of these.",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options that `run` reads."""
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a folder or a file")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--diff", action="store_true", help="show a diff (the default)")
    how.add_argument("--write", action="store_true", help="change the files")
    parser.add_argument("--trust-names", action="store_true", help="trust names such as span and tracer")
    parser.add_argument(
        "--semconv", action="store_true", help="write OpenTelemetry's stable names for opentracing.tags"
    )
    parser.add_argument("--json", action="store_true", help="print only JSON, which contains the diff")


def run(args: argparse.Namespace) -> int:
    """Shows or writes the changes. Returns the exit status that `EPILOG` describes."""
    try:
        paths = [Path(each) for each in args.paths]
        outcome = rewrite(paths, args.trust_names, args.semconv, _variables)
    except OSError as error:
        print(f"ot-bridge rewrite: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    if args.write:
        write(outcome)
    if args.json:
        print(json.dumps(_as_json(outcome), indent=2))
        return outcome.status
    if not args.write:
        for changed in outcome.changed:
            sys.stdout.writelines(changed.diff())
    print(*_summary(outcome, args.write), sep="\n", file=sys.stderr)
    return outcome.status


def _variables(config: dict[str, Any]) -> list[str]:
    """The lines that `ot-bridge config --otel` prints for a configuration, without comments."""
    try:
        return [str(line) for line in lines(config, {}) if line.variable]
    except Exception:  # jaeger-client would refuse this configuration as well
        return []


def _summary(outcome: Outcome, written: bool) -> Iterator[str]:
    if outcome.refused is not None:
        yield f"Nothing is rewritten: {outcome.refused}"
        return
    for path, problem in [*outcome.unread, *outcome.failed]:
        yield f"{path} is left as it is: {problem}"
    codes = Counter(mark.split()[2] for marks in outcome.marks.values() for mark in marks)
    done = "rewritten" if written else "would be rewritten"
    yield (
        f"{outcome.rewritten} references {done} in {len(outcome.changed)} files, {outcome.left} are left, "
        f"with {codes.total()} marks"
    )
    yield from (f"{count:6}  {code} {CODES[code]}" for code, count in sorted(codes.items()))
    if outcome.rewritten:
        yield from _ONCE


def _as_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "rewritten": outcome.rewritten,
        "left": outcome.left,
        "refused": outcome.refused,
        "files": [
            {
                "file": str(each.path),
                "rewritten": each.rewritten,
                "left": each.left,
                "diff": "".join(each.diff()),
            }
            for each in outcome.changed
        ],
        "marks": outcome.marks,
        "unread": [{"file": str(path), "problem": problem} for path, problem in outcome.unread],
        "failed": [{"file": str(path), "problem": problem} for path, problem in outcome.failed],
    }
