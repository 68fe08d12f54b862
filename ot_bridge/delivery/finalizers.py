"""Does the work of finalizers in a thread of its own, since a finalizer may run anywhere.

The garbage collector runs a `__del__` in any thread that allocates, between any two of its instructions, and
the thread may hold any locks. A span that ends there would run its processors there. If one of them needs a
lock that the thread holds, the thread waits for itself.

1. `later(work)` only puts into a `SimpleQueue`, which is documented to be safe in a finalizer.
2. The thread that takes the work is started by `prepare()`, which is called where an object with such a
   finalizer is made: in a request, never in a finalizer.
3. A forked child has no such thread; `prepare()` recognises it by the process's id.
4. Work that the thread has not done at the exit is done by the exit (`drain`).

The tests, by number, in tests/delivery/:
1. test_finalizers.py::test_an_abandoned_body_ends_its_span_even_if_its_thread_holds_the_processors_lock
2. test_finalizers.py::test_a_finalizer_starts_no_thread
3. test_finalizers.py::test_a_forked_child_starts_its_own_finalizer_thread
4. test_finalizers.py::test_the_exit_runs_the_calls_that_wait
"""

from __future__ import annotations

import _thread
import logging
import os
import queue
from collections import deque
from collections.abc import Callable
from typing import Any

from ot_bridge.errors import log_failure

_log = logging.getLogger("ot_bridge.delivery")

_Work = tuple[Callable[..., object], tuple[Any, ...]]


class _Background:
    """The queue and the thread of one process. unclaimed: empty while a thread runs or is being started."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.work: queue.SimpleQueue[_Work] = queue.SimpleQueue()
        self.unclaimed: deque[None] = deque([None])

    def run(self) -> None:
        try:
            while True:
                _do(*self.work.get())
        finally:
            self.unclaimed.append(None)


_background: _Background | None = None


def prepare() -> None:
    """Starts the thread that waits for the work of finalizers, unless there is one."""
    global _background
    background = _background
    if background is None or background.pid != os.getpid():
        background = _background = _Background()
    if background.unclaimed:
        _start(background)


def _start(background: _Background) -> None:
    try:
        background.unclaimed.pop()
    except IndexError:
        return  # another thread starts it
    try:
        _thread.start_new_thread(background.run, ())
    except RuntimeError:  # the interpreter is going down
        background.unclaimed.append(None)


def later(work: Callable[..., object], *args: Any) -> None:
    """Hands `work(*args)` to the thread. For finalizers: it takes no lock and starts no thread."""
    background = _background
    if background is not None:
        background.work.put((work, args))


def drain() -> None:
    """Does the work that has not been done yet, in the calling thread."""
    background = _background
    if background is None or background.pid != os.getpid():
        return
    while True:
        try:
            work, args = background.work.get_nowait()
        except queue.Empty:
            return
        _do(work, args)


def _do(work: Callable[..., object], args: tuple[Any, ...]) -> None:
    try:
        work(*args)
    except Exception:
        log_failure(_log, "the work of a finalizer failed")
