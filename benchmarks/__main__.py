"""The command `python -m benchmarks [--only NAME …] [--json] [--chart FILE]`."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Any

from benchmarks import calls as calls
from benchmarks import chart, report, scale
from benchmarks import delivered as delivered
from benchmarks import doors as doors
from benchmarks import export as export
from benchmarks import floor as floor
from benchmarks import headers as headers
from benchmarks import load as load
from benchmarks import spans as spans
from benchmarks import start as start
from benchmarks.rows import ROWS


def _parsed(arguments: list[str] | None) -> argparse.Namespace:
    known = [*ROWS, *scale.NAMES]
    parser = argparse.ArgumentParser(
        "python -m benchmarks",
        description="Measures what tracing costs, compared with other tracing libraries.",
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", choices=known, help="run only these rows: " + ", ".join(known)
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--chart", metavar="FILE", type=Path, help="draw the chart into FILE (SVG)")
    return parser.parse_args(arguments)


def _rows(names: list[str], say: Any) -> list[dict[str, Any]]:
    rows = []
    for name in names:
        try:
            found = report.result(ROWS[name], ROWS[name].take())
        except ImportError as missing:
            print(f"{name}: skipped, because a package is missing: {missing}", file=sys.stderr)
            continue
        rows.append(found)
        say(report.text(found))
    return rows


def _scales(names: list[str], say: Any) -> list[dict[str, Any]]:
    scales = []
    for name in names:
        found = report.scaled(scale.series(name))
        scales.append(found)
        say(report.scale_text(found))
    return scales


def main(arguments: list[str] | None = None) -> int:
    """Runs the chosen rows and prints their results. Returns 1 if a goal does not hold, else 0."""
    asked = _parsed(arguments)
    logging.disable(logging.CRITICAL)  # some rows fill the queue, which would be logged
    say = (lambda words: None) if asked.json else print
    where = report.machine()
    say(report.machine_text(where))
    names = asked.only or [*ROWS, *scale.NAMES]
    rows = _rows([name for name in names if name in ROWS], say)
    scales = _scales([name for name in names if name in scale.NAMES], say)
    if asked.json:
        print(json.dumps({"machine": where, "rows": rows, "scale": scales}, indent=2))
    if asked.chart:
        asked.chart.write_text(chart.draw(rows, scales, report.machine_text(where)), encoding="utf-8")
    missed = [goal for row in rows for goal in row["goals"] if not goal["holds"]]
    say(f"{sum(len(row['goals']) for row in rows) - len(missed)} goals hold, {len(missed)} do not")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
