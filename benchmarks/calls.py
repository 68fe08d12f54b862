"""The row `calls`: the Python functions that are called during a root span, by name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from benchmarks import peers
from benchmarks.measure import Run, Timing
from benchmarks.peers import JAEGER, SDK, SHIM
from benchmarks.rows import OURS, other_row
from benchmarks.spans import active, current


def calls(run: Run) -> list[str]:
    """Returns the names of the called functions, in order."""
    made: list[str] = []

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code is not getattr(run, "__code__", None):
            made.append(getattr(frame.f_code, "co_qualname", frame.f_code.co_name))

    run(50)
    sys.setprofile(note)
    try:
        run(1)
    finally:
        sys.setprofile(None)
    return made


@other_row("calls", "calls of Python functions in a root span")
def _calls() -> Timing:
    runs: dict[str, Callable[[], Run]] = {
        OURS: lambda: active(peers.ours()),
        JAEGER: lambda: active(peers.jaeger()),
        SDK: lambda: current(peers.sdk_tracer()),
        SHIM: lambda: active(peers.shim()),
    }
    return Timing({name: [float(len(calls(make())))] * 2 for name, make in runs.items()}, unit="calls")
