"""jaeger-client's helpers for futures, without Tornado."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


def submit(fn: Callable[..., Any], io_loop: Any, *args: Any, **kwargs: Any) -> Future[Any]:
    """Calls `fn` on a loop, by its `add_callback`. Returns a future of its result."""
    future: Future[Any] = Future()

    def execute() -> None:
        try:
            result = fn(*args, **kwargs)
        except Exception as error:
            future.set_exception(error)
            return
        if hasattr(result, "add_done_callback"):
            result.add_done_callback(settle)
        else:
            future.set_result(result)

    def settle(other: Any) -> None:
        error = other.exception()
        if error is None:
            future.set_result(other.result())
        else:
            future.set_exception(error)

    io_loop.add_callback(execute)
    return future


def future_result(result: Any) -> Future[Any]:
    """A future that is done and has this result."""
    future: Future[Any] = Future()
    future.set_result(result)
    return future


def future_exception(exception: BaseException) -> Future[Any]:
    """A future that is done and has this exception."""
    future: Future[Any] = Future()
    future.set_exception(exception)
    return future
