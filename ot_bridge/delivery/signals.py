"""`flush_on_sigterm()`: exports waiting spans before SIGTERM ends the process.

It is done on request only. Python runs a handler in the main thread, between two of its instructions, so a
main thread that is inside C code would no longer end at once; and a program may have a handler of its own.
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
