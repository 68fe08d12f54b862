"""jaeger-client's helpers for futures, without Tornado."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from ot_bridge.jaeger_client.closing import Closing, settle
from ot_bridge.jaeger_client.closing import done as future_result

__all__ = ["future_exception", "future_result", "submit"]


def submit(fn: Callable[..., Any], io_loop: Any, *args: Any, **kwargs: Any) -> Future[Any]:
    """Calls `fn` on a loop, by its `add_callback`. Returns a future of its result."""
    future = Closing()

    def execute() -> None:
        called = settle(Closing(), lambda: fn(*args, **kwargs))
        result: Any = None if called.exception() else called.result()
        if hasattr(result, "add_done_callback"):
            result.add_done_callback(lambda other: settle(future, other.result))
        else:
            settle(future, called.result)

    io_loop.add_callback(execute)
    return future


def future_exception(exception: BaseException) -> Future[Any]:
    """A future that is done and has this exception."""
    future = Closing()
    future.set_exception(exception)
    return future
