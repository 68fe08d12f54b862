"""Draws the chart as SVG: a bar for each peer in each row, and a line for each peer in the scale rows."""

from __future__ import annotations

import math
from html import escape
from typing import Any

_COLOURS = {
    "ot_bridge": "#0b7285",
    "ot_bridge, grpc's way": "#0b7285",
    "engine": "#0b7285",
    "jaeger-client": "#f08c00",
    "OpenTelemetry SDK": "#868e96",
    "opentracing shim": "#ced4da",
}
_WIDTH, _LEFT, _RIGHT, _BAR, _GAP = 860, 380, 190, 14, 18
_PLOT_W, _PLOT_H = 360, 150
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#495057}.t{font-weight:600;fill:#212529}"
    ".s{font-size:10px}line,polyline{fill:none}"
)


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def _amount(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"


def _bars(row: dict[str, Any], top: float) -> tuple[list[str], float]:
    costs = {name: cost for name, cost in row["costs"].items() if name in _COLOURS}
    most = max(costs.values())
    parts = [_text(10, top + 11, row["title"], "t")]
    y = top
    for name, cost in costs.items():
        width = max(1.0, (_WIDTH - _LEFT - _RIGHT) * max(cost, 0) / most)
        parts.append(
            f'<rect x="{_LEFT}" y="{y:.1f}" width="{width:.1f}" height="{_BAR - 2}" fill="{_COLOURS[name]}"/>'
        )
        parts.append(_text(_LEFT + width + 5, y + 10, f"{_amount(cost, row['unit'])}  {name}", "s"))
        y += _BAR
    return parts, y + _GAP


def _line(costs: list[float], sizes: list[int], most: float, left: float, top: float) -> str:
    def x_of(index: int) -> float:
        return left + _PLOT_W * index / (len(sizes) - 1)

    def y_of(cost: float) -> float:
        return top + _PLOT_H * (1 - math.log10(max(cost, 1)) / math.log10(most))

    return " ".join(f"{x_of(index):.1f},{y_of(cost):.1f}" for index, cost in enumerate(costs))


def _plot(row: dict[str, Any], left: float, top: float) -> list[str]:
    """µs a span, on a logarithmic axis from 1, over the row's sizes, one step apart each."""
    most = max(10.0, 1.3 * max(max(costs) for costs in row["costs"].values()))
    parts = [_text(left, top - 8, f"µs a span, by {row['title']}", "t")]
    for power in range(math.ceil(math.log10(most))):
        y = top + _PLOT_H * (1 - power / math.log10(most))
        parts.append(f'<line x1="{left}" x2="{left + _PLOT_W}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e9ecef"/>')
        parts.append(_text(left - 4, y + 3, str(10**power), "s", "end"))
    for index, size in enumerate(row["sizes"]):
        x = left + _PLOT_W * index / (len(row["sizes"]) - 1)
        parts.append(_text(x, top + _PLOT_H + 13, f"{size:,}", "s", "middle"))
    for name, costs in row["costs"].items():
        points = _line(costs, row["sizes"], most, left, top)
        parts.append(f'<polyline points="{points}" stroke="{_COLOURS[name]}" stroke-width="2"/>')
    return parts


def _legend(names: list[str], top: float) -> list[str]:
    parts, x = [], 10.0
    for name in names:
        parts.append(f'<rect x="{x:.1f}" y="{top:.1f}" width="12" height="12" fill="{_COLOURS[name]}"/>')
        parts.append(_text(x + 17, top + 10, name))
        x += 40 + 7 * len(name)
    return parts


def _wrapped(words: str, width: int = 140) -> list[str]:
    lines = [""]
    for word in words.split():
        if len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] += word + " "
    return lines


def draw(rows: list[dict[str, Any]], scales: list[dict[str, Any]], where: str) -> str:
    """Returns the SVG document."""
    parts = [_text(10, 24, "Cost of tracing, processor time in the calling thread; less is better", "t")]
    y = 44.0
    for row in rows:
        if row["goals"]:
            more, y = _bars(row, y)
            parts += more
    for index, row in enumerate(scales):
        column, line = index % 2, index // 2
        parts += _plot(row, 30 + column * (_PLOT_W + 60), y + 30 + line * (_PLOT_H + 60))
    y += math.ceil(len(scales) / 2) * (_PLOT_H + 60) + 10
    parts += _legend(["ot_bridge", "jaeger-client", "OpenTelemetry SDK", "opentracing shim"], y)
    for number, words in enumerate(_wrapped(where)):
        parts.append(_text(10, y + 34 + 13 * number, words, "s"))
    height = y + 80
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" width="{_WIDTH}">'
        f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="#fff"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )
