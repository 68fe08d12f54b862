"""Puts the translation around an exporter. A program without the opt-in does not import it."""

from __future__ import annotations

from typing import Any

from ot_bridge.semconv.groups import OptIn


def renaming(exporter: Any, opted: OptIn) -> Any:
    """Wraps an exporter, or a factory of one, in the translation of these groups, if there are any."""
    if not opted:
        return exporter
    from ot_bridge.semconv.export import wrapped  # here, so that only a program that opts in imports it

    return wrapped(exporter, opted)
