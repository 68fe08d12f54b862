"""The table of what survives from each format into each other, made by the codecs themselves.

`python -m tests.wire.cross_format` writes it into docs/headers.md.
"""

from __future__ import annotations

from pathlib import Path

from ot_bridge.wire import FORMATS, RANDOM_TRACE_ID, Format, Remote
from ot_bridge.wire.losses import losses, rewritten

PAGE = Path(__file__).parents[2] / "docs" / "headers.md"
START, END = "<!-- made by tests/wire/cross_format.py -->", "<!-- end -->"

TRACE, SPAN, PARENT = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, 0x20000000000001
EXTRAS = {**RANDOM_TRACE_ID, "jaeger.flags": "8", "xray.lineage": "a87bd80c:1"}
FULL = Remote(TRACE, SPAN, PARENT, True, False, None, {"user": "bob"}, "vendor=x", EXTRAS)
SAMPLES = (FULL, FULL._replace(sampled=False), FULL._replace(sampled=None), FULL._replace(debug=True))

LETTERS = {
    "trace id": "I",
    "span id": "I",
    "upper half of the trace id": "U",
    "parent id": "P",
    "sampling decision": "S",
    "open decision": "O",
    "debug": "D",
    "baggage": "B",
    "tracestate": "T",
    "w3c.random": "R",
    "jaeger.flags": "F",
    "xray.lineage": "L",
}
LEGEND = (
    "I all ids, U the upper half of the trace id, P the parent's id, S the sampling decision, "
    "O that the decision is left open, D debug, B baggage, T tracestate, R that the trace id is random, "
    "F Jaeger's other flags, L X-Ray's lineage"
)


def lost_between(source: Format, target: Format) -> str:
    """Letters for what `source` can say and `target` cannot."""
    found: set[str] = set()
    for sample in SAMPLES:
        carried = rewritten(sample, source)
        lost = losses(carried, target)
        if carried.sampled is None:
            lost = tuple(part.replace("sampling", "open") for part in lost)
        found.update(LETTERS[part] for part in lost)
    return "".join(letter for letter in dict.fromkeys(LETTERS.values()) if letter in found)


def table() -> str:
    """Markdown: rows are read, columns are written."""
    lines = [
        "| read \\ written | " + " | ".join(FORMATS) + " |",
        "|---" * (len(FORMATS) + 1) + "|",
    ]
    for name, source in FORMATS.items():
        cells = [lost_between(source, target) or "·" for target in FORMATS.values()]
        lines.append(f"| **{name}** | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def section() -> str:
    return f"{START}\n{table()}\n\n{LEGEND}.\n{END}"


def main() -> None:
    page = PAGE.read_text("utf-8")
    before, rest = page.split(START)
    PAGE.write_text(before + section() + rest.split(END)[1], "utf-8")


if __name__ == "__main__":
    main()
