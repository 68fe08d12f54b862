"""Two runs beside each other: how spans match, and the page in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ot_bridge.view.compared import merged, of_comparison
from ot_bridge.view.tree import Tree, trees
from tests.view.browser import started, tab
from tests.view.spans import MS, many, span

BEFORE = [
    span(1, length=100, name="GET /cart"),
    span(2, 1, 10, 60, name="load cart"),
    span(3, 2, 15, 50, name="SELECT"),
    *(span(10 + at, 1, 70 + at, 1, name="db.query") for at in range(3)),
    span(20, 1, 90, 5, name="old only"),
]
AFTER = [
    *(each._replace(trace_id="b" * 32, end=each.end - MS // 2) for each in BEFORE[:-1]),
    span(30, 1, 95, 4, name="new only", trace_id="b" * 32, status="ERROR"),
]
DIFFERENCES = [
    "--- before",
    "+++ after",
    "-  shop: old only",
    "+  shop: new only error=True",
    "   shop: SELECT",
]


def names(before: Tree | None, after: Tree | None) -> list[tuple[str | None, str | None, int]]:
    return [
        (
            before.nodes[row.before].span.name if before and row.before is not None else None,
            after.nodes[row.after].span.name if after and row.after is not None else None,
            row.depth,
        )
        for row in merged(before, after)
    ]


def test_spans_of_two_runs_match_by_the_names_on_their_path_and_their_rank() -> None:
    (before,), (after,) = trees(BEFORE), trees(AFTER)
    assert names(before, after) == [
        ("GET /cart", "GET /cart", 0),
        ("load cart", "load cart", 1),
        ("SELECT", "SELECT", 2),
        *[("db.query", "db.query", 1)] * 3,
        ("old only", None, 1),
        (None, "new only", 1),
    ]
    assert [each[0] for each in names(before, None)] == [node.span.name for node in before.nodes]


def test_deep_traces_match_too() -> None:
    (deep,) = trees(many(5000, deep=True))
    assert len(merged(deep, deep)) == 5000


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with started() as found:
        yield found


@contextmanager
def opened(browser: Any, tmp_path: Path, **options: Any) -> Iterator[Any]:
    file = tmp_path / "page.html"
    text = of_comparison(trees(BEFORE), trees(AFTER), DIFFERENCES, ("jaeger-client", "ot_bridge"))
    file.write_text(text, encoding="utf-8")
    with tab(browser, offline=True, **options) as page:
        page.goto(file.as_uri())
        page.wait_for_selector(".row")
        yield page


@pytest.mark.browser
def test_the_runs_are_shown_side_by_side_on_one_scale(browser: Any, tmp_path: Path) -> None:
    with opened(browser, tmp_path) as page:
        head = page.locator("header").inner_text()
        assert "jaeger-client: 100 ms, 7 spans · ot_bridge: 99.5 ms, 7 spans" in head
        assert page.locator(".row").count() == 8
        left, right = (page.locator(".row").first.locator(".track").nth(at).bounding_box() for at in (0, 1))
        assert left["x"] + left["width"] < right["x"]
        bars = [page.locator(".row").first.locator(".bar").nth(at).bounding_box()["width"] for at in (0, 1)]
        assert abs(bars[0] - left["width"]) <= 1
        assert abs(bars[1] - 0.995 * right["width"]) <= 1
        deltas = page.locator(".row .delta").all_inner_texts()
        assert deltas[0].startswith("-0.50 ms (")
        assert deltas[-2:] == ["only jaeger-client", "only ot_bridge"]
        assert page.locator(".row .name").first.evaluate("e => e.parentElement.clientWidth") > 24 * 7


@pytest.mark.browser
def test_a_difference_links_to_its_row(browser: Any, tmp_path: Path) -> None:
    with opened(browser, tmp_path) as page:
        assert page.locator(".differences button").count() == 2
        page.get_by_role("button", name="new only").click()
        page.locator(".row[aria-selected=true]", has_text="new only").wait_for()
        page.keyboard.press("Enter")
        assert "only ot_bridge" in page.locator(".details").inner_text()


@pytest.mark.browser
def test_in_narrow_windows_the_runs_are_shown_one_above_the_other(browser: Any, tmp_path: Path) -> None:
    with opened(browser, tmp_path, viewport={"width": 600, "height": 700}) as page:
        upper, lower = (page.locator(".row").first.locator(".track").nth(at).bounding_box() for at in (0, 1))
        assert abs(upper["x"] - lower["x"]) <= 1
        assert upper["y"] < lower["y"]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_accessibility_problem(browser: Any, tmp_path: Path, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    with opened(browser, tmp_path, color_scheme=scheme, bypass_csp=True) as page:
        page.keyboard.press("Enter")
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
