"""`flush_on_sigterm()`: exports waiting spans before SIGTERM ends the process.

1. It is done on request only. Python runs a handler in the main thread, between two of its instructions, so
   a main thread that is inside C code would no longer end at once.
2. A handler of the program's own is never replaced.
3. The handler may interrupt any line, so it takes no lock: `exit.flush_all` needs none. It waits 2 s at most.
4. Then the default action ends the process, so that its parent sees the signal. Process 1 survives that; for
   it the handler is set again.

The tests, by number, in tests/delivery/:
1. test_signals.py::test_the_variable_switches_flush_on_sigterm_on
2. test_signals.py::test_an_existing_signal_handler_is_kept_and_logged
3. test_signals.py::test_a_hanging_collector_delays_the_end_of_the_process_by_two_seconds_at_most,
   test_queue.py::test_a_signal_handler_ends_spans_while_its_thread_ends_them
4. test_signals.py::test_waiting_spans_are_exported_and_the_process_dies_of_the_signal,
   test_signals.py::test_process_1_and_its_tracing_continue_after_sigterm
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from typing import Any, Final

from ot_bridge.delivery import exit
from ot_bridge.errors import bad_variable, log_once

_log = logging.getLogger("ot_bridge.delivery")
SECONDS: Final = 2.0
VARIABLE: Final = "OT_BRIDGE_FLUSH_ON_SIGTERM"


def flush_on_sigterm() -> bool:
    """Has SIGTERM export waiting spans, for at most 2 s, before its default action. Returns whether it will.

    Outside the main thread, or where SIGTERM has a handler or is ignored, it changes nothing and logs that
    once. A handler that is set later replaces this one. Forked children inherit it; workers of a
    `multiprocessing.Pool` may miss the signal (docs/delivery.md). In process 1, for which the default action
    of SIGTERM does nothing, the program and its tracing go on.
    """
    if threading.current_thread() is not threading.main_thread():
        why = "this is not the main thread"
    elif signal.getsignal(signal.SIGTERM) is _flush:
        return True
    elif signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        why = "the program has a handler of its own; have it call tracer.flush()"
    else:
        signal.signal(signal.SIGTERM, _flush)
        return True
    log_once(_log, logging.WARNING, f"spans are not flushed on SIGTERM: {why}")
    return False


def flush_on_sigterm_if_enabled() -> None:
    """Calls `flush_on_sigterm` if the variable `OT_BRIDGE_FLUSH_ON_SIGTERM` is `true`."""
    text = os.environ.get(VARIABLE, "").strip()
    if text.lower() == "true":
        flush_on_sigterm()
    elif text and text.lower() != "false":
        bad_variable(VARIABLE, text, "expected true or false", "SIGTERM is left as it is")


def _flush(number: int, frame: Any) -> None:
    end = time.monotonic() + SECONDS
    exit.flush_all(end, end)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    signal.signal(number, _flush)  # still here: this is process 1
