"""The viewer's page in a real browser, while traces come in."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from ot_bridge.otlp.decode_json import encode_json
from ot_bridge.view.app import Viewer
from ot_bridge.view.serving import Server, bound
from ot_bridge.view.store import Store
from tests.view.browser import started, tab
from tests.view.spans import MS, START, TRACE, many, span
from tests.view.viewers import JSON, Running, viewer

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with started() as found:
        yield found


@pytest.fixture
def running() -> Iterator[Running]:
    with viewer() as found:
        yield found


def send(running: Running, spans: Any) -> None:
    assert running.post(encode_json(spans).encode(), JSON).status == 200


def names(page: Any) -> list[str]:
    return [str(each) for each in page.locator(".list .row .cell:nth-child(2)").all_text_contents()]


def until(page: Any, condition: str) -> None:
    """Playwright's own way evaluates text in the page, which the page's policy forbids."""
    for _ in range(100):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(100)
    raise AssertionError(condition)


def traces() -> list[Any]:
    """Three traces; the second has an error, the third is long and the newest."""
    lengths = {1: 5, 2: 50, 3: 500}
    return [
        span(
            at,
            trace_id=f"{at:032x}",
            name=f"GET /{at}",
            begin=at * 1000,
            length=length,
            status="ERROR" if at == 2 else "OK",
            resource={"service.name": f"service {at}"},
        )
        for at, length in lengths.items()
    ]


def test_an_empty_viewer_explains_how_to_send_and_shows_new_traces_without_a_reload(
    browser: Any, running: Running
) -> None:
    with tab(browser) as page:
        page.goto(running.url)
        page.get_by_text(f"OTEL_EXPORTER_OTLP_ENDPOINT={running.url}").wait_for()
        send(running, traces()[:1])
        page.get_by_text("GET /1").wait_for(timeout=10_000)
        send(running, traces()[1:])
        page.get_by_text("GET /3").wait_for(timeout=10_000)
        assert names(page) == ["GET /3", "GET /2", "GET /1"]
        assert page.requested
        assert all(url.startswith(running.url) for url in page.requested)


def test_the_list_can_be_filtered_and_the_url_keeps_the_filter(browser: Any, running: Running) -> None:
    send(running, traces())
    with tab(browser) as page:
        page.goto(running.url)
        page.get_by_text("GET /3").wait_for()
        page.get_by_label("Find traces").fill("service 1")
        assert names(page) == ["GET /1"]
        page.get_by_label("Find traces").fill("")
        page.get_by_label("errors only").check()
        assert names(page) == ["GET /2"]
        page.reload()
        page.get_by_text("GET /2").wait_for()
        assert names(page) == ["GET /2"]
        page.get_by_label("errors only").uncheck()
        page.get_by_label("Minimum duration in ms").fill("50")
        assert names(page) == ["GET /3", "GET /2"]
        page.get_by_text("GET /2").click()
        page.get_by_role("treegrid").wait_for()
        page.go_back()
        page.get_by_text("GET /3").wait_for()
        assert names(page) == ["GET /3", "GET /2"]


def test_pause_and_clear(browser: Any, running: Running) -> None:
    with tab(browser) as page:
        page.goto(running.url)
        page.get_by_role("button", name="Pause").click()
        send(running, traces())
        page.wait_for_timeout(1500)
        assert names(page) == []
        page.get_by_role("button", name="Pause").click()
        page.get_by_text("GET /3").wait_for()
        page.get_by_role("button", name="Clear").click()
        page.get_by_text("No traces yet").wait_for()
        assert running.list() == []


def test_the_open_trace_grows_and_keeps_selection_folds_and_place(browser: Any, running: Running) -> None:
    spans = many(400)
    send(running, spans[:200])
    with tab(browser) as page:
        page.goto(f"{running.url}/#trace={TRACE}")
        until(page, "page.screen?.spans?.length === 200")
        for key in ("End", "ArrowUp", "ArrowLeft", "ArrowLeft"):
            page.keyboard.press(key)
        page.evaluate("page.screen.folded.add(page.screen.spans[2].id)")
        chosen = page.locator(".row[aria-selected=true] .name").inner_text()
        place = page.evaluate("page.screen.grid.root.scrollTop")
        send(running, spans[200:])
        until(page, "page.screen.spans.length === 400")
        assert page.locator(".row[aria-selected=true] .name").inner_text() == chosen
        assert page.evaluate("page.screen.folded.size") >= 1
        assert page.evaluate("page.screen.grid.root.scrollTop") == place


def test_the_warning_of_a_missing_parent_disappears_when_it_arrives(browser: Any, running: Running) -> None:
    send(running, [span(2, 1)])
    with tab(browser) as page:
        page.goto(f"{running.url}/#trace={TRACE}")
        page.locator(".mark.warn").wait_for()
        send(running, [span(1, length=3)])
        page.locator(".mark.warn").wait_for(state="detached")
        assert page.locator(".row").count() == 2


def test_the_page_reports_a_stopped_viewer_and_continues_when_it_is_back(browser: Any) -> None:
    with viewer() as first:
        send(first, traces()[:1])
        with tab(browser) as page:
            page.goto(first.url)
            page.get_by_text("GET /1").wait_for()
            port = first.port
            # The old viewer closes its port; the browser's own error messages are ignored.
            stopped = True
            page.route("**/api/**", lambda route: route.abort() if stopped else route.continue_())
            page.get_by_text("not connected").wait_for()
            stopped = False
            page.get_by_text("not connected").wait_for(state="detached")
            send(first, traces()[1:2])
            page.get_by_text("GET /2").wait_for()
            assert port == first.port
            page.problems.clear()


def test_the_page_starts_again_with_another_viewer_on_the_same_port(browser: Any) -> None:
    with viewer() as first, tab(browser) as page:
        send(first, traces())
        page.goto(first.url)
        page.get_by_text("GET /3").wait_for()
        first.store.__init__()  # type: ignore[misc]
        page.get_by_text("No traces yet").wait_for()
        send(first, traces()[:1])
        page.get_by_text("GET /1").wait_for()


def test_the_page_polls_once_a_second_and_only_while_it_is_visible(browser: Any, running: Running) -> None:
    with tab(browser) as page:
        page.goto(running.url)
        page.wait_for_timeout(3000)
        requests = [url for url in page.requested if "/api/traces" in url]
        assert len(requests) <= 5
        page.evaluate("Object.defineProperty(document, 'visibilityState', {get: () => 'hidden'})")
        page.wait_for_timeout(300)
        before = len(page.requested)
        page.wait_for_timeout(2000)
        assert len(page.requested) <= before + 1


def test_five_tabs_poll_five_times_a_second_and_block_no_thread(browser: Any, running: Running) -> None:
    """Row V13."""
    send(running, traces())
    with ExitStack() as stack:
        pages = [stack.enter_context(tab(browser)) for _ in range(5)]
        for page in pages:
            page.goto(running.url)
            page.get_by_text("GET /3").wait_for()
        before = sum(len(page.requested) for page in pages)
        begin = time.monotonic()
        threads = []
        for _ in range(40):
            pages[0].wait_for_timeout(50)
            threads.append(sum("process_request_thread" in each.name for each in threading.enumerate()))
        seconds = time.monotonic() - begin
        requests = sum(len(page.requested) for page in pages) - before
        assert 0 < requests <= 5 * (seconds + 1)
        assert min(threads) == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("count", [1, 1000])
def test_one_span_and_a_thousand_are_read_by_keyboard_in_either_scheme(
    browser: Any, running: Running, count: int, scheme: str
) -> None:
    """Rows V11, A1, A2 and A4 for a trace in the viewer."""
    from axe_playwright_python.sync_playwright import Axe

    send(running, many(count))
    with tab(browser, color_scheme=scheme, bypass_csp=True) as page:
        page.goto(running.url)
        page.get_by_text("span 1", exact=True).wait_for()
        page.keyboard.press("Enter")
        page.get_by_role("treegrid").wait_for()
        assert page.locator("[role=treegrid]").get_attribute("aria-rowcount") == str(count + 1)  # the head
        assert page.locator(".row").count() <= 100
        page.keyboard.press("End")
        chosen = page.locator(".row[aria-selected=true]")
        assert chosen.get_attribute("aria-rowindex") == str(count + 1)
        page.keyboard.press("Enter")
        assert (
            f"ann {page.evaluate('page.screen.spans.at(-1).attributes[0][1]')}"
            in page.locator(".details").inner_text()
        )
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        page.keyboard.press("Escape")
        page.keyboard.press("Home")
        assert chosen.get_attribute("aria-rowindex") == "2"
        page.keyboard.press("/")
        page.keyboard.type("ann")
        assert f"{count} match" in page.locator("[role=status]").first.inner_text()


def test_hostile_text_is_shown_as_text_in_the_list(browser: Any, running: Running) -> None:
    evil = "</script><img src=x onerror=window.pwned=1>"
    send(
        running,
        [span(1, name=evil, resource={"service.name": evil}, attributes={evil: evil}, status="ERROR")],
    )
    with tab(browser) as page:
        page.goto(running.url)
        page.get_by_text(evil).first.wait_for()
        page.keyboard.press("Enter")
        page.get_by_role("treegrid").wait_for()
        page.keyboard.press("Enter")
        assert evil in page.locator(".details").inner_text()
        assert page.evaluate("window.pwned") is None
        assert page.locator("img").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_accessibility_problem_in_the_list(browser: Any, running: Running, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    with tab(browser, color_scheme=scheme, bypass_csp=True) as page:
        page.goto(running.url)
        page.get_by_text("No traces yet").wait_for()
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        send(running, traces())
        page.get_by_text("GET /3").wait_for()
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


def test_ten_thousand_traces_can_be_listed(browser: Any) -> None:
    store = Store()
    for at in range(1, 10_001):
        store.add([span(1, trace_id=f"{at:032x}", start=START + at * MS, name=f"GET /{at}")])
    (listening,) = bound(["127.0.0.1"], 0)
    server = Server(Viewer(store), listening, print)
    try:
        with tab(browser) as page:
            before = time.monotonic()
            page.goto(f"http://127.0.0.1:{server.port}")
            page.get_by_text("10000 traces").wait_for(timeout=30_000)
            assert page.locator(".row").count() <= 100
            print(f"{time.monotonic() - before:.1f} s")
    finally:
        server.stop()
