"""`Polling`: calls `refresh` of an object at intervals, in one daemon thread per process.

1. The thread ends after `close()`, or when the object is collected: it holds no reference while it waits. It
   is a daemon, so a request that is under way delays neither `close()` nor the exit of the program.
2. It waits at a `SimpleQueue`, because a finalizer or a signal handler may put into it at any moment, even
   while its thread is inside `get`. The lock of an `Event` would block it for ever.
3. A forked child starts a thread of its own, unless the object was closed before.
4. uWSGI forks its workers without Python's hooks, and a worker hangs for ever if a thread of the master was
   running at that moment. There the thread starts at the first decision of a process (`_in_this_process`).

The tests, by number, in tests/sampling/:
1. test_remote.py::test_when_the_sampler_is_garbage_collected_its_thread_ends
2. test_remote.py::test_a_signal_handler_may_close_the_sampler_while_its_thread_closes_it
3. test_remote.py::test_a_forked_child_starts_its_own_requests_unless_closed_before_the_fork
4. test_polling.py::test_under_uwsgi_the_thread_starts_at_the_first_decision_of_each_process
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import sys
import threading
import weakref

from opentelemetry.context import attach, set_value

from ot_bridge.errors import ConfigurationError, log_failure
from ot_bridge.otel import SUPPRESS_KEY

_log = logging.getLogger("ot_bridge.sampling")


class Polling:
    """Base class of objects that ask a server at intervals."""

    _closed = False
    _waits = False  # whether the thread starts at the first decision of this process (4)
    _pid = 0
    _calls: queue.SimpleQueue[None]
    _every: tuple[str, float, float]

    def refresh(self) -> bool:
        """Asks the server now. Returns whether the response could be applied. Never raises."""
        raise NotImplementedError

    def close(self) -> None:
        """Stops asking."""
        self._closed = True
        self._calls.put(None)

    def _poll(self, name: str, interval: float, first: float = 0.0) -> None:
        """Starts the thread. interval: seconds between calls. first: seconds before the first one.

        Raises ConfigurationError for an interval for which a thread cannot wait.
        """
        if not 0 < interval <= threading.TIMEOUT_MAX:
            raise ConfigurationError("polling_interval", interval, "expected a number of seconds above 0")
        self._every = name, interval, first
        self._calls = queue.SimpleQueue()
        if "uwsgi" in sys.modules:
            self._waits = True
        else:
            self._start()
        if hasattr(os, "register_at_fork"):
            start = weakref.WeakMethod(self._start)
            os.register_at_fork(after_in_child=lambda: (alive := start()) and alive())

    def _in_this_process(self) -> None:
        """Starts the thread if this process has none. To be called at a decision if `_waits` is true."""
        if self._pid != os.getpid():
            self._start()

    def _start(self) -> None:
        self._pid = os.getpid()
        if self._closed:
            return
        # A new queue: in a forked child, a thread that no longer exists may hold the lock of the old one.
        self._calls = queue.SimpleQueue()
        weakref.finalize(self, self._calls.put, None)
        name, interval, first = self._every
        target = weakref.ref(self), self._calls, interval, first
        try:
            threading.Thread(target=_run, args=target, name=name, daemon=True).start()
        except RuntimeError:  # at the exit, or at the limit of the system
            log_failure(_log, f"{type(self).__name__} asks no server: its thread could not be started")


def _run(polling: weakref.ref[Polling], calls: queue.SimpleQueue[None], interval: float, wait: float) -> None:
    attach(set_value(SUPPRESS_KEY, True))
    while True:
        if wait > 0:  # in CPython 3.10, `get(timeout=0)` may wait for ever
            with contextlib.suppress(queue.Empty):
                calls.get(timeout=wait)
        if (alive := polling()) is None or alive._closed:
            return
        try:
            alive.refresh()
        except Exception:  # of the program's own metrics
            log_failure(_log, f"{type(alive).__name__}.refresh raised")
        del alive  # so that it can be collected while this thread waits
        wait = interval
