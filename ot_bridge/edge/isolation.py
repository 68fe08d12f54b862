"""Calls code of the program (a hook or its tracer) so that the request goes on if that code raises."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ot_bridge.errors import log_failure

_log = logging.getLogger("ot_bridge.edge")


def attempt(name: str, function: Callable[..., Any], *args: Any, default: Any = None) -> Any:
    """Returns `function(*args)`. If that raises, logs it under `name` and returns `default`."""
    try:
        return function(*args)
    except Exception:
        failed(name)
        return default


def failed(what: str) -> None:
    """Logs the exception that is being handled, at most once a minute for each `what`."""
    log_failure(_log, f"{what} failed; the request is served without it")
