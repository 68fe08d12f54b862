"""Interrupts as a signal handler throws them, generated: one before each line that runs inside a package."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import ot_bridge

PACKAGE = ot_bridge.__path__[0]


class Alarm(BaseException):
    """What a worker's timeout raises from its signal handler."""


def _alarm() -> None:
    raise Alarm


def interrupted(step: Callable[[], object], at: int, package: str) -> bool:
    """Whether `step` came to its `at`th line inside `package` (a path), and was interrupted before it."""
    try:
        return handled(step, at, package, _alarm)
    except Alarm:
        return True


def handled(step: Callable[[], object], at: int, package: str, handler: Callable[[], object]) -> bool:
    """Whether a signal handler was called there; its exceptions are passed on."""
    left = at

    def lines(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if event == "line":
            left -= 1
            if left == 0:
                handler()
        return lines

    def calls(frame: FrameType, event: str, _: object) -> Any:
        return lines if frame.f_code.co_filename.startswith(package) else None

    before = sys.gettrace()
    sys.settrace(calls)
    try:
        step()
    finally:
        sys.settrace(before)
    return left <= 0
