"""Results as text and as JSON: costs, ratios with their spread, and which goals hold."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.measure import Timing
from benchmarks.rows import Row
from benchmarks.scale import Series

_PACKAGES = (
    "opentelemetry-sdk",
    "opentelemetry-opentracing-shim",
    "opentelemetry-instrumentation-wsgi",
    "opentelemetry-instrumentation-grpc",
    "jaeger-client",
    "opentracing",
    "grpcio",
    "grpcio-opentracing",
)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def machine() -> dict[str, Any]:
    """Returns the processor, system, Python and package versions of this machine."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": f"{platform.python_implementation()} {sys.version.split()[0]}",
        "versions": versions,
    }


def result(row: Row, timing: Timing) -> dict[str, Any]:
    shown = [name for name in timing.rounds if name != timing.base]
    goals = []
    for goal in row.goals:
        ratio = timing.ratio(goal.subject, goal.peer) if goal.peer else timing.spread(goal.subject)
        goals.append({**asdict(ratio), "limit": goal.limit, "holds": ratio.median <= goal.limit})
    return {
        "name": row.name,
        "title": row.title,
        "unit": timing.unit,
        "costs": {name: timing.cost(name) for name in shown},
        "goals": goals,
    }


def scaled(series: Series) -> dict[str, Any]:
    return {
        "name": series.name,
        "title": series.title,
        "sizes": series.sizes,
        "costs": series.costs,
        "growth": series.growth,
    }


def text(row: dict[str, Any]) -> str:
    lines = [f"{row['name']}: {row['title']}"]
    for name, cost in row["costs"].items():
        lines.append(f"    {name:24} {cost:9.2f} {row['unit']}")
    for goal in row["goals"]:
        verdict = "holds" if goal["holds"] else "DOES NOT HOLD"
        lines.append(
            f"    {goal['subject']} / {goal['peer'] or row['unit']} = {goal['median']:.3f}"
            f" ({goal['low']:.3f} to {goal['high']:.3f}), goal {goal['limit']:.2f}: {verdict}"
        )
    return "\n".join(lines)


def scale_text(row: dict[str, Any]) -> str:
    lines = [f"{row['name']}: µs a span by {row['title']}"]
    lines.append(" " * 28 + "".join(f"{size:>10}" for size in row["sizes"]))
    for name, costs in row["costs"].items():
        lines.append(f"    {name:24}" + "".join(f"{cost:10.2f}" for cost in costs))
    return "\n".join(lines)


def machine_text(found: dict[str, Any]) -> str:
    packages = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    return f"{found['processor']}, {found['cores']} cores, {found['python']}; {packages}"
