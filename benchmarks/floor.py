"""The row `floor`: the work that every tracer has to do, and the rest of what a root span costs."""

from __future__ import annotations

import contextvars
from collections.abc import Mapping
from random import getrandbits
from time import time_ns
from typing import Any

from opentelemetry.context import Context

from benchmarks import peers
from benchmarks.measure import Run
from benchmarks.rows import OURS, row
from benchmarks.spans import active, current, started
from ot_bridge import engine

_variable: contextvars.ContextVar[Context] = contextvars.ContextVar("floor", default=Context())  # noqa: B039


class _Bare:
    def __init__(self, name: str, trace_id: int, span_id: int, start: int) -> None:
        self.name = name
        self.trace_id = trace_id
        self.span_id = span_id
        self.start = start


def _ids(times: int) -> None:
    for _ in range(times):
        getrandbits(128)
        getrandbits(64)


def _clock(times: int) -> None:
    for _ in range(times):
        time_ns()
        time_ns()


def _context(times: int) -> None:
    for _ in range(times):
        inside = Context(_variable.get())
        dict.__setitem__(inside, "span", None)
        _variable.reset(_variable.set(inside))


def _object(times: int) -> None:
    for _ in range(times):
        _Bare("op", 1, 2, 3)


def _together(times: int) -> None:
    for _ in range(times):
        span = _Bare("op", getrandbits(128), getrandbits(64), time_ns())
        inside = Context(_variable.get())
        dict.__setitem__(inside, "span", span)
        token = _variable.set(inside)
        _variable.reset(token)
        span.end = time_ns()  # type: ignore[attr-defined]


@row("floor", "what a root span cannot do without, and what it costs")
def _floor() -> Mapping[str, Run]:
    tracer: Any = peers.provider(engine.TracerProvider).get_tracer("bench")
    return {
        OURS: active(peers.ours()),
        "engine, as current": current(tracer),
        "engine, start and end": started(tracer),
        "floor": _together,
        "two random ids": _ids,
        "two clock reads": _clock,
        "context set and reset": _context,
        "one object": _object,
    }
