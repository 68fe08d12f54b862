"""Saying once that something of the user's does not work, instead of at every request."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

_log = logging.getLogger("ot_bridge.wsgi")


class Once:
    """Logs each kind of failure the first time only; a middleware has one."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def warn(self, kind: str) -> None:
        """Logs `kind` with the exception being handled, if any."""
        if kind not in self._said:
            self._said.add(kind)
            _log.warning("%s; the request is served all the same (said once)", kind, exc_info=True)

    def call(self, name: str, function: Callable[..., Any], *args: Any, default: Any = None) -> Any:
        """`function(*args)`, or `default` if the user's function raises."""
        try:
            return function(*args)
        except Exception:
            self.warn(f"{name} raised")
            return default
