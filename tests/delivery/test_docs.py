"""docs/delivery.md names, for every promise, a test that exists."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_test_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "delivery.md").read_text()))
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert len(named) > 12
    assert [name for name in sorted(named) if f"def {name}(" not in text] == []
