"""`Closing`: the future that `close()` returns, for threads, callbacks, asyncio and Tornado."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from asyncio import CancelledError
from collections.abc import Callable, Generator, Iterable
from typing import Any

from ot_bridge import delivery


class Closing(concurrent.futures.Future[bool]):
    """A `concurrent.futures.Future` that can also be awaited.

    As the result of `close()`, it is True if no span is known to be lost.
    """

    def __await__(self) -> Generator[Any, None, bool]:
        return asyncio.wrap_future(self).__await__()


def settle(closing: Closing, work: Callable[[], Any]) -> Closing:
    """Calls `work`, and gives `closing` its result or its exception. Returns `closing`."""
    try:
        closing.set_result(work())
    except (Exception, CancelledError) as error:  # asyncio's CancelledError is not an Exception
        closing.set_exception(error)
    return closing


def done(result: Any = True) -> Closing:
    """A `Closing` that is done already."""
    return settle(Closing(), lambda: result)


def in_background(work: Callable[[], Any], closing: Closing | None = None) -> Closing:
    """Calls `work` in a thread that the exit of the program waits for; during the exit, in this thread.

    closing: the future that gets the result of `work`. It is returned. None for a new one.
    """
    closing = closing or Closing()
    delivery.in_background(lambda: settle(closing, work), "ot_bridge-close")
    return closing


def all_of(futures: Iterable[Any]) -> Closing:
    """A `Closing` that is done when all futures are. They may be of any class with `add_done_callback`."""
    waiting = [future for future in futures if hasattr(future, "add_done_callback")]
    closing = Closing() if waiting else done()
    results: list[bool] = []
    lock = threading.RLock()

    def finished(future: Any) -> None:
        ended = settle(Closing(), future.result)
        with lock:
            results.append(ended.exception() is None and ended.result() is not False)
            last = len(results) == len(waiting)
        if last:
            closing.set_result(all(results))

    for future in waiting:
        future.add_done_callback(finished)
    return closing
