"""`Closing`: the future that `close()` returns, for threads, callbacks, asyncio and Tornado."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Generator, Iterable
from typing import Any

from ot_bridge import delivery


class Closing(concurrent.futures.Future[bool]):
    """A `concurrent.futures.Future` that can also be awaited. Its result is True if no span was lost."""

    def __await__(self) -> Generator[Any, None, bool]:
        return asyncio.wrap_future(self).__await__()


def done(result: bool = True) -> Closing:
    """A `Closing` that is done already."""
    closing = Closing()
    closing.set_result(result)
    return closing


def in_background(work: Callable[[], Any]) -> Closing:
    """Calls `work` in a thread that the exit of the program waits for; during the exit, in this thread."""
    closing = Closing()

    def run() -> None:
        try:
            closing.set_result(work())
        except Exception as error:
            closing.set_exception(error)

    delivery.in_background(run, "ot_bridge-close")
    return closing


def all_of(futures: Iterable[Any]) -> Closing:
    """A `Closing` that is done when all futures are. They may be of any class with `add_done_callback`."""
    waiting = [future for future in futures if hasattr(future, "add_done_callback")]
    closing = Closing() if waiting else done()
    left = {id(future) for future in waiting}
    results: list[bool] = []
    lock = threading.RLock()

    def finished(future: Any) -> None:
        with lock:
            left.discard(id(future))
            results.append(future.exception() is None and future.result() is not False)
            last = not left
        if last:
            closing.set_result(all(results))

    for future in waiting:
        future.add_done_callback(finished)
    return closing
