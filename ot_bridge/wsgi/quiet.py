"""Calling what may fail, where the request must not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ot_bridge.errors import report

_log = logging.getLogger("ot_bridge.wsgi")


def attempt(name: str, function: Callable[..., Any], *args: Any, default: Any = None) -> Any:
    """`function(*args)`; if it raises, that is logged under `name`, and the answer is `default`."""
    try:
        return function(*args)
    except Exception:
        failed(name)
        return default


def failed(what: str) -> None:
    """Logs the exception being handled, at most once a minute for each `what`."""
    report(_log, f"{what} failed; the request is served all the same")
