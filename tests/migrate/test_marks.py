"""Where a mark stands: above the start of a span that is left, and at each call of a tracer that is."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.migrate.test_rewrite import HEAD, START, rewritten

SPAN = START.strip()
ROWS = {
    "a span with one problem": (START + "span.trace_id\nspan.finish()\n", [("OTB308", SPAN)]),
    "a span with two problems": (
        START + "span.set_tag(name, 1)\nspan.log_kv(values)\nspan.finish()\n",
        [("OTB305", SPAN)],
    ),
    "baggage of a span": (
        START + "span.set_baggage_item(k, v)\nspan.set_tag('a', 1)\n",
        [("OTB204", SPAN), ("OTB204", "span.set_baggage_item(k, v)")],
    ),
    "a tracer's own member": (
        "t = opentracing.tracer\nt.metrics\nt.start_span('a').finish()\n",
        [("OTB308", "t = opentracing.tracer"), ("OTB308", "t.metrics")],
    ),
}


@pytest.mark.parametrize(("source", "wanted"), ROWS.values(), ids=ROWS)
def test_what_is_left_has_its_marks(source: str, wanted: list[tuple[str, str]], tmp_path: Path) -> None:
    lines = rewritten(HEAD + source, tmp_path).splitlines()
    found = [(line.split()[2], below) for line, below in pairwise(lines) if line.startswith("# ot-bridge: ")]
    assert found == wanted
