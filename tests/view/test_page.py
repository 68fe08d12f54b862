"""The page as a file, in a real browser."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ot_bridge.otlp.decode import EventRecord, LinkRecord, SpanRecord
from ot_bridge.view import page as page_file
from ot_bridge.view.tree import trees
from tests.view.browser import started, tab
from tests.view.durations import DURATIONS
from tests.view.spans import MS, START, TRACE, many, span

pytestmark = pytest.mark.browser
OTHER = "a" * 32

Open = Callable[..., AbstractContextManager[Any]]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with started() as found:
        yield found


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Open:
    """Opens the page of some spans, with the network off."""

    @contextmanager
    def open_it(spans: Sequence[SpanRecord], where: str = "", **options: Any) -> Iterator[Any]:
        file = tmp_path / "page.html"
        file.write_text(page_file.of_traces(trees(spans)), encoding="utf-8")
        with tab(browser, offline=True, **options) as page:
            page.goto(file.as_uri() + where)
            page.wait_for_selector(".row")
            yield page
            assert len({*page.requested}) == 1

    return open_it


DB = {"service.name": "db"}
TALE = [
    span(1, 77, 0, 100, name="GET /cart", kind="SERVER", parent_is_remote=True, trace_state="a=b"),
    span(
        2,
        1,
        10,
        60,
        name="load cart",
        resource={"service.name": "cart", "host.name": "h"},
        attributes={"user": "ann", "big": 2**63 - 1, "long": "x" * 5000},
        events=(EventRecord("retry", START + 20 * MS, {"attempt": 2}, 0),),
        links=(
            LinkRecord(OTHER, f"{9:016x}", "", {"why": "batch"}, 0, 0),
            LinkRecord("b" * 32, "c" * 16, "", {}, 0, 0),
        ),
        scope_name="shop.lib",
        scope_version="1.2",
    ),
    span(
        3,
        2,
        15,
        50,
        name="SELECT",
        status="ERROR",
        status_message="deadlock",
        resource={"service.name": "db"},
    ),
    span(4, 1, 80, 0.00001, name="tiny", resource={"service.name": "cart"}),
    span(5, 99, 90, 8, name="orphan"),
    span(9, name="another", trace_id=OTHER, begin=500),
]


def rows(page: Any) -> list[str]:
    return [text.strip() for text in page.locator(".row .name").all_text_contents()]


def selected(page: Any) -> str:
    return str(page.locator(".row[aria-selected=true] .name").inner_text())


def test_a_page_file_loads_nothing_else_and_shows_one_row_per_span(opened: Open) -> None:
    with opened(TALE) as page:
        assert rows(page) == ["GET /cart", "load cart", "SELECT", "tiny", "orphan"]
        assert "continues the caller's" in page.locator("header").inner_text()
        assert page.locator(".row .mark.bad").count() == 1
        assert page.locator(".row .mark.warn").count() == 1


def test_the_page_is_smaller_than_40_kilobytes() -> None:
    assert len(page_file.of_traces([]).encode()) < 40_000


def test_bars_have_the_right_positions_and_durations_are_beside_them(opened: Open) -> None:
    with opened(TALE) as page:
        track = page.locator(".row .track").first.bounding_box()
        spans = {each.name: each for each in TALE}
        assert {*rows(page)} == {*spans} - {"another"}  # of another trace
        for at, name in enumerate(rows(page)):
            row = page.locator(".row").nth(at)
            bar, label = row.locator(".bar").bounding_box(), row.locator(".time").bounding_box()
            start = (spans[name].start - START) / (100 * MS) * track["width"]
            length = (spans[name].end - spans[name].start) / (100 * MS) * track["width"]
            assert abs(bar["x"] - track["x"] - start) <= 1
            assert abs(bar["width"] - max(2, length)) <= 1
            assert label["x"] >= bar["x"] + bar["width"] - 0.5
            assert label["x"] + label["width"] <= 1280
        ticks = page.locator(".tick").all_text_contents()
        assert ticks == ["0", *(f"{at} ms" for at in range(20, 101, 20))]
        assert page.locator(".row .event").count() == 1
        assert page.locator(".row .path").count() >= 4


@pytest.mark.parametrize("total", [1, 7, 999, 12_345, 10**6, 3 * 10**9, 9 * 10**12])
def test_an_axis_has_round_steps(opened: Open, total: int) -> None:
    with opened(TALE) as page:
        step = page.evaluate(f"axisStep({total}, 8)")
        assert re.fullmatch(r"[125]0*", str(round(step)))
        assert total / step <= 8 or step == 1


def test_python_and_the_page_format_durations_in_the_same_way(opened: Open) -> None:
    with opened(TALE) as page:
        assert [page.evaluate(f"duration({number})") for number, _ in DURATIONS] == [
            text for _, text in DURATIONS
        ]


def test_services_have_colours_with_enough_contrast_in_order_of_appearance(opened: Open) -> None:
    for scheme in ("light", "dark"):
        spans = [span(1), *(span(at, 1, at, resource={"service.name": f"s{at}"}) for at in range(2, 11))]
        with opened(spans, color_scheme=scheme) as page:
            found = page.evaluate(
                "[...document.querySelectorAll('.row')].map(row => [row.querySelector('.bar'), document.body]"
                ".map(each => getComputedStyle(each).backgroundColor))"
            )
            assert len({bar for bar, _ in found}) == 10
            for bar, ground in found:
                assert contrast(bar, ground) >= 3, (scheme, bar, ground)


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, "contrast ratio"."""

    def luminance(colour: str) -> float:
        parts = [int(each) / 255 for each in re.findall(r"\d+", colour)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


def test_details_show_all_fields_of_a_span(opened: Open) -> None:
    with opened(TALE) as page:
        page.get_by_text("load cart").click()
        details = page.locator(".details")
        text = details.inner_text()
        for expected in (
            "cart",
            "ann",
            str(2**63 - 1),
            "retry",
            "at 10 ms",
            "shop.lib",
            "1.2",
            "host.name",
            TRACE,
        ):
            assert expected in text, expected
        assert "self time\t10 ms" in text
        assert "x" * 1001 not in text
        details.get_by_role("button", name="all 5000 characters").click()
        assert "x" * 5000 in details.inner_text()
        assert "b" * 32 + "/" + "c" * 16 in text
        assert details.get_by_role("button", name="bbbb").count() == 0
        details.get_by_role("button", name=OTHER).click()
        page.get_by_text("another").first.wait_for()
        assert selected(page) == "another"
        page.go_back()
        page.get_by_text("load cart").wait_for()
        page.get_by_text("SELECT").click()
        assert "error: deadlock" in details.inner_text()
        page.get_by_text("orphan").click()
        assert "parent 0000000000000063 did not arrive" in details.inner_text()


def test_a_stack_trace_keeps_its_lines(opened: Open) -> None:
    one = span(1, events=(EventRecord("exception", START, {"exception.stacktrace": "a\n  b\n  c"}, 0),))
    with opened([one]) as page:
        page.keyboard.press("Enter")
        assert "a\n  b\n  c" in page.locator(".details").inner_text()


def test_spans_with_inconsistent_clocks_are_drawn_at_their_recorded_times(opened: Open) -> None:
    with opened([span(1, begin=10, length=10), span(2, 1, begin=4, length=4)]) as page:
        parent, child = (page.locator(".row .bar").nth(at).bounding_box()["x"] for at in (0, 1))
        assert child < parent
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        assert "begins 6 ms before its parent" in page.locator(".details").inner_text()


def test_search_counts_matches_goes_to_the_next_and_opens_folded_rows(opened: Open) -> None:
    with opened(many(200)) as page:
        page.keyboard.press("ArrowLeft")
        assert rows(page) == ["span 1"]
        page.keyboard.press("/")
        page.keyboard.type("ann 19")
        assert "11 matches" in page.locator("header").inner_text()
        page.keyboard.press("Enter")
        assert "1 of 11 matches" in page.locator("header").inner_text()
        first = selected(page)
        page.keyboard.press("Escape")
        page.keyboard.press("n")
        second = selected(page)
        page.keyboard.press("Shift+N")
        assert (selected(page), second != first) == (first, True)
        page.get_by_label("only matches").check()
        assert 11 < int(page.get_by_role("treegrid").get_attribute("aria-rowcount")) < 30
        assert "span 1" in rows(page)
        page.reload()
        page.wait_for_selector(".row")
        assert selected(page) == first


def test_the_critical_path_can_be_hidden(opened: Open) -> None:
    with opened(TALE) as page:
        assert page.locator(".path").count()
        page.get_by_label("critical path").uncheck()
        assert not page.locator(".path").count()


EVIL = [
    "</script><img src=x onerror=window.pwned=1>",
    "<!--",
    "\u2028\u2029",
    "\u202egnp.exe",
    "\ud800 lone",
    "__proto__",
    "<svg/onload=window.pwned=1>",
    "javascript:window.pwned=1",
]


@pytest.mark.parametrize("text", [*EVIL, "y" * 1_000_000], ids=[*map(ascii, EVIL), "1 MB"])
def test_hostile_text_is_shown_as_text(opened: Open, text: str) -> None:
    one = span(
        1,
        name=text,
        status="ERROR",
        status_message=text,
        trace_state=text,
        attributes={text: text, "list": [text, {text: text}], "__proto__": text},
        resource={"service.name": text, text: text},
        events=(EventRecord(text, START, {text: text}, 0),),
        links=(LinkRecord(text, text, "", {text: text}, 0, 0),),
        scope_name=text,
        scope_version=text,
    )
    with opened([one]) as page:
        page.keyboard.press("Enter")
        details = page.locator(".details").inner_text()
        assert page.evaluate("window.pwned") is None
        assert page.evaluate("({}).polluted === undefined && Object.getPrototypeOf({}) === Object.prototype")
        assert page.locator("img, svg").count() == 0
        if text.isascii() and len(text) < 100:
            assert text in details
        drawn = page.evaluate(
            "document.body.outerHTML.replace(document.getElementById('data').outerHTML, '')"
        )
        assert not set("\u202e\u2028") & set(drawn)


def test_the_policy_lets_no_other_script_run(opened: Open) -> None:
    file = page_file.of_traces(trees(TALE))
    assert "default-src 'none'" in file
    assert " style=" not in file.split("<script")[0]
    assert "innerHTML" not in file
    with opened(TALE) as page:
        page.evaluate(
            "() => { const s = document.createElement('script'); s.textContent = 'window.pwned = 1';"
            " document.body.append(s); }"
        )
        assert page.evaluate("window.pwned") is None
        assert len(page.problems) == 1
        page.problems.clear()


def test_rows_that_share_a_span_id_are_selected_and_folded_each_by_itself(opened: Open) -> None:
    spans = [span(1, name="call", kind="CLIENT"), span(1, name="serve", kind="SERVER"), span(2, 1)]
    with opened(spans) as page:
        page.keyboard.press("ArrowDown")
        assert selected(page) == "serve"
        page.keyboard.press("ArrowLeft")
        assert (selected(page), rows(page)) == ("serve", ["call", "serve"])
        page.reload()
        page.wait_for_selector(".row")
        assert (selected(page), rows(page)) == ("serve", ["call", "serve", "span 2"])


def test_the_page_can_be_used_by_keyboard_alone(opened: Open) -> None:
    with opened(TALE) as page:
        press = page.keyboard.press
        press("ArrowDown")
        press("j")
        assert selected(page) == "SELECT"
        press("ArrowLeft")
        assert selected(page) == "load cart"
        press("ArrowLeft")
        assert "SELECT" not in rows(page)
        press("ArrowRight")
        press("ArrowRight")
        assert selected(page) == "SELECT"
        press("k")
        press("End")
        assert selected(page) == "orphan"
        press("Home")
        assert selected(page) == "GET /cart"
        press("e")
        assert selected(page) == "SELECT"
        press("Enter")
        assert page.evaluate("document.activeElement.className") == "details"
        press("Escape")
        assert page.evaluate("document.activeElement.getAttribute('role')") == "treegrid"
        press("?")
        assert page.get_by_role("dialog").is_visible()
        press("Escape")
        assert page.get_by_role("dialog").count() == 0
        press("/")
        page.keyboard.type("je?")
        assert page.locator("#find").input_value() == "je?"
        press("Escape")
        press("Escape")
        page.get_by_role("grid", name="Traces").wait_for()
        press("Enter")
        page.get_by_role("treegrid").wait_for()


def test_the_tab_key_reaches_everything_and_is_never_trapped(opened: Open) -> None:
    with opened(TALE) as page:
        page.keyboard.press("Enter")
        seen = []
        for _ in range(15):
            page.keyboard.press("Tab")
            seen.append(
                page.evaluate(
                    "(e => e.id || e.className || e.textContent || e.tagName)(document.activeElement)"
                )
            )
        assert {"find", "grid waterfall", "details"} <= {*seen}
        assert len({*seen}) > 5


def test_rows_have_accessible_names_and_states(opened: Open) -> None:
    with opened(many(1000)) as page:
        grid = page.get_by_role("treegrid")
        assert grid.get_attribute("aria-rowcount") == "1001"
        page.keyboard.press("End")
        row = page.locator(".row[aria-selected=true]")
        assert row.get_attribute("aria-rowindex") == "1001"
        assert int(row.get_attribute("aria-level")) > 3
        assert grid.get_attribute("aria-activedescendant") == row.get_attribute("id")
        assert page.locator(".row").count() <= 100
        page.keyboard.press("Home")
        assert page.locator(".row").first.get_attribute("aria-expanded") == "true"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_accessibility_problem(browser: Any, tmp_path: Path, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    file = tmp_path / "page.html"
    file.write_text(page_file.of_traces(trees([*TALE, *many(60)[10:]])), encoding="utf-8")
    with tab(browser, offline=True, color_scheme=scheme, bypass_csp=True) as page:
        page.goto(file.as_uri())
        page.wait_for_selector(".row")
        for step in (
            lambda: None,
            lambda: page.keyboard.press("Enter"),
            lambda: page.goto(file.as_uri() + "#list=1"),
        ):
            step()
            page.wait_for_timeout(100)
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize(
    "options",
    [
        {"viewport": {"width": 320, "height": 640}},
        {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2},
        {"viewport": {"width": 320, "height": 640}, "color_scheme": "dark"},
        {"forced_colors": "active"},
        {"reduced_motion": "reduce"},
    ],
    ids=["320 px", "200 %", "320 px, dark", "forced colours", "reduced motion"],
)
def test_the_page_is_readable_on_screens_of_different_sizes(opened: Open, options: dict[str, Any]) -> None:
    with opened(many(40), **options) as page:
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        name = page.locator(".row .name").nth(20)
        assert name.evaluate("e => e.scrollWidth <= e.clientWidth || e.clientWidth > 70")
        grid = page.get_by_role("treegrid").bounding_box()
        assert grid["y"] + grid["height"] >= page.viewport_size["height"] - 2


def test_print_shows_all_rows(opened: Open) -> None:
    with opened(many(300)) as page:
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator(".row").count() == 300
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert page.locator(".row").count() <= 100


def _drawn(opened: Open, spans: Sequence[SpanRecord]) -> float:
    """Milliseconds from navigation to the first rows, in the page's own clock."""
    with opened(spans) as page:
        assert page.locator(".row").count() <= 100
        return float(page.evaluate("performance.getEntriesByName('drawn')[0].startTime"))


def test_large_traces_are_drawn_quickly(opened: Open) -> None:
    small = min(_drawn(opened, many(10)) for _ in range(2))
    large, huge = _drawn(opened, many(1000)), _drawn(opened, many(10_000))
    assert large < max(10 * small, 5000), (small, large)
    assert huge < max(40 * small, 15_000), (small, huge)


def test_keys_react_quickly_in_a_trace_of_five_thousand_levels(opened: Open) -> None:
    with opened(many(5000, deep=True)) as page:
        before = time.perf_counter()
        page.keyboard.press("End")
        assert selected(page) == "span 5000"
        assert time.perf_counter() - before < 5
        widths = page.evaluate(
            "[...document.querySelectorAll('.indent')].map(e => e.getBoundingClientRect().width)"
        )
        assert max(widths) <= 12 * 12 + 10
        page.keyboard.press("Home")
        page.keyboard.press("ArrowLeft")
        assert rows(page) == ["span 1"]


def test_stripes_depend_on_the_row_number(opened: Open) -> None:
    with opened(many(300)) as page:
        page.keyboard.press("End")
        page.wait_for_timeout(50)
        odd = page.evaluate(
            "[...document.querySelectorAll('.row')].map(r => [+r.dataset.at, r.classList.contains('odd')])"
        )
        assert len(odd) > 2
        assert all(striped == bool(at % 2) for at, striped in odd)
        assert all(one[0] < other[0] for one, other in itertools.pairwise(odd))
