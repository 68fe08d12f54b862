"""A real Chromium for the tests of the page. Without one they are skipped.

With `OT_BRIDGE_BROWSER=required` they fail then.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")


@contextmanager
def started() -> Iterator[Any]:
    """A browser, one a module: Playwright's event loop must not outlive it, for pytest-asyncio's tests."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _without("Playwright is not installed: pip install 'ot-bridge[browser]'")
    if CHROMIUM is None:
        _without("there is no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


def _without(why: str) -> None:
    if os.environ.get("OT_BRIDGE_BROWSER") == "required":
        pytest.fail(why)
    pytest.skip(why)


@contextmanager
def tab(browser: Any, offline: bool = False, **options: Any) -> Iterator[Any]:
    """A page in a context of its own; at its end there must be no error and nothing on the console."""
    context = browser.new_context(offline=offline, **{"viewport": {"width": 1280, "height": 800}, **options})
    context.set_default_timeout(10_000)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(f"error: {error}"))
    page.on("console", lambda message: problems.append(f"console: {message.text}"))
    page.on("request", lambda request: page.requested.append(request.url))
    page.requested, page.problems = [], problems
    yield page
    context.close()
    assert problems == []
